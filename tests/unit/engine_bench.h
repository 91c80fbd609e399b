/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An engine over a real store in a directory of its own, for the tests of it: workloads come up, flows are reported,
 * and what the store has of them is read back.
 */
#ifndef WEIR_TESTS_ENGINE_BENCH_H
#define WEIR_TESTS_ENGINE_BENCH_H
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/edge.h"
#include "common/timefmt.h"
#include "daemon/engine.h"
#include "store/edges.h"
#include "store/flows.h"
#include "tests/tap.h"

#define T0 (1700000000ull * NS_PER_S)

struct bench {
	char dir[64];
	struct store *store;
	struct engine *engine;
	uint64_t token; /* the last question */
	unsigned asked;
};

static inline void on_ask(void *arg, const struct flow_rec *f, uint64_t token)
{
	struct bench *b = arg;

	(void)f;
	b->token = token;
	b->asked++;
}

static inline void bench_open(struct bench *b, const struct engine_options *eo)
{
	const struct store_options so = {.no_sync = true};

	memset(b, 0, sizeof(*b));
	snprintf(b->dir, sizeof(b->dir), "/tmp/weir-test-XXXXXX");
	CHECK(mkdtemp(b->dir) != NULL);
	CHECK_EQ(store_open(&b->store, b->dir, STORE_WRITE, &so), 0);
	CHECK_EQ(engine_new(&b->engine, b->store, eo), 0);
}

/* ask: it asks where a flow comes from, which token and asked tell of. */
static inline void bench_init(struct bench *b, bool ask)
{
	const struct engine_options eo = {.live = true, .grace_ns = 2 * NS_PER_S, .ask = ask ? on_ask : NULL, .arg = b};

	bench_open(b, &eo);
}

static inline void bench_fini(struct bench *b)
{
	static const char *const files[] = {"weir.mdb", "weir.mdb-lock"};
	char path[128];

	engine_free(b->engine);
	store_close(b->store);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", b->dir, files[i]);
		unlink(path);
	}
	rmdir(b->dir);
}

static inline struct addr addr_of(const char *text)
{
	struct addr a = {{0}};

	CHECK_EQ(addr_parse(&a, text), 0);
	return a;
}

/* A workload, since a minute before T0. */
static inline void up(struct bench *b, uint64_t id, const char *group, const char *address)
{
	struct workload w = {.id = id, .start_ns = T0 - 60 * NS_PER_S, .n_addrs = 1};

	snprintf(w.name, sizeof(w.name), "w%llu", (unsigned long long)id);
	snprintf(w.group, sizeof(w.group), "%s", group);
	w.addrs[0] = addr_of(address);
	engine_workload(b->engine, &w, false, w.start_ns);
}

/* A conversation over TCP that was answered and lasted a second. */
static inline struct flow_rec flow(const char *client, const char *server, uint16_t cport, uint16_t sport,
				   uint64_t start_ns)
{
	struct flow_rec f = {.proto = 6, .port = {cport, sport}, .start_ns = start_ns, .end_ns = start_ns + NS_PER_S,
			     .direction = FLOW_DIR_SYN, .state = FLOW_STATE_CLOSED, .reason = FLOW_REASON_CLOSED, .iface = 2,
			     .pkts = {6, 5}, .bytes = {600, 5000}, .app = "HTTP", .confidence = FLOW_CONF_DPI};

	f.addr[0] = addr_of(client);
	f.addr[1] = addr_of(server);
	f.id = f.conv_id = flow_id(&f);
	return f;
}

static inline void report(struct bench *b, const struct flow_rec *f, uint64_t now_ns)
{
	struct buf rec = BUF_INIT;

	flow_encode(&rec, f);
	CHECK_EQ(engine_flow(b->engine, rec.data, rec.len, now_ns), 0);
	buf_fini(&rec);
}

/* All edges of the store, the caller's to free. */
static inline size_t edges_of(struct bench *b, struct edge **out)
{
	struct store_txn *t;
	size_t n = 0;

	*out = NULL;
	CHECK_EQ(engine_commit(b->engine), 0);
	CHECK_EQ(store_begin(&t, b->store, false), 0);
	CHECK_EQ(store_edges_read(t, 0, 0, out, &n), 0);
	store_abort(t);
	return n;
}

/* What the store has of that flow; false: nothing. */
static inline bool stored(struct bench *b, const struct flow_rec *f, struct flow_rec *out)
{
	struct store_txn *t;
	int rc;

	CHECK_EQ(engine_commit(b->engine), 0);
	CHECK_EQ(store_begin(&t, b->store, false), 0);
	rc = store_flow_get(t, f->start_ns, f->id, out);
	out->attrs = NULL;
	out->attrs_len = 0;
	store_abort(t);
	return rc == 0;
}

#endif
