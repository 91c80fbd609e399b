/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records that cannot be true, from a capture worker that was taken over or under a clock that was set back: each costs
 * itself at most, never the batch it came in, and none stays in the store for ever. And interfaces that come and go for
 * years: the ledger knows the latest.
 */
#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "daemon/engine.h"
#include "store/edges.h"
#include "store/flows.h"
#include "store/history.h"
#include "tests/tap.h"

static char dir[64];
static struct store *store;
static struct engine *engine;

static struct flow_rec flow(uint16_t port, uint32_t iface, uint64_t start_ns, uint64_t end_ns)
{
	struct flow_rec f = {.proto = 6, .port = {port, 80}, .start_ns = start_ns, .end_ns = end_ns, .iface = iface,
			     .direction = FLOW_DIR_SYN, .state = FLOW_STATE_CLOSED, .reason = FLOW_REASON_CLOSED,
			     .pkts = {6, 5}, .bytes = {600, 5000}, .app = "HTTP"};

	addr_parse(&f.addr[0], "198.51.100.1");
	addr_parse(&f.addr[1], "198.51.100.2");
	f.id = f.conv_id = flow_id(&f);
	return f;
}

static int report(const struct flow_rec *f)
{
	struct buf b = BUF_INIT;
	int rc;

	flow_encode(&b, f);
	rc = engine_flow(engine, b.data, b.len, time_now_ns());
	buf_fini(&b);
	return rc;
}

static struct store_stats stats(void)
{
	struct store_stats s = {0};
	struct store_txn *t;

	CHECK_EQ(store_begin(&t, store, false), 0);
	CHECK_EQ(store_stats(t, &s), 0);
	store_abort(t);
	return s;
}

static void test_times(void)
{
	uint64_t now = time_now_ns(), ahead = now + 86400 * NS_PER_S;
	struct flow_rec good = flow(1, 2, now - NS_PER_S, now), back = flow(2, 2, now, now - 5 * NS_PER_S),
			far = flow(3, 2, now, ahead), farther = flow(4, 2, UINT64_MAX - 5, UINT64_MAX - 1), kept;
	struct flow_attempts a = {.start_ns = now, .end_ns = now - NS_PER_S, .iface = 2, .proto = 6, .count = 3};
	struct coverage_rec c = {.start_ns = now, .end_ns = now - NS_PER_S, .iface = 2, .iface_name = "br0"};
	const struct verdict_rec v = {.first_ns = now, .last_ns = now - NS_PER_S, .kind = VERDICT_BLOCK, .count = 1};
	struct engine_stats s;
	struct buf b = BUF_INIT;
	struct store_txn *t;

	flow_attempts_encode(&b, &a);
	CHECK_EQ(report(&good), 0);
	CHECK_EQ(report(&back), 0);
	CHECK_EQ(engine_attempts(engine, b.data, b.len), 0);
	CHECK_EQ(engine_coverage(engine, &c), 0);
	engine_verdict(engine, &v);
	CHECK(report(&far) < 0);
	CHECK(report(&farther) < 0);
	c.start_ns = c.end_ns = ahead;
	CHECK(engine_coverage(engine, &c) < 0);
	CHECK_EQ(engine_commit(engine), 0);
	CHECK_EQ(stats().flows, 2);
	CHECK_EQ(stats().attempts, 1);
	CHECK_EQ(stats().verdicts, 1);
	CHECK(stats().newest_flow_ns < now + NS_PER_S);
	CHECK_EQ(store_begin(&t, store, false), 0);
	CHECK_EQ(store_flow_get(t, back.start_ns, back.id, &kept), 0);
	CHECK_EQ(kept.end_ns, back.start_ns);
	store_abort(t);
	engine_stats(engine, &s);
	CHECK_EQ(s.bad_records, 3);
	CHECK_EQ(s.lost, 3); /* told of, not passed over */
	buf_fini(&b);
}

static void test_interfaces(void)
{
	uint64_t now = time_now_ns();
	const struct coverage_rec *sums;
	struct edge *e;
	size_t n, last = 0;
	struct flow_rec f = flow(9, 5 + ENGINE_IFACES_MAX, now - 2, now - 1);
	struct store_txn *t;

	for (uint32_t i = 3; i <= 5 + ENGINE_IFACES_MAX; i++) {
		struct coverage_rec c = {.start_ns = now - 50000 + i, .end_ns = now - 50000 + i, .iface = i, .iface_name = "br"};

		CHECK_EQ(engine_coverage(engine, &c), 0);
	}
	f.port[1] = 81;
	CHECK_EQ(report(&f), 0);
	CHECK_EQ(engine_commit(engine), 0);
	n = engine_ifaces(engine, &sums);
	CHECK_EQ(n, ENGINE_IFACES_MAX);
	for (size_t i = 0; i < n; i++)
		last += sums[i].iface == f.iface;
	CHECK_EQ(last, 1);
	CHECK_EQ(store_begin(&t, store, false), 0);
	CHECK_EQ(store_edges_read(t, 0, 0, &e, &n), 0);
	for (size_t i = 0; i < n; i++)
		if (e[i].key.port == 81)
			CHECK_EQ(e[i].agg.teaching, 1); /* nothing was lost there */
	CHECK(n >= 2);
	free(e);
	store_abort(t);
}

int main(void)
{
	const struct engine_options eo = {.live = true};
	const struct store_options so = {.no_sync = true};
	char command[128];

	snprintf(dir, sizeof(dir), "/tmp/weir-test-XXXXXX");
	if (!mkdtemp(dir))
		return 99;
	CHECK_EQ(store_open(&store, dir, STORE_WRITE, &so), 0);
	CHECK_EQ(engine_new(&engine, store, &eo), 0);
	test_times();
	test_interfaces();
	engine_free(engine);
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	CHECK_EQ(system(command), 0);
	return tap_done();
}
