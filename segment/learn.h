/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Learning: from edges with evidence to a proposed policy, and how ready each group is. Pure functions over edges; the
 * store is read by whoever calls.
 */
#ifndef WEIR_SEGMENT_LEARN_H
#define WEIR_SEGMENT_LEARN_H
#include <stddef.h>
#include <stdint.h>

#include "common/edge.h"
#include "segment/policy.h"

enum learn_decision {
	LEARN_ALLOW,     /* answered, direction known, coverage complete: becomes a rule */
	LEARN_ASK,       /* one-way but steady and lasting (syslog, statsd): proposed for a person's yes */
	LEARN_UNANSWERED, /* nobody answered: no rule */
	LEARN_DIRECTION, /* direction unknown: no rule */
	LEARN_COVERAGE,  /* only seen while capture was losing packets: no rule yet */
	LEARN_SELF,      /* one end is not a group that can have a policy (world to host, ...) */
};
const char *learn_decision_name(unsigned v);
/* One sentence for people. */
const char *learn_decision_text(unsigned v);
enum learn_decision learn_decide(const struct edge *e);

/* How likely the next flow of a group lies on an edge never seen: Good-Turing, N1 / N, with an upper 95 % bound
 * (McAllester and Schapire 2000: N1/N + sqrt(ln(1/0.05)/N)(2 sqrt 2 + sqrt 3) is loose for small N, so the Clopper-Pearson
 * bound on N1 of N is what is shown; docs/learning.md). */
struct learn_readiness {
	char group[GROUP_STRLEN];
	uint64_t flows, edges, edges_once;
	double p_unseen, p_unseen_upper; /* 0..1; upper is 1 without flows */
	unsigned hours_of_week;          /* of 168 */
	uint64_t since_ns, until_ns;     /* first and last flow */
};
/* One entry a group that appears as a server of container traffic or as a client towards world or host; sorted by name. *out
 * is the caller's to free(). 0 or -ENOMEM. */
int learn_readiness(struct learn_readiness **out, size_t *n, const struct edge *edges, size_t n_edges);

/* The policy the edges teach: every group at stage observe; LEARN_ASK edges are not in it. Ports of one peer unite into one
 * rule. Caller frees. 0 or -ENOMEM. */
int learn_policy(struct policy **out, const struct edge *edges, size_t n_edges);

#endif
