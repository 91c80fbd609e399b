/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * kill -9 at any instant. A child writes numbered flows, some a transaction, and tells of each commit through a pipe;
 * the parent kills it after a random time, opens the store again and finds everything that was told of, transactions
 * whole or not at all, and every index in step with the records. The next child goes on in the same directory.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "store/db.h"
#include "store/edges.h"
#include "store/flows.h"
#include "store/history.h"
#include "tests/tap.h"
#include "tests/unit/store_help.h"

#define ROUNDS 30

static uint64_t rnd;

static int count_flow(void *arg, const struct flow_rec *f)
{
	(void)f;
	++*(uint64_t *)arg;
	return 0;
}

/* Flows from..upto-1, edges, coverage and, in a meta value, how many there are by then, as one transaction. */
static int write_one(struct store *s, uint64_t from, uint64_t upto)
{
	struct coverage_rec c = {.iface = 1, .iface_name = "br0", .received = upto - from};
	struct edge_key key = {.client = "a", .server = "b", .proto = 6, .port = 80};
	struct edge_agg agg;
	struct store_txn *t;
	struct flow_rec f;
	int rc = store_begin(&t, s, true);

	if (rc)
		return rc;
	for (; from < upto && !rc; from++) {
		help_flow(&f, from);
		edge_agg_from_flow(&agg, &f, true);
		c.start_ns = c.end_ns = f.start_ns;
		rc = store_flow_put(t, &f);
		if (!rc)
			rc = store_edge_add(t, &key, &agg);
	}
	if (!rc)
		rc = store_coverage_add(t, &c);
	if (!rc)
		rc = store_meta_put(t, "upto", &upto, sizeof(upto));
	if (!rc)
		return store_commit(t);
	store_abort(t);
	return rc;
}

/* Transactions from number `from` on for ever, each told of. */
static void write_for_ever(const char *dir, const struct store_options *o, uint64_t from, int told, uint64_t seed)
{
	struct store *s;

	if (store_open(&s, dir, STORE_WRITE, o))
		_exit(9);
	for (;;) {
		uint64_t upto = from + 1 + tap_random(&seed) % 300, dropped;
		struct flow_rec last;
		int rc = write_one(s, from, upto);

		/* A reader may pin all that a small budget has to give; then nothing was kept and it is tried again. */
		if (rc == -ENOSPC && o->size_budget)
			continue;
		if (rc)
			_exit(8);
		if (write(told, &upto, sizeof(upto)) != sizeof(upto))
			_exit(7);
		from = upto;
		help_flow(&last, from - 1);
		rc = o->keep_ns && tap_random(&seed) % 8 == 0 ? store_retain(s, last.start_ns, &dropped) : 0;
		if (rc && rc != -ENOSPC) /* as above */
			_exit(6);
	}
}

/* The last number told; reads until the pipe is closed. */
static uint64_t last_told(int fd, uint64_t upto)
{
	uint64_t v;

	while (read(fd, &v, sizeof(v)) == sizeof(v))
		upto = v;
	return upto;
}

static int sum_coverage(void *arg, const struct coverage_rec *c)
{
	*(uint64_t *)arg += c->received;
	return 0;
}

/* By address and by time must agree, for some of the servers. */
static void check_indexes(struct store_txn *t, uint64_t total)
{
	struct flow_query q = {0};
	uint64_t sum = 0;

	for (unsigned i = 1; i <= 20; i++) { /* every flow has one of 20 servers (store_help.c) */
		uint8_t server[4] = {10, 0, 9, (uint8_t)i};
		uint64_t n = 0, w = 0;

		q.workload = 0;
		q.addr = addr_from_v4(server);
		CHECK_EQ(store_flow_walk(t, &q, count_flow, &n), 0);
		q.addr = addr_any;
		q.workload = 1 + i + 1000;
		CHECK_EQ(store_flow_walk(t, &q, count_flow, &w), 0);
		CHECK_EQ(w, n);
		sum += n;
	}
	CHECK_EQ(sum, total);
}

/* Everything told of is there and nothing is half there. Returns how many flows there are by now. */
static uint64_t check_store(const char *dir, uint64_t told, bool forgets)
{
	uint64_t upto = 0, total = 0, covered = 0;
	uint32_t len = sizeof(upto);
	struct flow_query all = {0};
	struct store_stats st;
	struct store_txn *t;
	struct edge *edges = NULL;
	size_t n_edges = 0;
	struct flow_rec f, got;
	struct store *s;
	int rc = store_open(&s, dir, STORE_READ, NULL);

	if (rc == -ENOENT && told == 0)
		return 0; /* killed before anything was there */
	CHECK_EQ(rc, 0);
	if (rc)
		return 0;
	CHECK_EQ(store_begin(&t, s, false), 0);
	rc = store_meta_get(t, "upto", &upto, &len);
	CHECK(rc == 0 || (rc == -ENOENT && told == 0));
	CHECK(upto >= told);
	CHECK_EQ(store_flow_walk(t, &all, count_flow, &total), 0);
	CHECK_EQ(store_stats(t, &st), 0);
	CHECK_EQ(st.flows, total);
	if (!forgets) {
		CHECK_EQ(total, upto);
		CHECK_EQ(store_coverage_walk(t, 0, 0, sum_coverage, &covered), 0);
		CHECK_EQ(covered, upto);
	}
	for (uint64_t i = forgets && upto > 100 ? upto - 100 : 0; i < upto; i += forgets ? 1 : 7) {
		help_flow(&f, i);
		CHECK_EQ(store_flow_get(t, f.start_ns, f.id, &got), 0);
	}
	check_indexes(t, total);
	CHECK_EQ(store_edges_read(t, 0, 0, &edges, &n_edges), 0);
	if (upto) {
		uint64_t sum = 0;

		for (size_t i = 0; i < n_edges; i++)
			sum += edges[i].agg.flows;
		CHECK_EQ(sum, upto);
	}
	free(edges);
	store_abort(t);
	store_close(s);
	return upto;
}

static void test_kill(const struct store_options *o, unsigned rounds)
{
	char *dir = help_dir();
	uint64_t upto = 0, kills = 0;

	for (unsigned round = 0; round < rounds; round++) {
		uint64_t seed = tap_random(&rnd), told;
		struct pollfd ready;
		int fd[2], status;
		pid_t pid;

		if (pipe(fd) < 0)
			abort();
		pid = fork();
		if (pid == 0) {
			close(fd[0]);
			write_for_ever(dir, o, upto, fd[1], seed);
		}
		close(fd[1]);
		/* Some die while opening, most somewhere in their first commits. */
		ready = (struct pollfd){fd[0], POLLIN, 0};
		if (round % 8)
			poll(&ready, 1, 10000);
		if (round % 4 == 1) /* a reader beside the writer finds the same, as of some commit */
			check_store(dir, upto, o->keep_ns != 0);
		usleep((useconds_t)(tap_random(&rnd) % 20000));
		kill(pid, SIGKILL);
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFSIGNALED(status));
		kills += WIFSIGNALED(status);
		if (WIFEXITED(status))
			printf("# the writer gave up: %d\n", WEXITSTATUS(status));
		told = last_told(fd[0], upto);
		close(fd[0]);
		upto = check_store(dir, told, o->keep_ns != 0);
	}
	printf("# %llu kills, %llu flows\n", (unsigned long long)kills, (unsigned long long)upto);
	CHECK(upto > rounds);
	help_remove(dir);
}

int main(void)
{
	struct store_options synced = {0}, fast = {.no_sync = true};
	struct store_options small = {.no_sync = true, .size_budget = 6 << 20, .keep_ns = 120 * NS_PER_S};

	rnd = tap_seed();
	test_kill(&synced, ROUNDS / 3);
	test_kill(&fast, ROUNDS);
	test_kill(&small, ROUNDS); /* drops all the time, reuses pages all the time */
	return tap_done();
}
