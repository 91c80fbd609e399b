/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store's public functions, one by one, on small data. Models and faults have programs of their own. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "store/db.h"
#include "store/edges.h"
#include "store/flows.h"
#include "store/history.h"
#include "store/identity.h"
#include "tests/tap.h"
#include "tests/unit/store_help.h"

static int count_flow(void *arg, const struct flow_rec *f)
{
	(void)f;
	++*(unsigned *)arg;
	return 0;
}

static void test_flows(void)
{
	struct flow_query q = {0};
	struct store_txn *t;
	struct flow_rec f, g;
	struct store *s;
	unsigned n = 0;
	char *dir = help_dir();

	CHECK_EQ(store_open(&s, dir, STORE_READ, NULL), -ENOENT);
	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	CHECK_EQ(store_begin(&t, s, true), 0);
	for (unsigned i = 0; i < 1000; i++) {
		help_flow(&f, i);
		CHECK_EQ(store_flow_put(t, &f), 0);
	}
	CHECK_EQ(store_commit(t), 0);
	CHECK_EQ(store_begin(&t, s, false), 0);
	help_flow(&f, 17);
	CHECK_EQ(store_flow_get(t, f.start_ns, f.id, &g), 0);
	CHECK(help_flow_equal(&f, &g));
	CHECK_EQ(store_flow_walk(t, &q, count_flow, &n), 0);
	CHECK_EQ(n, 1000);
	q.addr = f.addr[0];
	n = 0;
	CHECK_EQ(store_flow_walk(t, &q, count_flow, &n), 0);
	CHECK(n > 0 && n < 1000);
	store_abort(t);
	store_close(s);
	help_remove(dir);
}

int main(void)
{
	test_flows();
	return tap_done();
}
