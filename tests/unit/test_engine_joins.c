/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the host translates is seen on both of its sides where its way out is captured, and has one record: the one on
 * the link of the workload that it is about, also when the workload's name comes after the conversation, and also when
 * that link is not captured.
 */
#include "config.h"

#include "common/proto.h"
#include "tests/unit/engine_bench.h"

#define BRIDGE 2u
#define UPLINK 3u
#define WORLD "198.51.100.9"
#define HOST "203.0.113.2"

/* links_named: and only the uplink was. */
static void joins_init(struct bench *b, bool links_named)
{
	const struct engine_options eo = {.live = true, .grace_ns = 2 * NS_PER_S, .links_named = links_named, .ask = on_ask,
					  .arg = b};
	const struct addr host[] = {addr_of("10.0.0.1"), addr_of(HOST)};
	const uint8_t len = 96 + 24;

	bench_open(b, &eo);
	engine_host(b->engine, host, 2, T0);
	if (!links_named)
		CHECK_EQ(names_network(engine_names(b->engine), BRIDGE, &host[0], &len, 1), 0);
	CHECK_EQ(names_network(engine_names(b->engine), UPLINK, &host[1], &len, 1), 0);
}

/* Reports it as seen on that interface. True: the kernel was asked about it. */
static bool seen(struct bench *b, struct flow_rec *f, uint32_t iface, const char *client, uint16_t cport,
		 const char *server, uint16_t sport)
{
	struct buf rec = BUF_INIT;
	unsigned asked = b->asked;

	*f = (struct flow_rec){.proto = PROTO_TCP, .port = {cport, sport}, .start_ns = T0, .end_ns = T0 + NS_PER_S,
			       .direction = FLOW_DIR_SYN, .state = FLOW_STATE_CLOSED, .reason = FLOW_REASON_CLOSED,
			       .iface = iface, .pkts = {6, 5}, .bytes = {600, 5000}};
	f->addr[0] = addr_of(client);
	f->addr[1] = addr_of(server);
	f->id = f->conv_id = flow_id(f);
	flow_encode(&rec, f);
	CHECK_EQ(engine_flow(b->engine, rec.data, rec.len, T0), 0);
	buf_fini(&rec);
	return b->asked > asked;
}

/* What the transaction that is open has of it. */
static bool pending(struct bench *b, const struct flow_rec *f, struct flow_rec *out)
{
	return store_flow_get(engine_txn(b->engine), f->start_ns, f->id, out) == 0;
}

static struct engine_origin origin(const char *client, uint16_t cport, const char *orig, uint16_t oport,
				   const char *server, uint16_t sport)
{
	struct engine_origin o = {.known = true, .first_began = true, .client_port = cport, .server_port = sport};

	o.client = addr_of(client);
	o.server = addr_of(server);
	if (orig) {
		o.orig_addr = addr_of(orig);
		o.orig_port = oport;
	}
	return o;
}

/* A published port and masqueraded egress, each at the uplink. */
static const struct view {
	const char *what, *client, *server; /* as the uplink shows it */
	uint16_t cport, sport;
	bool dnat;
} views[] = {
	{"published", WORLD, HOST, 40000, 8080, true},
	{"masqueraded", HOST, WORLD, 61000, 443, false},
};

static struct engine_origin origin_of(const struct view *v)
{
	return v->dnat ? origin(WORLD, 40000, HOST, 8080, "10.0.0.5", 80) : origin("10.0.0.5", 41000, NULL, 0, WORLD, 443);
}

static void test_known(const struct view *v)
{
	struct engine_origin o = origin_of(v);
	struct engine_stats s;
	struct flow_rec f, got;
	struct bench b;

	joins_init(&b, false);
	up(&b, 7, "shop/web", "10.0.0.5");
	CHECK(seen(&b, &f, UPLINK, v->client, v->cport, v->server, v->sport));
	engine_origin(b.engine, b.token, &o);
	engine_release(b.engine, T0 + 60 * NS_PER_S, true);
	CHECK(!pending(&b, &f, &got));
	engine_stats(b.engine, &s);
	CHECK_EQ(s.joined, 1);
	CHECK_EQ(s.held, 0);
	/* The other side, on the workload's own link. */
	CHECK(v->dnat ? seen(&b, &f, BRIDGE, WORLD, 40000, "10.0.0.5", 80)
		      : seen(&b, &f, BRIDGE, "10.0.0.5", 41000, WORLD, 443));
	engine_origin(b.engine, b.token, &o);
	engine_release(b.engine, T0 + 60 * NS_PER_S, true);
	CHECK(pending(&b, &f, &got));
	CHECK_EQ(got.workload[v->dnat], 7);
	CHECK_EQ(got.nat_port, v->dnat ? 8080 : 0);
	bench_fini(&b);
}

/* The workload is named after the answer; the copy at the uplink must have waited for it. */
static void test_late(const struct view *v, bool named)
{
	struct engine_origin o = origin_of(v);
	struct flow_rec f, got;
	struct bench b;

	joins_init(&b, false);
	CHECK(seen(&b, &f, UPLINK, v->client, v->cport, v->server, v->sport));
	engine_origin(b.engine, b.token, &o);
	CHECK(!pending(&b, &f, &got));
	if (named)
		up(&b, 7, "shop/web", "10.0.0.5");
	engine_release(b.engine, T0 + 5 * NS_PER_S, false);
	CHECK_EQ(pending(&b, &f, &got), !named);
	if (!named) /* nobody's, as far as is known: it is left as it was seen */
		CHECK(addr_equal(&got.addr[0], &f.addr[0]) && addr_equal(&got.addr[1], &f.addr[1]));
	bench_fini(&b);
}

/* Only the uplink is captured: its record is all there is, and has the real ends. */
static void test_uplink_only(const struct view *v)
{
	struct engine_origin o = origin_of(v);
	struct flow_rec f, got = {0};
	struct addr workload = addr_of("10.0.0.5"), host = addr_of(HOST);
	struct bench b;

	joins_init(&b, true);
	up(&b, 7, "shop/web", "10.0.0.5");
	CHECK(seen(&b, &f, UPLINK, v->client, v->cport, v->server, v->sport));
	engine_origin(b.engine, b.token, &o);
	engine_release(b.engine, T0 + 60 * NS_PER_S, true);
	CHECK(pending(&b, &f, &got));
	CHECK(addr_equal(&got.addr[v->dnat], &workload) && got.workload[v->dnat] == 7);
	CHECK_EQ(got.port[v->dnat], v->dnat ? 80 : 41000);
	CHECK(v->dnat ? addr_equal(&got.nat_addr, &host) && got.nat_port == 8080 : addr_is_zero(&got.nat_addr));
	bench_fini(&b);
}

/* What is the host's own stays, and what it merely sends on between strangers stays as each side shows it. */
static void test_others(void)
{
	struct engine_origin own = origin(HOST, 50000, NULL, 0, WORLD, 443);
	struct engine_origin sent_on = origin(WORLD, 40001, HOST, 80, "192.0.2.80", 8080);
	struct engine_origin local = origin(WORLD, 40002, HOST, 80, HOST, 8080);
	struct flow_rec f, got;
	struct bench b;

	joins_init(&b, false);
	CHECK(seen(&b, &f, UPLINK, HOST, 50000, WORLD, 443));
	engine_origin(b.engine, b.token, &own);
	CHECK(pending(&b, &f, &got));
	CHECK(addr_equal(&got.addr[0], &own.client) && got.port[0] == 50000 && addr_is_zero(&got.nat_addr));
	CHECK(seen(&b, &f, UPLINK, WORLD, 40001, HOST, 80));
	engine_origin(b.engine, b.token, &sent_on);
	CHECK(pending(&b, &f, &got));
	CHECK(addr_equal(&got.addr[1], &f.addr[1]) && got.port[1] == 80);
	CHECK(seen(&b, &f, UPLINK, HOST, 61001, "192.0.2.80", 8080));
	engine_origin(b.engine, b.token, &sent_on);
	CHECK(pending(&b, &f, &got));
	CHECK(addr_equal(&got.addr[0], &f.addr[0]) && got.port[0] == 61001);
	/* Redirected to a server of its own: the port that answers, and the one that was asked for. */
	CHECK(seen(&b, &f, UPLINK, WORLD, 40002, HOST, 80));
	engine_origin(b.engine, b.token, &local);
	CHECK(pending(&b, &f, &got));
	CHECK(got.port[1] == 8080 && got.nat_port == 80);
	bench_fini(&b);
}

int main(void)
{
	for (unsigned i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		printf("# %s\n", views[i].what);
		test_known(&views[i]);
		test_late(&views[i], true);
		test_late(&views[i], false);
		test_uplink_only(&views[i]);
	}
	test_others();
	return tap_done();
}
