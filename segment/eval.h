/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The evaluator: what a ruleset says of one new connection, in user space, with reasons. tests/netns holds it against
 * the kernel. Also explanation: for a miss, the nearest allow rule, the field that failed, and the smallest edit.
 *
 * Which list decides: towards a group, the inbound list of that group; towards world or host, the outbound list of the
 * group it comes from. A group that has no policy lets everything through, and so does stage observe. What no host can
 * do without passes always (eval_is_needed).
 */
#ifndef WEIR_SEGMENT_EVAL_H
#define WEIR_SEGMENT_EVAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/buf.h"
#include "common/rule.h"
#include "common/verdict.h"

/* One end of a connection: its address and the group it is in ("world" and "host" included; NULL or "" is world). */
struct eval_end {
	struct addr addr;
	const char *group;
};

struct eval_result {
	uint8_t verdict; /* enum verdict_kind; never NONE */
	uint8_t stage;	 /* of the group that decides */
	bool inbound;	 /* which list decided */
	int group;	 /* index of the group whose list decided; -1: no list applies */
	const struct rule
		*rule; /* the matching rule; NULL for a miss or where no list applies. Borrowed from the ruleset */
};
void eval(struct eval_result *out, const struct ruleset *rs, const struct eval_end *src, const struct eval_end *dst,
	  uint8_t proto, uint16_t port_or_type);
/* No rule of the list that decides allows it, whatever the stage makes of that. */
static inline bool eval_is_miss(const struct eval_result *r)
{
	return r->group >= 0 && !r->rule;
}

/* IPv6 neighbour discovery and multicast membership (RFC 4861, 2710, 3810), without which no IPv6 address works, and
 * ICMP errors of the host itself, among them those that answer a refusal: no list decides on them, here as in the
 * kernel. */
bool eval_is_needed(const char *src_group, uint8_t proto, uint16_t type);

/* Does the rule name that peer (the source for an inbound rule, the destination for an outbound one)? */
bool eval_peer_match(const struct rule *r, const struct eval_end *peer);
/* The rules of one list: *n of them from the result on; NULL and 0 when it is empty. */
const struct rule *eval_list(const struct ruleset *rs, int group, bool inbound, size_t *n);

/* What a miss is nearest to, and why it failed there; as data, for output in JSON. */
enum eval_failed {
	EVAL_FAILED_LIST,     /* no rule of the list is near: it names neither this peer nor this service */
	EVAL_FAILED_PORT,     /* the peer is allowed, and the protocol, on other ports (or ICMP types) */
	EVAL_FAILED_PROTOCOL, /* the peer is allowed, by other protocols */
	EVAL_FAILED_PEER,     /* the service is allowed, from or to other peers */
};
const char *eval_failed_name(unsigned v); /* "list", "port", "protocol", "peer" */
struct eval_miss {
	uint8_t failed;		    /* enum eval_failed */
	const struct rule *nearest; /* NULL for EVAL_FAILED_LIST. Borrowed from the ruleset */
};
void eval_nearest(struct eval_miss *out, const struct ruleset *rs, const struct eval_result *miss,
		  const struct eval_end *src, const struct eval_end *dst, uint8_t proto, uint16_t port_or_type);

/* The smallest edit that would allow a miss: one rule, as a line to paste ("- {from: shop/lb, ports: [8080/tcp]}",
 * without newline) into the list that decided. For world it names the one address. extends: the line of a rule to whose
 * ports the service could be added instead, with the same effect; 0: there is none. */
void eval_edit(struct buf *line, uint32_t *extends, const struct eval_result *miss, const struct eval_miss *why,
	       const struct eval_end *src, const struct eval_end *dst, uint8_t proto, uint16_t port_or_type);

/* Why, in words, and what would have to change. Lines of text into b; the first is the verdict in one sentence. For a
 * miss: nearest rule and the field that failed, then the edit as a line of policy, then what else that edit would let
 * in. */
struct eval_names {
	const char *src, *dst;		   /* workload names for the text, or NULL: the address */
	unsigned src_members, dst_members; /* workloads in the group of each now, itself included; 0: not known */
};
void eval_explain(struct buf *b, const struct ruleset *rs, const struct eval_end *src, const struct eval_end *dst,
		  uint8_t proto, uint16_t port_or_type, const struct eval_names *names);

#endif
