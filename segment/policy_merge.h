/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the two halves of merging share: finding what is missing, and placing it in the text. Private to
 * segment/policy_*.c. */
#ifndef WEIR_SEGMENT_POLICY_MERGE_H
#define WEIR_SEGMENT_POLICY_MERGE_H
#include "segment/policy.h"
#include "segment/policy_edit.h"

/*
 * Collects the insertions that add the additions to the document: the selectors of each group that has any, and the
 * rules of each that has a policy. 0; -ENOTSUP after a complaint, for a document where that cannot be done by
 * inserting; -ENOMEM.
 */
int merge_place(struct editor *ed, const struct tree_node *root, const struct policy *additions,
		struct policy_errors *errors);

#endif
