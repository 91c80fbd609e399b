/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LMDB ends the process where a page is not what it must be (mdb_assert). For us that is a damaged file, and a damaged
 * file is an error like any other. LMDB calls guard_assert first, and that jumps out to where the call began,
 * which then returns MDB_CORRUPTED. LMDB holds no lock inside these calls but the writer's, which aborting releases.
 */
#ifndef WEIR_STORE_GUARD_H
#define WEIR_STORE_GUARD_H
#include <lmdb.h>

void guard_assert(MDB_env *env, const char *message); /* for mdb_env_set_assert */

/* As the mdb_ functions of the same names. */
int guard_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value);
int guard_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags);
int guard_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key);
int guard_drop(MDB_txn *txn, MDB_dbi dbi);
int guard_commit(MDB_txn *txn); /* the transaction is over, also on failure */
int guard_dbi_open(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *dbi);
int guard_cursor_get(MDB_cursor *c, MDB_val *key, MDB_val *value, MDB_cursor_op op);
int guard_cursor_put(MDB_cursor *c, MDB_val *key, MDB_val *value, unsigned flags);
int guard_cursor_del(MDB_cursor *c);

#endif
