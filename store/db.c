/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Handles, transactions and small named values. LMDB's codes become negative errno here. A write transaction collects
 * flows and edges in memory and writes them sorted (batch.c, edges.c): txn_flush is where that happens, before any
 * read of them and before commit.
 */
#include "config.h"
#include "store/db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "common/timefmt.h"
#include "store/attempts.h"
#include "store/batch.h"
#include "store/edge_cache.h"
#include "store/env.h"
#include "store/retention.h"
#include "store/txn.h"

#define BUDGET_DEFAULT (4ull << 30)
#define BUDGET_MIN (1ull << 20)
#define DISK_FULL (1u << 20) /* bytes left: less than a commit may need */
#define KEEP_DEFAULT_NS (14 * 86400 * NS_PER_S)

struct memo {
	struct memo *next;
	char data[];
};

int db_errno(int mdb_rc)
{
	if (mdb_rc >= 0)
		return -mdb_rc; /* LMDB passes errno on as it is */
	switch (mdb_rc) {
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_KEYEXIST:
		return -EEXIST;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return -ENOSPC;
	case MDB_BAD_VALSIZE:
		return -EMSGSIZE;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
		return -EBADMSG;
	case MDB_VERSION_MISMATCH:
		return -EPROTO;
	case MDB_READERS_FULL:
	case MDB_MAP_RESIZED:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

int store_open(struct store **out, const char *dir, enum store_mode mode, const struct store_options *options)
{
	struct store *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->mode = mode;
	if (options)
		s->options = *options;
	if (!s->options.size_budget)
		s->options.size_budget = BUDGET_DEFAULT;
	if (!s->options.keep_ns)
		s->options.keep_ns = KEEP_DEFAULT_NS;
	rc = -EINVAL;
	if (s->options.size_budget < BUDGET_MIN)
		goto out;
	rc = env_open(&s->env, dir, mode, &s->options);
	if (rc || mode != STORE_WRITE)
		goto out;
	rc = batch_new(&s->batch);
	if (!rc)
		rc = attempts_batch_new(&s->attempts);
	if (!rc)
		rc = edge_cache_new(&s->edges);
out:
	if (rc)
		store_close(s);
	else
		*out = s;
	return rc;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	batch_free(s->batch);
	attempts_batch_free(s->attempts);
	edge_cache_free(s->edges);
	if (s->env)
		env_close(s->env);
	free(s);
}

/* LMDB's begin. A reader whose map is too small for what a writer has written since maps again. */
static int begin(struct store_txn *t)
{
	struct store_env *e = t->s->env;
	int rc = mdb_txn_begin(e->mdb, NULL, t->write ? 0 : MDB_RDONLY, &t->mdb);

	if (rc == MDB_MAP_RESIZED && !e->txns) {
		rc = mdb_env_set_mapsize(e->mdb, 0);
		if (!rc)
			rc = mdb_txn_begin(e->mdb, NULL, t->write ? 0 : MDB_RDONLY, &t->mdb);
	}
	if (rc == MDB_READERS_FULL && mdb_reader_check(e->mdb, NULL) == 0)
		rc = mdb_txn_begin(e->mdb, NULL, t->write ? 0 : MDB_RDONLY, &t->mdb);
	return db_errno(rc);
}

int txn_begin(struct store_txn **out, struct store *s, bool write)
{
	struct store_txn *t;
	int rc;

	if (write && s->mode != STORE_WRITE)
		return -EROFS;
	if (write && s->env->writing)
		return -EBUSY; /* LMDB would wait for ourselves for ever */
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->s = s;
	t->write = write;
	rc = begin(t);
	if (rc) {
		free(t);
		return rc;
	}
	s->env->txns++;
	if (write)
		s->env->writing = true;
	*out = t;
	return 0;
}

int store_begin(struct store_txn **out, struct store *s, bool write)
{
	int rc = write && s->mode == STORE_WRITE && !s->env->writing ? retention_make_room(s) : 0;

	return rc ? rc : txn_begin(out, s, write);
}

/* Everything but LMDB's transaction, which is over. */
static void end(struct store_txn *t)
{
	struct store *s = t->s;

	while (t->memo) {
		struct memo *m = t->memo;

		t->memo = m->next;
		free(m);
	}
	s->env->txns--;
	if (t->write) {
		s->env->writing = false;
		if (t->error != -ECANCELED)
			s->full = t->error == -ENOSPC;
		batch_clear(s->batch);
		attempts_batch_clear(s->attempts);
		edge_cache_clear(s->edges, t->error == 0);
	}
	free(t);
}

int txn_flush(struct store_txn *t)
{
	int rc;

	if (!t->write)
		return 0;
	rc = t->error;
	if (!rc)
		rc = batch_flush(t);
	if (!rc)
		rc = attempts_batch_flush(t);
	if (!rc)
		rc = edge_cache_flush(t);
	return txn_fail(t, rc);
}

/* LMDB says EIO for a write that was cut short, which is what a disk that fills up does. */
static int commit_errno(const struct store_txn *t, int rc)
{
	struct statvfs fs;

	if (rc == -EIO && fstatvfs(t->s->env->fd, &fs) == 0 && fs.f_bavail * fs.f_frsize < DISK_FULL)
		return -ENOSPC;
	return rc;
}

int store_commit(struct store_txn *t)
{
	int rc = 0;

	if (!t->write) {
		store_abort(t);
		return 0;
	}
	rc = txn_flush(t);
	if (!rc)
		rc = bucket_save(t);
	if (rc)
		mdb_txn_abort(t->mdb);
	else
		rc = commit_errno(t, db_errno(guard_commit(t->mdb)));
	t->error = rc;
	end(t);
	return rc;
}

void store_abort(struct store_txn *t)
{
	if (!t)
		return;
	mdb_txn_abort(t->mdb);
	if (!t->error)
		t->error = -ECANCELED; /* what was learnt in it (group numbers) is void */
	end(t);
}

int txn_fail(struct store_txn *t, int error)
{
	if (error < 0 && !t->error)
		t->error = error;
	return error;
}

int txn_writable(const struct store_txn *t)
{
	return t->write ? t->error : -EROFS;
}

int txn_get(struct store_txn *t, MDB_dbi dbi, const void *key, size_t key_len, MDB_val *out)
{
	MDB_val k = {key_len, (void *)(uintptr_t)key}, v;
	int rc = db_errno(guard_get(t->mdb, dbi, &k, &v));

	if (!rc)
		*out = v;
	return rc;
}

int txn_put(struct store_txn *t, MDB_dbi dbi, const void *key, size_t key_len, const void *value, size_t len)
{
	MDB_val k = {key_len, (void *)(uintptr_t)key}, v = {len, (void *)(uintptr_t)value};
	int rc = txn_writable(t);

	return rc ? rc : txn_fail(t, db_errno(guard_put(t->mdb, dbi, &k, &v, 0)));
}

int txn_del(struct store_txn *t, MDB_dbi dbi, const void *key, size_t key_len)
{
	MDB_val k = {key_len, (void *)(uintptr_t)key};
	int rc = txn_writable(t);

	if (rc)
		return rc;
	rc = guard_del(t->mdb, dbi, &k);
	return rc == MDB_NOTFOUND ? 0 : txn_fail(t, db_errno(rc));
}

int txn_cursor(struct store_txn *t, MDB_dbi dbi, MDB_cursor **out)
{
	return db_errno(mdb_cursor_open(t->mdb, dbi, out));
}

void *txn_keep(struct store_txn *t, const void *data, size_t len)
{
	struct memo *m = malloc(sizeof(*m) + len + 1);

	if (!m)
		return NULL;
	m->next = t->memo;
	t->memo = m;
	if (len)
		memcpy(m->data, data, len);
	m->data[len] = '\0';
	return m->data;
}

int store_meta_put(struct store_txn *t, const char *name, const void *value, uint32_t len)
{
	size_t n = strlen(name);
	int rc = txn_writable(t);

	if (rc)
		return rc;
	if (n == 0 || n > 255)
		return -EINVAL;
	return value ? txn_put(t, txn_db(t, DB_META), name, n, value, len) : txn_del(t, txn_db(t, DB_META), name, n);
}

int store_meta_get(struct store_txn *t, const char *name, void *value, uint32_t *len)
{
	size_t n = strlen(name);
	MDB_val v;
	int rc;

	if (n == 0 || n > 255)
		return -EINVAL;
	rc = txn_get(t, txn_db(t, DB_META), name, n, &v);
	if (rc)
		return rc;
	if (v.mv_size > *len)
		return -ENOBUFS;
	memcpy(value, v.mv_data, v.mv_size);
	*len = (uint32_t)v.mv_size;
	return 0;
}

int store_meta_walk(struct store_txn *t, const char *prefix, store_meta_fn *fn, void *arg)
{
	MDB_val key = {strlen(prefix), (void *)(uintptr_t)prefix}, value;
	MDB_cursor_op op = MDB_SET_RANGE;
	MDB_cursor *c = NULL;
	char name[256];
	int rc = key.mv_size ? txn_cursor(t, txn_db(t, DB_META), &c) : -EINVAL;

	while (!rc) {
		rc = db_errno(guard_cursor_get(c, &key, &value, op));
		if (rc || key.mv_size >= sizeof(name) || key.mv_size < strlen(prefix) ||
		    memcmp(key.mv_data, prefix, strlen(prefix)) != 0)
			break;
		memcpy(name, key.mv_data, key.mv_size);
		name[key.mv_size] = '\0';
		rc = fn(arg, name, value.mv_data, (uint32_t)value.mv_size);
		op = MDB_NEXT;
	}
	if (c)
		mdb_cursor_close(c);
	return rc == -ENOENT ? 0 : rc;
}

static uint64_t entries(struct store_txn *t, enum store_db db)
{
	MDB_stat st;

	return mdb_stat(t->mdb, txn_db(t, db), &st) == 0 ? st.ms_entries : 0;
}

int store_stats(struct store_txn *t, struct store_stats *out)
{
	struct store_stats r = {.size_budget = t->s->options.size_budget};
	struct env_space space;
	int rc = txn_flush(t);

	if (!rc)
		rc = bucket_load(t);
	if (!rc)
		rc = env_space(&space, t->s->env, t->mdb);
	if (rc)
		return rc;
	r.bytes_file = space.file;
	r.bytes_used = space.file > space.free ? space.file - space.free : 0;
	for (unsigned i = 0; i < t->dir.n; i++) {
		const struct bucket *b = &t->dir.b[i];

		r.flows += b->count[KIND_FLOW];
		r.attempts += b->count[KIND_ATTEMPTS];
		r.verdicts += b->count[KIND_VERDICT];
		if (b->count[KIND_FLOW] && !r.oldest_flow_ns)
			r.oldest_flow_ns = b->min_flow_ns;
		if (b->count[KIND_FLOW])
			r.newest_flow_ns = b->max_flow_ns;
	}
	r.workloads = entries(t, DB_WORKLOADS);
	r.edges = entries(t, DB_EDGE_SET);
	*out = r;
	return 0;
}
