/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Adding to a YAML text without touching what is there: insertions are collected by byte offset, in the style the
 * document has, and applied at the end. Knows YAML's two styles and nothing of policies. Private to segment/policy_*.c.
 */
#ifndef WEIR_SEGMENT_POLICY_EDIT_H
#define WEIR_SEGMENT_POLICY_EDIT_H
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "segment/policy_tree.h"

struct edit {
	size_t at;
	char *text;
};

struct editor {
	const char *text; /* borrowed */
	size_t len;
	const char *eol; /* what ends a line here */
	struct edit *edits;
	size_t n;
	bool failed; /* out of memory */
};

void editor_init(struct editor *ed, const char *text, size_t len);
void editor_fini(struct editor *ed);
/* The text with all insertions; at the same place in the order they were made. 0 or -ENOMEM. */
int editor_apply(struct buf *out, struct editor *ed);

/* Whole lines ('\n' at each end) behind the line in which offset lies, and behind comment lines that follow it at once
 * and are indented at least so far: they belong to what stands there. */
void editor_insert_lines(struct editor *ed, size_t offset, unsigned indent, const char *lines);
/* Text in the middle of a line. */
void editor_insert(struct editor *ed, size_t offset, const char *text);

/* Entries at the end of a flow list or map, which may be empty or spread over lines. At most once for each. */
void editor_append_flow(struct editor *ed, const struct tree_node *flow, char *const *entries, size_t n);

/* Blanks before the first thing on the line of that offset. */
unsigned editor_indent_of(const struct editor *ed, size_t offset);

#endif
