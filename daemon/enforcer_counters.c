/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel counts refusals also while no weir runs. So the store keeps how each counter stood when it was last read,
 * in the same transaction as what was told of its growth; the engine sends that to the parent when it starts, and
 * the first reading finds the difference: nothing is lost with a daemon, or an engine, that died, and nothing is told
 * twice.
 */
#include "config.h"
#include "daemon/enforcer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
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

static void seed(struct enforcer *e, const struct msg *m)
{
	struct counter_rec *list = NULL;
	struct wire_reader r;
	uint64_t read_ns;
	uint32_t n;
	size_t kept = 0;

	wire_reader_init(&r, m->data, m->len);
	read_ns = wire_get_u64(&r);
	n = wire_get_u32(&r);
	if (!wire_ok(&r) || n > wire_left(&r))
		return;
	list = calloc(n ? n : 1, sizeof(*list));
	for (uint32_t i = 0; list && i < n; i++) {
		size_t len;
		const void *p = wire_get_bytes(&r, &len);

		if (!wire_ok(&r))
			break;
		kept += counter_decode(&list[kept], p, len) == 0;
	}
	/* Of an engine that was only restarted nothing is away but a moment. */
	if (list && e->nft && nft_counters_seed(e->nft, list, kept, read_ns, !e->counters_seeded))
		log_err("not enough memory for what the kernel counted before");
	free(list);
	e->counters_known = e->counters_seeded = true;
}

bool enforcer_counters(struct enforcer *e, const struct msg *m)
{
	if (m->type != IPC_COUNTERS)
		return false;
	seed(e, m);
	return true;
}
