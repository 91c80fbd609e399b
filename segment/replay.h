/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A ruleset against history: feed it flow by flow (or edge by edge), it counts what would have passed and keeps what
 * would not, by who, whom and service. Used by `weir replay`, `weir plan` and, with a policy learned from the first
 * part of history, as the back-test of learning. Stages are not looked at: the question is whom it would hurt at
 * enforce.
 */
#ifndef WEIR_SEGMENT_REPLAY_H
#define WEIR_SEGMENT_REPLAY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/edge.h"
#include "common/flow.h"
#include "common/rule.h"
#include "segment/eval.h"

/* What would have been blocked, of one kind. */
struct replay_miss {
	struct edge_key key;	  /* client group, server group, protocol, port */
	char owner[GROUP_STRLEN]; /* the group whose list decides */
	bool inbound;
	uint8_t stage;		  /* of that group in the ruleset */
	uint64_t flows, answered; /* answered: these would have been real harm; the rest got nowhere anyway */
	uint64_t first_ns, last_ns;
	struct addr src, dst; /* of the first one seen; addr_any from edges without addresses */
};

struct replay_sum {
	uint64_t flows; /* judged: those of groups that have a policy */
	uint64_t allowed, missed, missed_answered;
	uint64_t undirected; /* not judged: it is not known who was the client */
	uint64_t free;	     /* not judged: no list decides on them */
};

struct replay;

/* The ruleset is borrowed until replay_free. 0 or -ENOMEM. */
int replay_new(struct replay **out, const struct ruleset *rs);
void replay_free(struct replay *r);

/* One flow record, with the groups of both ends when it began ("" or NULL: world). Continuations of a conversation
 * (conv_id is not id) are passed over: it was decided at its first packet; and so are ICMP errors, which go with the
 * conversation that they are about. 0 or -ENOMEM. */
int replay_flow(struct replay *r, const struct flow_rec *f, const char *client, const char *server);
/* The same from an aggregate. Rules for ranges of addresses are tried on the sample of addresses that the edge has. */
int replay_edge(struct replay *r, const struct edge *e);

const struct replay_sum *replay_sum(const struct replay *r);
/* The misses so far, most answered first; borrowed until the next call. 0 or -ENOMEM. */
int replay_misses(struct replay *r, const struct replay_miss **out, size_t *n);

/* "shop/web to shop/db 5432/tcp: 12 flows (11 answered)", one line. */
void replay_miss_format(struct buf *b, const struct replay_miss *m);

#endif
