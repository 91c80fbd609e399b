/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The host's addresses in the store: which were its own, when, also after it lost them and after a restart. */
#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "daemon/engine.h"
#include "store/identity.h"
#include "tests/tap.h"

#define T0_NS 1583316000000000000ull

static char dir[256];

static struct addr addr(const char *text)
{
	struct addr a;

	addr_parse(&a, text);
	return a;
}

/* Who had it then, by the store: the workload's id, or 0. */
static uint64_t who(struct store *s, const char *text, uint64_t at_ns)
{
	struct addr a = addr(text);
	struct addr_interval i = {.workload = 0};
	struct store_txn *t;

	CHECK_EQ(store_begin(&t, s, false), 0);
	if (store_addr_who(t, &a, at_ns, 0, &i) < 0)
		i.workload = 0;
	store_abort(t);
	return i.workload;
}

static void test_host(void)
{
	const struct addr first[] = {addr("10.0.3.1"), addr("192.0.2.7")},
			  second[] = {addr("192.0.2.7"), addr("fd00::1")};
	struct engine_options o = {.live = true, .grace_ns = NS_PER_S};
	struct workload w;
	struct engine *e;
	struct store_txn *t;
	struct store *s;
	uint64_t host;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	CHECK_EQ(engine_new(&e, s, &o), 0);
	engine_host(e, first, 2, T0_NS);
	engine_settled(e, T0_NS + NS_PER_S); /* nobody told of a workload: the host is none that could have ended */
	CHECK_EQ(engine_commit(e), 0);
	host = who(s, "10.0.3.1", T0_NS + NS_PER_S);
	CHECK(host != 0);
	CHECK(who(s, "192.0.2.7", T0_NS + NS_PER_S) == host);
	CHECK(who(s, "192.0.2.8", T0_NS + NS_PER_S) == 0);
	engine_free(e);

	/* Another engine, as after a restart, and meanwhile a bridge went and an address came. */
	CHECK_EQ(engine_new(&e, s, &o), 0);
	engine_host(e, second, 2, T0_NS + 60 * NS_PER_S);
	CHECK_EQ(engine_commit(e), 0);
	CHECK(who(s, "10.0.3.1", T0_NS + 30 * NS_PER_S) == host);
	CHECK(who(s, "10.0.3.1", T0_NS + 90 * NS_PER_S) == 0);
	CHECK(who(s, "192.0.2.7", T0_NS + 30 * NS_PER_S) == host);
	CHECK(who(s, "192.0.2.7", T0_NS + 90 * NS_PER_S) == host);
	CHECK(who(s, "fd00::1", T0_NS + 30 * NS_PER_S) == 0);
	CHECK(who(s, "fd00::1", T0_NS + 90 * NS_PER_S) == host);
	CHECK_EQ(store_begin(&t, s, false), 0);
	CHECK_EQ(store_workload_get(t, host, &w), 0);
	CHECK_EQ(w.kind, WORKLOAD_HOST);
	CHECK_STR(w.group, GROUP_HOST);
	CHECK(w.start_ns == T0_NS && w.end_ns == 0);
	store_abort(t);
	engine_free(e);
	store_close(s);
}

int main(void)
{
	char command[300];

	snprintf(dir, sizeof(dir), "%s/weir-host-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(dir))
		return 99;
	test_host();
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	if (system(command) != 0)
		fprintf(stderr, "%s is left behind\n", dir);
	return tap_done();
}
