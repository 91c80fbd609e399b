/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Groups that a policy has no entry for: nothing decides on who reaches them, or on what they send to world and
 * host. */
#ifndef WEIR_UI_UNLISTED_H
#define WEIR_UI_UNLISTED_H
#include <stddef.h>
#include <stdint.h>

#include "common/rule.h"
#include "common/workload.h"
#include "segment/policy.h"
#include "store/db.h"

struct unlisted {
	char (*group)[GROUP_STRLEN]; /* sorted, each once */
	size_t n, max;
};

/* Of the workloads alive since then, the groups that p puts them in and that are not in rs, which is p compiled. 0 or
 * negative errno; after 0 *out is the caller's to fini. */
int unlisted_find(struct unlisted *out, struct store_txn *t, const struct policy *p, const struct ruleset *rs,
		  uint64_t since_ns);
void unlisted_fini(struct unlisted *u);

#endif
