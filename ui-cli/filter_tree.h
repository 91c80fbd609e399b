/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a filter is inside: a tree in an array. Shared by the parser (filter.c), the terms (filter_term.c) and the
 * evaluator (filter_match.c), and by nobody else.
 */
#ifndef WEIR_UI_FILTER_TREE_H
#define WEIR_UI_FILTER_TREE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "ui-cli/filter.h"

#define FILTER_WORD 128

enum filter_kind {
	FILTER_AND,
	FILTER_OR,
	FILTER_NOT,
	FILTER_NET,    /* an address in a prefix at an end */
	FILTER_NAME,   /* a workload, group or DNS name at an end (host NAME) */
	FILTER_PORTS,  /* lo..hi at an end */
	FILTER_PROTO,  /* lo is the number */
	FILTER_FAMILY, /* lo is 4 or 6 */
	FILTER_VLAN,   /* lo..hi */
	FILTER_TEXT,   /* field op text */
	FILTER_NUMBER, /* field op number */
};

enum filter_ends { FILTER_EITHER, FILTER_SRC, FILTER_DST, FILTER_BOTH };
enum filter_op { FILTER_EQ, FILTER_NE, FILTER_LT, FILTER_LE, FILTER_GT, FILTER_GE, FILTER_GLOB, FILTER_NOT_GLOB };

struct filter_node {
	uint8_t kind, ends, op;
	uint8_t field; /* index into filter_fields */
	uint16_t lo, hi;
	int left, right; /* children: indexes */
	struct prefix net;
	uint64_t number;
	char text[FILTER_WORD];
};

#define FILTER_NODES_MAX 1000
#define FILTER_DEPTH_MAX 100
struct filter {
	struct filter_node *node;
	size_t n, max;
	int root; /* -1: matches everything */
};

/* A field that a term may name. Numbers by number(); texts by text() (NULL or "": absent). */
struct filter_field {
	const char *name;
	bool of_end; /* needs src. or dest., or means either */
	uint64_t (*number)(const struct flow_rec *r, const struct output_end *e, unsigned end);
	/* i: which of several values, from 0; NULL: there are no more. May use scratch. */
	const char *(*text)(const struct flow_rec *r, const struct output_end *e, unsigned end, unsigned i,
			    char *scratch);
	const char *(*value_name)(unsigned v); /* fields with a fixed vocabulary: its words, ... */
	unsigned n_values;                     /* ... values 0 to n_values - 1 */
	bool span;                             /* numbers are nanoseconds, written 5s, 200ms */
};
#define FILTER_SCRATCH 512

extern const struct filter_field filter_fields[];
extern const size_t filter_n_fields;
/* Index by name, or -1. */
int filter_field_find(const char *name);

/* One term, `field op value`, into *node. 0 or -EINVAL with the complaint in text and *at_value telling which word it
 * is about. */
int filter_term(struct filter_node *node, const char *field, enum filter_op op, const char *value, char *text,
		bool *at_value);
/* Does name look like a field (exactly one, or prefixed by src., dst., dest.)? */
bool filter_is_field(const char *name);

#endif
