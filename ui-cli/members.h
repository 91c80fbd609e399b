/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How many workloads each group has at a moment: whom else an edit of the policy would let in. */
#ifndef WEIR_UI_MEMBERS_H
#define WEIR_UI_MEMBERS_H
#include <stdint.h>

#include "store/db.h"

struct members;

/* 0 or negative errno. */
int members_new(struct members **out, struct store_txn *t, uint64_t at_ns);
void members_free(struct members *m);
/* 0 for a group without any. */
unsigned members_of(const struct members *m, const char *group);

#endif
