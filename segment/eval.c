/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The evaluator: finds the list that decides, walks its rules, and lets the stage turn a miss into a verdict. Rules of
 * one list lie together in the ruleset, so the list is found by bisection. See eval.h for which list decides.
 */
#include "config.h"
#include "segment/eval.h"

#include <string.h>

static const char *group_of(const struct eval_end *e)
{
	return e->group && e->group[0] ? e->group : GROUP_WORLD;
}

static bool is_outside(const char *group)
{
	return strcmp(group, GROUP_WORLD) == 0 || strcmp(group, GROUP_HOST) == 0;
}

bool eval_peer_match(const struct rule *r, const struct eval_end *peer)
{
	switch (r->peer_kind) {
	case RULE_PEER_GROUP:
		return strcmp(r->peer_group, group_of(peer)) == 0;
	case RULE_PEER_WORLD:
		return strcmp(GROUP_WORLD, group_of(peer)) == 0;
	case RULE_PEER_HOST:
		return strcmp(GROUP_HOST, group_of(peer)) == 0;
	case RULE_PEER_PREFIX:
		return prefix_contains(&r->peer_prefix, &peer->addr);
	default:
		return r->peer_kind == RULE_PEER_ANY;
	}
}

/* Does the rule come before the list (group, inbound first)? */
static bool is_before(const struct rule *r, uint32_t group, bool inbound)
{
	return r->group < group || (r->group == group && r->inbound && !inbound);
}

const struct rule *eval_list(const struct ruleset *rs, int group, bool inbound, size_t *n)
{
	size_t lo = 0, hi = rs->n_rules, end;

	*n = 0;
	if (group < 0)
		return NULL;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (is_before(&rs->rules[mid], (uint32_t)group, inbound))
			lo = mid + 1;
		else
			hi = mid;
	}
	for (end = lo;
	     end < rs->n_rules && rs->rules[end].group == (uint32_t)group && rs->rules[end].inbound == inbound;)
		end++;
	*n = end - lo;
	return *n ? &rs->rules[lo] : NULL;
}

static bool service_match(const struct rule *r, uint8_t proto, uint16_t port_or_type)
{
	for (size_t i = 0; i < r->n_services; i++) {
		if (service_contains(&r->services[i], proto, port_or_type))
			return true;
	}
	return false;
}

bool eval_is_needed(const char *src_group, uint8_t proto, uint16_t type)
{
	bool host = src_group && strcmp(src_group, GROUP_HOST) == 0;

	if (proto == PROTO_ICMP)
		return host && (type == 3 || type == 11 || type == 12);
	return proto_is_housekeeping(proto, type) || (host && proto == PROTO_ICMP6 && type >= 1 && type <= 4);
}

void eval(struct eval_result *out, const struct ruleset *rs, const struct eval_end *src, const struct eval_end *dst,
	  uint8_t proto, uint16_t port_or_type)
{
	const struct rule *list;
	size_t n;

	memset(out, 0, sizeof(*out));
	out->verdict = VERDICT_ALLOW;
	out->inbound = !is_outside(group_of(dst));
	out->group = -1;
	if (eval_is_needed(src->group, proto, port_or_type))
		return;
	out->group = ruleset_find_group(rs, group_of(out->inbound ? dst : src));
	if (out->group < 0)
		return;
	out->stage = rs->groups[out->group].stage;
	list = eval_list(rs, out->group, out->inbound, &n);
	for (size_t i = 0; i < n; i++) {
		if (eval_peer_match(&list[i], out->inbound ? src : dst) &&
		    service_match(&list[i], proto, port_or_type)) {
			out->rule = &list[i];
			return;
		}
	}
	if (out->stage == STAGE_DRY_RUN)
		out->verdict = VERDICT_WOULD_BLOCK;
	else if (out->stage == STAGE_ENFORCE)
		out->verdict = VERDICT_BLOCK;
}
