/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of this folder share, and nobody else sees: the open environment, the transaction, and thin
 * wrappers over LMDB's calls that speak negative errno. A write transaction remembers its first failure, so that a
 * commit after it keeps nothing, whoever ignored it.
 */
#ifndef WEIR_STORE_TXN_H
#define WEIR_STORE_TXN_H
#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/bucket.h"
#include "store/db.h"
#include "store/guard.h"

/* The sub-databases that always exist; docs/store.md has their keys and values. */
enum store_db {
	DB_META,
	DB_BUCKETS,
	DB_WORKLOADS,
	DB_WORKLOAD_STARTS,
	DB_WORKLOAD_NAMES,
	DB_ADDRS,
	DB_GROUPS,
	DB_EDGES,
	DB_EDGE_SET,
	DB_GENERATIONS,
	DB_NAMES,
	DB_COUNT_
};

/* One open LMDB environment. A process must not open the same file twice (its POSIX locks would fall when either is
 * closed), so that handles of one process on one file share it. */
struct store_env {
	struct store_env *next;
	MDB_env *mdb;
	dev_t dev;
	ino_t ino;
	pid_t pid; /* a child after fork must open anew */
	int fd; /* holds the flock */
	bool write;
	unsigned refs, txns; /* users, and transactions now open in this process */
	bool writing;        /* a write transaction is open */
	uint64_t limit;      /* bytes ordinary transactions may fill; the rest of the budget is for retention */
	MDB_dbi db[DB_COUNT_];
	MDB_dbi rec[BUCKETS_MAX], idx[BUCKETS_MAX];
};

struct attempts_batch;
struct batch;
struct edge_cache;

struct store {
	struct store_env *env;
	enum store_mode mode;
	struct store_options options; /* defaults filled in */
	bool full;                    /* the last write transaction ran out of room */
	struct batch *batch;          /* of the open write transaction; memory kept between them */
	struct attempts_batch *attempts;
	struct edge_cache *edges;
};

struct memo; /* memory that lives as long as the transaction */

struct store_txn {
	struct store *s;
	MDB_txn *mdb;
	bool write;
	int error; /* first failure of a write; commit returns it */
	struct memo *memo;
	struct bucket_dir dir;
};

/* LMDB's code to negative errno; 0 for 0. */
int db_errno(int mdb_rc);

/* Looks up; the value is LMDB's and lives until the next write or the transaction's end. 0 or -ENOENT, ... */
int txn_get(struct store_txn *t, MDB_dbi dbi, const void *key, size_t key_len, MDB_val *out);
int txn_put(struct store_txn *t, MDB_dbi dbi, const void *key, size_t key_len, const void *value, size_t len);
int txn_del(struct store_txn *t, MDB_dbi dbi, const void *key, size_t key_len); /* absent: 0 */
int txn_cursor(struct store_txn *t, MDB_dbi dbi, MDB_cursor **out);
/* Notes a failed write (anything negative) and returns it. */
int txn_fail(struct store_txn *t, int error);
/* A copy of the bytes and a NUL behind them, alive until t ends; NULL when memory ran out. */
void *txn_keep(struct store_txn *t, const void *data, size_t len);
/* -EROFS in a read transaction, else the failure that already spoiled it, or 0. */
int txn_writable(const struct store_txn *t);

static inline MDB_dbi txn_db(const struct store_txn *t, enum store_db db)
{
	return t->s->env->db[db];
}

/* Writes what is still in memory (batch, edges) into the transaction: before it is read and before commit. */
int txn_flush(struct store_txn *t);

#endif
