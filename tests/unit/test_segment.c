/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * segment/: compile, eval, explain, diff and replay. By example, and at random against the naive reading of the
 * document.
 */
#include "config.h"

#include <errno.h>

#include "segment/diff.h"
#include "segment/replay.h"
#include "segment/service_set.h"
#include "tests/unit/segment_random.h"

static struct policy *parse(const char *text)
{
	struct policy_errors errors;
	struct policy *p = NULL;

	CHECK_EQ(policy_parse(&p, text, strlen(text), &errors), 0);
	if (!p) {
		fprintf(stderr, "# %u:%u %s\n%s\n", errors.e[0].line, errors.e[0].column, errors.e[0].text, text);
		exit(1);
	}
	return p;
}

static struct ruleset compile(const char *text)
{
	struct policy *p = parse(text);
	struct ruleset rs;

	CHECK_EQ(policy_compile(&rs, p), 0);
	policy_free(p);
	return rs;
}

static struct eval_end end(const char *addr, const char *group)
{
	struct eval_end e = {.group = group};

	CHECK_EQ(addr_parse(&e.addr, addr), 0);
	return e;
}

/* Do two policies say the same, rule by rule, whatever the order of groups? */
static bool same_policy(const struct policy *a, const struct policy *b)
{
	for (size_t i = 0; i < a->n_groups; i++) {
		const struct policy_group *g = &a->groups[i], *h = policy_find_group(b, g->name);

		if (!h || g->has_policy != h->has_policy || (g->has_policy && g->stage != h->stage) ||
		    g->n_inbound != h->n_inbound || g->n_outbound != h->n_outbound || g->n_selectors != h->n_selectors)
			return false;
		for (size_t k = 0; k < g->n_inbound + g->n_outbound; k++) {
			const struct policy_rule *r =
				k < g->n_inbound ? &g->inbound[k] : &g->outbound[k - g->n_inbound];
			const struct policy_rule *s =
				k < g->n_inbound ? &h->inbound[k] : &h->outbound[k - g->n_inbound];
			char p[GROUP_STRLEN], q[GROUP_STRLEN];

			if (strcmp(policy_peer_format(r, p), policy_peer_format(s, q)) != 0 ||
			    r->n_services != s->n_services ||
			    !service_set_equal(r->services, r->n_services, s->services, s->n_services))
				return false;
		}
		for (size_t k = 0; k < g->n_selectors; k++) {
			if (memcmp(&g->selectors[k], &h->selectors[k], sizeof(g->selectors[k])) != 0)
				return false;
		}
	}
	return a->n_groups == b->n_groups;
}

/* Written, read back: the same. Compiled: the same verdicts as the document word for word; encoded and decoded, too. */
static void test_model(uint64_t seed)
{
	for (unsigned i = 0; i < 1500 && tap_failures == 0; i++) {
		struct policy *p = rnd_policy(&seed, RND_GROUPS), *back;
		struct buf text = BUF_INIT, bytes = BUF_INIT, twice = BUF_INIT, thrice = BUF_INIT;
		struct policy *again;
		struct ruleset rs, decoded;

		CHECK_EQ(policy_emit(&text, p, "by hand\nand at random"), 0);
		back = parse(text.data);
		CHECK(same_policy(p, back));
		/* Reading puts described groups first; from then on the text is always the same. */
		CHECK_EQ(policy_emit(&twice, back, "by hand\nand at random"), 0);
		again = parse(twice.data);
		CHECK_EQ(policy_emit(&thrice, again, "by hand\nand at random"), 0);
		CHECK_STR(thrice.data, twice.data);
		policy_free(again);
		CHECK_EQ(policy_compile(&rs, back), 0);
		ruleset_encode(&bytes, &rs);
		CHECK_EQ(ruleset_decode(&decoded, bytes.data, bytes.len), 0);
		for (unsigned k = 0; k < 100; k++) {
			struct rnd_conn c = rnd_connection(&seed, RND_GROUPS);
			struct eval_result r;
			bool miss;
			uint8_t want = naive_verdict(p, &c, &miss);

			eval(&r, k % 2 ? &rs : &decoded, &c.src, &c.dst, c.proto, c.port);
			CHECK_EQ(r.verdict, want);
			CHECK_EQ(eval_is_miss(&r), miss);
			CHECK(!r.rule || r.rule->line > 0);
		}
		if (tap_failures)
			fprintf(stderr, "# round %u\n%s\n", i, text.data);
		ruleset_fini(&rs);
		ruleset_fini(&decoded);
		buf_fini(&text);
		buf_fini(&twice);
		buf_fini(&thrice);
		buf_fini(&bytes);
		policy_free(p);
		policy_free(back);
	}
}

/* The edit that an explanation proposes allows the connection, and nothing else that the peer could not do before. */
static void test_edit_works(uint64_t seed)
{
	unsigned tried = 0;

	for (unsigned i = 0; i < 4000 && tap_failures == 0; i++) {
		struct policy *p = rnd_policy(&seed, 6);
		struct rnd_conn c = rnd_connection(&seed, 6);
		struct buf line = BUF_INIT, text = BUF_INIT;
		struct eval_result r, after;
		struct eval_miss why;
		struct policy *edit;
		struct ruleset rs;
		uint32_t extends;

		CHECK_EQ(policy_compile(&rs, p), 0);
		eval(&r, &rs, &c.src, &c.dst, c.proto, c.port);
		if (eval_is_miss(&r)) {
			const struct policy_rule *rule;
			struct policy_group *g = policy_find_group(p, rs.groups[r.group].name);
			char peer[GROUP_STRLEN];

			tried++;
			eval_nearest(&why, &rs, &r, &c.src, &c.dst, c.proto, c.port);
			eval_edit(&line, &extends, &r, &why, &c.src, &c.dst, c.proto, c.port);
			buf_printf(&text, "weir: 1\npolicy:\n  x:\n    %s:\n      %s\n",
				   r.inbound ? "inbound" : "outbound", line.data);
			edit = parse(text.data);
			rule = r.inbound ? &edit->groups[0].inbound[0] : &edit->groups[0].outbound[0];
			CHECK_EQ(rule->n_services, 1);
			CHECK_EQ(policy_add_rule(g, r.inbound, policy_peer_format(rule, peer), rule->services, 1), 0);
			ruleset_fini(&rs);
			CHECK_EQ(policy_compile(&rs, p), 0);
			eval(&after, &rs, &c.src, &c.dst, c.proto, c.port);
			CHECK_EQ(after.verdict, VERDICT_ALLOW);
			CHECK(after.rule != NULL);
			policy_free(edit);
		}
		ruleset_fini(&rs);
		buf_fini(&line);
		buf_fini(&text);
		policy_free(p);
	}
	CHECK(tried > 100);
}

static void test_compile(void)
{
	struct ruleset rs =
		compile("weir: 1\npolicy:\n  b: {inbound: [{from: z, ports: [80/tcp]}, {from: a, ports: [1-10/tcp, "
			"5-20/tcp]}]}\n"
			"  a:\n    stage: enforce\n    outbound: [{to: b, ports: any}]\n    inbound:\n"
			"      - {from: [world, z], ports: [443/tcp]}\n      - {from: z, ports: [80/tcp, 443/tcp]}\n");
	struct ruleset again =
		compile("weir: 1\npolicy:\n  a:\n    inbound:\n      - {from: z, ports: [443/tcp, 80/tcp]}\n");
	struct buf b = BUF_INIT;

	CHECK_EQ(rs.n_groups, 2);
	CHECK_STR(rs.groups[0].name, "a");
	CHECK_EQ(rs.groups[0].stage, STAGE_ENFORCE);
	CHECK_EQ(rs.groups[1].stage, STAGE_OBSERVE);
	CHECK_EQ(rs.n_rules, 4); /* that towards a group decides nothing */
	CHECK_STR(rs.rules[0].peer_group, "z");
	CHECK_EQ(rs.rules[0].line, 8);
	rule_services_format(&rs.rules[0], &b);
	CHECK_STR(b.data, "80/tcp, 443/tcp");
	buf_clear(&b);
	CHECK_EQ(rs.rules[2].group, 1);
	rule_services_format(&rs.rules[2], &b);
	CHECK_STR(b.data, "1-20/tcp");
	/* The same rule has the same id wherever it stands, others have others. */
	CHECK_EQ(again.rules[0].id, rs.rules[0].id);
	CHECK(rs.rules[1].id != rs.rules[0].id && rs.rules[0].id != 0);
	buf_fini(&b);
	ruleset_fini(&rs);
	ruleset_fini(&again);
}

static const char shop[] =
	"weir: 1\npolicy:\n  shop/db:\n    stage: dry-run\n    inbound:\n"
	"      - {from: shop/web, ports: [3306/tcp]}\n      - {from: world, ports: [443/tcp]}\n"
	"  shop/web:\n    stage: enforce\n    inbound: []\n    outbound:\n      - {to: world, ports: [443/tcp]}\n"
	"  shop/new:\n    inbound: [{from: 10.0.3.0/24, ports: [80/tcp]}]\n";

static void check_explain(const struct ruleset *rs, struct eval_end src, struct eval_end dst, uint8_t proto,
			  uint16_t port, const struct eval_names *names, const char *want)
{
	struct buf b = BUF_INIT;

	eval_explain(&b, rs, &src, &dst, proto, port, names);
	CHECK_STR(b.data, want);
	buf_fini(&b);
}

static void test_explain(void)
{
	static const struct eval_names names = {"shop-web-1", "shop-db-1", 3, 1};
	struct eval_end web = end("10.0.3.7", "shop/web"), db = end("10.0.3.9", "shop/db"),
			out = end("203.0.113.7", "world");
	struct ruleset rs = compile(shop);

	rs.generation = 7;
	check_explain(&rs, web, db, 6, 3306, &names,
		      "shop-web-1 (shop/web, 10.0.3.7) to shop-db-1 (shop/db, 10.0.3.9), 3306/tcp: "
		      "allowed: rule of shop/db, inbound (dry-run, generation 7), line 6: {from: shop/web, ports: "
		      "[3306/tcp]}.\n");
	check_explain(&rs, web, db, 6, 5432, &names,
		      "shop-web-1 (shop/web, 10.0.3.7) to shop-db-1 (shop/db, 10.0.3.9), 5432/tcp: "
		      "would be blocked: no inbound rule of shop/db allows it (dry-run, generation 7); at enforce it "
		      "is blocked.\n"
		      "Nearest rule: line 6: {from: shop/web, ports: [3306/tcp]}: the right peer, but another port: "
		      "3306/tcp, not 5432/tcp.\n"
		      "To allow it, add under policy: shop/db: inbound:\n      - {from: shop/web, ports: [5432/tcp]}\n"
		      "or add 5432/tcp to the ports of line 6.\n"
		      "That would also allow it from 2 other members of shop/web, and for whoever joins shop/web or "
		      "shop/db later.\n");
	check_explain(&rs, end("10.0.3.66", "intruder"), db, 6, 3306, NULL,
		      "10.0.3.66 (intruder) to 10.0.3.9 (shop/db), 3306/tcp: "
		      "would be blocked: no inbound rule of shop/db allows it (dry-run, generation 7); at enforce it "
		      "is blocked.\n"
		      "Nearest rule: line 6: {from: shop/web, ports: [3306/tcp]}: the right service, but from "
		      "shop/web, not intruder.\n"
		      "To allow it, add under policy: shop/db: inbound:\n      - {from: intruder, ports: [3306/tcp]}\n"
		      "That would also allow it from every other member of intruder, towards every other member of "
		      "shop/db, and for whoever "
		      "joins intruder or shop/db later.\n");
	check_explain(&rs, web, out, 6, 80, &(struct eval_names){"shop-web-1", NULL, 1, 0},
		      "shop-web-1 (shop/web, 10.0.3.7) to 203.0.113.7 (world), "
		      "80/tcp: blocked: no outbound rule of shop/web allows it (enforce, generation 7).\n"
		      "Nearest rule: line 12: {to: world, ports: [443/tcp]}: the right peer, but another port: "
		      "443/tcp, not 80/tcp.\n"
		      "To allow it, add under policy: shop/web: outbound:\n      - {to: 203.0.113.7, ports: [80/tcp]}\n"
		      "That would also allow it for nobody else now, but for whoever joins shop/web later.\n"
		      "Wider: {to: world, ...} in its place would allow every address that is no workload and not the "
		      "host.\n");
	check_explain(
		&rs, db, web, 1, 8, NULL,
		"10.0.3.9 (shop/db) to 10.0.3.7 (shop/web), echo-request/icmp: blocked: no inbound rule of shop/web "
		"allows it (enforce, generation 7).\nNearest rule: none, the inbound list is empty.\n"
		"To allow it, add under policy: shop/web: inbound:\n      - {from: shop/db, ports: "
		"[echo-request/icmp]}\n"
		"That would also allow it from every other member of shop/db, towards every other member of shop/web, "
		"and for whoever "
		"joins shop/db or shop/web later.\n");
	check_explain(&rs, web, end("10.0.3.1", "intruder"), 6, 80, NULL,
		      "10.0.3.7 (shop/web) to 10.0.3.1 (intruder), 80/tcp: allowed: intruder "
		      "has no policy in generation 7.\n");
	check_explain(&rs, out, out, 6, 80, NULL,
		      "203.0.113.7 (world) to 203.0.113.7 (world), 80/tcp: allowed: neither end is a workload, so "
		      "weir has no say.\n");
	ruleset_fini(&rs);
}

/* Where no list decides. */
static void test_explain_free(void)
{
	struct eval_end web = end("10.0.3.7", "shop/web"), db = end("10.0.3.9", "shop/db");
	struct ruleset rs = compile(shop), none = compile("weir: 1\n");

	check_explain(
		&rs, db, web, 58, 135, NULL,
		"10.0.3.9 (shop/db) to 10.0.3.7 (shop/web), neighbour-solicitation/icmpv6: allowed always: no network "
		"works without it, so no list decides on it.\n");
	check_explain(&none, web, db, 6, 80, NULL,
		      "10.0.3.7 (shop/web) to 10.0.3.9 (shop/db), 80/tcp: allowed: no policy is in force.\n");
	ruleset_fini(&rs);
	ruleset_fini(&none);
}

/* Stage observe lets through, and says what would come. */
static void test_observe(void)
{
	struct eval_end db = end("192.0.2.1", "shop/db"), fresh = end("10.0.3.9", "shop/new");
	struct ruleset rs = compile(shop);
	struct eval_result r;
	struct buf b = BUF_INIT;

	eval(&r, &rs, &db, &fresh, 6, 80);
	CHECK_EQ(r.verdict, VERDICT_ALLOW);
	CHECK(eval_is_miss(&r));
	eval_explain(&b, &rs, &db, &fresh, 6, 80, NULL);
	CHECK(strstr(b.data, "allowed for now: no inbound rule of shop/new allows it (observe"));
	CHECK(strstr(b.data, "the right service, but from 10.0.3.0/24, not shop/db."));
	buf_fini(&b);
	ruleset_fini(&rs);
}

static void test_diff(void)
{
	struct policy *a = parse(shop);
	struct policy *b = parse("weir: 1\ngroups: {shop/db: {image: 'mariadb:*'}}\npolicy:\n  shop/db:\n    stage: "
				 "enforce\n    inbound:\n"
				 "      - {from: shop/web, ports: [3306-3307/tcp]}\n  shop/web:\n    stage: enforce\n  "
				 "  inbound: []\n    outbound:\n"
				 "      - {to: world, ports: [443/tcp], names: [api.example.com]}\n  shop/cache: {}\n");
	struct buf text = BUF_INIT;
	struct diff d;

	CHECK_EQ(diff_policies(&d, a, b), 0);
	diff_format(&text, &d);
	CHECK_STR(text.data, "+ shop/cache gets a policy, at observe\n"
			     "~ shop/db goes from dry-run to enforce\n"
			     "~ shop/db: its members are now {image: 'mariadb:*'}\n"
			     "+ shop/db inbound: from shop/web 3307/tcp (line 7)\n"
			     "- shop/db inbound: from world 443/tcp (line 7)\n"
			     "- shop/new has no policy any more (was at observe): nothing decides on it\n"
			     "~ shop/web outbound: to world now with names api.example.com (line 12)\n");
	CHECK_EQ(d.items[1].closes, true);
	CHECK_EQ(d.items[3].opens, true);
	CHECK_EQ(d.items[4].closes, true);
	diff_fini(&d);
	policy_free(a);
	a = policy_new(); /* the first policy of all: each thing once */
	CHECK_EQ(diff_policies(&d, a, b), 0);
	buf_clear(&text);
	diff_format(&text, &d);
	CHECK_STR(text.data, "+ shop/cache gets a policy, at observe\n"
			     "+ shop/db gets a policy, at enforce; members: {image: 'mariadb:*'}\n"
			     "+ shop/db inbound: from shop/web 3306-3307/tcp (line 7)\n"
			     "+ shop/web gets a policy, at enforce\n"
			     "+ shop/web outbound: to world 443/tcp (line 12)\n");
	diff_fini(&d);
	CHECK_EQ(diff_policies(&d, a, a), 0);
	CHECK_EQ(d.n, 0);
	diff_fini(&d);
	buf_fini(&text);
	policy_free(a);
	policy_free(b);
}

/* No difference exactly where the verdicts are the same for all: order and writing do not count, services do. */
static void test_diff_random(uint64_t seed)
{
	for (unsigned i = 0; i < 1000 && tap_failures == 0; i++) {
		struct policy *a = rnd_policy(&seed, 5), *b = rnd_policy(&seed, 5);
		struct ruleset ra, rb;
		struct diff d, back;
		bool differs = false;

		CHECK_EQ(policy_compile(&ra, a), 0);
		CHECK_EQ(policy_compile(&rb, b), 0);
		CHECK_EQ(diff_rulesets(&d, &ra, &rb), 0);
		CHECK_EQ(diff_rulesets(&back, &rb, &ra), 0);
		CHECK_EQ(d.n == 0, back.n == 0);
		for (unsigned k = 0; k < 200; k++) {
			struct rnd_conn c = rnd_connection(&seed, 5);
			bool miss_a, miss_b;

			differs = naive_verdict(a, &c, &miss_a) != naive_verdict(b, &c, &miss_b) || miss_a != miss_b;
			if (differs)
				CHECK(d.n > 0);
		}
		diff_fini(&d);
		diff_fini(&back);
		ruleset_fini(&ra);
		ruleset_fini(&rb);
		policy_free(a);
		policy_free(b);
	}
}

static void test_replay(void)
{
	struct ruleset rs = compile(shop);
	struct flow_rec f = {.id = 1,
			     .conv_id = 1,
			     .direction = FLOW_DIR_SYN,
			     .state = FLOW_STATE_CLOSED,
			     .proto = 6,
			     .pkts = {5, 4},
			     .app = "Unknown"};
	const struct replay_miss *m;
	struct buf b = BUF_INIT;
	struct replay *r;
	size_t n;

	CHECK_EQ(replay_new(&r, &rs), 0);
	f.port[1] = 3306;
	CHECK_EQ(replay_flow(r, &f, "shop/web", "shop/db"), 0);
	for (unsigned i = 0; i < 300; i++) {
		f.port[1] = (uint16_t)(5000 + i % 100);
		f.start_ns = 1000 - i;
		CHECK_EQ(replay_flow(r, &f, "shop/web", "shop/db"), 0);
	}
	f.state = FLOW_STATE_REFUSED;
	f.port[1] = 5000;
	CHECK_EQ(replay_flow(r, &f, "shop/web", "shop/db"), 0);
	CHECK_EQ(replay_flow(r, &f, "shop/db", "elsewhere"), 0);
	f.proto = PROTO_ICMP;
	f.port[1] = 3; /* an error: as much a part of its conversation as the answer is */
	CHECK_EQ(replay_flow(r, &f, "shop/web", "shop/db"), 0);
	f.proto = 6;
	f.direction = FLOW_DIR_UNKNOWN;
	CHECK_EQ(replay_flow(r, &f, "shop/web", "shop/db"), 0);
	f.conv_id = 2;
	CHECK_EQ(replay_flow(r, &f, "shop/web", "shop/db"), 0);
	CHECK_EQ(replay_sum(r)->flows, 302);
	CHECK_EQ(replay_sum(r)->allowed, 1);
	CHECK_EQ(replay_sum(r)->missed, 301);
	CHECK_EQ(replay_sum(r)->missed_answered, 300);
	CHECK_EQ(replay_sum(r)->undirected, 1);
	CHECK_EQ(replay_sum(r)->free, 1);
	CHECK_EQ(replay_misses(r, &m, &n), 0);
	CHECK_EQ(n, 100);
	CHECK_EQ(m[0].key.port, 5000);
	CHECK_EQ(m[0].first_ns, 701);
	replay_miss_format(&b, &m[0]);
	CHECK_STR(b.data, "shop/web to shop/db 5000/tcp: 4 flows (3 answered)");
	buf_fini(&b);
	replay_free(r);
	ruleset_fini(&rs);
}

/* From edges: addresses of the sample are tried one by one. */
static void test_replay_edge(void)
{
	struct ruleset rs = compile("weir: 1\npolicy:\n  a: {outbound: [{to: 192.0.2.0/24, ports: [443/tcp]}]}\n");
	struct edge e = {.key = {"a", "world", 6, 443}};
	struct replay *r;

	e.agg.flows = e.agg.answered = e.agg.teaching = 10;
	e.agg.n_peers = 2;
	addr_parse(&e.agg.peer[0].addr, "192.0.2.9");
	e.agg.peer[0].flows = 7;
	addr_parse(&e.agg.peer[1].addr, "198.51.100.1");
	e.agg.peer[1].flows = 3;
	CHECK_EQ(replay_new(&r, &rs), 0);
	CHECK_EQ(replay_edge(r, &e), 0);
	CHECK_EQ(replay_sum(r)->allowed, 7);
	CHECK_EQ(replay_sum(r)->missed, 3);
	CHECK_EQ(replay_sum(r)->missed_answered, 3);
	e.agg.teaching = 0; /* direction unknown */
	CHECK_EQ(replay_edge(r, &e), 0);
	CHECK_EQ(replay_sum(r)->undirected, 10);
	e.key.proto = PROTO_ICMP;
	e.key.port = 3;
	e.agg.teaching = 10;
	CHECK_EQ(replay_edge(r, &e), 0);
	CHECK_EQ(replay_sum(r)->flows, 10);
	replay_free(r);
	ruleset_fini(&rs);
}

int main(void)
{
	uint64_t seed = tap_seed();

	test_compile();
	test_model(seed);
	test_edit_works(seed + 1);
	test_explain();
	test_explain_free();
	test_observe();
	test_diff();
	test_diff_random(seed + 2);
	test_replay();
	test_replay_edge();
	return tap_done();
}
