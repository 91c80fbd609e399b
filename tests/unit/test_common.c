/* SPDX-License-Identifier: GPL-3.0-or-later */
/* common/: text forms round-trip, bad text is refused, and every encoding survives truncation and random bytes. */
#include "config.h"

#include <errno.h>

#include "common/addr.h"
#include "common/coverage.h"
#include "common/edge.h"
#include "common/flow.h"
#include "common/proto.h"
#include "common/rule.h"
#include "common/timefmt.h"
#include "common/verdict.h"
#include "common/workload.h"
#include "tests/tap.h"

static void test_addr(void)
{
	static const char *const good[] = {"10.0.3.7", "0.0.0.0", "255.255.255.255",
					   "::1",      "fd00::2", "2001:db8::1:0:0:1"};
	static const char *const bad[] = {"", "10.0.3", "10.0.3.256", ":::", "fd00::g", "10.0.3.7/24"};
	char buf[ADDR_STRLEN];
	struct addr a;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK_EQ(addr_parse(&a, good[i]), 0);
		CHECK_STR(addr_format(&a, buf), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(addr_parse(&a, bad[i]), -EINVAL);
}

static void test_literal(void)
{
	static const char *const is[] = {"10.0.3.7", "10.0.3.7:80", "fd00::2", "[fd00::2]", "[fd00::2]:8080", "::1"};
	static const char *const is_not[] = {"", "shop.example", "shop.example:80", "10.0.3.7.example", "[fd00::2",
					     "[fd00::2]x", "[]", ":80", "dead:beef",
					     "a-name-that-is-longer-than-any-address-can-be-however-it-is-written:80"};

	for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++)
		CHECK(addr_is_literal(is[i]));
	for (size_t i = 0; i < sizeof(is_not) / sizeof(is_not[0]); i++)
		CHECK(!addr_is_literal(is_not[i]));
}

static void test_prefix(void)
{
	struct prefix p;
	struct addr in, out;
	char buf[PREFIX_STRLEN];

	CHECK_EQ(prefix_parse(&p, "10.1.0.0/20"), 0);
	CHECK_EQ(p.len, 116);
	CHECK_STR(prefix_format(&p, buf), "10.1.0.0/20");
	addr_parse(&in, "10.1.15.255");
	addr_parse(&out, "10.1.16.0");
	CHECK(prefix_contains(&p, &in));
	CHECK(!prefix_contains(&p, &out));
	CHECK_EQ(prefix_parse(&p, "10.1.0.1/20"), -EINVAL);
	CHECK_EQ(prefix_parse(&p, "10.1.0.0/33"), -EINVAL);
	CHECK_EQ(prefix_parse(&p, "0.0.0.0/0"), 0);
	CHECK(prefix_contains(&p, &in));
	CHECK_EQ(prefix_parse(&p, "fd00::/8"), 0);
	CHECK(!prefix_contains(&p, &in));
	CHECK_EQ(prefix_parse(&p, "::/0"), 0);
	CHECK(!prefix_contains(&p, &in));
}

static void test_service(void)
{
	static const char *const good[] = {"80/tcp", "8000-8100/tcp", "53/udp", "echo-request/icmp", "gre", "any",
					   "tcp", "proto-200", "77/icmpv6"};
	static const char *const bad[] = {"",	    "80",	"80/",	 "/tcp",      "90-80/tcp", "65536/tcp",
					  "80/gre", "256/icmp", "x/tcp", "proto-256", "-1/tcp",	   "0"};
	char buf[SERVICE_STRLEN];
	struct service s;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK_EQ(service_parse(&s, good[i]), 0);
		CHECK_STR(service_format(&s, buf), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(service_parse(&s, bad[i]), -EINVAL);
	service_parse(&s, "8000-8100/tcp");
	CHECK(service_contains(&s, PROTO_TCP, 8100));
	CHECK(!service_contains(&s, PROTO_TCP, 8101));
	CHECK(!service_contains(&s, PROTO_UDP, 8000));
	CHECK(proto_is_housekeeping(PROTO_ICMP6, 135) && !proto_is_housekeeping(PROTO_ICMP6, 128) &&
	      !proto_is_housekeeping(PROTO_ICMP, 135) && !proto_is_housekeeping(PROTO_ICMP6, 137));
}

static void test_time(void)
{
	uint64_t now = 1795305600ull * NS_PER_S, t = 0; /* 2026-11-22T00:00:00Z */
	char buf[TIME_STRLEN];

	CHECK_EQ(time_parse(&t, "2026-11-21T02:14:00Z", now), 0);
	CHECK_STR(time_format_utc(t, buf), "2026-11-21T02:14:00.000000000Z");
	CHECK_EQ(time_parse(&t, "2026-11-21T02:14:00.25+01:00", now), 0);
	CHECK_STR(time_format_utc(t, buf), "2026-11-21T01:14:00.250000000Z");
	CHECK_EQ(time_parse(&t, "-90m", now), 0);
	CHECK_EQ(now - t, 90 * 60 * NS_PER_S);
	CHECK_EQ(time_parse(&t, "2026-11-21 02:14", now), 0);
	CHECK_EQ(time_parse(&t, "yesterday", now), -EINVAL);
	CHECK_EQ(time_parse(&t, "2026-13-21 02:14", now), -EINVAL);
	CHECK_EQ(time_parse(&t, "-", now), -EINVAL);
	CHECK_EQ(duration_parse(&t, "10m"), 0);
	CHECK_EQ(t, 600 * NS_PER_S);
	CHECK_EQ(duration_parse(&t, "10 m"), -EINVAL);
	CHECK_EQ(duration_parse(&t, "1e300d"), -EINVAL);
}

static struct flow_rec sample_flow(const uint8_t *attrs, size_t len)
{
	struct flow_rec f = {.start_ns = 1000, .end_ns = 5000, .port = {40000, 443}, .proto = PROTO_TCP,
			     .direction = FLOW_DIR_SYN, .state = FLOW_STATE_CLOSED, .reason = FLOW_REASON_CLOSED,
			     .pkts = {3, 4}, .bytes = {300, 40000}, .confidence = FLOW_CONF_DPI, .app = "TLS.Google",
			     .category = "Web", .vlan = 7, .attrs = attrs, .attrs_len = (uint16_t)len};

	addr_parse(&f.addr[0], "10.0.3.7");
	addr_parse(&f.addr[1], "fd00::2");
	f.id = f.conv_id = flow_id(&f);
	return f;
}

static void test_flow(void)
{
	struct buf attrs = BUF_INIT, enc = BUF_INIT, again = BUF_INIT;
	struct flow_rec f, g;
	char text[64];

	CHECK(flow_attr_add(&attrs, FLOW_ATTR_SNI, "example.com", 11));
	CHECK(!flow_attr_add(&attrs, FLOW_ATTR_JA3, "", 0));
	f = sample_flow((const uint8_t *)attrs.data, attrs.len);
	flow_encode(&enc, &f);
	CHECK_EQ(flow_decode(&g, enc.data, enc.len), 0);
	CHECK_STR(flow_attr_text(&g, FLOW_ATTR_SNI, text, sizeof(text)), "example.com");
	CHECK_STR(flow_attr_text(&g, FLOW_ATTR_JA3, text, sizeof(text)), "");
	CHECK_STR(g.app, "TLS.Google");
	flow_encode(&again, &g);
	CHECK(again.len == enc.len && memcmp(again.data, enc.data, enc.len) == 0);
	for (size_t n = 0; n < enc.len; n++)
		CHECK(flow_decode(&g, enc.data, n) < 0);
	enc.data[0] = 99;
	CHECK_EQ(flow_decode(&g, enc.data, enc.len), -EPROTO);
	/* Why an end has no name lies behind the record as it was before: both ways of reading it go on. */
	f.unnamed[1] = FLOW_UNNAMED_GONE;
	buf_clear(&again);
	flow_encode(&again, &f);
	CHECK_EQ(again.len, enc.len + 1);
	CHECK_EQ(flow_decode(&g, again.data, again.len), 0);
	CHECK_EQ(g.unnamed[0], FLOW_UNNAMED_NONE);
	CHECK_EQ(g.unnamed[1], FLOW_UNNAMED_GONE);
	CHECK_EQ(flow_decode(&g, again.data, again.len - 1), 0);
	CHECK_EQ(g.unnamed[1], FLOW_UNNAMED_NONE);
	again.data[again.len - 1] = FLOW_UNNAMED_MAX_;
	CHECK_EQ(flow_decode(&g, again.data, again.len), -EBADMSG);
	for (unsigned i = 1; i < FLOW_UNNAMED_MAX_; i++)
		CHECK(flow_unnamed_name(i)[0] != '?' && flow_unnamed_text(i)[0] != '?');
	buf_fini(&attrs);
	buf_fini(&enc);
	buf_fini(&again);
}

static void test_edge(void)
{
	struct flow_rec f = sample_flow(NULL, 0);
	struct edge_agg sum = {0}, one, back;
	struct buf enc = BUF_INIT;

	edge_agg_from_flow(&one, &f, true);
	edge_agg_merge(&sum, &one);
	f.start_ns = 200;
	edge_agg_from_flow(&one, &f, false);
	edge_agg_merge(&sum, &one);
	CHECK_EQ(sum.flows, 2);
	CHECK_EQ(sum.answered, 2);
	CHECK_EQ(sum.teaching, 1);
	CHECK_EQ(sum.first_ns, 200);
	CHECK_EQ(sum.app[0].flows, 2);
	edge_agg_encode(&enc, &sum);
	CHECK_EQ(edge_agg_decode(&back, enc.data, enc.len), 0);
	CHECK_EQ(back.bytes[1], 80000);
	for (size_t n = 0; n < enc.len; n++)
		CHECK(edge_agg_decode(&back, enc.data, n) < 0);
	buf_fini(&enc);
}

/* The applications that are told of an edge with these on it, as "HTTP PostgreSQL". */
static const char *told_apps(const struct edge_agg *a, char out[256])
{
	unsigned app[EDGE_APPS_MAX], n = edge_apps(a, app);
	size_t len = 0;

	*out = '\0';
	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(out + len, 256 - len, "%s%s", i ? " " : "", a->app[app[i]].name);
	return out;
}

static void test_edge_apps(void)
{
	struct edge_agg a = {.n_apps = 4, .app = {{"HTTP_Proxy", 9, FLOW_CONF_PORT}, {"Unknown", 99, FLOW_CONF_UNKNOWN},
						  {"MySQL.HTTP", 1, FLOW_CONF_DPI}, {"HTTP", 3, FLOW_CONF_DPI}}};
	char text[256];

	CHECK_STR(told_apps(&a, text), "HTTP"); /* what was seen, by itself */
	a.n_apps = 3;
	CHECK_STR(told_apps(&a, text), "MySQL.HTTP"); /* that was seen, whatever its master is */
	a.n_apps = 2;
	CHECK_STR(told_apps(&a, text), "HTTP_Proxy"); /* a guess, where there is nothing better */
	a.app[1] = a.app[3];
	a.app[1].confidence = FLOW_CONF_IP;
	CHECK_STR(told_apps(&a, text), "HTTP_Proxy HTTP"); /* two guesses, the more frequent first */
	a = (struct edge_agg){.n_apps = 3, .app = {{"TLS", 1, FLOW_CONF_DPI}, {"TLS.Google", 2, FLOW_CONF_DPI_CACHE},
						   {"QUIC.TLS", 5, FLOW_CONF_PORT}}};
	CHECK_STR(told_apps(&a, text), "TLS.Google TLS"); /* each says something of its own */
	a.n_apps = 0;
	CHECK_STR(told_apps(&a, text), "");
}

/* A verdict as an older weir wrote it is read; a counter comes back as it was. */
static void test_versions(void)
{
	struct verdict_rec v = {.first_ns = 1, .last_ns = 2, .kind = VERDICT_BLOCK, .count = 300, .away = 1}, w;
	struct counter_rec c = {.set = 3, .key_len = 40, .key = {1, [39] = 9}, .packets = 1u << 20}, d;
	struct buf b = BUF_INIT;

	verdict_encode(&b, &v);
	CHECK_EQ(verdict_decode(&w, b.data, b.len), 0);
	CHECK_EQ(w.away, 1);
	CHECK_EQ(w.count, 300);
	b.data[0] = 1;
	CHECK_EQ(verdict_decode(&w, b.data, b.len - 1), 0);
	CHECK_EQ(w.away, 0);
	CHECK_EQ(w.count, 300);
	b.data[0] = 3;
	CHECK_EQ(verdict_decode(&w, b.data, b.len), -EPROTO);
	buf_clear(&b);
	counter_encode(&b, &c);
	CHECK_EQ(counter_decode(&d, b.data, b.len), 0);
	CHECK_EQ(d.set, c.set);
	CHECK_EQ(d.key_len, c.key_len);
	CHECK(memcmp(d.key, c.key, sizeof(c.key)) == 0);
	CHECK_EQ(d.packets, c.packets);
	CHECK_EQ(counter_decode(&d, b.data, b.len - 1), -EBADMSG);
	buf_fini(&b);
}

/* Decoders meet random bytes, and good records with a byte turned: anything but a crash or an overrun is fine. */
static void test_hostile(void)
{
	uint64_t rnd = tap_seed();
	struct flow_rec f = sample_flow(NULL, 0), g;
	struct flow_attempts at;
	struct workload w = {.id = 7, .name = "web-1", .group = "shop/web", .n_addrs = 1}, w2;
	struct ruleset rs;
	struct edge_agg ea;
	struct verdict_rec v;
	struct coverage_rec c;
	struct counter_rec counter;
	struct buf enc = BUF_INIT;
	uint8_t junk[256];
	unsigned decoded = 0;

	flow_encode(&enc, &f);
	workload_encode(&enc, &w);
	for (unsigned round = 0; round < 20000; round++) {
		size_t n = tap_random(&rnd) % sizeof(junk);

		if (n > enc.len)
			n = enc.len;
		memcpy(junk, enc.data, n);
		for (unsigned k = 0; k < 3 && n; k++)
			junk[tap_random(&rnd) % n] = (uint8_t)tap_random(&rnd);
		if (n)
			junk[0] = 1;
		decoded += flow_decode(&g, junk, n) == 0;
		decoded += flow_attempts_decode(&at, junk, n) == 0;
		decoded += workload_decode(&w2, junk, n) == 0;
		decoded += edge_agg_decode(&ea, junk, n) == 0;
		decoded += verdict_decode(&v, junk, n) == 0;
		decoded += coverage_decode(&c, junk, n) == 0;
		decoded += counter_decode(&counter, junk, n) == 0;
		if (ruleset_decode(&rs, junk, n) == 0)
			ruleset_fini(&rs);
	}
	CHECK(decoded > 0);
	buf_fini(&enc);
}

static void test_ruleset(void)
{
	struct service services[] = {{80, 80, PROTO_TCP}, {443, 443, PROTO_TCP}};
	struct rule rule = {.id = 5, .inbound = true, .peer_kind = RULE_PEER_GROUP, .peer_group = "lb", .services = services,
			    .n_services = 2, .line = 9};
	struct ruleset_group group = {.name = "web", .stage = STAGE_DRY_RUN};
	struct ruleset rs = {.generation = 3, .groups = &group, .n_groups = 1, .rules = &rule, .n_rules = 1}, back;
	struct buf enc = BUF_INIT, text = BUF_INIT;

	ruleset_encode(&enc, &rs);
	CHECK_EQ(ruleset_decode(&back, enc.data, enc.len), 0);
	CHECK_EQ(back.generation, 3);
	CHECK_EQ(ruleset_find_group(&back, "web"), 0);
	CHECK_EQ(ruleset_find_group(&back, "db"), -1);
	rule_services_format(&back.rules[0], &text);
	CHECK_STR(text.data, "80/tcp, 443/tcp");
	ruleset_fini(&back);
	for (size_t n = 0; n < enc.len; n++)
		CHECK(ruleset_decode(&back, enc.data, n) < 0);
	buf_fini(&enc);
	buf_fini(&text);
}

int main(void)
{
	test_addr();
	test_literal();
	test_prefix();
	test_service();
	test_time();
	test_flow();
	test_edge();
	test_edge_apps();
	test_ruleset();
	test_versions();
	test_hostile();
	return tap_done();
}
