/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Edges on their way into the store. Thousands of flows of one transaction fold into a handful of edges; they are added
 * up here and written once. Group numbers already looked up are remembered beside them.
 */
#ifndef WEIR_STORE_EDGE_CACHE_H
#define WEIR_STORE_EDGE_CACHE_H
#include <stdbool.h>
#include <stdint.h>

#include "common/edge.h"

struct edge_cache;
struct store_txn;

int edge_cache_new(struct edge_cache **out);
void edge_cache_free(struct edge_cache *c); /* NULL is fine */
/* Forgets the edges; the group numbers too unless committed (an aborted transaction gave numbers that are void). */
void edge_cache_clear(struct edge_cache *c, bool committed);
int edge_cache_add(struct store_txn *t, const struct edge_key *key, const struct edge_agg *agg);
int edge_cache_flush(struct store_txn *t);

/* On disk: u32 hour since 1970, u32 client group, u32 server group, u8 protocol, u16 port. */
#define EDGE_HOUR_NS (3600 * 1000000000ull)
#define EDGE_KEY_LEN 15

#endif
