/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who had an address, when: workloads, and intervals (address, valid_from) -> workload, valid_to. "Who had 10.0.3.7 at
 * 02:14" is one seek, for ever, also for the dead.
 */
#ifndef WEIR_STORE_IDENTITY_H
#define WEIR_STORE_IDENTITY_H
#include <stddef.h>
#include <stdint.h>

#include "common/workload.h"
#include "store/db.h"

/* Writes or replaces the workload of that id. */
int store_workload_put(struct store_txn *t, const struct workload *w);
int store_workload_get(struct store_txn *t, uint64_t id, struct workload *out); /* -ENOENT */
typedef int store_workload_fn(void *arg, const struct workload *w);
/* Workloads alive at some time in [since_ns, until_ns] (until 0: no end), by start; non-zero from fn stops. */
int store_workload_walk(struct store_txn *t, uint64_t since_ns, uint64_t until_ns, store_workload_fn *fn, void *arg);
/* By name or unique prefix of the runtime id; the one alive at at_ns, else the latest before it. -ENOENT, and
 * -EEXIST when a prefix fits several. */
int store_workload_find(struct store_txn *t, const char *name, uint64_t at_ns, struct workload *out);

struct addr_interval {
	struct addr addr;
	uint64_t workload;
	uint64_t from_ns, to_ns; /* to_ns 0: still open */
};
/* Opens an interval; one of another workload still open for that address is closed at from_ns. Idempotent; one
 * of the same workload from the same moment on that was closed is open again, unless somebody had the address after
 * it. */
int store_addr_bind(struct store_txn *t, const struct addr *a, uint64_t workload, uint64_t from_ns);
/* Closes the open interval of that workload and address, if there is one. */
int store_addr_unbind(struct store_txn *t, const struct addr *a, uint64_t workload, uint64_t to_ns);
/* Who had it at at_ns. -ENOENT: nobody known. slack_ns widens both ends (names arrive a little after packets do). */
int store_addr_who(struct store_txn *t, const struct addr *a, uint64_t at_ns, uint64_t slack_ns,
		   struct addr_interval *out);
/* All intervals of an address, oldest first; *out is the caller's to free(). */
int store_addr_history(struct store_txn *t, const struct addr *a, struct addr_interval **out, size_t *n);
/* Every interval ever (for the engine's start). */
typedef int store_addr_fn(void *arg, const struct addr_interval *i);
int store_addr_walk(struct store_txn *t, store_addr_fn *fn, void *arg);

#endif
