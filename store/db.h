/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The store: one LMDB environment in a state directory (weir.mdb there). One process writes, any number read, also
 * from a copy of the directory and while the writer is down. Everything under store/ is a function of a transaction;
 * lmdb.h is included in this folder only, and LMDB's error codes become negative errno here.
 */
#ifndef WEIR_STORE_DB_H
#define WEIR_STORE_DB_H
#include <stdbool.h>
#include <stdint.h>

struct store;
struct store_txn;

enum store_mode {
	STORE_READ,  /* must exist; never creates or writes anything in the directory but LMDB's lock file; works
	                read-only (MDB_NOLOCK) where even that cannot be written */
	STORE_WRITE, /* created when missing (directory too, mode 0750) */
};

struct store_options {
	uint64_t size_budget; /* bytes the data file may reach, 0: default (4 GiB), at least 1 MiB. The oldest goes
	                         before it is exceeded */
	uint64_t keep_ns;     /* flows older than this go, 0: default (14 days) */
	bool no_sync;         /* do not fsync at commit (offline import: the source is still there) */
};

/*
 * 0; -ENOENT nothing there; -EPROTO written by a newer weir; -EBUSY another writer; -EBADMSG no weir store, damaged or
 * cut short; -EACCES or -EROFS a live writer's store in which this reader cannot register; -EINVAL budget under 1 MiB;
 * other negative errno. All handles of one process on one directory are used from one thread; a child after fork opens
 * its own.
 */
int store_open(struct store **out, const char *dir, enum store_mode mode, const struct store_options *options);
void store_close(struct store *s); /* NULL is fine */

/*
 * A write transaction is the only one of its kind (-EBUSY: one is open in this process); nothing is visible to readers
 * before commit. Keep transactions short: an open read transaction keeps the pages of its time from being reused.
 * Begin of a write transaction drops the oldest history when the budget is nearly used up.
 */
int store_begin(struct store_txn **out, struct store *s, bool write);
/* 0, or negative errno (-ENOSPC: the disk or the budget is full even after retention) and nothing of it was kept. */
int store_commit(struct store_txn *t); /* t is gone in either case */
void store_abort(struct store_txn *t); /* NULL is fine; also ends a read transaction */

/* Small named values: schema, instance start, last clean stop, ... value NULL deletes. *len in: size of value. */
int store_meta_put(struct store_txn *t, const char *name, const void *value, uint32_t len);
int store_meta_get(struct store_txn *t, const char *name, void *value, uint32_t *len); /* -ENOENT */
/* Every one whose name begins with prefix, in the order of names; non-zero from fn stops and is returned. */
typedef int store_meta_fn(void *arg, const char *name, const void *value, uint32_t len);
int store_meta_walk(struct store_txn *t, const char *prefix, store_meta_fn *fn, void *arg);

struct store_stats {
	uint64_t bytes_used, bytes_file, size_budget;
	uint64_t flows, attempts, workloads, edges, verdicts;
	uint64_t oldest_flow_ns, newest_flow_ns; /* 0: none */
};
int store_stats(struct store_txn *t, struct store_stats *out);

/*
 * Drops the oldest buckets until keep_ns holds at now_ns and the file is within budget (with head room). To be
 * called by the writer between transactions. *dropped: records gone. 0 or negative errno; -ENOSPC when readers
 * hold on to every page there is: it will do later.
 */
int store_retain(struct store *s, uint64_t now_ns, uint64_t *dropped);

#endif
