/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store/counters.c: readings take one another's place, go away one by one and all at once. */
#include "config.h"

#include "store/history.h"
#include "tests/tap.h"
#include "tests/unit/store_help.h"

static int sum_counters(void *arg, const struct counter_rec *c)
{
	*(uint64_t *)arg += c->packets * (c->set + 1u) + c->key_len + c->key[0];
	return 0;
}

static void test_counters(struct store *s)
{
	struct counter_rec c = {.set = 1, .key_len = 40, .key = {7}, .packets = 100};
	struct store_txn *t;
	uint64_t sum = 0;

	CHECK_EQ(store_begin(&t, s, true), 0);
	CHECK_EQ(store_counter_put(t, &c), 0);
	c.packets = 103;
	CHECK_EQ(store_counter_put(t, &c), 0); /* takes its place */
	c.key[39] = 1;
	CHECK_EQ(store_counter_put(t, &c), 0);
	c = (struct counter_rec){.set = 9, .packets = 5}; /* one without a key */
	CHECK_EQ(store_counter_put(t, &c), 0);
	CHECK_EQ(store_commit(t), 0);
	CHECK_EQ(store_begin(&t, s, true), 0);
	CHECK_EQ(store_counter_walk(t, sum_counters, &sum), 0);
	CHECK_EQ(sum, 2 * (2 * 103 + 40 + 7) + 50);
	c.packets = 0;
	CHECK_EQ(store_counter_put(t, &c), 0); /* gone */
	sum = 0;
	CHECK_EQ(store_counter_walk(t, sum_counters, &sum), 0);
	CHECK_EQ(sum, 2 * (2 * 103 + 40 + 7));
	CHECK_EQ(store_counters_forget(t), 0);
	sum = 0;
	CHECK_EQ(store_counter_walk(t, sum_counters, &sum), 0);
	CHECK_EQ(sum, 0);
	CHECK_EQ(store_commit(t), 0);
}

int main(void)
{
	char *dir = help_dir();
	struct store *s;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	test_counters(s);
	store_close(s);
	help_remove(dir);
	return tap_done();
}
