/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Learning: from edges with evidence to a proposed policy, and how ready each group is. Pure functions over edges; the
 * store is read by whoever calls. docs/learning.md has the reasons and the formulas.
 */
#ifndef WEIR_SEGMENT_LEARN_H
#define WEIR_SEGMENT_LEARN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/edge.h"
#include "segment/policy.h"

enum learn_decision {
	LEARN_ALLOW,	  /* answered, direction known, coverage complete: becomes a rule */
	LEARN_ASK,	  /* one-way but steady and lasting (syslog, statsd): proposed for a person's yes */
	LEARN_UNANSWERED, /* nobody answered: no rule */
	LEARN_DIRECTION,  /* direction unknown: no rule */
	LEARN_COVERAGE,	  /* only seen while capture was losing packets: no rule yet */
	LEARN_SELF,	  /* one end is not a group that can have a policy (world to host, ...) */
};
const char *learn_decision_name(unsigned v); /* "allow", "ask", "unanswered", "direction", "coverage", "no-policy" */
/* One sentence for people. */
const char *learn_decision_text(unsigned v);

/* The group whose list would decide on that edge, and which list; NULL for LEARN_SELF, as for an edge of ICMP errors.
 * Borrowed from the edge. */
const char *learn_owner(const struct edge *e, bool *inbound);
/* One edge by itself. */
enum learn_decision learn_decide(const struct edge *e);
/* All of them, out[i] an enum learn_decision: what is steady is asked for more insistently of a client that tries many
 * doors, since a slow scan is steady too. 0 or -ENOMEM. */
int learn_decide_all(uint8_t *out, const struct edge *edges, size_t n);

/* "seen 1,204 times, last 2026-11-21, HTTP": what speaks for an edge, dates in UTC. */
void learn_evidence(struct buf *b, const struct edge *e);

/* How likely the next flow of a group lies on an edge never seen: Good-Turing, N1 / N, with an upper 95 % bound
 * (McAllester and Schapire 2000: N1/N + sqrt(ln(1/0.05)/N)(2 sqrt 2 + sqrt 3) is loose for small N, so the
 * Clopper-Pearson bound on N1 of N is what is shown; docs/learning.md). */
struct learn_readiness {
	char group[GROUP_STRLEN];
	uint64_t flows, edges, edges_once; /* of edges that teach */
	double p_unseen, p_unseen_upper;   /* 0..1; both are 1 without flows */
	unsigned hours_of_week;		   /* of 168 */
	unsigned asked;			   /* edges that wait for a person's yes */
	uint64_t since_ns, until_ns;	   /* first and last flow that teaches; 0 without */
};
/* One entry a group that appears as a server of container traffic or as a client towards world or host; sorted by name.
 * *out is the caller's to free(). 0 or -ENOMEM. */
int learn_readiness(struct learn_readiness **out, size_t *n, const struct edge *edges, size_t n_edges);
/* "412 flows on 7 edges, ..." in one line. */
void learn_readiness_format(struct buf *b, const struct learn_readiness *r);
/* The exact (Clopper-Pearson) upper bound, at that confidence (0.95), of a probability after k hits in n trials. */
double learn_upper_bound(uint64_t k, uint64_t n, double confidence);

/*
 * Widening: a server that hands out its ports as it goes (passive FTP, RPC) is never learned port by port. Where one
 * peer uses more than widen_ports ports of 1024 and above of one protocol, they become a range: as few of them as
 * widen_budget in a policy, the fullest first, and each is listed.
 */
struct learn_settings {
	unsigned widen_ports;  /* 0: never widen */
	unsigned widen_budget; /* ranges in all */
};
#define LEARN_SETTINGS_DEFAULT                                                                                         \
	{                                                                                                              \
		16, 8                                                                                                  \
	}
struct learn_widening {
	char client[GROUP_STRLEN], server[GROUP_STRLEN];
	struct service range;
	unsigned seen; /* ports of it that were seen */
	bool applied;  /* false: the budget was spent; the policy lists the seen ports one by one */
};
/* "shop/ftp from shop/web: 32768-60999/tcp for 37 ports seen, 28195 never seen", one line. */
void learn_widening_format(struct buf *b, const struct learn_widening *w);

/* The policy the edges teach: every group at stage observe, sorted; LEARN_ASK edges are only in asked. Ports of one
 * peer unite into one rule; where the names of all addresses of world behind a port are known, it is a rule of its own
 * with names. Rules and groups carry their evidence as comments. 0 or -ENOMEM. */
int learn_policy(struct policy **out, const struct edge *edges, size_t n_edges);
/* The same with other settings (NULL: default), and the list of widenings, the caller's to free(). widenings may be
 * NULL. */
int learn_policy_with(struct policy **out, struct learn_widening **widenings, size_t *n_widenings,
		      const struct learn_settings *settings, const struct edge *edges, size_t n_edges);

#endif
