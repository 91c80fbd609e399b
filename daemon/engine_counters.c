/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel's counters in the engine: what grew becomes a verdict, how the counter stands now goes into the same
 * transaction, for whoever reads it next. See enforcer_counters.c.
 */
#include "config.h"
#include "daemon/engine_role.h"

#include "common/log.h"
#include "common/wire.h"
#include "store/history.h"

static void take(struct engine_role *r, const struct msg *m)
{
	struct wire_reader rd;
	struct counter_rec c;
	struct verdict_rec v;
	const void *counter, *verdict;
	size_t counter_len, verdict_len;
	bool one;

	wire_reader_init(&rd, m->data, m->len);
	one = wire_get_u8(&rd) != 0;
	counter = wire_get_bytes(&rd, &counter_len);
	verdict = wire_get_bytes(&rd, &verdict_len);
	if (!wire_ok(&rd))
		return;
	if (!one) {
		if (engine_txn(r->engine))
			store_counters_forget(engine_txn(r->engine));
		return;
	}
	if (counter_decode(&c, counter, counter_len))
		return;
	if (verdict_len && verdict_decode(&v, verdict, verdict_len) == 0) {
		r->refused += v.away ? 0 : v.count;
		engine_verdict(r->engine, &v);
	}
	if (engine_txn(r->engine)) /* a failure spoils the transaction, which counts what it held as lost */
		store_counter_put(engine_txn(r->engine), &c);
}

bool engine_counters_news(struct engine_role *r, const struct msg *m)
{
	struct wire_reader rd;
	uint64_t when_ns;

	if (m->type == IPC_COUNTER) {
		take(r, m);
		return true;
	}
	if (m->type != IPC_COUNTED)
		return false;
	wire_reader_init(&rd, m->data, m->len);
	when_ns = wire_get_u64(&rd);
	if (wire_ok(&rd))
		r->counted_ns = when_ns;
	return true;
}

struct listing {
	struct buf list;
	uint32_t n;
};

static int add(void *arg, const struct counter_rec *c)
{
	struct listing *l = arg;
	struct buf b = BUF_INIT;

	counter_encode(&b, c);
	wire_put_bytes(&l->list, b.data, b.len);
	l->n++;
	buf_fini(&b);
	return 0;
}

void engine_counters_recall(struct engine_role *r)
{
	struct listing l = {BUF_INIT, 0};
	struct buf b = BUF_INIT;
	uint64_t read_ns = 0;
	uint32_t len = sizeof(read_ns);
	struct store_txn *t;
	int rc = store_begin(&t, r->store, false);

	if (!rc) {
		if (store_meta_get(t, ENGINE_META_COUNTED, &read_ns, &len))
			read_ns = 0;
		rc = store_counter_walk(t, add, &l);
		store_abort(t);
	}
	if (rc || buf_failed(&l.list)) { /* better begin anew than count twice */
		log_warn("what the kernel counted while weir was away cannot be told: "
			 "the last readings are not to be had");
		read_ns = 0;
		l.n = 0;
		buf_clear(&l.list);
	}
	wire_put_u64(&b, read_ns);
	wire_put_u32(&b, l.n);
	buf_add(&b, l.list.data, l.list.len);
	engine_role_send(r, IPC_COUNTERS, &b);
	buf_fini(&b);
	buf_fini(&l.list);
}
