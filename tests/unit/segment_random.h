/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random policies and connections for the model tests of segment/, and the naive reading of a policy that everything
 * cleverer is held against: walk all rules, ask each in turn.
 */
#ifndef WEIR_TESTS_SEGMENT_RANDOM_H
#define WEIR_TESTS_SEGMENT_RANDOM_H
#include "segment/eval.h"
#include "segment/policy.h"
#include "tests/tap.h"

/* Few, so that they meet; the last ones try the quoting. */
static const char *const rnd_groups[] = {"shop/web", "shop/db", "shop/lb", "blog/web", "a",   "1234", "null",
					 "it's",     "a: b",	"x #y",	   "-d",       "[x]", "*",    "\xe6\xb0\xb4/1",
					 "true",     "a,b",	"&r",	   "%p",       "'q'", "e=mc2"};
#define RND_GROUPS (sizeof(rnd_groups) / sizeof(rnd_groups[0]))
static const char *const rnd_prefixes[] = {"10.0.0.0/8", "10.0.3.0/24", "10.0.3.7", "fd00::/8",
					   "fd00::1",	 "0.0.0.0/0",	"::/0"};
static const char *const rnd_services[] = {
	"80/tcp", "443/tcp",	       "80-90/tcp", "8000-8100/tcp",	   "53/udp",	  "tcp",	 "any",
	"gre",	  "echo-request/icmp", "icmp",	    "echo-request/icmpv6", "85-8050/tcp", "1-65535/udp", "0-10/tcp"};
#define RND_COUNT(a) (sizeof(a) / sizeof((a)[0]))

static inline unsigned rnd(uint64_t *seed, unsigned below)
{
	return (unsigned)(tap_random(seed) >> 33) % below;
}

static inline const char *rnd_peer(uint64_t *seed, unsigned n_groups)
{
	static const char *const reserved[] = {"world", "host", "any"};

	switch (rnd(seed, 4)) {
	case 0:
		return reserved[rnd(seed, 3)];
	case 1:
		return rnd_prefixes[rnd(seed, RND_COUNT(rnd_prefixes))];
	default:
		return rnd_groups[rnd(seed, n_groups)];
	}
}

static inline void rnd_list(uint64_t *seed, struct policy_group *g, bool inbound, unsigned n_groups)
{
	for (unsigned i = rnd(seed, 4); i > 0; i--) {
		struct service s[4];
		unsigned n = 1 + rnd(seed, 4);

		for (unsigned k = 0; k < n; k++)
			CHECK_EQ(service_parse(&s[k], rnd_services[rnd(seed, RND_COUNT(rnd_services))]), 0);
		CHECK_EQ(policy_add_rule(g, inbound, rnd_peer(seed, n_groups), s, n), 0);
	}
}

/* n_groups: how many of rnd_groups may occur. */
static inline struct policy *rnd_policy(uint64_t *seed, unsigned n_groups)
{
	struct policy *p = policy_new();

	for (unsigned i = rnd(seed, 6); i > 0; i--) {
		struct policy_group *g = policy_add_group(p, rnd_groups[rnd(seed, n_groups)]);

		if (g->has_policy || g->n_selectors)
			continue;
		if (rnd(seed, 2)) {
			struct policy_selector s = {.project = ""};

			snprintf(s.image, sizeof(s.image), "nginx:1.%u", rnd(seed, 3));
			if (rnd(seed, 2))
				strcpy(s.service, "we*b");
			for (unsigned k = rnd(seed, 2) + 1; k > 0; k--)
				CHECK_EQ(policy_add_selector(g, &s), 0);
		}
		if (rnd(seed, 4) == 0 && g->n_selectors)
			continue;
		g->has_policy = true;
		g->stage = (uint8_t)rnd(seed, 3);
		rnd_list(seed, g, true, n_groups);
		rnd_list(seed, g, false, n_groups);
	}
	return p;
}

/* A connection between two ends that the rules can mean. */
struct rnd_conn {
	struct eval_end src, dst;
	uint8_t proto;
	uint16_t port;
};

static inline void rnd_end(uint64_t *seed, struct eval_end *e, unsigned n_groups)
{
	static const char *const addrs[] = {"10.0.3.7", "10.0.3.8", "10.9.9.9",	  "192.0.2.1",
					    "fd00::1",	"fd00::2",  "2001:db8::1"};

	CHECK_EQ(addr_parse(&e->addr, addrs[rnd(seed, RND_COUNT(addrs))]), 0);
	switch (rnd(seed, 6)) {
	case 0:
		e->group = "world";
		break;
	case 1:
		e->group = "host";
		break;
	default:
		e->group = rnd_groups[rnd(seed, n_groups)];
	}
}

static inline struct rnd_conn rnd_connection(uint64_t *seed, unsigned n_groups)
{
	static const struct {
		uint8_t proto;
		uint16_t port;
	} services[] = {{6, 80}, {6, 85}, {6, 443}, {6, 8050}, {6, 8100}, {6, 22}, {17, 53},   {17, 80},
			{47, 0}, {1, 8},  {1, 0},   {58, 128}, {6, 0},	  {17, 0}, {6, 65535}, {132, 80}};
	struct rnd_conn c;
	unsigned s = rnd(seed, RND_COUNT(services));

	rnd_end(seed, &c.src, n_groups);
	rnd_end(seed, &c.dst, n_groups);
	c.proto = services[s].proto;
	c.port = services[s].port;
	return c;
}

/* Does one rule of the document allow it? */
static inline bool naive_rule(const struct policy_rule *r, const struct eval_end *peer, uint8_t proto, uint16_t port)
{
	bool right = false;

	if (r->peer_kind == RULE_PEER_ANY)
		right = true;
	else if (r->peer_kind == RULE_PEER_PREFIX)
		right = prefix_contains(&r->peer_prefix, &peer->addr);
	else if (r->peer_kind == RULE_PEER_GROUP)
		right = strcmp(r->peer_group, peer->group) == 0;
	else if (r->peer_kind == RULE_PEER_WORLD)
		right = strcmp("world", peer->group) == 0;
	else if (r->peer_kind == RULE_PEER_HOST)
		right = strcmp("host", peer->group) == 0;
	for (size_t i = 0; right && i < r->n_services; i++) {
		const struct service *s = &r->services[i];

		if (s->proto == 0 || (s->proto == proto && (proto == 47 || (s->lo <= port && port <= s->hi))))
			return true;
	}
	return false;
}

/* The document read word for word: the verdict, and whether some list decided it and had no rule. */
static inline uint8_t naive_verdict(const struct policy *p, const struct rnd_conn *c, bool *miss)
{
	bool outside = strcmp(c->dst.group, "world") == 0 || strcmp(c->dst.group, "host") == 0;
	const struct policy_group *g = NULL;

	*miss = false;
	for (size_t i = 0; i < p->n_groups; i++) {
		if (p->groups[i].has_policy && strcmp(p->groups[i].name, outside ? c->src.group : c->dst.group) == 0)
			g = &p->groups[i];
	}
	if (!g)
		return VERDICT_ALLOW;
	for (size_t i = 0; i < (outside ? g->n_outbound : g->n_inbound); i++) {
		if (naive_rule(outside ? &g->outbound[i] : &g->inbound[i], outside ? &c->dst : &c->src, c->proto,
			       c->port))
			return VERDICT_ALLOW;
	}
	*miss = true;
	return g->stage == STAGE_ENFORCE   ? VERDICT_BLOCK
	       : g->stage == STAGE_DRY_RUN ? VERDICT_WOULD_BLOCK
					   : VERDICT_ALLOW;
}

#endif
