/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What differs between two rulesets, as lines for people: groups, stages, rules. */
#ifndef WEIR_UI_RULEDIFF_H
#define WEIR_UI_RULEDIFF_H
#include <stddef.h>

#include "common/buf.h"
#include "common/rule.h"
#include "store/history.h"

struct rulediff {
	size_t groups_added, groups_removed, stages_changed;
	size_t rules_added, rules_removed, rules_changed; /* changed: same list and peer, other services */
};

/*
 * Appends a line for each difference: "+ group", "- group", "~ group: stage a -> b", and under it its rules. Returns the
 * counts in *out.
 */
void rulediff(struct rulediff *out, struct buf *lines, const struct ruleset *from, const struct ruleset *to);
size_t rulediff_total(const struct rulediff *d);

/* The ruleset in force by the store: decoded into *out (an empty one when none is in force), generation into *g (number 0:
 * none; its strings live as long as t). 0 or negative errno; *out is the caller's to fini after 0. */
int rulediff_in_force(struct ruleset *out, struct generation *g, struct store_txn *t);

#endif
