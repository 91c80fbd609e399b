/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the tree of a document to a struct policy, with a complaint for everything that does not belong there. Private
 * to segment/policy_*.c. Functions return 0 also after a complaint (reading goes on, to find more); only -ENOMEM and
 * -E2BIG stop.
 */
#ifndef WEIR_SEGMENT_POLICY_READ_H
#define WEIR_SEGMENT_POLICY_READ_H
#include "segment/policy.h"
#include "segment/policy_tree.h"

struct policy_reader {
	struct policy *policy;
	struct policy_errors *errors;
	size_t n_rules, n_values;
};

/* An error at the place of a node. */
#define READ_ERROR(r, node, ...) policy_complain((r)->errors, false, (node)->line, (node)->column, __VA_ARGS__)

/* Complains of keys that are not among words (NULL-terminated; NULL: any key), and of keys that come twice. */
int policy_read_keys(struct policy_reader *r, const struct tree_node *map, const char *where, const char *const *words);
/* The text of a scalar; NULL, after a complaint, where it is something else or nothing. */
const char *policy_read_text(struct policy_reader *r, const struct tree_node *n, const char *what);
/* One list of rules. */
int policy_read_rules(struct policy_reader *r, const struct tree_node *list, bool inbound, const char *group,
		      struct policy_rule **rules, size_t *n);

#endif
