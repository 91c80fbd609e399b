/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A YAML document as a tree that remembers where each part stands in the text: line and column for complaints, byte
 * offsets for inserting. Read from libyaml's events with every limit a hostile document needs. Private to
 * segment/policy_*.c.
 */
#ifndef WEIR_SEGMENT_POLICY_TREE_H
#define WEIR_SEGMENT_POLICY_TREE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segment/policy.h"

#define TREE_DEPTH_MAX 12	/* the language needs 7 */
#define TREE_NODES_MAX 2000000u /* bounds memory at about 160 MB */

enum tree_kind { TREE_SCALAR, TREE_LIST, TREE_MAP };

struct tree_node {
	uint8_t kind;
	bool flow;	       /* list or map written with brackets */
	bool null;	       /* scalar: nothing there, or ~ or null */
	bool written;	       /* of a null: something is there */
	uint32_t line, column; /* from 1 */
	uint32_t start,
		end; /* byte offsets; end is behind the last byte of the content (behind the bracket of a flow) */
	uint32_t len;
	char *text;			       /* scalar: NUL-terminated, never with a NUL inside */
	struct tree_node *key;		       /* of an entry of a map */
	struct tree_node *first, *last, *next; /* entries: of a list, or the values of a map */
	size_t n;			       /* entries */
};

struct tree; /* owns the nodes */

/* Reads the text. *root is NULL for a document without content. 0, -EINVAL or -E2BIG with errors, -ENOMEM. */
int tree_parse(struct tree **out, struct tree_node **root, const char *text, size_t len, struct policy_errors *errors);
void tree_free(struct tree *t);

/* The value of that key, or NULL. */
struct tree_node *tree_get(const struct tree_node *map, const char *key);

#endif
