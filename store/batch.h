/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flows on their way into the store. A transaction collects them here, encoded, and writes them in key order:
 * neighbours in the tree are then written together, and most records can be appended. Putting a flow allocates
 * nothing once the memory has grown to the size of a batch.
 */
#ifndef WEIR_STORE_BATCH_H
#define WEIR_STORE_BATCH_H
#include <stddef.h>
#include <stdint.h>

#include "common/flow.h"

struct batch;
struct store_txn;

/* Index keys: kind, then an address of 4 or 16 bytes, a workload's id, or nothing. */
enum index_kind { INDEX_V4 = 4, INDEX_V6 = 6, INDEX_LONG = 'l', INDEX_WORKLOAD = 'w' };
#define INDEX_KEY_MAX 17
/* Their values: u64 start, u16 the first bits of the id. Enough to find the record, which is then looked at anyway. */
#define INDEX_VALUE_LEN 10
/* A flow that lasted longer is listed under INDEX_LONG, so that looking back for long ones is no scan of all. */
#define INDEX_LONG_NS (60 * 1000000000ull)

#define FLOW_KEY_LEN 17 /* kind, u64 start, u64 id */

int batch_new(struct batch **out);
void batch_free(struct batch *b); /* NULL is fine */
void batch_clear(struct batch *b);
/* Takes the flow into the transaction's batch; writes the batch when it is large. 0 or negative errno. */
int batch_add(struct store_txn *t, const struct flow_rec *f);
int batch_flush(struct store_txn *t);

/* The index key for an address; returns its length. */
size_t index_key_addr(uint8_t out[INDEX_KEY_MAX], const struct addr *a);

#endif
