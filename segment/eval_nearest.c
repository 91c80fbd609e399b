/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For a miss: which rule came nearest, and the smallest edit that would allow the connection. The distance between a
 * rule and a connection counts what a person would have to have got wrong: another port for the right peer is nearest,
 * then the right peer and port by another protocol, then the right service for another peer, then the right peer with
 * nothing else right. Within one kind the nearer port, or the peer that is more alike, wins. A rule with neither is no
 * neighbour.
 */
#include "config.h"
#include "segment/eval.h"

#include <stdio.h>
#include <string.h>

#include "segment/policy.h"

/* Smaller is nearer; compared field by field. */
struct nearness {
	/* 0 other port, 1 same port by another protocol, 2 other peer, 3 other protocol and port, 4 nothing */
	unsigned kind;
	unsigned detail; /* port distance, or how unlike the peers are */
};

const char *eval_failed_name(unsigned v)
{
	static const char *const names[] = {"list", "port", "protocol", "peer"};

	return v <= EVAL_FAILED_PEER ? names[v] : "?";
}

static const char *group_of(const struct eval_end *e)
{
	return e->group && e->group[0] ? e->group : GROUP_WORLD;
}

/* How unlike the rule's peer is to the one that was missed: 128 less the leading bits two addresses share, or a rank.
 */
static unsigned peer_distance(const struct rule *r, const struct eval_end *peer)
{
	const char *slash = strrchr(group_of(peer), '/');
	unsigned same = 0;

	if (r->peer_kind == RULE_PEER_PREFIX) {
		while (same < r->peer_prefix.len &&
		       !((r->peer_prefix.addr.b[same / 8] ^ peer->addr.b[same / 8]) & (0x80 >> (same % 8))))
			same++;
		return 128 - same;
	}
	if (r->peer_kind != RULE_PEER_GROUP)
		return 140;
	/* Groups of the same project are more alike. */
	if (slash && strncmp(r->peer_group, group_of(peer), (size_t)(slash - group_of(peer)) + 1) == 0)
		return 129;
	return 130;
}

static struct nearness service_distance(const struct rule *r, uint8_t proto, uint16_t port)
{
	struct nearness best = {3, 0};

	for (size_t i = 0; i < r->n_services; i++) {
		const struct service *s = &r->services[i];
		unsigned gap = port < s->lo ? (unsigned)s->lo - port : port > s->hi ? (unsigned)port - s->hi : 0;

		if (s->proto == proto && (best.kind > 0 || gap < best.detail))
			best = (struct nearness){0, gap};
		else if (s->proto != proto && best.kind > 1 && proto_has_ports(proto) && proto_has_ports(s->proto) &&
			 gap == 0)
			best = (struct nearness){1, 0};
	}
	return best;
}

static bool service_match(const struct rule *r, uint8_t proto, uint16_t port_or_type)
{
	for (size_t i = 0; i < r->n_services; i++) {
		if (service_contains(&r->services[i], proto, port_or_type))
			return true;
	}
	return false;
}

void eval_nearest(struct eval_miss *out, const struct ruleset *rs, const struct eval_result *miss,
		  const struct eval_end *src, const struct eval_end *dst, uint8_t proto, uint16_t port_or_type)
{
	static const uint8_t failed[] = {EVAL_FAILED_PORT, EVAL_FAILED_PROTOCOL, EVAL_FAILED_PEER, EVAL_FAILED_PROTOCOL,
					 EVAL_FAILED_LIST};
	const struct eval_end *peer = miss->inbound ? src : dst;
	struct nearness best = {4, 0}, d;
	const struct rule *list;
	size_t n;

	out->nearest = NULL;
	list = eval_list(rs, miss->group, miss->inbound, &n);
	for (size_t i = 0; i < n; i++) {
		if (eval_peer_match(&list[i], peer))
			d = service_distance(&list[i], proto, port_or_type);
		else if (service_match(&list[i], proto, port_or_type))
			d = (struct nearness){2, peer_distance(&list[i], peer)};
		else
			continue;
		if (d.kind < best.kind || (d.kind == best.kind && d.detail < best.detail)) {
			best = d;
			out->nearest = &list[i];
		}
	}
	out->failed = failed[best.kind];
}

/* Would the service, added to that rule, let in nobody but the peer asked for? */
static bool can_extend(const struct eval_miss *why, const struct eval_end *peer)
{
	if (!why->nearest || why->failed == EVAL_FAILED_PEER)
		return false;
	switch (why->nearest->peer_kind) {
	case RULE_PEER_GROUP:
	case RULE_PEER_HOST:
		return true;
	case RULE_PEER_PREFIX:
		return addr_equal(&why->nearest->peer_prefix.addr, &peer->addr) && why->nearest->peer_prefix.len == 128;
	default:
		return false; /* world and any: the one address is enough */
	}
}

void eval_edit(struct buf *line, uint32_t *extends, const struct eval_result *miss, const struct eval_miss *why,
	       const struct eval_end *src, const struct eval_end *dst, uint8_t proto, uint16_t port_or_type)
{
	const struct eval_end *peer = miss->inbound ? src : dst;
	struct service service = service_of(proto, port_or_type);
	struct policy_rule r = {.inbound = miss->inbound, .services = &service, .n_services = 1};

	*extends = can_extend(why, peer) ? why->nearest->line : 0;
	r.peer_prefix = (struct prefix){peer->addr, 128};
	if (strcmp(group_of(peer), GROUP_HOST) == 0) {
		r.peer_kind = RULE_PEER_HOST;
	} else if (strcmp(group_of(peer), GROUP_WORLD) != 0) {
		r.peer_kind = RULE_PEER_GROUP;
		snprintf(r.peer_group, sizeof(r.peer_group), "%s", group_of(peer));
	} else {
		r.peer_kind = addr_equal(&peer->addr, &addr_any) ? RULE_PEER_WORLD : RULE_PEER_PREFIX;
	}
	buf_adds(line, "- ");
	policy_emit_rule(line, &r, miss->inbound);
}
