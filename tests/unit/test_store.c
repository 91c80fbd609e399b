/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store's public functions, one by one, on small data. Models and faults have programs of their own. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "store/db.h"
#include "store/edges.h"
#include "store/flows.h"
#include "store/history.h"
#include "store/identity.h"
#include "store/key.h"
#include "tests/tap.h"
#include "tests/unit/store_help.h"

#define T0 HELP_EPOCH_NS

static struct store *s;
static struct store_txn *t;

static void begin(bool write)
{
	CHECK_EQ(store_begin(&t, s, write), 0);
}

static void commit(void)
{
	CHECK_EQ(store_commit(t), 0);
}

static struct addr address(const char *text)
{
	struct addr a = addr_any;

	CHECK_EQ(addr_parse(&a, text), 0);
	return a;
}

/* Byte order of keys is order of numbers, for all widths. */
static void test_keys(void)
{
	uint64_t seed = tap_seed();

	for (unsigned i = 0; i < 2000; i++) {
		uint64_t a = tap_random(&seed) >> tap_random(&seed) % 64;
		uint64_t b = tap_random(&seed) >> tap_random(&seed) % 64;
		uint8_t x[8], y[8];
		int c;

		key_put_u64(x, a);
		key_put_u64(y, b);
		c = memcmp(x, y, 8);
		CHECK((c > 0) - (c < 0) == (a > b) - (a < b));
		CHECK(key_get_u64(x) == a);
		key_put_u32(x, (uint32_t)a);
		CHECK(key_get_u32(x) == (uint32_t)a);
		key_put_u16(x, (uint16_t)b);
		CHECK(key_get_u16(x) == (uint16_t)b);
	}
	CHECK(key_time_before(5, 6) == 0 && key_time_after(UINT64_MAX - 1, 2) == UINT64_MAX);
}

static void test_meta(void)
{
	char v[16] = "";
	uint32_t len = sizeof(v);

	begin(true);
	CHECK_EQ(store_meta_get(t, "stop", v, &len), -ENOENT);
	CHECK_EQ(store_meta_put(t, "stop", "clean", 6), 0);
	CHECK_EQ(store_meta_get(t, "stop", v, &len), 0);
	CHECK_STR(v, "clean");
	CHECK_EQ(len, 6);
	len = 3;
	CHECK_EQ(store_meta_get(t, "stop", v, &len), -ENOBUFS);
	CHECK_EQ(store_meta_put(t, "", "x", 1), -EINVAL);
	commit();
	begin(false);
	CHECK_EQ(store_meta_put(t, "stop", "no", 3), -EROFS);
	store_abort(t);
	begin(true);
	CHECK_EQ(store_meta_put(t, "stop", NULL, 0), 0);
	CHECK_EQ(store_meta_put(t, "stop", NULL, 0), 0);
	len = sizeof(v);
	CHECK_EQ(store_meta_get(t, "stop", v, &len), -ENOENT);
	store_abort(t);
	begin(false);
	CHECK_EQ(store_meta_get(t, "stop", v, &len), 0); /* the delete was not committed */
	store_abort(t);
	store_abort(NULL);
	store_close(NULL);
}

static int count_flow(void *arg, const struct flow_rec *f)
{
	(void)f;
	++*(unsigned *)arg;
	return 0;
}

static int count_attempts(void *arg, const struct flow_attempts *a)
{
	*(uint64_t *)arg += a->count;
	return 0;
}

static void test_flows(void)
{
	struct flow_query q = {0};
	struct buf attrs = BUF_INIT;
	struct flow_attempts a = {.dst = address("10.0.0.9"), .port = 22, .proto = 6, .start_ns = T0, .end_ns = T0 + 5};
	struct flow_rec f, g;
	uint64_t sum = 0;
	unsigned n = 0;
	char text[64];

	help_flow(&f, 1);
	CHECK(flow_attr_add(&attrs, FLOW_ATTR_SNI, "db.example.com", 14));
	f.attrs = (const uint8_t *)attrs.data;
	f.attrs_len = (uint16_t)attrs.len;
	begin(true);
	CHECK_EQ(store_flow_put(t, &f), 0);
	CHECK_EQ(store_flow_get(t, f.start_ns, f.id, &g), 0);
	CHECK_EQ(store_meta_put(t, "x", "later", 5), 0); /* what was got stays good after more writing */
	CHECK_STR(flow_attr_text(&g, FLOW_ATTR_SNI, text, sizeof(text)), "db.example.com");
	CHECK_EQ(store_flow_walk(t, &q, count_flow, &n), 0);
	CHECK_EQ(n, 1);
	f.attrs_len = FLOW_ATTRS_MAX + 1;
	CHECK_EQ(store_flow_put(t, &f), -EMSGSIZE);
	f.attrs_len = 0;
	f.end_ns = f.start_ns - 1;
	CHECK_EQ(store_flow_put(t, &f), -EINVAL);
	a.count = 1000;
	CHECK_EQ(store_attempts_put(t, &a), 0);
	a.count = 1500; /* the same one, grown */
	CHECK_EQ(store_attempts_put(t, &a), 0);
	a.port = 23;
	CHECK_EQ(store_attempts_put(t, &a), 0);
	commit();
	begin(false);
	CHECK_EQ(store_attempts_walk(t, T0 + 5, T0 + 9, count_attempts, &sum), 0);
	CHECK_EQ(sum, 3000);
	sum = 0;
	CHECK_EQ(store_attempts_walk(t, T0 + 6, 0, count_attempts, &sum), 0);
	CHECK_EQ(store_attempts_walk(t, 0, T0 - 1, count_attempts, &sum), 0);
	CHECK_EQ(sum, 0);
	CHECK_EQ(store_flow_get(t, 1, 2, &g), -ENOENT);
	store_abort(t);
	buf_fini(&attrs);
}

static void make_workload(struct workload *w, const char *name, const char *rid, uint64_t start, uint64_t end)
{
	memset(w, 0, sizeof(*w));
	snprintf(w->name, sizeof(w->name), "%s", name);
	snprintf(w->runtime_id, sizeof(w->runtime_id), "%s", rid);
	strcpy(w->runtime, "docker");
	strcpy(w->group, "shop/web");
	memset(w->labels, 'l', 4000); /* larger than a page's share: on overflow pages */
	w->start_ns = start;
	w->end_ns = end;
	w->exit_code = -1;
	w->id = workload_id_of(w->runtime, rid, start);
}

static int names_of(void *arg, const struct workload *w)
{
	char *out = arg;

	strcat(out, w->name);
	strcat(out, " ");
	return strlen(out) > 200 ? 3 : 0;
}

static void put_workloads(void)
{
	struct workload w;

	begin(true);
	make_workload(&w, "web", "aaaa1111", T0 + 100, T0 + 200);
	CHECK_EQ(store_workload_put(t, &w), 0);
	make_workload(&w, "web", "aaaa2222", T0 + 300, 0);
	CHECK_EQ(store_workload_put(t, &w), 0);
	make_workload(&w, "web2", "bbbb3333", T0 + 150, T0 + 350);
	CHECK_EQ(store_workload_put(t, &w), 0);
	CHECK_EQ(store_workload_put(t, &w), 0);
	make_workload(&w, "early", "cccc", T0 + 10, 0);
	CHECK_EQ(store_workload_put(t, &w), 0);
	w.end_ns = T0 + 20; /* and gone */
	CHECK_EQ(store_workload_put(t, &w), 0);
	strcpy(w.name, "renamed");
	CHECK_EQ(store_workload_put(t, &w), 0);
	w.id = 0;
	CHECK_EQ(store_workload_put(t, &w), -EINVAL);
	commit();
}

static void test_workloads(void)
{
	struct workload w, g;
	char names[256] = "";

	put_workloads();
	begin(false);
	make_workload(&w, "web", "aaaa1111", T0 + 100, T0 + 200);
	CHECK_EQ(store_workload_get(t, w.id, &g), 0);
	CHECK(g.end_ns == T0 + 200 && strcmp(g.labels, w.labels) == 0);
	CHECK_EQ(store_workload_get(t, 12345, &g), -ENOENT);
	CHECK_EQ(store_workload_walk(t, T0 + 100, T0 + 160, names_of, names), 0);
	CHECK_STR(names, "web web2 ");
	names[0] = '\0';
	CHECK_EQ(store_workload_walk(t, T0 + 201, 0, names_of, names), 0);
	CHECK_STR(names, "web2 web ");
	CHECK_EQ(store_workload_find(t, "web", T0 + 250, &g), 0); /* none alive: the latest before */
	CHECK_STR(g.runtime_id, "aaaa1111");
	CHECK_EQ(store_workload_find(t, "web", T0 + 350, &g), 0);
	CHECK_STR(g.runtime_id, "aaaa2222");
	CHECK_EQ(store_workload_find(t, "web", T0 + 50, &g), -ENOENT);
	CHECK_EQ(store_workload_find(t, "bbbb", T0 + 999, &g), 0);
	CHECK_STR(g.name, "web2");
	CHECK_EQ(store_workload_find(t, "aaaa", T0 + 999, &g), -EEXIST);
	CHECK_EQ(store_workload_find(t, "aaaa2", T0 + 999, &g), 0);
	CHECK_EQ(store_workload_find(t, "early", T0 + 999, &g), -ENOENT); /* it has another name now */
	CHECK_EQ(store_workload_find(t, "renamed", T0 + 999, &g), 0);
	CHECK_EQ(g.end_ns, T0 + 20);
	CHECK_EQ(store_workload_find(t, "we", T0 + 999, &g), -ENOENT);
	CHECK_EQ(store_workload_find(t, "", T0 + 999, &g), -ENOENT);
	store_abort(t);
}

static void add_edge(const char *client, const char *server, uint16_t port, uint64_t at, uint64_t flows)
{
	struct edge_key key = {.proto = 6, .port = port};
	struct edge_agg agg = {.first_ns = at, .last_ns = at + 5, .flows = flows, .answered = flows};

	strcpy(key.client, client);
	strcpy(key.server, server);
	CHECK_EQ(store_edge_add(t, &key, &agg), 0);
}

static void test_edges(void)
{
	const uint64_t hour = 3600 * NS_PER_S;
	struct edge *e = NULL;
	struct store_stats st;
	char name[32];
	size_t n = 0;

	begin(true);
	add_edge("ghost", "nobody", 1, T0, 1);
	store_abort(t); /* group numbers given here must not be remembered */
	begin(true);
	add_edge("web", "db", 5432, T0, 3);
	add_edge("web", "db", 5432, T0 + 10, 4);
	add_edge("world", "web", 443, T0 + hour, 10);
	CHECK_EQ(store_edges_read(t, 0, 0, &e, &n), 0); /* sees what is not committed */
	CHECK_EQ(n, 2);
	free(e);
	commit();
	begin(true);
	add_edge("web", "db", 5432, T0 + 2 * hour, 5);
	for (unsigned i = 0; i < 3000; i++) { /* more than are kept in memory, groups and edges */
		snprintf(name, sizeof(name), "g%u", i);
		add_edge(name, "db", 5432, T0 + 3 * hour, i);
	}
	commit();
	begin(false);
	CHECK_EQ(store_edges_read(t, T0, T0 + 2 * hour, &e, &n), 0);
	CHECK_EQ(n, 2);
	CHECK_STR(e[0].key.client, "web");
	CHECK_STR(e[0].key.server, "db");
	CHECK_EQ(e[0].agg.flows, 12);
	CHECK_EQ(e[0].agg.last_ns, T0 + 2 * hour + 5);
	CHECK_EQ(e[1].agg.flows, 10);
	free(e);
	CHECK_EQ(store_edges_read(t, T0 + hour, T0 + hour + 1, &e, &n), 0);
	CHECK_EQ(n, 1);
	CHECK_STR(e[0].key.client, "world");
	free(e);
	CHECK_EQ(store_edges_read(t, T0 + 3 * hour, 0, &e, &n), 0);
	CHECK_EQ(n, 3000);
	for (size_t i = 0; i < n; i++) {
		CHECK(i == 0 || edge_key_cmp(&e[i - 1].key, &e[i].key) < 0);
		CHECK_EQ(e[i].agg.flows, strtoull(e[i].key.client + 1, NULL, 10));
	}
	free(e);
	CHECK_EQ(store_stats(t, &st), 0);
	CHECK_EQ(st.edges, 3002);
	store_abort(t);
}

static int sum_verdicts(void *arg, const struct verdict_rec *v)
{
	struct verdict_rec *sum = arg;

	sum->count += v->count;
	sum->generation += 1; /* how many records */
	sum->src_port = v->src_port;
	sum->last_ns = v->last_ns;
	return 0;
}

static void test_verdicts(void)
{
	struct verdict_rec v = {.first_ns = T0 + 100, .last_ns = T0 + 200, .kind = VERDICT_WOULD_BLOCK, .proto = 6,
				.dst_port = 22, .generation = 1, .count = 5};
	struct verdict_rec sum = {0};

	v.src = address("10.0.0.1");
	v.dst = address("10.0.0.2");
	begin(true);
	CHECK_EQ(store_verdict_add(t, &v), 0);
	v.count = 2;
	v.last_ns = T0 + 300;
	v.sampled = 1;
	v.src_port = 4242;
	CHECK_EQ(store_verdict_add(t, &v), 0); /* adds to it */
	v.inbound = 1;
	CHECK_EQ(store_verdict_add(t, &v), 0); /* the other list: another record */
	v.inbound = 0;
	v.away = 1;
	CHECK_EQ(store_verdict_add(t, &v), 0); /* counted while nobody looked: another as well */
	v.away = 0;
	v.first_ns = v.last_ns = T0 + 601 * NS_PER_S;
	CHECK_EQ(store_verdict_add(t, &v), 0); /* the next ten minutes */
	v.last_ns = v.first_ns - 1;
	CHECK_EQ(store_verdict_add(t, &v), -EINVAL);
	commit();
	begin(false);
	CHECK_EQ(store_verdict_walk(t, 0, 0, sum_verdicts, &sum), 0);
	CHECK_EQ(sum.generation, 4);
	CHECK_EQ(sum.count, 13);
	memset(&sum, 0, sizeof(sum));
	CHECK_EQ(store_verdict_walk(t, T0 + 250, T0 + 260, sum_verdicts, &sum), 0);
	CHECK_EQ(sum.generation, 3);
	CHECK_EQ(sum.count, 11);
	CHECK_EQ(sum.src_port, 4242);
	store_abort(t);
}

static int sum_coverage(void *arg, const struct coverage_rec *c)
{
	coverage_merge(arg, c);
	return 0;
}

static void test_coverage(void)
{
	struct coverage_rec c = {.start_ns = T0 + 1, .end_ns = T0 + NS_PER_S, .iface = 3, .iface_name = "br0",
				 .received = 7};
	struct coverage_rec sum = {0};

	begin(true);
	CHECK_EQ(store_coverage_add(t, &c), 0);
	c.start_ns = T0 + NS_PER_S;
	c.end_ns = T0 + 2 * NS_PER_S;
	c.lost_kernel = 2;
	CHECK_EQ(store_coverage_add(t, &c), 0);
	strcpy(c.iface_name, "br1");
	CHECK_EQ(store_coverage_add(t, &c), 0);
	c.start_ns = c.end_ns = T0 + 12 * NS_PER_S;
	c.received = 100;
	CHECK_EQ(store_coverage_add(t, &c), 0);
	commit();
	begin(false);
	CHECK_EQ(store_coverage_walk(t, T0, T0 + 9 * NS_PER_S, sum_coverage, &sum), 0);
	CHECK_EQ(sum.received, 21);
	CHECK_EQ(sum.lost_kernel, 4);
	CHECK(!coverage_complete(&sum));
	memset(&sum, 0, sizeof(sum));
	CHECK_EQ(store_coverage_walk(t, T0 + 3 * NS_PER_S, 0, sum_coverage, &sum), 0);
	CHECK_EQ(sum.received, 100);
	store_abort(t);
}

static int list_generations(void *arg, const struct generation *g)
{
	char *out = arg;

	snprintf(out + strlen(out), 64, "%llu:%s:%s ", (unsigned long long)g->number, generation_state_name(g->state),
		 g->why);
	return 0;
}

static void test_generations(void)
{
	struct generation g = {.number = 1, .state = GENERATION_CONFIRMED, .why = "first", .policy = "weir: 1\n",
			       .policy_len = 8, .ruleset = "\0\1\2", .ruleset_len = 3, .uid = 1000};
	struct generation got;
	char list[256] = "", *large = calloc(1, 300000);
	uint64_t last = 9;

	memset(large, 'p', 299999);
	begin(true);
	CHECK_EQ(store_generation_last(t, &last), 0);
	CHECK_EQ(last, 0);
	CHECK_EQ(store_generation_current(t, &got), -ENOENT);
	CHECK_EQ(store_generation_put(t, &g), 0);
	CHECK_EQ(store_generation_get(t, 1, &got), 0);
	g.number = 2;
	g.state = GENERATION_PENDING;
	g.why = NULL;
	g.policy = large;
	g.policy_len = 299999;
	CHECK_EQ(store_generation_put(t, &g), 0);
	CHECK_STR(got.why, "first"); /* still good after a later write */
	CHECK_STR(got.policy, "weir: 1\n");
	CHECK(got.ruleset_len == 3 && memcmp(got.ruleset, "\0\1\2", 3) == 0);
	CHECK_STR(got.error, "");
	CHECK_EQ(store_generation_current(t, &got), 0);
	CHECK_EQ(got.number, 1);
	g.state = GENERATION_ARMED;
	g.why = "second";
	CHECK_EQ(store_generation_put(t, &g), 0);
	g.number = 0;
	CHECK_EQ(store_generation_put(t, &g), -EINVAL);
	commit();
	begin(false);
	CHECK_EQ(store_generation_current(t, &got), 0);
	CHECK_EQ(got.number, 2);
	CHECK(got.policy_len == 299999 && strcmp(got.policy, large) == 0);
	CHECK_EQ(store_generation_last(t, &last), 0);
	CHECK_EQ(last, 2);
	CHECK_EQ(store_generation_walk(t, list_generations, list), 0);
	CHECK_STR(list, "1:confirmed:first 2:armed:second ");
	CHECK_EQ(store_generation_get(t, 3, &got), -ENOENT);
	store_abort(t);
	free(large);
}

static void test_names(void)
{
	struct addr a = address("93.184.216.34"), b = address("2606:2800:220::1");
	char name[64], many[32];

	begin(true);
	CHECK_EQ(store_name_put(t, &a, "example.com", 60, T0 + 100 * NS_PER_S), 0);
	CHECK_EQ(store_name_put(t, &a, "cdn.example.net", 10, T0 + 150 * NS_PER_S), 0);
	CHECK_EQ(store_name_put(t, &b, "v6.example.com", 60, T0), 0);
	CHECK_EQ(store_name_put(t, &a, "", 60, T0), -EINVAL);
	commit();
	begin(false);
	CHECK_EQ(store_name_get(t, &a, T0 + 99 * NS_PER_S, name, sizeof(name)), -ENOENT);
	CHECK_EQ(store_name_get(t, &a, T0 + 120 * NS_PER_S, name, sizeof(name)), 0);
	CHECK_STR(name, "example.com");
	CHECK_EQ(store_name_get(t, &a, T0 + 155 * NS_PER_S, name, sizeof(name)), 0);
	CHECK_STR(name, "cdn.example.net"); /* both still run; told last */
	CHECK_EQ(store_name_get(t, &a, T0 + 999 * NS_PER_S, name, sizeof(name)), 0);
	CHECK_STR(name, "cdn.example.net"); /* neither; told last */
	CHECK_EQ(store_name_get(t, &b, T0 + 1, name, 5), 0);
	CHECK_STR(name, "v6.e");
	store_abort(t);
	begin(true);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(many, sizeof(many), "n%02u.example.org", i);
		CHECK_EQ(store_name_put(t, &b, many, 1, T0 + (10 + i) * NS_PER_S), 0);
	}
	CHECK_EQ(store_name_get(t, &b, T0 + 5 * NS_PER_S, name, sizeof(name)), -ENOENT); /* the old ones made place */
	CHECK_EQ(store_name_get(t, &b, T0 + 200 * NS_PER_S, name, sizeof(name)), 0);
	CHECK_STR(name, "n99.example.org");
	store_abort(t);
}

int main(void)
{
	char *dir = help_dir();

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	test_keys();
	test_meta();
	test_flows();
	test_workloads();
	test_edges();
	test_verdicts();
	test_coverage();
	test_generations();
	test_names();
	store_close(s);
	help_remove(dir);
	return tap_done();
}
