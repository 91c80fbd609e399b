/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Selectors for a policy that was learned: what the workloads of each group have in common, as far as no workload of
 * another group has it too.
 */
#ifndef WEIR_UI_SELECTORS_H
#define WEIR_UI_SELECTORS_H
#include <stdint.h>

#include "segment/policy.h"
#include "store/db.h"

/* Gives every group of p that can be told by a selector its own, from the workloads of the span. A group whose members
 * no selector tells from others keeps none, and so takes the workloads that weir names so by itself. 0 or negative
 * errno. */
int selectors_choose(struct policy *p, struct store_txn *t, uint64_t since_ns, uint64_t until_ns);

#endif
