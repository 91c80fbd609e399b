/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flow records in time buckets, with indexes by workload and by address, so that "all flows of this container" and "who
 * talked to this address" are seeks. A bucket is dropped whole by retention.
 */
#ifndef WEIR_STORE_FLOWS_H
#define WEIR_STORE_FLOWS_H
#include <stdbool.h>
#include <stdint.h>

#include "common/flow.h"
#include "store/db.h"

/* Writes a record, or replaces that of the same (start_ns, id). -EMSGSIZE: more than FLOW_ATTRS_MAX of attributes;
 * -EINVAL: it ends before it begins. The transaction goes on after either. */
int store_flow_put(struct store_txn *t, const struct flow_rec *f);
/* -ENOENT. The attrs live as long as t. */
int store_flow_get(struct store_txn *t, uint64_t start_ns, uint64_t id, struct flow_rec *out);

/* What to walk: records whose life [start_ns, end_ns] meets [since_ns, until_ns], by start time. */
struct flow_query {
	uint64_t since_ns, until_ns; /* until 0: no end */
	uint64_t workload;           /* only with this workload at either end; 0: all */
	struct addr addr;            /* only with this address at either end, or before DNAT; addr_any: all */
	bool newest_first;
};
/* Walks; each returns non-zero to stop. The record's attrs live until the callback returns. 0, the callback's value, or
 * negative errno. */
typedef int store_flow_fn(void *arg, const struct flow_rec *f);
int store_flow_walk(struct store_txn *t, const struct flow_query *q, store_flow_fn *fn, void *arg);

/* Folded attempts, in the same buckets. A put replaces one of the same start, destination, protocol, port and interface
 * that was put in the same transaction. The walk goes by start, roughly: what one transaction wrote is in order. */
int store_attempts_put(struct store_txn *t, const struct flow_attempts *a);
typedef int store_attempts_fn(void *arg, const struct flow_attempts *a);
int store_attempts_walk(struct store_txn *t, uint64_t since_ns, uint64_t until_ns, store_attempts_fn *fn, void *arg);

#endif
