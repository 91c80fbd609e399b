/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a follower of flows has already shown. The store replaces the record of a conversation while it goes on; a
 * follower wants to hear of each when it begins and when it ends, and not in between.
 */
#ifndef WEIR_UI_FOLLOW_H
#define WEIR_UI_FOLLOW_H
#include <stdbool.h>

#include "common/flow.h"
#include "store/flows.h"

/* How far back each look goes: new records are written through within seconds. */
#define FOLLOW_LOOKBACK_NS (30 * 1000000000ull)

struct follow;

int follow_new(struct follow **out); /* 0 or -ENOMEM */
void follow_free(struct follow *f);
/* Has the conversation ended? Its record may be renewed for a moment after that, while late packets are waited for. */
bool follow_is_over(const struct flow_rec *r);
/* True when this record says something not yet shown: it is new, or it has ended since. Remembers it. */
bool follow_news(struct follow *f, const struct flow_rec *r);
/* Looks up those shown as still going; calls fn for each that has ended. 0, fn's value, or negative errno. */
int follow_ended(struct follow *f, struct store_txn *t, store_flow_fn *fn, void *arg);

#endif
