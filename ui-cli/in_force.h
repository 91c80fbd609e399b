/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The policy in force by the store, as ruleset and as document. */
#ifndef WEIR_UI_IN_FORCE_H
#define WEIR_UI_IN_FORCE_H
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "common/rule.h"
#include "segment/policy.h"
#include "store/history.h"

struct in_force {
	struct generation generation; /* number 0: none; its strings live as long as the transaction */
	struct ruleset ruleset;       /* empty when none is in force */
	struct policy *policy;        /* never NULL: an empty one when none is in force */
	uint64_t lapsed;              /* none is in force because this generation ran out unconfirmed; else 0 */
	uint64_t lapsed_ns;           /* when */
};

/* 0 or negative errno; after 0 *out is the caller's to fini. */
int in_force_read(struct in_force *out, struct store_txn *t);
void in_force_fini(struct in_force *f);
/* A line for whoever wonders why nothing is in force though a policy was applied; nothing when none has lapsed. */
void in_force_print_lapsed(const struct in_force *f, FILE *out);
/* The same as member "lapsed": docs/records.md. */
void in_force_set_lapsed(json_t *o, const struct in_force *f);

#endif
