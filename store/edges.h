/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Edges, kept by the hour of the flow's start: key (hour, client group, server group, protocol, port). An answer over a
 * span adds up the hours it touches. Hours outlive the flows they were made of.
 */
#ifndef WEIR_STORE_EDGES_H
#define WEIR_STORE_EDGES_H
#include <stddef.h>
#include <stdint.h>

#include "common/edge.h"
#include "store/db.h"

/* Merges agg into the edge's record of the hour of agg->first_ns. Groups are interned. */
int store_edge_add(struct store_txn *t, const struct edge_key *key, const struct edge_agg *agg);

/* All edges with activity in [since_ns, until_ns] (whole hours; until 0: no end), each once, sorted by
 * edge_key_cmp. *out is the caller's to free(). */
int store_edges_read(struct store_txn *t, uint64_t since_ns, uint64_t until_ns, struct edge **out, size_t *n);

#endif
