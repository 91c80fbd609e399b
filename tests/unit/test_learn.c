/* SPDX-License-Identifier: GPL-3.0-or-later */
/* segment/learn: what each kind of edge teaches, the bound against known values, widening, and the policy that comes
 * out. */
#include "config.h"

#include <errno.h>
#include <math.h>

#include "common/timefmt.h"
#include "segment/learn.h"
#include "segment/replay.h"
#include "tests/tap.h"

#define DAY_NS (86400 * NS_PER_S)
#define T0 (1795219200ull * NS_PER_S) /* 2026-11-21 00:00 UTC */

static struct edge edge(const char *client, const char *server, uint8_t proto, uint16_t port, uint64_t flows)
{
	struct edge e;

	memset(&e, 0, sizeof(e));
	snprintf(e.key.client, sizeof(e.key.client), "%s", client);
	snprintf(e.key.server, sizeof(e.key.server), "%s", server);
	e.key.proto = proto;
	e.key.port = port;
	e.agg.first_ns = T0;
	e.agg.last_ns = T0 + 3600 * NS_PER_S;
	e.agg.flows = e.agg.answered = e.agg.teaching = flows;
	e.agg.pkts[0] = e.agg.pkts[1] = flows * 5;
	e.agg.hours[0] = 3;
	return e;
}

/* Nobody answers: so many packets over so many seconds, seen in so many hours. */
static struct edge silent(const char *client, const char *server, uint8_t proto, uint16_t port, uint64_t pkts,
			  uint64_t seconds, unsigned hours)
{
	struct edge e = edge(client, server, proto, port, pkts);

	e.agg.answered = e.agg.teaching = 0;
	e.agg.unanswered = pkts;
	e.agg.pkts[0] = pkts;
	e.agg.pkts[1] = 0;
	e.agg.last_ns = T0 + seconds * NS_PER_S;
	e.agg.hours[0] = hours ? (1ull << hours) - 1 : 0;
	return e;
}

static void test_decide(void)
{
	struct edge e = edge("a", "b", 6, 80, 10);

	CHECK_EQ(learn_decide(&e), LEARN_ALLOW);
	e.agg.teaching = 0;
	e.agg.lossy = 4;
	CHECK_EQ(learn_decide(&e), LEARN_COVERAGE);
	e.agg.lossy = 0;
	CHECK_EQ(learn_decide(&e), LEARN_DIRECTION);
	e = edge("world", "host", 6, 22, 10);
	CHECK_EQ(learn_decide(&e), LEARN_SELF);
	e = edge("a", "b", 58, 135, 10); /* neighbour discovery needs no rule */
	CHECK_EQ(learn_decide(&e), LEARN_SELF);
	e = edge("b", "a", PROTO_ICMP, 3, 10); /* port unreachable: it belongs to a conversation of a's */
	CHECK_EQ(learn_decide(&e), LEARN_SELF);
	e = edge("b", "a", PROTO_ICMP, 8, 10);
	CHECK_EQ(learn_decide(&e), LEARN_ALLOW);
	e = edge("world", "b", 6, 22, 10);
	CHECK_EQ(learn_decide(&e), LEARN_ALLOW);
	e = edge("a", "host", 17, 53, 10);
	CHECK_EQ(learn_decide(&e), LEARN_ALLOW);
	e = silent("a", "log", 17, 514, 1200, 86400, 24);
	CHECK_EQ(learn_decide(&e), LEARN_ASK);
	/* One conversation that never ends: kept under the hour it began in. */
	e = silent("a", "log", 17, 514, 40000, 86400, 1);
	e.agg.flows = 1;
	CHECK_EQ(learn_decide(&e), LEARN_ASK);
	e = silent("a", "log", 17, 514, 3, 86400, 2); /* three packets a day */
	CHECK_EQ(learn_decide(&e), LEARN_UNANSWERED);
	e = silent("a", "log", 17, 514, 1000, 5, 1); /* a burst */
	CHECK_EQ(learn_decide(&e), LEARN_UNANSWERED);
	e = silent("a", "log", 6, 514, 1200, 86400, 24); /* TCP shakes hands */
	CHECK_EQ(learn_decide(&e), LEARN_UNANSWERED);
	e = silent("a", "log", 17, 514, 1200, 86400, 24);
	e.agg.refused = 1; /* port unreachable: nobody listens */
	CHECK_EQ(learn_decide(&e), LEARN_UNANSWERED);
}

/* A slow scan is steady at every door; a client that tries many is believed only where it keeps talking. */
static void test_scan(void)
{
	struct edge e[42];
	uint8_t d[42];

	for (unsigned i = 0; i < 40; i++) {
		e[i] = silent("evil", "b", 17, (uint16_t)(1000 + i), 12, 7200, 3);
		e[i].agg.flows = i < 20 ? 3 : 12;
	}
	e[40] = silent("evil", "log", 17, 514, 5000, 7200, 3);
	e[41] = silent("good", "log", 17, 514, 12, 7200, 3);
	CHECK_EQ(learn_decide(&e[30]), LEARN_ASK); /* by itself it could be anything */
	CHECK_EQ(learn_decide_all(d, e, 42), 0);
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(d[i], LEARN_UNANSWERED);
	CHECK_EQ(d[40], LEARN_ASK);
	CHECK_EQ(d[41], LEARN_ASK);
}

/* Tabulated one-sided bounds: 1 - 0.05^(1/n) for no hit, and binomial tails summed exactly for the others. */
static double tail(uint64_t k, uint64_t n, double p)
{
	double sum = 0, term = pow(1 - p, (double)n);

	for (uint64_t i = 0; i <= k; i++) {
		sum += term;
		term *= (double)(n - i) / (double)(i + 1) * p / (1 - p);
	}
	return sum;
}

static void test_bound(void)
{
	CHECK(learn_upper_bound(0, 0, 0.95) >= 1);
	CHECK(learn_upper_bound(7, 7, 0.95) >= 1);
	CHECK(fabs(learn_upper_bound(0, 1, 0.95) - 0.95) < 1e-9);
	CHECK(fabs(learn_upper_bound(0, 10, 0.95) - 0.25886555) < 1e-7);
	CHECK(fabs(learn_upper_bound(0, 100, 0.95) - 0.02951305) < 1e-7);
	CHECK(fabs(learn_upper_bound(0, 1000000, 0.95) - 2.995728e-6) < 1e-11);
	/* At the bound, so few hits have exactly 5 % probability. */
	for (uint64_t n = 2; n <= 512; n *= 2) {
		for (uint64_t k = 0; k < n && (n <= 64 || k <= n / 2);
		     k += 1 + n / 7) /* beyond, pow() above underflows */
			CHECK(fabs(tail(k, n, learn_upper_bound(k, n, 0.95)) - 0.05) < 1e-8);
	}
	CHECK(learn_upper_bound(50000, 1000000000, 0.95) > 5e-5);
	CHECK(learn_upper_bound(50000, 1000000000, 0.95) < 5.04e-5);
}

static void test_readiness(void)
{
	struct edge e[] = {edge("a", "b", 6, 80, 100),	     edge("c", "b", 6, 81, 1),
			   edge("b", "world", 6, 443, 99),   silent("x", "b", 17, 514, 100, 86400, 24),
			   silent("x", "b", 6, 22, 1, 1, 1), edge("world", "host", 6, 22, 9),
			   edge("a", "host", 17, 53, 1),     silent("b", "x", PROTO_ICMP6, 1, 9, 60, 1)};
	struct learn_readiness *r;
	struct buf b = BUF_INIT;
	size_t n;

	e[1].agg.hours[2] = 1;
	e[1].agg.last_ns = T0 + DAY_NS;
	CHECK_EQ(learn_readiness(&r, &n, e, sizeof(e) / sizeof(e[0])), 0);
	CHECK_EQ(n, 2);
	CHECK_STR(r[0].group, "a");
	CHECK_EQ(r[0].edges_once, 1);
	CHECK(r[0].p_unseen_upper >= 1);
	CHECK_STR(r[1].group, "b");
	CHECK_EQ(r[1].flows, 200);
	CHECK_EQ(r[1].edges, 3);
	CHECK_EQ(r[1].edges_once, 1);
	CHECK_EQ(r[1].hours_of_week, 3);
	CHECK_EQ(r[1].asked, 1);
	CHECK_EQ(r[1].until_ns, T0 + DAY_NS);
	CHECK(fabs(r[1].p_unseen - 0.005) < 1e-12);
	CHECK(fabs(tail(1, 200, r[1].p_unseen_upper) - 0.05) < 1e-8);
	learn_readiness_format(&b, &r[1]);
	CHECK_STR(b.data, "200 flows on 3 edges, 1 of them seen once: the next flow takes a new edge with a "
			  "probability below 2.3 % (95 % sure); "
			  "3 of 168 hours of the week seen; 1 one-way edge waits for you to decide");
	buf_fini(&b);
	free(r);
}

static void test_policy(void)
{
	struct edge e[] = {
		edge("shop/lb", "shop/web", 6, 443, 3),	   edge("world", "shop/web", 6, 80, 1),
		edge("shop/lb", "shop/web", 6, 80, 1204),  edge("shop/web", "world", 6, 443, 20),
		edge("shop/web", "world", 17, 53, 20),	   silent("shop/web", "shop/log", 17, 514, 1200, 86400, 24),
		silent("evil", "shop/db", 6, 22, 1, 1, 1), edge("evil\nx", "shop/web", 6, 1, 5),
		edge("shop/web", "host", 1, 8, 2)};
	struct policy *p;
	struct policy_errors errors;
	struct buf b = BUF_INIT;

	strcpy(e[2].agg.app[0].name, "HTTP");
	e[2].agg.n_apps = 1;
	e[3].agg.n_peers = 2;
	strcpy(e[3].agg.peer[0].name, "API.example.com");
	strcpy(e[3].agg.peer[1].name, "api.example.com");
	CHECK_EQ(learn_policy(&p, e, sizeof(e) / sizeof(e[0])), 0);
	CHECK_EQ(policy_emit(&b, p, NULL), 0);
	CHECK_STR(
		b.data,
		"weir: 1\n"
		"policy:\n"
		"  # no flow that teaches yet\n"
		"  shop/db:\n"
		"    stage: observe\n"
		"    inbound: []\n"
		"    outbound: []\n"
		"  # no flow that teaches yet; 1 one-way edge waits for you to decide\n"
		"  shop/log:\n"
		"    stage: observe\n"
		"    inbound: []\n"
		"      # For you to decide (take out the \"# \", and a [] above, to allow):\n"
		"      # - {from: shop/web, ports: [514/udp]}  # seen 1,200 times (1,200 packets, never answered), "
		"last 2026-11-22\n"
		"    outbound: []\n"
		"  # 1250 flows on 6 edges, 1 of them seen once: the next flow takes a new edge with a probability "
		"below 0.38 % (95 % sure); "
		"2 of 168 hours of the week seen\n"
		"  shop/web:\n"
		"    stage: observe\n"
		"    inbound:\n"
		"      - {from: shop/lb, ports: [80/tcp, 443/tcp]}  # seen 1,207 times, last 2026-11-21, HTTP\n"
		"      - {from: world,   ports: [80/tcp]}  # seen once, 2026-11-21\n"
		"    outbound:\n"
		"      - {to: host,  ports: [echo-request/icmp]}  # seen 2 times, last 2026-11-21\n"
		"      - {to: world, ports: [53/udp]}  # seen 20 times, last 2026-11-21\n"
		"      - {to: world, ports: [443/tcp], names: [api.example.com]}  # seen 20 times, last 2026-11-21\n");
	policy_free(p);
	CHECK_EQ(policy_parse(&p, b.data, b.len, &errors), 0);
	CHECK_EQ(errors.n, 0);
	policy_free(p);
	buf_fini(&b);
}

static void test_widening(void)
{
	struct edge *e = calloc(400, sizeof(*e));
	struct learn_settings two = {16, 2}, never = {0, 8};
	struct learn_widening *w;
	struct buf b = BUF_INIT;
	struct policy *p;
	size_t n = 0, n_w;

	e[n++] = edge("web", "ftp", 6, 21, 40);
	for (unsigned i = 0; i < 40; i++)
		e[n++] = edge("web", "ftp", 6, (uint16_t)(33000 + i * 97), 1); /* scattered over Linux's own range */
	for (unsigned i = 0; i < 30; i++)
		e[n++] = edge("web", "rpc", 6, (uint16_t)(49152 + i * 500), 1); /* IANA's */
	for (unsigned i = 0; i < 20; i++)
		e[n++] = edge("web", "dense", 17, (uint16_t)(2000 + i), 1);
	for (unsigned i = 0; i < 16; i++)
		e[n++] = edge("web", "few", 6, (uint16_t)(2000 + i), 1); /* just not too many */
	for (unsigned i = 0; i < 30; i++)
		e[n++] = edge("web", "low", 6, (uint16_t)(1 + i), 1); /* services' own ports */
	CHECK_EQ(learn_policy_with(&p, &w, &n_w, NULL, e, n), 0);
	CHECK_EQ(n_w, 3);
	learn_widening_format(&b, &w[1]);
	CHECK_STR(b.data, "ftp from web: 32768-60999/tcp for 40 ports seen, 28192 never seen");
	buf_clear(&b);
	learn_widening_format(&b, &w[0]);
	CHECK_STR(b.data, "dense from web: 2000-2019/udp for 20 ports seen, 0 never seen");
	CHECK_EQ(w[2].range.lo, 49152);
	CHECK_EQ(w[2].range.hi, 65535);
	CHECK_EQ(policy_find_group(p, "ftp")->inbound[0].n_services, 2);
	CHECK(strstr(policy_find_group(p, "ftp")->inbound[0].comment,
		     "; widened: 40 ports seen became 32768-60999/tcp"));
	CHECK_EQ(policy_find_group(p, "few")->inbound[0].n_services, 16);
	CHECK_EQ(policy_find_group(p, "low")->inbound[0].n_services, 30);
	policy_free(p);
	free(w);
	/* The budget goes to the fullest; the rest is listed as it is. */
	CHECK_EQ(learn_policy_with(&p, &w, &n_w, &two, e, n), 0);
	CHECK(!w[0].applied && w[1].applied && w[2].applied);
	CHECK_EQ(policy_find_group(p, "dense")->inbound[0].n_services, 20);
	CHECK_EQ(policy_find_group(p, "rpc")->inbound[0].n_services, 1);
	policy_free(p);
	free(w);
	CHECK_EQ(learn_policy_with(&p, &w, &n_w, &never, e, n), 0);
	CHECK_EQ(n_w, 0);
	CHECK_EQ(policy_find_group(p, "ftp")->inbound[0].n_services, 41);
	policy_free(p);
	free(w);
	buf_fini(&b);
	free(e);
}

/* What was learned allows every edge it was learned from, and nothing that it was not. */
static void test_model(uint64_t seed)
{
	static const char *const groups[] = {"a", "b", "c", "d", "world", "host"};

	for (unsigned round = 0; round < 300 && tap_failures == 0; round++) {
		struct learn_settings never = {0, 0};
		struct edge e[40];
		struct ruleset rs;
		struct policy *p;
		struct buf text = BUF_INIT;
		struct policy_errors errors;
		size_t n = 1 + tap_random(&seed) % 40;

		for (size_t i = 0; i < n; i++) {
			e[i] = edge(groups[tap_random(&seed) % 6], groups[tap_random(&seed) % 6],
				    tap_random(&seed) % 2 ? 6 : 17, (uint16_t)(tap_random(&seed) % 30),
				    1 + tap_random(&seed) % 9);
			if (tap_random(&seed) % 3 == 0)
				e[i].agg.teaching = 0;
		}
		CHECK_EQ(learn_policy_with(&p, NULL, NULL, &never, e, n), 0);
		CHECK_EQ(policy_emit(&text, p, NULL), 0);
		policy_free(p);
		CHECK_EQ(policy_parse(&p, text.data, text.len, &errors), 0);
		CHECK_EQ(policy_compile(&rs, p), 0);
		for (unsigned k = 0; k < 36 * 60; k++) {
			struct eval_end src = {addr_any, groups[k % 6]}, dst = {addr_any, groups[k / 6 % 6]};
			uint8_t proto = k / 36 % 2 ? 6 : 17;
			uint16_t port = (uint16_t)(k / 72);
			struct eval_result r;
			bool taught = false;

			for (size_t i = 0; i < n; i++)
				taught = taught || (e[i].agg.teaching && strcmp(e[i].key.client, src.group) == 0 &&
						    strcmp(e[i].key.server, dst.group) == 0 &&
						    e[i].key.proto == proto && e[i].key.port == port);
			eval(&r, &rs, &src, &dst, proto, port);
			CHECK(r.group < 0 || (r.rule != NULL) == taught);
			CHECK(!taught || r.group >= 0 || k % 6 > 3);
		}
		ruleset_fini(&rs);
		policy_free(p);
		buf_fini(&text);
	}
}

/* Learn the first part, replay the rest. */
static void test_backtest(void)
{
	struct edge first[] = {edge("a", "b", 6, 80, 100)},
		    rest[] = {edge("a", "b", 6, 80, 50), edge("a", "b", 6, 81, 2), edge("a", "c", 6, 81, 2)};
	const struct replay_miss *m;
	struct ruleset rs;
	struct replay *r;
	struct policy *p;
	size_t n;

	CHECK_EQ(learn_policy(&p, first, 1), 0);
	CHECK_EQ(policy_compile(&rs, p), 0);
	CHECK_EQ(replay_new(&r, &rs), 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(replay_edge(r, &rest[i]), 0);
	CHECK_EQ(replay_sum(r)->allowed, 50);
	CHECK_EQ(replay_sum(r)->missed_answered, 2);
	CHECK_EQ(replay_sum(r)->free, 2);
	CHECK_EQ(replay_misses(r, &m, &n), 0);
	CHECK_EQ(n, 1);
	CHECK_EQ(m[0].key.port, 81);
	CHECK_STR(m[0].owner, "b");
	replay_free(r);
	ruleset_fini(&rs);
	policy_free(p);
}

int main(void)
{
	uint64_t seed = tap_seed();

	test_decide();
	test_scan();
	test_bound();
	test_readiness();
	test_policy();
	test_widening();
	test_model(seed);
	test_backtest();
	return tap_done();
}
