/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target: a store of which some values or keys are not what they should be. Input: steps, each the database, which
 * of its entries, what to do with it (overwrite a piece, cut, replace, add one beside it), how much, and bytes. Done in
 * a transaction that is then asked everything that can be asked, given some more to merge with what is there, and
 * thrown away. Every answer is an answer or an error.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/timefmt.h"
#include "store/edges.h"
#include "store/flows.h"
#include "store/history.h"
#include "store/identity.h"
#include "store/key.h"
#include "store/txn.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/store_help.h"

#define STEPS_MAX 16
#define VALUE_MAX 4096

static struct store *store;
static struct addr web_addr;

static struct workload web(void)
{
	struct workload w = {.name = "shop-web-1", .group = "shop/web", .runtime = "docker", .runtime_id = "0123456789abcdef",
			     .start_ns = HELP_EPOCH_NS, .n_addrs = 1, .exit_code = -1, .labels = "a=b\n"};

	w.addrs[0] = web_addr;
	w.id = workload_id_of(w.runtime, w.runtime_id, w.start_ns);
	return w;
}

static struct verdict_rec verdict(void)
{
	struct verdict_rec v = {.first_ns = HELP_EPOCH_NS, .last_ns = HELP_EPOCH_NS + 5, .kind = VERDICT_BLOCK, .proto = 6,
				.src = web_addr, .dst = web_addr, .dst_port = 80, .generation = 1, .count = 3,
				.group = {"shop/web", "shop/db"}};

	return v;
}

static struct coverage_rec coverage(void)
{
	struct coverage_rec c = {.start_ns = HELP_EPOCH_NS, .end_ns = HELP_EPOCH_NS + 1000, .iface = 3,
				 .iface_name = "br0", .received = 10, .evicted = 1};

	return c;
}

/* A little of everything, or of everything once more. */
static int write_all(struct store_txn *t)
{
	const struct edge_key key = {.client = "shop/web", .server = "shop/db", .proto = 6, .port = 5432};
	const struct flow_attempts a = {.dst = web_addr, .port = 22, .proto = 6, .iface = 3, .start_ns = HELP_EPOCH_NS,
					.end_ns = HELP_EPOCH_NS + 9, .count = 99, .sources = 7};
	const struct generation g = {.number = 1, .applied_ns = HELP_EPOCH_NS, .state = GENERATION_CONFIRMED, .why = "w",
				     .error = "", .policy = "weir: 1\n", .policy_len = 8, .ruleset = "r", .ruleset_len = 1};
	const struct workload w = web();
	const struct verdict_rec v = verdict();
	const struct coverage_rec c = coverage();
	struct edge_agg agg;
	struct flow_rec f;
	int rc = 0;

	for (unsigned i = 0; i < 8 && !rc; i++) {
		help_flow(&f, i * 20000);
		rc = store_flow_put(t, &f);
	}
	edge_agg_from_flow(&agg, &f, true);
	rc = rc ? rc : store_edge_add(t, &key, &agg);
	rc = rc ? rc : store_attempts_put(t, &a);
	rc = rc ? rc : store_workload_put(t, &w);
	rc = rc ? rc : store_addr_bind(t, &web_addr, w.id, w.start_ns);
	rc = rc ? rc : store_verdict_add(t, &v);
	rc = rc ? rc : store_coverage_add(t, &c);
	rc = rc ? rc : store_generation_put(t, &g);
	rc = rc ? rc : store_name_put(t, &web_addr, "www.example.com", 60, HELP_EPOCH_NS);
	return rc ? rc : store_meta_put(t, "note", "x", 1);
}

static void open_store(void)
{
	const struct store_options o = {.no_sync = true, .keep_ns = UINT64_MAX / 2};
	const uint8_t v4[4] = {10, 0, 9, 1};
	static char *dir;
	struct store_txn *t;

	web_addr = addr_from_v4(v4);
	dir = help_dir();
	FUZZ_MUST(store_open(&store, dir, STORE_WRITE, &o) == 0);
	FUZZ_MUST(store_begin(&t, store, true) == 0 && write_all(t) == 0 && store_commit(t) == 0);
	help_remove(dir); /* the open file lives on, for as long as this process does */
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

/* *fixed: all values there have one length, which LMDB itself takes for granted: it reads beyond one that is
 * shorter. */
static MDB_dbi pick_db(const struct store_txn *t, unsigned n, bool *fixed)
{
	n %= DB_COUNT_ + 8;
	*fixed = n >= DB_COUNT_ && (n - DB_COUNT_) % 2;
	if (n < DB_COUNT_)
		return txn_db(t, (enum store_db)n);
	n -= DB_COUNT_;
	return *fixed ? t->s->env->idx[n / 2] : t->s->env->rec[n / 2];
}

static void damage(struct store_txn *t, struct fuzz_in *in)
{
	bool fixed;
	MDB_dbi db = pick_db(t, fuzz_u8(in), &fixed);
	unsigned which = fuzz_u8(in) % 32, how = fuzz_u8(in) % 5, at = fuzz_u8(in);
	size_t len = fuzz_u8(in), n;
	const uint8_t *data = fuzz_take(in, &len);
	uint8_t key[KEY_MAX], value[VALUE_MAX];
	size_t key_len, value_len;
	MDB_val k, v;
	MDB_cursor *c;
	int rc;

	if (txn_cursor(t, db, &c))
		return;
	rc = guard_cursor_get(c, &k, &v, MDB_FIRST);
	while (rc == 0 && which--)
		rc = guard_cursor_get(c, &k, &v, MDB_NEXT);
	mdb_cursor_close(c);
	if (rc || k.mv_size > sizeof(key) || v.mv_size > sizeof(value))
		return;
	memcpy(key, k.mv_data, key_len = k.mv_size);
	memcpy(value, v.mv_data, value_len = v.mv_size);
	switch (how) {
	case 0: /* overwrite a piece */
		n = at < value_len ? value_len - at : 0;
		memcpy(value + at, data, len < n ? len : n);
		break;
	case 1: /* cut */
		value_len = at < value_len ? at : value_len;
		break;
	case 2: /* replace */
		memcpy(value, data, value_len = len);
		break;
	case 3: /* another key, same value */
		n = at < key_len ? key_len - at : 0;
		memcpy(key + at, data, len < n ? len : n);
		break;
	default: /* a key of any length */
		memcpy(key, data, key_len = len);
	}
	if (fixed)
		value_len = v.mv_size;
	if (key_len)
		txn_put(t, db, key, key_len, value, value_len);
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

static void fair(int rc)
{
	FUZZ_MUST(rc <= 0 && rc > -4096);
}

static int any_flow(void *arg, const struct flow_rec *f)
{
	(void)arg;
	fuzz_touch(f->attrs, f->attrs_len);
	FUZZ_MUST(memchr(f->app, '\0', sizeof(f->app)) && f->attrs_len <= FLOW_ATTRS_MAX);
	return 0;
}

static int any_attempts(void *arg, const struct flow_attempts *a)
{
	(void)arg;
	FUZZ_MUST(a->n_exemplars <= 4);
	return 0;
}

static int any_verdict(void *arg, const struct verdict_rec *v)
{
	(void)arg;
	FUZZ_MUST(memchr(v->group[0], '\0', GROUP_STRLEN) && memchr(v->group[1], '\0', GROUP_STRLEN));
	return 0;
}

static int any_coverage(void *arg, const struct coverage_rec *c)
{
	(void)arg;
	FUZZ_MUST(memchr(c->iface_name, '\0', sizeof(c->iface_name)));
	return 0;
}

static int any_generation(void *arg, const struct generation *g)
{
	(void)arg;
	fuzz_touch(g->why, strlen(g->why) + 1);
	fuzz_touch(g->error, strlen(g->error) + 1);
	fuzz_touch(g->policy, g->policy_len + 1); /* NUL-terminated, too */
	fuzz_touch(g->ruleset, g->ruleset_len);
	return 0;
}

static int any_workload(void *arg, const struct workload *w)
{
	(void)arg;
	FUZZ_MUST(w->n_addrs <= WORKLOAD_ADDRS_MAX && memchr(w->labels, '\0', sizeof(w->labels)));
	return 0;
}

static int any_interval(void *arg, const struct addr_interval *i)
{
	(void)arg;
	(void)i;
	return 0;
}

static void ask_flows(struct store_txn *t)
{
	const struct flow_query q[] = {{0}, {.newest_first = true}, {.addr = web_addr}, {.workload = 1002},
				       {.since_ns = HELP_EPOCH_NS + 1, .until_ns = HELP_EPOCH_NS + 400 * NS_PER_S},
				       {.addr = web_addr, .newest_first = true, .since_ns = HELP_EPOCH_NS}};
	struct flow_rec f;

	for (unsigned i = 0; i < sizeof(q) / sizeof(q[0]); i++)
		fair(store_flow_walk(t, &q[i], any_flow, NULL));
	help_flow(&f, 0);
	fair(store_flow_get(t, f.start_ns, f.id, &f));
	fair(store_attempts_walk(t, 0, 0, any_attempts, NULL));
}

static void ask_rest(struct store_txn *t)
{
	static struct workload w;
	struct addr_interval interval, *history = NULL;
	struct edge *edges = NULL;
	struct store_stats stats;
	struct generation g;
	uint64_t number;
	char name[256];
	uint32_t len = sizeof(name);
	size_t n = 0;

	fair(store_stats(t, &stats));
	fair(store_verdict_walk(t, 0, 0, any_verdict, NULL));
	fair(store_coverage_walk(t, 0, 0, any_coverage, NULL));
	fair(store_generation_walk(t, any_generation, NULL));
	fair(store_generation_current(t, &g));
	fair(store_generation_last(t, &number));
	fair(store_workload_walk(t, 0, 0, any_workload, NULL));
	fair(store_workload_get(t, web().id, &w));
	fair(store_workload_find(t, "shop-web-1", HELP_EPOCH_NS + 1, &w));
	fair(store_workload_find(t, "0123", HELP_EPOCH_NS + 1, &w));
	fair(store_addr_who(t, &web_addr, HELP_EPOCH_NS + 1, NS_PER_S, &interval));
	fair(store_addr_walk(t, any_interval, NULL));
	if (store_addr_history(t, &web_addr, &history, &n) == 0)
		free(history);
	if (store_edges_read(t, 0, 0, &edges, &n) == 0)
		free(edges);
	fair(store_name_get(t, &web_addr, HELP_EPOCH_NS, name, sizeof(name)));
	fair(store_meta_get(t, "note", name, &len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = {data, size};
	struct store_txn *t;

	if (!store)
		open_store();
	FUZZ_MUST(store_begin(&t, store, true) == 0);
	for (unsigned i = 0; i < STEPS_MAX && in.left; i++)
		damage(t, &in);
	t->error = 0; /* what LMDB would not take (a key too long) is no damage */
	ask_flows(t);
	ask_rest(t);
	fair(write_all(t));
	ask_flows(t);
	ask_rest(t);
	store_abort(t);
	return 0;
}
