/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The difference of two policies, in words and as data: what a reviewer has to read before it is applied. Rules are
 * compared by what they allow, service by service, not by how they are written, so that reordering a document is no
 * difference.
 */
#ifndef WEIR_SEGMENT_DIFF_H
#define WEIR_SEGMENT_DIFF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/rule.h"
#include "segment/policy.h"

enum diff_kind {
	DIFF_GROUP_ADDED,   /* gets a policy: stage_new; what: how its members are recognised, if that is new, too */
	DIFF_GROUP_REMOVED, /* loses its policy: everything towards it passes; stage_old */
	DIFF_STAGE,	    /* stage_old to stage_new */
	DIFF_RULE_ADDED,    /* allows what was not: list, peer, what */
	DIFF_RULE_REMOVED,  /* no longer allows: list, peer, what */
	DIFF_SELECTORS,	    /* another way to recognise the members: what is the new one */
	DIFF_NAMES,	    /* other names: at a rule: peer, what are the new ones */
};
const char *diff_kind_name(unsigned v); /* "group-added", "group-removed", "stage", "rule-added", ... */

struct diff_item {
	uint8_t kind;
	uint8_t stage_old, stage_new;
	bool inbound;
	bool opens;  /* lets through what was refused or would have been */
	bool closes; /* refuses at once what was let through: a group at enforce loses a rule, or goes to enforce */
	char group[GROUP_STRLEN];
	char peer[GROUP_STRLEN]; /* as the document writes it */
	char *what;		 /* services, selector or names as text; "" where there is none */
	uint32_t
		line; /* in the document the rule stands in (the new one; for a removed rule the old one); 0: unknown */
};

struct diff {
	struct diff_item
		*items; /* sorted by group; in a group: itself, stage, inbound, outbound; removed before added */
	size_t n;
};

void diff_init(struct diff *d);
void diff_fini(struct diff *d);

/* *out needs no init; diff_fini it after 0. 0 or -ENOMEM. Either may be an empty ruleset: nothing in force. */
int diff_rulesets(struct diff *out, const struct ruleset *before, const struct ruleset *after);
/* The same of two documents, with selectors and names. */
int diff_policies(struct diff *out, const struct policy *before, const struct policy *after);

/* One line, without newline: "+ shop/web inbound: from shop/lb 443/tcp (line 9)". */
void diff_item_format(struct buf *b, const struct diff_item *item);
/* All lines; "no difference" when there is none. */
void diff_format(struct buf *b, const struct diff *d);

#endif
