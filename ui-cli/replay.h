/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A policy against history: every conversation in the store is judged as if the policy's lists had been in force, whatever
 * the stage of each group, and with the groups that the policy's selectors give. What it would have refused although it
 * was answered is what a false block would look like.
 */
#ifndef WEIR_UI_REPLAY_H
#define WEIR_UI_REPLAY_H
#include <stdint.h>

#include "common/rule.h"
#include "segment/policy.h"
#include "ui-cli/graph.h"
#include "ui-cli/view.h"

struct replay {
	uint64_t flows;         /* judged */
	uint64_t undirected;    /* not judged: nobody knows who began them */
	uint64_t missed;        /* no rule allows them */
	uint64_t hurt;          /* of these, answered: traffic that worked */
	struct graph misses;    /* by group, as the policy names them */
	struct graph workloads; /* the same by workload */
};

/* p: for its selectors; NULL: groups as stored. 0 or negative errno; *out is the caller's to fini. */
int replay(struct replay *out, struct view *v, const struct policy *p, const struct ruleset *rs, uint64_t since_ns,
	   uint64_t until_ns);
void replay_fini(struct replay *r);

/* The stage of the group whose list decides on that edge; -1: none does. */
int replay_stage(const struct ruleset *rs, const struct edge_key *key);
/* Tables for people on standard output, and lines of JSON. */
void replay_print(const struct replay *r);
int replay_print_json(const struct replay *r, const struct ruleset *rs);

#endif
