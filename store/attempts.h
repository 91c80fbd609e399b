/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Folded attempts on their way into the store: what store/flows.h offers is collected in a transaction and written in
 * blocks of many, since they come by the million when they come at all.
 */
#ifndef WEIR_STORE_ATTEMPTS_H
#define WEIR_STORE_ATTEMPTS_H

struct attempts_batch;
struct store_txn;

int attempts_batch_new(struct attempts_batch **out);
void attempts_batch_free(struct attempts_batch *b); /* NULL is fine */
void attempts_batch_clear(struct attempts_batch *b);
int attempts_batch_flush(struct store_txn *t); /* 0 or negative errno */

#endif
