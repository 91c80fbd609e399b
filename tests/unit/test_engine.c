/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine's heart with a real store: a conversation reported many times counts once (held against the same flows
 * reported once), names that come late still count, a report that was held back does not undo a later one, loss keeps
 * flows from teaching.
 */
#include "config.h"

#include <errno.h>

#include "store/history.h"
#include "store/identity.h"
#include "tests/unit/engine_bench.h"

static void test_names_in_store(void)
{
	struct flow_rec f = flow("10.0.0.2", "10.0.0.3", 40000, 80, T0), got;
	struct bench b;
	struct edge *e;

	bench_init(&b, false);
	up(&b, 11, "shop/lb", "10.0.0.2");
	up(&b, 12, "shop/web", "10.0.0.3");
	report(&b, &f, T0);
	CHECK(stored(&b, &f, &got));
	CHECK_EQ(got.workload[0], 11);
	CHECK_EQ(got.workload[1], 12);
	CHECK_EQ(edges_of(&b, &e), 1);
	CHECK_STR(e[0].key.client, "shop/lb");
	CHECK_STR(e[0].key.server, "shop/web");
	CHECK_EQ(e[0].key.port, 80);
	CHECK_EQ(e[0].agg.teaching, 1);
	free(e);
	bench_fini(&b);
}

/* Random conversations, in one store reported again and again while they grow, in the other once at the end. */
static void grow_and_report(struct bench *often, struct bench *once, uint64_t *seed, unsigned i)
{
	static const char *const hosts[] = {"10.0.0.2", "10.0.0.3", "10.0.0.4", "198.51.100.7"};
	unsigned a = (unsigned)(tap_random(seed) % 4), z = (unsigned)(tap_random(seed) % 4),
		 reports = (unsigned)(tap_random(seed) % 6);
	struct flow_rec f = flow(hosts[a], hosts[z == a ? (z + 1) % 4 : z], (uint16_t)(20000 + i),
				 (uint16_t)(80 + tap_random(seed) % 3), T0 + i * NS_PER_S);
	bool answered = tap_random(seed) % 4 != 0, refused = !answered && tap_random(seed) % 2;

	f.pkts[0] = 1;
	f.pkts[1] = 0;
	f.bytes[0] = 60;
	f.bytes[1] = 0;
	f.state = FLOW_STATE_NEW;
	strcpy(f.app, "Unknown");
	f.confidence = FLOW_CONF_UNKNOWN;
	for (unsigned r = 0; r < reports; r++) {
		f.reason = FLOW_REASON_ACTIVE;
		report(often, &f, T0);
		f.end_ns += NS_PER_S;
		f.pkts[0] += tap_random(seed) % 5;
		f.bytes[0] += tap_random(seed) % 5000;
		if (answered) {
			f.state = FLOW_STATE_ESTABLISHED;
			f.pkts[1] += 1 + tap_random(seed) % 5;
			f.bytes[1] += tap_random(seed) % 90000;
		}
		if (answered && tap_random(seed) % 2)
			strcpy(f.app, "HTTP");
	}
	f.reason = FLOW_REASON_CLOSED;
	f.state = refused ? FLOW_STATE_REFUSED : answered ? FLOW_STATE_CLOSED : FLOW_STATE_NEW;
	f.pkts[1] += answered || refused;
	report(often, &f, T0);
	report(once, &f, T0);
	if (tap_random(seed) % 10 == 0)
		CHECK_EQ(engine_commit(often->engine), 0);
}

static void test_counts_once(void)
{
	uint64_t seed = tap_seed();
	struct bench often, once;
	struct edge *x, *y;
	size_t n, m;

	bench_init(&often, false);
	bench_init(&once, false);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const hosts[] = {"10.0.0.2", "10.0.0.3", "10.0.0.4"}, *const groups[] = {"a", "b",
													    "c"};

		up(&often, 20 + i, groups[i], hosts[i]);
		up(&once, 20 + i, groups[i], hosts[i]);
	}
	for (unsigned i = 0; i < 2000; i++)
		grow_and_report(&often, &once, &seed, i);
	n = edges_of(&often, &x);
	m = edges_of(&once, &y);
	CHECK_EQ(n, m);
	for (size_t i = 0; i < n && i < m; i++) {
		CHECK_EQ(edge_key_cmp(&x[i].key, &y[i].key), 0);
		CHECK_EQ(x[i].agg.flows, y[i].agg.flows);
		CHECK_EQ(x[i].agg.answered, y[i].agg.answered);
		CHECK_EQ(x[i].agg.teaching, y[i].agg.teaching);
		CHECK_EQ(x[i].agg.refused, y[i].agg.refused);
		CHECK_EQ(x[i].agg.unanswered, y[i].agg.unanswered);
		CHECK_EQ(x[i].agg.pkts[0], y[i].agg.pkts[0]);
		CHECK_EQ(x[i].agg.pkts[1], y[i].agg.pkts[1]);
		CHECK_EQ(x[i].agg.bytes[0], y[i].agg.bytes[0]);
		CHECK_EQ(x[i].agg.bytes[1], y[i].agg.bytes[1]);
		CHECK_EQ(x[i].agg.last_ns, y[i].agg.last_ns);
	}
	free(x);
	free(y);
	bench_fini(&often);
	bench_fini(&once);
}

static void test_late_name(void)
{
	struct flow_rec f = flow("10.0.0.2", "10.0.0.9", 40000, 80, T0), grown = f, got;
	struct engine_stats s;
	struct bench b;

	bench_init(&b, false);
	up(&b, 11, "shop/lb", "10.0.0.2");
	f.reason = FLOW_REASON_ACTIVE;
	report(&b, &f, T0);
	engine_stats(b.engine, &s);
	CHECK_EQ(s.held, 1);
	CHECK(!stored(&b, &f, &got));
	/* The name comes; a later report overtakes the one that waits. */
	up(&b, 12, "shop/web", "10.0.0.9");
	grown.pkts[0] += 100;
	report(&b, &grown, T0 + NS_PER_S);
	CHECK(stored(&b, &f, &got));
	CHECK_EQ(got.workload[1], 12);
	engine_release(b.engine, T0 + 3 * NS_PER_S, false);
	CHECK(stored(&b, &f, &got));
	CHECK_EQ(got.pkts[0], grown.pkts[0]); /* not undone */
	engine_stats(b.engine, &s);
	CHECK_EQ(s.held, 0);
	CHECK_EQ(s.flows, 1);
	/* Nobody ever tells of it: it is kept without a name when the wait is over, not before. */
	f = flow("10.0.0.2", "10.0.0.77", 40001, 80, T0);
	report(&b, &f, T0);
	engine_release(b.engine, T0 + NS_PER_S, false);
	CHECK(!stored(&b, &f, &got));
	engine_release(b.engine, T0 + 2 * NS_PER_S, false);
	CHECK(stored(&b, &f, &got));
	CHECK_EQ(got.workload[1], 0);
	bench_fini(&b);
}

/* The note of a workload without a name, as the inventory tells it. */
static void unnamed(struct bench *b, enum flow_unnamed why, const char *address, uint64_t from_ns, uint64_t to_ns)
{
	struct inventory_unnamed u = {.why = (uint8_t)why, .from_ns = from_ns, .to_ns = to_ns, .n_addrs = address != NULL};

	if (address)
		u.addrs[0] = addr_of(address);
	engine_unnamed(b->engine, &u);
}

/* The reason that such a flow is stored with, when the wait is over. */
static unsigned why(struct bench *b, const char *client, uint64_t start_ns)
{
	struct flow_rec f = flow(client, "10.0.0.9", 40000, 80, start_ns), got = {0};

	report(b, &f, f.end_ns);
	engine_release(b->engine, f.end_ns + 2 * NS_PER_S, false);
	CHECK(stored(b, &f, &got));
	CHECK_EQ(got.unnamed[1], FLOW_UNNAMED_NONE);
	return got.unnamed[0];
}

static void test_unnamed(void)
{
	struct addr bridge = addr_of("10.0.0.1");
	uint8_t len = 96 + 24;
	struct engine_stats s;
	struct bench b;

	bench_init(&b, false);
	up(&b, 12, "shop/web", "10.0.0.9");
	CHECK_EQ(why(&b, "10.0.0.70", T0), FLOW_UNNAMED_PRIVATE);
	CHECK_EQ(names_network(engine_names(b.engine), 2, &bridge, &len, 1), 0);
	CHECK_EQ(why(&b, "10.0.0.71", T0), FLOW_UNNAMED_NEVER);
	CHECK_EQ(why(&b, "8.8.8.8", T0), FLOW_UNNAMED_NONE); /* the world's */
	CHECK_EQ(why(&b, "10.0.0.9", T0), FLOW_UNNAMED_NONE); /* named */
	/* By address, at its time; by time alone; each address for itself. */
	unnamed(&b, FLOW_UNNAMED_GONE, "10.0.0.72", T0, T0 + NS_PER_S);
	CHECK_EQ(why(&b, "10.0.0.72", T0), FLOW_UNNAMED_GONE);
	CHECK_EQ(why(&b, "10.0.0.72", T0 + 60 * NS_PER_S), FLOW_UNNAMED_NEVER);
	CHECK_EQ(why(&b, "10.0.0.73", T0), FLOW_UNNAMED_NEVER);
	unnamed(&b, FLOW_UNNAMED_MISSED, NULL, T0 + 100 * NS_PER_S, T0 + 101 * NS_PER_S);
	CHECK_EQ(why(&b, "10.0.0.74", T0 + 100 * NS_PER_S), FLOW_UNNAMED_MISSED);
	unnamed(&b, FLOW_UNNAMED_FAILED, NULL, T0 + 200 * NS_PER_S, UINT64_MAX);
	CHECK_EQ(why(&b, "10.0.0.75", T0 + 900 * NS_PER_S), FLOW_UNNAMED_FAILED);
	engine_stats(b.engine, &s);
	CHECK_EQ(s.unnamed_why[FLOW_UNNAMED_NEVER], 3);
	CHECK_EQ(s.unnamed_why[FLOW_UNNAMED_GONE], 1);
	CHECK_EQ(s.unnamed, 7);
	bench_fini(&b);
}

/* An inventory that has fallen behind is waited for, but not for ever. */
static void test_silence(void)
{
	struct flow_rec f = flow("10.0.0.70", "10.0.0.9", 40000, 80, T0), g = f, got;
	struct bench b;

	bench_init(&b, false);
	up(&b, 12, "shop/web", "10.0.0.9");
	engine_inventory(b.engine, T0 - NS_PER_S);
	report(&b, &f, f.end_ns);
	engine_release(b.engine, f.end_ns + 5 * NS_PER_S, false);
	CHECK(!stored(&b, &f, &got));
	up(&b, 70, "shop/job", "10.0.0.70");
	engine_inventory(b.engine, f.end_ns + 5 * NS_PER_S);
	engine_release(b.engine, f.end_ns + 6 * NS_PER_S, false);
	CHECK(stored(&b, &f, &got));
	CHECK_EQ(got.workload[0], 70);
	g = flow("10.0.0.71", "10.0.0.9", 40000, 80, T0 + 60 * NS_PER_S);
	report(&b, &g, g.end_ns);
	engine_release(b.engine, g.end_ns + 5 * NS_PER_S, false);
	CHECK(!stored(&b, &g, &got));
	engine_release(b.engine, g.end_ns + 20 * NS_PER_S, false);
	CHECK(stored(&b, &g, &got));
	CHECK_EQ(got.unnamed[0], FLOW_UNNAMED_SILENT);
	bench_fini(&b);
}

static void test_loss(void)
{
	struct coverage_rec c = {.start_ns = T0, .end_ns = T0 + 10 * NS_PER_S, .iface = 2, .iface_name = "br0", .received = 10,
				 .lost_kernel = 3};
	struct flow_rec during = flow("10.0.0.2", "10.0.0.3", 40000, 80, T0 + 5 * NS_PER_S),
			after = flow("10.0.0.2", "10.0.0.3", 40001, 80, T0 + 20 * NS_PER_S), other = during;
	const struct coverage_rec *sums;
	struct engine_stats s;
	struct bench b;
	struct edge *e;

	bench_init(&b, false);
	up(&b, 11, "a", "10.0.0.2");
	up(&b, 12, "b", "10.0.0.3");
	CHECK_EQ(engine_coverage(b.engine, &c), 0);
	report(&b, &during, T0);
	report(&b, &after, T0);
	other.port[0] = 40002; /* another interface lost nothing */
	other.iface = 3;
	other.id = other.conv_id = flow_id(&other);
	report(&b, &other, T0);
	CHECK_EQ(edges_of(&b, &e), 1);
	CHECK_EQ(e[0].agg.flows, 3);
	CHECK_EQ(e[0].agg.teaching, 2);
	free(e);
	CHECK(engine_ifaces(b.engine, &sums) >= 1 && sums[0].lost_kernel == 3);
	CHECK(engine_flow(b.engine, "garbage", 7, T0) < 0);
	engine_stats(b.engine, &s);
	CHECK_EQ(s.bad_records, 1);
	CHECK_EQ(s.lost, 3);
	bench_fini(&b);
}

/* The second engine of a daemon, told of a gap that the first has written down, too: it counts what the ledger has,
 * once. */
static void test_recall(void)
{
	struct coverage_rec lost = {.start_ns = T0, .end_ns = T0 + 10 * NS_PER_S, .iface = 2, .iface_name = "br0",
				    .received = 10, .lost_kernel = 3};
	const struct coverage_rec gap = {.start_ns = T0 + 20 * NS_PER_S, .end_ns = T0 + 21 * NS_PER_S, .iface = 2,
					 .iface_name = "br0", .gap = 1};
	const struct engine_options eo = {.live = true, .grace_ns = 2 * NS_PER_S};
	struct flow_rec during = flow("10.0.0.2", "10.0.0.3", 40000, 80, T0 + 20 * NS_PER_S);
	const struct coverage_rec *sums;
	struct engine_stats s;
	struct bench b;
	struct edge *e;

	bench_init(&b, false);
	CHECK_EQ(engine_coverage(b.engine, &lost), 0);
	CHECK_EQ(engine_coverage(b.engine, &gap), 0);
	CHECK_EQ(engine_commit(b.engine), 0);
	engine_free(b.engine);
	CHECK_EQ(engine_new(&b.engine, b.store, &eo), 0);
	up(&b, 11, "a", "10.0.0.2");
	up(&b, 12, "b", "10.0.0.3");
	CHECK_EQ(engine_coverage(b.engine, &gap), 0);
	engine_recall(b.engine, T0);
	engine_stats(b.engine, &s);
	CHECK_EQ(s.gaps, 1);
	CHECK_EQ(s.lost, 3);
	CHECK_EQ(engine_ifaces(b.engine, &sums), 1);
	CHECK(sums[0].lost_kernel == 3 && sums[0].received == 10 && sums[0].gap == 1 &&
	      strcmp(sums[0].iface_name, "br0") == 0);
	report(&b, &during, T0);
	CHECK_EQ(edges_of(&b, &e), 1);
	CHECK_EQ(e[0].agg.teaching, 0);
	free(e);
	bench_fini(&b);
}

static void test_settled(void)
{
	struct addr_interval i;
	struct store_txn *t;
	struct workload w;
	struct bench b;

	bench_init(&b, false);
	up(&b, 11, "a", "10.0.0.2");
	up(&b, 12, "b", "10.0.0.3");
	CHECK_EQ(engine_commit(b.engine), 0);
	/* The daemon starts again; only one of the two is still there. */
	names_down(engine_names(b.engine), 11, T0);
	engine_settled(b.engine, T0);
	CHECK_EQ(engine_commit(b.engine), 0);
	CHECK_EQ(store_begin(&t, b.store, false), 0);
	CHECK_EQ(store_workload_get(t, 11, &w), 0);
	CHECK_EQ(w.end_ns, T0);
	CHECK_EQ(store_workload_get(t, 12, &w), 0);
	CHECK_EQ(w.end_ns, 0);
	{
		struct addr a = addr_of("10.0.0.2");

		CHECK_EQ(store_addr_who(t, &a, T0 - NS_PER_S, 0, &i), 0);
		CHECK_EQ(store_addr_who(t, &a, T0 + NS_PER_S, 0, &i), -ENOENT);
	}
	store_abort(t);
	bench_fini(&b);
}

/* Four hundred short lives at once: each keeps its reason. */
static void test_unnamed_many(void)
{
	char text[2][ADDR_STRLEN];
	struct bench b;
	unsigned lost = 0;

	bench_init(&b, false);
	up(&b, 12, "shop/web", "10.0.0.9");
	for (unsigned i = 0; i < 400; i++) {
		snprintf(text[0], sizeof(text[0]), "10.7.%u.%u", i / 200, 1 + i % 200);
		snprintf(text[1], sizeof(text[1]), "fe80::%x", 1 + i);
		for (unsigned k = 0; k < 2; k++)
			unnamed(&b, FLOW_UNNAMED_GONE, text[k], T0, T0 + NS_PER_S);
	}
	for (unsigned i = 0; i < 400; i++) {
		snprintf(text[0], sizeof(text[0]), "10.7.%u.%u", i / 200, 1 + i % 200);
		lost += why(&b, text[0], T0) != FLOW_UNNAMED_GONE;
	}
	CHECK_EQ(lost, 0);
	bench_fini(&b);
}

int main(void)
{
	test_names_in_store();
	test_counts_once();
	test_late_name();
	test_unnamed();
	test_unnamed_many();
	test_silence();
	test_loss();
	test_recall();
	test_settled();
	return tap_done();
}
