/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Folding flows into edges, in memory until the next commit. A conversation in progress is reported again and again
 * with grown counters: each report adds only what grew since the report before it, so that an edge counts it once.
 */
#ifndef WEIR_DAEMON_FOLD_H
#define WEIR_DAEMON_FOLD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/edge.h"
#include "common/flow.h"
#include "daemon/names.h"
#include "store/db.h"

struct fold;

int fold_new(struct fold **out);
void fold_free(struct fold *f);

struct fold_flow {
	const struct flow_rec *now;  /* this report */
	const struct flow_rec *last; /* the report before it of the same (start_ns, id); NULL: none */
	uint32_t client, server;     /* groups of now's ends 0 and 1 */
	bool complete;               /* nothing was lost on its interface while it lasted */
	const char *peer_name;       /* of the server's address, "" unknown */
};
/* 0 or -ENOMEM (then the edge misses this report). */
int fold_add(struct fold *f, const struct fold_flow *flow);
size_t fold_pending(const struct fold *f); /* edges waiting */
/* Writes all into the transaction and forgets them, whatever becomes of it. 0 or negative errno. */
int fold_flush(struct fold *f, struct store_txn *t, const struct names *names);
/* Walks what is pending, for an answer without a store. */
void fold_each(const struct fold *f, const struct names *names,
	       void (*fn)(void *arg, const struct edge_key *key, const struct edge_agg *agg), void *arg);

#endif
