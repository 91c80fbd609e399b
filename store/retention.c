/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Forgetting. What is older than the time to keep goes, and when the file nears its budget the oldest goes early:
 * whole buckets first (flows, attempts, verdicts, coverage), then the oldest hours of edges. Each drop is a
 * transaction of its own, since LMDB can only reuse pages of transactions that are over.
 *
 * Dropping needs a few fresh pages too. They are kept back: ordinary transactions may fill the budget less a
 * reserve (env_reserve), and only when a drop finds no page is the rest of the budget opened to it.
 */
#include "config.h"
#include "store/retention.h"

#include <errno.h>

#include "store/env.h"
#include "store/key.h"

#define ROOM_PART 16                /* of the budget, kept free for the next transactions */
#define ROOM_MIN (1u << 20)         /* but no less, for small budgets */
#define ROOM_PART_FULL 4            /* the same, after one did not fit */
#define EDGES_PART 4                /* of the budget: what edges may take */
#define EDGES_PER_DROP 4096         /* records deleted in one transaction */

/* Drops the bucket that is first in the directory; with limit_ns only when all of it ended before. */
static int drop_first(struct store_txn *t, uint64_t limit_ns, unsigned keep, uint64_t *dropped)
{
	int rc = bucket_load(t);

	if (rc)
		return rc;
	for (unsigned i = 0; i + keep < t->dir.n; i++)
		if (!limit_ns || t->dir.b[i].max_end_ns < limit_ns)
			return bucket_drop(t, &t->dir.b[i], dropped);
	return -ENOENT;
}

/* The oldest hours of edges, up to EDGES_PER_DROP records. */
static int drop_edges(struct store_txn *t, uint64_t *dropped)
{
	MDB_cursor *c = NULL;
	MDB_val key, value;
	int rc = txn_cursor(t, txn_db(t, DB_EDGES), &c);

	if (rc)
		return rc;
	for (unsigned i = 0; i < EDGES_PER_DROP; i++) {
		rc = guard_cursor_get(c, &key, &value, MDB_FIRST);
		if (rc)
			break;
		rc = guard_cursor_del(c);
		if (rc)
			break;
		++*dropped;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : db_errno(rc);
}

enum drop { DROP_OLD, DROP_OLDEST, DROP_EDGES };

/* One drop, one transaction. -ENOENT: nothing left to drop. */
static int drop_one(struct store *s, enum drop what, uint64_t limit_ns, uint64_t *dropped)
{
	struct store_txn *t;
	uint64_t n = 0;
	int rc = txn_begin(&t, s, true);

	if (rc)
		return rc;
	if (what == DROP_EDGES)
		rc = drop_edges(t, &n);
	else
		rc = drop_first(t, limit_ns, what == DROP_OLDEST ? 1 : 0, &n);
	if (!rc && n == 0 && what == DROP_EDGES)
		rc = -ENOENT;
	if (rc) {
		store_abort(t);
		return rc;
	}
	rc = store_commit(t);
	if (!rc)
		*dropped += n;
	return rc;
}

/* The same; where there was no page left even for that, with the reserve opened to it. */
static int drop_with_reserve(struct store *s, enum drop what, uint64_t limit_ns, uint64_t *dropped)
{
	int rc = drop_one(s, what, limit_ns, dropped), again;

	if (rc != -ENOSPC || env_allow(s->env, s->options.size_budget))
		return rc;
	rc = drop_one(s, what, limit_ns, dropped);
	again = env_allow(s->env, s->env->limit);
	return rc ? rc : again;
}

/* Bytes the next transaction can take, those it could take after one more commit, and what edges take. */
struct room {
	uint64_t now, soon, edges;
};

static int room(struct room *out, struct store *s)
{
	struct env_space space;
	struct store_txn *t;
	uint64_t used, freed_last;
	MDB_stat st;
	int rc = txn_begin(&t, s, false);

	if (rc)
		return rc;
	rc = env_space(&space, s->env, t->mdb);
	if (!rc)
		rc = db_errno(mdb_stat(t->mdb, txn_db(t, DB_EDGES), &st));
	store_abort(t);
	if (rc)
		return rc;
	used = space.file - space.free; /* the file may be larger than the limit, when the budget was once larger */
	freed_last = space.free - space.free_next;
	out->soon = key_time_before(s->env->limit, used);
	out->now = key_time_before(out->soon, freed_last);
	out->edges = (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) * (uint64_t)st.ms_psize;
	return 0;
}

/* A commit of next to nothing, so that what the one before it freed can be reused. */
static int bump(struct store *s)
{
	uint8_t value[8] = {0};
	struct store_txn *t;
	uint32_t len = sizeof(value);
	int rc = txn_begin(&t, s, true);

	if (rc)
		return rc;
	rc = store_meta_get(t, "drops", value, &len);
	key_put_u64(value, key_get_u64(value) + 1);
	if (!rc || rc == -ENOENT)
		rc = store_meta_put(t, "drops", value, sizeof(value));
	if (!rc)
		return store_commit(t);
	store_abort(t);
	return rc;
}

/* Drops the oldest until wanted bytes are free. Running out of things to drop is no error here: the transaction that
 * then does not fit says so. */
static int make_room(struct store *s, uint64_t wanted, uint64_t *dropped)
{
	uint64_t edges_max = s->options.size_budget / EDGES_PART;
	bool bumped = false; /* a bump frees a few pages itself: it must not be tried twice for the same drop */
	struct room r;
	int rc;

	for (;;) {
		rc = room(&r, s);
		if (rc || (r.now >= wanted && r.edges <= edges_max))
			return rc;
		if (r.edges > edges_max)
			rc = drop_with_reserve(s, DROP_EDGES, 0, dropped);
		else if (r.soon >= wanted && !bumped)
			rc = bump(s);
		else
			rc = drop_with_reserve(s, DROP_OLDEST, 0, dropped);
		bumped = r.edges <= edges_max && r.soon >= wanted && !bumped;
		if (rc == -ENOENT && r.soon < wanted)
			rc = drop_with_reserve(s, DROP_EDGES, 0, dropped);
		if (rc)
			return rc == -ENOENT ? 0 : rc;
	}
}

/* What is to be free before a transaction. */
static uint64_t room_wanted(const struct store *s)
{
	uint64_t budget = s->options.size_budget, wanted = budget / ROOM_PART;

	if (wanted < ROOM_MIN)
		wanted = ROOM_MIN;
	return s->full || wanted > budget / ROOM_PART_FULL ? budget / ROOM_PART_FULL : wanted;
}

int retention_make_room(struct store *s)
{
	uint64_t wanted = room_wanted(s), dropped = 0;
	MDB_envinfo info;
	MDB_stat st;

	mdb_env_info(s->env->mdb, &info);
	mdb_env_stat(s->env->mdb, &st);
	/* Cheap in the common case: with that much of the file never used there is nothing to count. */
	if (!s->full && (info.me_last_pgno + 1) * st.ms_psize + wanted < s->env->limit)
		return 0;
	mdb_reader_check(s->env->mdb, NULL); /* a reader that died must not pin pages */
	return make_room(s, wanted, &dropped);
}

int store_retain(struct store *s, uint64_t now_ns, uint64_t *dropped)
{
	uint64_t limit = key_time_before(now_ns, s->options.keep_ns), n = 0;
	int rc = 0;

	if (s->mode != STORE_WRITE)
		return -EROFS;
	if (s->env->writing)
		return -EBUSY;
	mdb_reader_check(s->env->mdb, NULL);
	while (!rc && limit)
		rc = drop_with_reserve(s, DROP_OLD, limit, &n);
	if (!rc || rc == -ENOENT)
		rc = make_room(s, room_wanted(s), &n);
	*dropped = n;
	return rc;
}
