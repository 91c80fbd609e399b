/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What storing a flow costs: puts N made-up flows in transactions of B as `weir read` does (no fsync), half of them
 * out of order as flows end in another order than they began, and reads them back by time, by address and by workload.
 *
 *   bench_store [N [B [M]]]     defaults 200000 and 20000; M: size budget in MiB, to see what dropping costs
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/edge.h"
#include "common/timefmt.h"
#include "store/db.h"
#include "store/edges.h"
#include "store/flows.h"
#include "tests/unit/store_help.h"

static double cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void must(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(-rc));
		exit(1);
	}
}

static int count(void *arg, const struct flow_rec *f)
{
	(void)f;
	++*(uint64_t *)arg;
	return 0;
}

static void walk(struct store *s, const char *what, const struct flow_query *q)
{
	struct store_txn *t;
	uint64_t n = 0;
	double begin = cpu_s(), took;

	must(store_begin(&t, s, false), "begin");
	must(store_flow_walk(t, q, count, &n), "walk");
	store_abort(t);
	took = cpu_s() - begin;
	printf("%-28s %8llu flows %8.2f ms %10.0f flows/s\n", what, (unsigned long long)n, took * 1e3,
	       took > 0 ? (double)n / took : 0);
}

/* Flows end in another order than they begin: each odd one comes a thousand later than its place. */
static uint64_t shuffled(uint64_t i, uint64_t n)
{
	uint64_t block = i / 2000 * 2000, at = i - block;

	if (block + 2000 > n)
		return i;
	return block + (at < 1000 ? 2 * at : 2 * (at - 1000) + 1);
}

static void fill(struct store *s, uint64_t n, uint64_t batch, bool edges)
{
	struct store_txn *t = NULL;
	struct edge_key key = {.client = "shop/web", .server = "shop/db"};
	struct edge_agg agg;
	struct flow_rec f;

	for (uint64_t i = 0; i < n; i++) {
		if (!t)
			must(store_begin(&t, s, true), "begin");
		help_flow(&f, shuffled(i, n));
		must(store_flow_put(t, &f), "put");
		if (edges) {
			key.port = f.port[1];
			key.proto = f.proto;
			edge_agg_from_flow(&agg, &f, true);
			must(store_edge_add(t, &key, &agg), "edge");
		}
		if ((i + 1) % batch == 0 || i + 1 == n) {
			must(store_commit(t), "commit");
			t = NULL;
		}
	}
}

/* Two weeks of hours, each with the same thousand edges. */
static void edges(struct store *s)
{
	struct edge_key key = {.server = "shop/db", .proto = 6, .port = 5432};
	struct edge_agg agg = {.flows = 3, .answered = 3, .teaching = 3, .n_apps = 1, .n_exemplars = 3};
	struct store_txn *t;
	struct edge *e = NULL;
	size_t n = 0;
	double begin = cpu_s();

	strcpy(agg.app[0].name, "Postgres");
	for (uint64_t hour = 0; hour < 336; hour++) {
		must(store_begin(&t, s, true), "begin");
		for (unsigned i = 0; i < 1000; i++) {
			snprintf(key.client, sizeof(key.client), "shop/client-%u", i);
			agg.first_ns = agg.last_ns = HELP_EPOCH_NS + hour * 3600 * NS_PER_S;
			must(store_edge_add(t, &key, &agg), "edge");
		}
		must(store_commit(t), "commit");
	}
	printf("%-28s %8.2f ms\n", "put 1000 edges, 336 hours", (cpu_s() - begin) * 1e3);
	begin = cpu_s();
	must(store_begin(&t, s, false), "begin");
	must(store_edges_read(t, 0, 0, &e, &n), "edges");
	store_abort(t);
	printf("%-28s %8.2f ms, %zu edges\n", "read them", (cpu_s() - begin) * 1e3, n);
	free(e);
}

static void reopen(const char *dir)
{
	double begin = cpu_s();
	struct store_stats st;
	struct store_txn *t;
	struct store *s;

	for (unsigned i = 0; i < 100; i++) {
		must(store_open(&s, dir, STORE_READ, NULL), "open");
		must(store_begin(&t, s, false), "begin");
		must(store_stats(t, &st), "stats");
		store_abort(t);
		store_close(s);
	}
	printf("%-28s %8.3f ms\n", "open, stats, close", (cpu_s() - begin) * 10);
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 0) : 200000;
	uint64_t batch = argc > 2 ? strtoull(argv[2], NULL, 0) : 20000;
	struct store_options o = {.no_sync = true, .size_budget = argc > 3 ? strtoull(argv[3], NULL, 0) << 20 : 0};
	struct flow_query q = {0};
	struct store_stats st;
	struct store_txn *t;
	struct store *s;
	char *dir = help_dir(), path[300];
	struct stat file;
	struct flow_rec f;
	double begin, made, took;

	begin = cpu_s();
	for (uint64_t i = 0; i < n; i++)
		help_flow(&f, i);
	made = cpu_s() - begin; /* making them is not storing them */
	must(store_open(&s, dir, STORE_WRITE, &o), "open");
	begin = cpu_s();
	fill(s, n, batch, true);
	took = cpu_s() - begin - made;
	must(store_begin(&t, s, false), "begin");
	must(store_stats(t, &st), "stats");
	store_abort(t);
	snprintf(path, sizeof(path), "%s/weir.mdb", dir);
	stat(path, &file);
	printf("put %llu flows, batches of %llu: %.3f s CPU, %.0f flows/s, %.0f bytes a flow, file %lld kB\n",
	       (unsigned long long)st.flows, (unsigned long long)batch, took, (double)n / took,
	       (double)st.bytes_used / (double)st.flows, (long long)file.st_size / 1024);
	walk(s, "walk all", &q);
	q.newest_first = true;
	walk(s, "walk all, newest first", &q);
	help_flow(&f, n / 2);
	q = (struct flow_query){.addr = f.addr[0]};
	walk(s, "one client address", &q);
	q = (struct flow_query){.workload = f.workload[1]};
	walk(s, "one server workload", &q);
	q = (struct flow_query){.since_ns = f.start_ns, .until_ns = f.start_ns + NS_PER_S};
	walk(s, "one second of all", &q);
	edges(s);
	store_close(s);
	reopen(dir);
	help_remove(dir);
	return 0;
}
