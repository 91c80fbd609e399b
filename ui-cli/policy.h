/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs behind `weir policy`, and the policy that the store's edges teach. */
#ifndef WEIR_UI_POLICY_H
#define WEIR_UI_POLICY_H
#include <stdint.h>

#include "segment/diff.h"
#include "segment/policy.h"
#include "ui-cli/view.h"

int policy_generate_verb(int argc, char **argv);
int policy_check_verb(int argc, char **argv);
int policy_diff_verb(int argc, char **argv);
int policy_export_verb(int argc, char **argv);

/* What was seen in the span, as a policy whose every new group is at stage observe, with selectors from the workloads
 * that are in each group. 0 or negative errno; *first and *last: of the edges it was learned from. unlisted: has added
 * to it, with commas, the groups that were only ever clients of other groups, for which no list would decide. */
int policy_learn(struct policy **out, struct view *v, uint64_t since_ns, uint64_t until_ns, uint64_t *first_ns,
		 uint64_t *last_ns, struct buf *unlisted);

/* The differences on standard output, as text or as lines of JSON. 0 or -ENOMEM. */
int policy_print_diff(const struct diff *d, bool json);

#endif
