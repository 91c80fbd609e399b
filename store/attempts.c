/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Folded attempts: few, since they are already sums, and kept in the buckets of the flows they stand for. */
#include "config.h"
#include "store/flows.h"

#include <errno.h>

#include "store/key.h"
#include "store/txn.h"

#define ATTEMPTS_KEY_LEN (1 + 8 + 16 + 1 + 2 + 4)

int store_attempts_put(struct store_txn *t, const struct flow_attempts *a)
{
	uint8_t key[ATTEMPTS_KEY_LEN], *p = key_put_u64(key_put_u8(key, KIND_ATTEMPTS), a->start_ns);
	struct buf b = BUF_INIT;
	int rc = -ENOMEM;

	if (a->end_ns < a->start_ns || a->n_exemplars > sizeof(a->exemplar) / sizeof(a->exemplar[0]))
		return -EINVAL;
	key_put_u32(key_put_u16(key_put_u8(key_put_addr(p, &a->dst), a->proto), a->port), a->iface);
	flow_attempts_encode(&b, a);
	if (!buf_failed(&b))
		rc = bucket_put(t, key, sizeof(key), a->end_ns, b.data, b.len);
	buf_fini(&b);
	return rc;
}

struct walk {
	uint64_t since_ns, until_ns;
	store_attempts_fn *fn;
	void *arg;
};

static int each(void *arg, const MDB_val *key, const MDB_val *value)
{
	const struct walk *w = arg;
	struct flow_attempts a;
	int rc = flow_attempts_decode(&a, value->mv_data, value->mv_size);

	(void)key;
	if (rc || a.end_ns < w->since_ns || (w->until_ns && a.start_ns > w->until_ns))
		return rc;
	return w->fn(w->arg, &a);
}

int store_attempts_walk(struct store_txn *t, uint64_t since_ns, uint64_t until_ns, store_attempts_fn *fn, void *arg)
{
	struct walk w = {since_ns, until_ns, fn, arg};

	return bucket_walk(t, KIND_ATTEMPTS, since_ns, until_ns, each, &w);
}
