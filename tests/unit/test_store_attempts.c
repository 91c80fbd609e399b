/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store/attempts: a scan's records, put in any order and written in blocks, are as many as were put, whatever part of
 * the time is asked for; an aborted transaction leaves none; the same ones again do not become more.
 */
#include "config.h"

#include "store/flows.h"
#include "tests/tap.h"
#include "tests/unit/store_help.h"

enum { RECORDS = 20000, STEP_NS = 1000000 }; /* more than two batches; 20 s: more than one block's span */

static int count(void *arg, const struct flow_attempts *a)
{
	*(uint64_t *)arg += a->count;
	return 0;
}

static uint64_t walk(struct store *s, uint64_t since_ns, uint64_t until_ns)
{
	struct store_txn *t;
	uint64_t sum = 0;

	CHECK_EQ(store_begin(&t, s, false), 0);
	CHECK_EQ(store_attempts_walk(t, since_ns, until_ns, count, &sum), 0);
	store_abort(t);
	return sum;
}

static void put_all(struct store_txn *t)
{
	struct flow_attempts a = {.proto = 6, .iface = 1, .count = 1, .n_exemplars = 4};

	for (uint64_t i = 0; i < RECORDS; i++) {
		a.port = (uint16_t)i;
		a.start_ns = HELP_EPOCH_NS + i * 7919 % RECORDS * STEP_NS;
		a.end_ns = a.start_ns + 5;
		CHECK_EQ(store_attempts_put(t, &a), 0);
	}
}

int main(void)
{
	const uint64_t from = HELP_EPOCH_NS + 3ull * STEP_NS, until = HELP_EPOCH_NS + 12003ull * STEP_NS;
	char *dir = help_dir();
	struct store_stats stats;
	struct store_txn *t;
	struct store *s;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	CHECK_EQ(store_begin(&t, s, true), 0);
	put_all(t);
	store_abort(t);
	CHECK_EQ(walk(s, 0, 0), 0);
	for (unsigned again = 0; again < 2; again++) {
		CHECK_EQ(store_begin(&t, s, true), 0);
		put_all(t);
		CHECK_EQ(store_commit(t), 0);
		CHECK_EQ(store_begin(&t, s, false), 0);
		CHECK_EQ(store_stats(t, &stats), 0);
		store_abort(t);
		CHECK_EQ(stats.attempts, RECORDS);
		CHECK_EQ(walk(s, 0, 0), RECORDS);
		CHECK_EQ(walk(s, from + 6, until), 12000); /* the one at from ended before */
		CHECK_EQ(walk(s, from + 5, until), 12001);
	}
	store_close(s);
	help_remove(dir);
	return tap_done();
}
