/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The policy in force by the store, as ruleset and as document. */
#ifndef WEIR_UI_IN_FORCE_H
#define WEIR_UI_IN_FORCE_H
#include "common/rule.h"
#include "segment/policy.h"
#include "store/history.h"

struct in_force {
	struct generation generation; /* number 0: none; its strings live as long as the transaction */
	struct ruleset ruleset;       /* empty when none is in force */
	struct policy *policy;        /* never NULL: an empty one when none is in force */
};

/* 0 or negative errno; after 0 *out is the caller's to fini. */
int in_force_read(struct in_force *out, struct store_txn *t);
void in_force_fini(struct in_force *f);

#endif
