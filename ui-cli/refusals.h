/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Refusals from the store, added up: who was, or would have been, refused what, how often, and why. The store keeps
 * them by ten minutes; here they are one entry for each pair of ends, service, list and generation.
 */
#ifndef WEIR_UI_REFUSALS_H
#define WEIR_UI_REFUSALS_H
#include <stdint.h>

#include "common/verdict.h"
#include "segment/eval.h"
#include "ui-cli/members.h"
#include "ui-cli/view.h"

struct refusal {
	struct verdict_rec v; /* counts and times added up */
	char label[2][NAMING_LABEL_STRLEN]; /* what to call each end */
	uint64_t fresh;       /* of v.count, not yet told by a follower */
	uint64_t fresh_first_ns; /* when the first of these was, as closely as known; the last was at v.last_ns */
	uint64_t away;        /* of v.count, found counted when weir came back; some time between these two */
	uint64_t away_since_ns, away_until_ns;
};

struct refusals {
	struct refusal *list; /* by source, destination, kind, service */
	size_t n;
};

int refusals_read(struct refusals *out, struct view *v, uint64_t since_ns, uint64_t until_ns);
void refusals_fini(struct refusals *r);
/* Do both concern the same two ends, the same way? Neighbours in the list then. */
bool refusal_same_pair(const struct refusal *a, const struct refusal *b);
/* In now: what has grown since before, as fresh. */
void refusals_compare(struct refusals *now, const struct refusals *before);

/* Rulesets by generation, as far as the store has them. */
struct refusal_rules;
int refusal_rules_new(struct refusal_rules **out);
void refusal_rules_free(struct refusal_rules *r);
/* The ruleset that decided; NULL when the store no longer has it. */
const struct ruleset *refusal_rules_get(struct refusal_rules *r, struct store_txn *t, uint64_t generation);

/* Both ends as the kernel saw them when it refused. False where one of them was nobody's address then, though the
 * store, which allows for names that come late, knows a workload for it: a container that restarts. */
bool refusal_ends(const struct refusal *r, const struct ruleset *rs, struct eval_end *src, struct eval_end *dst);
/* Lines of text into b: why it was refused, the nearest rule, the edit, whom else that would let in. */
void refusal_explain(struct buf *b, const struct refusal *r, const struct ruleset *rs, const struct members *m);

#endif
