/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls into LMDB that survive its assertions: see guard.h. */
#include "config.h"
#include "store/guard.h"

#include <setjmp.h>
#include <stddef.h>

static _Thread_local jmp_buf *guard_at; /* where to go; NULL outside of these calls */

void guard_assert(MDB_env *env, const char *message)
{
	(void)env;
	(void)message;
	if (guard_at)
		longjmp(*guard_at, 1);
}

/* _setjmp: without the signal mask, a few nanoseconds. The jump goes down one level only, so nothing is skipped but
 * LMDB's own frames. */
#define GUARDED(call)                                                                                                  \
	jmp_buf here;                                                                                                  \
	int rc = MDB_CORRUPTED;                                                                                        \
                                                                                                                       \
	if (_setjmp(here) == 0) {                                                                                      \
		guard_at = &here;                                                                                      \
		rc = (call);                                                                                           \
		guard_at = NULL;                                                                                       \
		return rc;                                                                                             \
	}                                                                                                              \
	guard_at = NULL;                                                                                               \
	return MDB_CORRUPTED

int guard_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
	GUARDED(mdb_get(txn, dbi, key, value));
}

int guard_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags)
{
	GUARDED(mdb_put(txn, dbi, key, value, flags));
}

int guard_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key)
{
	GUARDED(mdb_del(txn, dbi, key, NULL));
}

int guard_drop(MDB_txn *txn, MDB_dbi dbi)
{
	GUARDED(mdb_drop(txn, dbi, 0));
}

int guard_commit(MDB_txn *txn)
{
	jmp_buf here;
	int rc = MDB_CORRUPTED;

	if (_setjmp(here) == 0) {
		guard_at = &here;
		rc = mdb_txn_commit(txn);
		guard_at = NULL;
		return rc;
	}
	guard_at = NULL;
	mdb_txn_abort(txn); /* a commit that returns has ended the transaction; one that was left has not */
	return MDB_CORRUPTED;
}

int guard_dbi_open(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *dbi)
{
	GUARDED(mdb_dbi_open(txn, name, flags, dbi));
}

int guard_cursor_get(MDB_cursor *c, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
	GUARDED(mdb_cursor_get(c, key, value, op));
}

int guard_cursor_put(MDB_cursor *c, MDB_val *key, MDB_val *value, unsigned flags)
{
	GUARDED(mdb_cursor_put(c, key, value, flags));
}

int guard_cursor_del(MDB_cursor *c)
{
	GUARDED(mdb_cursor_del(c, 0));
}
