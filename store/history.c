/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Verdicts and coverage: sums that live in the time buckets. The key is what they are summed over; adding to one is
 * reading it, merging and writing it back.
 */
#include "config.h"
#include "store/history.h"

#include <errno.h>
#include <string.h>

#include "common/timefmt.h"
#include "store/key.h"
#include "store/txn.h"

#define VERDICT_INTERVAL_NS (600 * NS_PER_S)
#define VERDICT_KEY_LEN (1 + 8 + 16 + 16 + 1 + 2 + 1 + 1 + 8)
#define COVERAGE_KEY_MAX (1 + 8 + 4 + 32)

/* What is already there; -ENOENT, or -EBADMSG and the like. */
static int verdict_get(struct verdict_rec *out, struct store_txn *t, const uint8_t *key, size_t len)
{
	MDB_val v;
	int rc = bucket_get(t, key, len, &v);

	return rc ? rc : verdict_decode(out, v.mv_data, v.mv_size);
}

static void verdict_merge(struct verdict_rec *sum, const struct verdict_rec *v)
{
	if (v->first_ns < sum->first_ns)
		sum->first_ns = v->first_ns;
	if (v->last_ns > sum->last_ns)
		sum->last_ns = v->last_ns;
	sum->count += v->count;
	if (v->sampled && !sum->sampled) {
		sum->sampled = 1;
		sum->src_port = v->src_port;
	}
	/* What was unknown when the first of them came may be known now. */
	for (unsigned i = 0; i < 2; i++) {
		if (!sum->workload[i])
			sum->workload[i] = v->workload[i];
		if (!sum->group[i][0])
			memcpy(sum->group[i], v->group[i], sizeof(sum->group[i]));
	}
}

int store_verdict_add(struct store_txn *t, const struct verdict_rec *v)
{
	uint8_t key[VERDICT_KEY_LEN], *p = key_put_u8(key, KIND_VERDICT);
	struct verdict_rec sum = *v;
	struct buf b = BUF_INIT;
	int rc = txn_writable(t);

	if (rc)
		return rc;
	if (v->last_ns < v->first_ns || v->kind > VERDICT_BLOCK)
		return -EINVAL;
	p = key_put_u64(p, v->first_ns - v->first_ns % VERDICT_INTERVAL_NS);
	p = key_put_addr(key_put_addr(p, &v->src), &v->dst);
	p = key_put_u8(key_put_u8(key_put_u16(key_put_u8(p, v->proto), v->dst_port), v->inbound),
		       v->kind | (v->away ? 0x80 : 0));
	key_put_u64(p, v->generation);
	rc = verdict_get(&sum, t, key, sizeof(key));
	if (rc == 0)
		verdict_merge(&sum, v);
	else if (rc != -ENOENT)
		return txn_fail(t, rc);
	verdict_encode(&b, &sum);
	rc = buf_failed(&b) ? -ENOMEM : bucket_put(t, key, sizeof(key), sum.last_ns, b.data, b.len);
	buf_fini(&b);
	return txn_fail(t, rc);
}

struct walk {
	uint64_t since_ns, until_ns;
	store_verdict_fn *verdict;
	store_coverage_fn *coverage;
	void *arg;
};

static bool meets(const struct walk *w, uint64_t start_ns, uint64_t end_ns)
{
	return end_ns >= w->since_ns && (!w->until_ns || start_ns <= w->until_ns);
}

static int each_verdict(void *arg, const MDB_val *key, const MDB_val *value)
{
	const struct walk *w = arg;
	struct verdict_rec v;
	int rc = verdict_decode(&v, value->mv_data, value->mv_size);

	(void)key;
	return rc || !meets(w, v.first_ns, v.last_ns) ? rc : w->verdict(w->arg, &v);
}

int store_verdict_walk(struct store_txn *t, uint64_t since_ns, uint64_t until_ns, store_verdict_fn *fn, void *arg)
{
	struct walk w = {since_ns, until_ns, fn, NULL, arg};

	return bucket_walk(t, KIND_VERDICT, since_ns, until_ns, each_verdict, &w);
}

int store_coverage_add(struct store_txn *t, const struct coverage_rec *c)
{
	uint8_t key[COVERAGE_KEY_MAX], *p = key_put_u8(key, KIND_COVERAGE);
	struct coverage_rec sum;
	struct buf b = BUF_INIT;
	MDB_val v;
	int rc = txn_writable(t);

	if (rc)
		return rc;
	if (c->end_ns < c->start_ns)
		return -EINVAL;
	p = key_put_u32(key_put_u64(p, c->start_ns - c->start_ns % COVERAGE_INTERVAL_NS), c->iface);
	p = key_put_bytes(p, c->iface_name, strnlen(c->iface_name, sizeof(c->iface_name)));
	rc = bucket_get(t, key, (size_t)(p - key), &v);
	if (rc == 0)
		rc = coverage_decode(&sum, v.mv_data, v.mv_size);
	if (rc == 0)
		coverage_merge(&sum, c);
	else if (rc == -ENOENT)
		sum = *c;
	else
		return txn_fail(t, rc);
	coverage_encode(&b, &sum);
	rc = buf_failed(&b) ? -ENOMEM : bucket_put(t, key, (size_t)(p - key), sum.end_ns, b.data, b.len);
	buf_fini(&b);
	return txn_fail(t, rc);
}

static int each_coverage(void *arg, const MDB_val *key, const MDB_val *value)
{
	const struct walk *w = arg;
	struct coverage_rec c;
	int rc = coverage_decode(&c, value->mv_data, value->mv_size);

	(void)key;
	return rc || !meets(w, c.start_ns, c.end_ns) ? rc : w->coverage(w->arg, &c);
}

int store_coverage_walk(struct store_txn *t, uint64_t since_ns, uint64_t until_ns, store_coverage_fn *fn, void *arg)
{
	struct walk w = {since_ns, until_ns, NULL, fn, arg};

	return bucket_walk(t, KIND_COVERAGE, since_ns, until_ns, each_coverage, &w);
}
