/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What conntrack says of a connection, in the engine: its word turns a flow round that was seen from the middle, joins
 * the two views of a published port, and gives a masqueraded client its own address.
 */
#include "config.h"

#include "tests/unit/engine_bench.h"

static void test_origin(void)
{
	/* seen from the middle: server first */
	struct flow_rec f = flow("10.0.0.3", "198.51.100.7", 80, 50000, T0), got;
	struct engine_origin o = {.known = true, .first_began = false};
	struct bench b;

	bench_init(&b, true);
	up(&b, 12, "shop/web", "10.0.0.3");
	f.direction = FLOW_DIR_UNKNOWN;
	f.reason = FLOW_REASON_ACTIVE;
	report(&b, &f, T0);
	CHECK_EQ(b.asked, 1);
	CHECK(!stored(&b, &f, &got));
	o.orig_addr = addr_of("192.0.2.1");
	o.orig_port = 8080;
	o.server = addr_of("10.0.0.3");
	o.server_port = 80;
	engine_origin(b.engine, b.token + 5, &o); /* somebody else's */
	CHECK(!stored(&b, &f, &got));
	engine_origin(b.engine, b.token, &o);
	CHECK(stored(&b, &f, &got));
	CHECK_EQ(got.direction, FLOW_DIR_CONNTRACK);
	CHECK(addr_equal(&got.addr[1], &o.server) && got.port[1] == 80 && got.pkts[1] == 6);
	CHECK(addr_equal(&got.nat_addr, &o.orig_addr) && got.nat_port == 8080);
	/* The next report of it knows without asking. */
	f.pkts[0] = 50;
	f.reason = FLOW_REASON_CLOSED;
	report(&b, &f, T0);
	CHECK_EQ(b.asked, 1);
	CHECK(stored(&b, &f, &got));
	CHECK_EQ(got.direction, FLOW_DIR_CONNTRACK);
	CHECK_EQ(got.pkts[1], 50);
	/* The view from before DNAT is dropped where the server's own view is kept. */
	f = flow("10.0.0.3", "192.0.2.1", 41000, 8080, T0);
	o.first_began = true;
	report(&b, &f, T0);
	CHECK_EQ(b.asked, 2);
	engine_origin(b.engine, b.token, &o);
	engine_release(b.engine, T0 + 60 * NS_PER_S, true);
	CHECK(!stored(&b, &f, &got));
	bench_fini(&b);
}

/* What each view of a translated connection becomes: ends as seen, ends as they are. */
static void test_origin_views(void)
{
	struct bench b;
	struct flow_rec f, got;
	struct engine_origin hairpin = {.known = true, .first_began = true, .client = addr_of("10.0.0.2"),
					.client_port = 41000, .orig_addr = addr_of("10.0.0.1"), .orig_port = 8080,
					.server = addr_of("10.0.0.3"), .server_port = 80};
	struct engine_origin masked = {.known = true, .first_began = true, .client = addr_of("10.0.0.2"), .client_port = 41001,
				       .server = addr_of("10.0.0.3"), .server_port = 443};
	struct engine_origin away = {.known = true, .first_began = true, .client = addr_of("10.0.0.2"), .client_port = 41002,
				     .orig_addr = addr_of("192.0.2.9"), .orig_port = 53, .server = addr_of("198.51.100.7"),
				     .server_port = 5353};

	bench_init(&b, true);
	engine_host(b.engine, &hairpin.orig_addr, 1, T0);
	up(&b, 11, "shop/api", "10.0.0.2");
	up(&b, 12, "shop/web", "10.0.0.3");
	/* Through a published port, masqueraded: the server's side is kept, with the real client. */
	f = flow("10.0.0.1", "10.0.0.3", 61000, 80, T0);
	f.reason = FLOW_REASON_ACTIVE;
	report(&b, &f, T0);
	engine_origin(b.engine, b.token, &hairpin);
	CHECK(stored(&b, &f, &got));
	CHECK(addr_equal(&got.addr[0], &hairpin.client) && got.port[0] == 41000 && got.port[1] == 80);
	CHECK(got.workload[0] != 0 && got.workload[1] != 0 && got.nat_port == 8080);
	f.pkts[0] = 50; /* the next report of it says what was seen again */
	f.reason = FLOW_REASON_CLOSED;
	report(&b, &f, T0);
	CHECK(stored(&b, &f, &got));
	CHECK(addr_equal(&got.addr[0], &hairpin.client));
	CHECK_EQ(got.port[0], 41000);
	CHECK(got.workload[0] != 0);
	CHECK_EQ(got.pkts[0], 50);
	/* Masqueraded between two workloads: the client's side tells it all. */
	f = flow("10.0.0.1", "10.0.0.3", 61001, 443, T0);
	report(&b, &f, T0);
	engine_origin(b.engine, b.token, &masked);
	CHECK(!stored(&b, &f, &got));
	f = flow("10.0.0.2", "10.0.0.3", 41001, 443, T0);
	report(&b, &f, T0);
	engine_origin(b.engine, b.token, &masked);
	engine_release(b.engine, T0 + 60 * NS_PER_S, true);
	CHECK(stored(&b, &f, &got));
	/* Sent on to somewhere that is watched by nobody: the client's side, with the real server. */
	f = flow("10.0.0.2", "192.0.2.9", 41002, 53, T0);
	report(&b, &f, T0);
	engine_origin(b.engine, b.token, &away);
	engine_release(b.engine, T0 + 60 * NS_PER_S, true);
	CHECK(stored(&b, &f, &got));
	CHECK(addr_equal(&got.addr[1], &away.server) && got.port[1] == 5353);
	CHECK(addr_equal(&got.nat_addr, &away.orig_addr) && got.nat_port == 53);
	bench_fini(&b);
}

int main(void)
{
	test_origin();
	test_origin_views();
	return tap_done();
}
