/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A policy tried on history: every conversation in the store is judged (segment/replay) as if the policy's lists had
 * been in force, whatever the stage of each group, with the groups that the policy's selectors give. What it would have
 * refused although it was answered is what a false block would look like.
 */
#ifndef WEIR_UI_TRIAL_H
#define WEIR_UI_TRIAL_H
#include <stdint.h>

#include "segment/policy.h"
#include "segment/replay.h"
#include "ui-cli/graph.h"
#include "ui-cli/view.h"

struct trial {
	struct replay *replay;
	struct graph misses; /* what would have been refused, by workload */
};

/* p: for its selectors; NULL: groups as stored. rs is borrowed until trial_fini. 0 or negative errno. */
int trial_run(struct trial *out, struct view *v, const struct policy *p, const struct ruleset *rs, uint64_t since_ns,
	      uint64_t until_ns);
void trial_fini(struct trial *t);

/* Conversations that worked and would have been refused; in_force: only where the group is at stage enforce. */
uint64_t trial_hurt(const struct trial *t);
uint64_t trial_hurt_enforced(const struct trial *t);
/* A table and a sentence for people on standard output; lines of JSON. */
void trial_print(const struct trial *t);
int trial_print_json(const struct trial *t);

#endif
