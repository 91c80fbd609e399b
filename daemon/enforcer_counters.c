/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel counts refusals also while no weir runs. So the store keeps how each counter stood when it was last read,
 * in the same transaction as what was told of its growth; the engine sends that to the parent when it starts, and
 * the first reading finds the difference: nothing is lost with a daemon, or an engine, that died, and nothing is told
 * twice.
 */
#include "config.h"
#include "daemon/enforcer_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

void enforcer_counter(void *arg, const struct counter_rec *c, const struct verdict_rec *v)
{
	struct buf b = BUF_INIT, part = BUF_INIT;

	wire_put_u8(&b, c != NULL);
	if (c)
		counter_encode(&part, c);
	wire_put_bytes(&b, part.data, part.len);
	buf_clear(&part);
	if (v)
		verdict_encode(&part, v);
	wire_put_bytes(&b, part.data, part.len);
	if (!buf_failed(&part))
		enforcer_tell(arg, IPC_COUNTER, &b);
	buf_fini(&part);
	buf_fini(&b);
}

/* The list as the engine sends it, the caller's to free. 0; -EBADMSG; -ENOMEM. */
static int read_list(struct counter_rec **out, size_t *count, uint64_t *read_ns, const struct msg *m)
{
	struct counter_rec *list;
	struct wire_reader r;
	uint32_t n;
	int rc = 0;

	wire_reader_init(&r, m->data, m->len);
	*read_ns = wire_get_u64(&r);
	n = wire_get_u32(&r);
	if (!wire_ok(&r) || n > wire_left(&r) / sizeof(uint32_t)) /* each has its length in front */
		return -EBADMSG;
	list = calloc(n ? n : 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		size_t len;
		const void *p = wire_get_bytes(&r, &len);

		if (!wire_ok(&r) || counter_decode(&list[i], p, len))
			rc = -EBADMSG;
	}
	if (rc) {
		free(list);
		return rc;
	}
	*out = list;
	*count = n;
	return 0;
}

/* Counting must go on whatever the engine says; part of a list would count what is missing in it twice. */
static void seed(struct enforcer *e, const struct msg *m)
{
	struct counter_rec *list = NULL;
	uint64_t read_ns;
	size_t n;
	int rc = read_list(&list, &n, &read_ns, m);

	/* Of an engine that was only restarted nothing is away but a moment. */
	if (rc == 0 && e->nft)
		rc = nft_counters_seed(e->nft, list, n, read_ns, !e->counters_seeded);
	free(list);
	if (rc) {
		enforcer_notice(e, true,
				"how the kernel's counters stood when they were last read is not known (%s): refusals "
				"of the time when weir was away are not told; they are counted from now on",
				rc == -EBADMSG ? "what the engine says of it makes no sense" : strerror(-rc));
		enforcer_counter(e, NULL, NULL); /* what the store has of them is void */
		if (e->nft)
			nft_counters_unknown(e->nft);
	}
	e->counters_known = e->counters_seeded = true;
}

bool enforcer_counters(struct enforcer *e, const struct msg *m)
{
	if (m->type != IPC_COUNTERS)
		return false;
	seed(e, m);
	return true;
}
