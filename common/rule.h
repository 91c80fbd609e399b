/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ruleset: a compiled policy, the one intermediate form that user space evaluates (segment/eval) and the kernel is
 * given (segment/nft_build). It names groups, not addresses: which addresses belong to a group changes with every
 * container start and is kept apart from it.
 *
 * How a new connection from S to D is decided:
 *   D is a workload: by the inbound list of D's group, whoever S is.
 *   D is world or host, S a workload: by the outbound list of S's group.
 *   Anything else, and any group that the ruleset does not have or that is at stage observe: allow.
 * Neighbour discovery and multicast membership of IPv6 (proto_is_housekeeping) are always allowed.
 * A list without a matching rule refuses. A group's peers include itself only where a rule says so.
 */
#ifndef WEIR_COMMON_RULE_H
#define WEIR_COMMON_RULE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/buf.h"
#include "common/proto.h"
#include "common/verdict.h"
#include "common/workload.h"

enum rule_peer_kind {
	RULE_PEER_GROUP,  /* members of a group, which need not have a policy of its own */
	RULE_PEER_WORLD,  /* any address that is no workload and not the host */
	RULE_PEER_HOST,   /* the host's own addresses */
	RULE_PEER_PREFIX, /* an address range, whoever has it */
	RULE_PEER_ANY,
};

struct rule {
	uint32_t id;    /* same for the same content in every generation (hash of group, direction, peer, services) */
	uint32_t group; /* index into ruleset.groups: whose list this is */
	bool inbound;
	uint8_t peer_kind;
	char peer_group[GROUP_STRLEN]; /* PEER_GROUP: name */
	struct prefix peer_prefix;     /* PEER_PREFIX */
	struct service *services;      /* sorted, none overlapping; the rule's own */
	size_t n_services;
	uint32_t line; /* in the policy document, from 1; 0 unknown */
};

struct ruleset_group {
	char name[GROUP_STRLEN];
	uint8_t stage; /* enum stage */
};

struct ruleset {
	uint64_t generation;
	struct ruleset_group *groups; /* sorted by name */
	size_t n_groups;
	struct rule *rules; /* sorted by group, inbound first, then peer; owned with all they hold */
	size_t n_rules;
};

void ruleset_init(struct ruleset *r);
void ruleset_fini(struct ruleset *r);
/* Index of the group of that name, or -1. */
int ruleset_find_group(const struct ruleset *r, const char *name);
/* "world", "host", "any", the group's name or the range. Returns buf. */
const char *rule_peer_format(const struct rule *r, char buf[GROUP_STRLEN]);
/* "80/tcp, 443/tcp" into b. */
void rule_services_format(const struct rule *r, struct buf *b);

/* The versioned encoding. 0, -EPROTO, -EBADMSG or -ENOMEM; *out is the caller's to fini. */
void ruleset_encode(struct buf *b, const struct ruleset *r);
int ruleset_decode(struct ruleset *out, const void *data, size_t len);

#endif
