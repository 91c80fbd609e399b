/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verdict in words, for whoever has to act on it at night: who, whom, what was said, by which rule on which line;
 * for a miss what came nearest, what to write where, and whom else that would let in. One fact a line, the verdict
 * first.
 */
#include "config.h"
#include "segment/eval.h"

#include <stdio.h>
#include <string.h>

#include "segment/policy.h"

/* What all the sentences are about. */
struct story {
	struct buf *b;
	const struct ruleset *rs;
	const struct eval_end *src, *dst, *peer;
	const struct eval_names *names;
	struct eval_result result;
	struct eval_miss miss;
	uint8_t proto;
	uint16_t port;
	char service[SERVICE_STRLEN];
};

static const char *group_of(const struct eval_end *e)
{
	return e->group && e->group[0] ? e->group : GROUP_WORLD;
}

/* "shop-web-1 (shop/web, 10.0.3.7)", or "10.0.3.7 (world)" where there is no name. */
static void say_end(struct buf *b, const struct eval_end *e, const char *name)
{
	char addr[ADDR_STRLEN];

	if (addr_equal(&e->addr, &addr_any))
		buf_printf(b, name ? "%s (%s)" : "%s%s", name ? name : "", group_of(e));
	else if (name)
		buf_printf(b, "%s (%s, %s)", name, group_of(e), addr_format(&e->addr, addr));
	else
		buf_printf(b, "%s (%s)", addr_format(&e->addr, addr), group_of(e));
}

/* "{from: shop/lb, ports: [80/tcp]}", as the ruleset has it. */
static void say_rule(struct buf *b, const struct rule *r)
{
	struct policy_rule p = {.peer_kind = r->peer_kind,
				.peer_prefix = r->peer_prefix,
				.services = r->services,
				.n_services = r->n_services};

	memcpy(p.peer_group, r->peer_group, sizeof(p.peer_group));
	policy_emit_rule(b, &p, r->inbound);
}

static void say_where(struct buf *b, const struct rule *r)
{
	if (r->line)
		buf_printf(b, "line %u: ", r->line);
}

static const char *list_name(const struct story *s)
{
	return s->result.inbound ? "inbound" : "outbound";
}

/* The first line. */
static void say_verdict(struct story *s)
{
	const struct eval_result *r = &s->result;
	const char *group = r->group >= 0 ? s->rs->groups[r->group].name : NULL;
	struct buf *b = s->b;

	say_end(b, s->src, s->names ? s->names->src : NULL);
	buf_adds(b, " to ");
	say_end(b, s->dst, s->names ? s->names->dst : NULL);
	buf_printf(b, ", %s: ", s->service);
	if (!group) {
		const char *who = group_of(r->inbound ? s->dst : s->src);

		if (eval_is_needed(s->src->group, s->proto, s->port))
			buf_adds(b, "allowed always: no network works without it, so no list decides on it.\n");
		else if (s->rs->generation == 0)
			buf_adds(b, "allowed: no policy is in force.\n");
		else if (!r->inbound && (strcmp(who, GROUP_WORLD) == 0 || strcmp(who, GROUP_HOST) == 0))
			buf_adds(b, "allowed: neither end is a workload, so weir has no say.\n");
		else
			buf_printf(b, "allowed: %s has no policy in generation %llu.\n", who,
				   (unsigned long long)s->rs->generation);
		return;
	}
	if (r->rule) {
		buf_printf(b, "allowed: rule of %s, %s (%s, generation %llu), ", group, list_name(s),
			   stage_name(r->stage), (unsigned long long)s->rs->generation);
		say_where(b, r->rule);
		say_rule(b, r->rule);
		buf_adds(b, ".\n");
		return;
	}
	buf_adds(b, r->verdict == VERDICT_BLOCK		? "blocked"
		    : r->verdict == VERDICT_WOULD_BLOCK ? "would be blocked"
							: "allowed for now");
	buf_printf(b, ": no %s rule of %s allows it (%s, generation %llu)", list_name(s), group, stage_name(r->stage),
		   (unsigned long long)s->rs->generation);
	if (r->verdict == VERDICT_BLOCK)
		buf_adds(b, ".\n");
	else
		buf_adds(b, r->stage == STAGE_DRY_RUN ? "; at enforce it is blocked.\n"
						      : "; at dry-run it would be reported, at enforce blocked.\n");
}

static void say_nearest(struct story *s)
{
	const struct rule *r = s->miss.nearest;
	struct buf *b = s->b;
	char peer[GROUP_STRLEN];
	size_t n;

	if (!r) {
		(void)eval_list(s->rs, s->result.group, s->result.inbound, &n);
		if (n == 0)
			buf_printf(b, "Nearest rule: none, the %s list is empty.\n", list_name(s));
		else
			buf_printf(b, n == 1 ? "Nearest rule: none, the only one names neither %s nor %s.\n"
					     : "Nearest rule: none names %s or %s.\n", group_of(s->peer), s->service);
		return;
	}
	buf_adds(b, "Nearest rule: ");
	say_where(b, r);
	say_rule(b, r);
	rule_peer_format(r, peer);
	switch (s->miss.failed) {
	case EVAL_FAILED_PORT:
		buf_printf(b, ": the right peer, but another %s: ", proto_is_icmp(s->proto) ? "type" : "port");
		rule_services_format(r, b);
		buf_printf(b, ", not %s.\n", s->service);
		break;
	case EVAL_FAILED_PROTOCOL:
		buf_adds(b, ": the right peer, but another protocol: ");
		rule_services_format(r, b);
		buf_printf(b, ", not %s.\n", s->service);
		break;
	default:
		buf_printf(b, ": the right service, but %s %s, not %s.\n", s->result.inbound ? "from" : "to", peer,
			   group_of(s->peer));
	}
}

/* "2 other members of shop/web", or "every other member" where nobody counted; false, and nothing said, for none. */
static bool say_others(struct buf *b, const char *before, const char *word, unsigned members, const char *group)
{
	if (members == 1)
		return false;
	buf_printf(b, "%s%s", before, word);
	if (members == 0)
		buf_adds(b, "every other member");
	else
		buf_printf(b, "%u other member%s", members - 1, members == 2 ? "" : "s");
	buf_printf(b, " of %s", group);
	return true;
}

static void say_also(struct story *s)
{
	unsigned src = s->names ? s->names->src_members : 0, dst = s->names ? s->names->dst_members : 0;
	bool world = strcmp(group_of(s->peer), GROUP_WORLD) == 0, host = strcmp(group_of(s->peer), GROUP_HOST) == 0,
	     any;
	const char *from = group_of(s->src), *to = group_of(s->dst);
	struct buf *b = s->b;

	/* An edit for world names the one address, and the host is one. */
	if (s->result.inbound && (world || host))
		src = 1;
	if (!s->result.inbound)
		dst = 1;
	buf_adds(b, "That would also allow it");
	any = say_others(b, " ", "from ", src, from);
	any = say_others(b, any ? ", " : " ", "towards ", dst, to) || any;
	buf_printf(b, "%s whoever joins ", any ? ", and for" : " for nobody else now, but for");
	if (s->result.inbound && !world && !host && strcmp(from, to) != 0)
		buf_printf(b, "%s or %s later.\n", from, to);
	else
		buf_printf(b, "%s later.\n", s->result.inbound ? to : from);
	if (world && !addr_equal(&s->peer->addr, &addr_any))
		buf_printf(b,
			   "Wider: {%s: world, ...} in its place would allow every address that is no workload and not "
			   "the host.\n",
			   s->result.inbound ? "from" : "to");
}

static void say_edit(struct story *s)
{
	struct buf line = BUF_INIT;
	uint32_t extends;

	eval_edit(&line, &extends, &s->result, &s->miss, s->src, s->dst, s->proto, s->port);
	buf_printf(s->b, "To allow it, add under policy: %s: %s:\n", s->rs->groups[s->result.group].name, list_name(s));
	buf_printf(s->b, "      %s\n", line.data ? line.data : "");
	if (extends)
		buf_printf(s->b, "or add %s to the ports of line %u.\n", s->service, extends);
	if (buf_failed(&line))
		s->b->failed = true;
	buf_fini(&line);
}

void eval_explain(struct buf *b, const struct ruleset *rs, const struct eval_end *src, const struct eval_end *dst,
		  uint8_t proto, uint16_t port_or_type, const struct eval_names *names)
{
	struct story s = {
		.b = b, .rs = rs, .src = src, .dst = dst, .names = names, .proto = proto, .port = port_or_type};
	struct service service = service_of(proto, port_or_type);

	service_format(&service, s.service);
	eval(&s.result, rs, src, dst, proto, port_or_type);
	s.peer = s.result.inbound ? src : dst;
	say_verdict(&s);
	if (!eval_is_miss(&s.result))
		return;
	eval_nearest(&s.miss, rs, &s.result, src, dst, proto, port_or_type);
	say_nearest(&s);
	say_edit(&s);
	say_also(&s);
}
