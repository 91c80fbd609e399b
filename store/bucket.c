/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Time buckets: see bucket.h for why. The directory is small (at most BUCKETS_MAX records); a transaction reads it once
 * and writes back what changed. A split does not move anything: the bucket merely stops owning times later than
 * the latest it holds, and the next record behind that makes a bucket of its own.
 */
#include "config.h"
#include "store/bucket.h"

#include <errno.h>
#include <string.h>

#include "common/timefmt.h"
#include "store/key.h"
#include "store/txn.h"

#define DIR_VERSION 1
#define DIR_LEN (2 + 8 * (8 + KIND_END_ - 1)) /* version, slot, u64 each */
#define WIDTH_UNIT_NS (600 * NS_PER_S)        /* bucket widths are whole multiples of it */
#define SHARE_MIN (64u << 10)                 /* bytes: no bucket is closed for being smaller */
#define INDEX_ENTRY 16                        /* bytes an index entry takes, about, with its share of a page */

static void dir_encode(uint8_t out[DIR_LEN], const struct bucket *b)
{
	const uint64_t v[] = {b->last_ns,     b->min_ns,     b->max_ns,      b->min_flow_ns, b->max_flow_ns,
			      b->max_end_ns,  b->max_life_ns, b->max_reach_ns};
	uint8_t *p = key_put_u8(key_put_u8(out, DIR_VERSION), b->slot);

	for (unsigned i = 0; i < 8; i++)
		p = key_put_u64(p, v[i]);
	for (unsigned i = 1; i < KIND_END_; i++)
		p = key_put_u64(p, b->count[i]);
}

static int dir_decode(struct bucket *b, const MDB_val *key, const MDB_val *value)
{
	uint64_t *const v[] = {&b->last_ns,    &b->min_ns,      &b->max_ns,      &b->min_flow_ns, &b->max_flow_ns,
			       &b->max_end_ns, &b->max_life_ns, &b->max_reach_ns};
	const uint8_t *p = value->mv_data;

	memset(b, 0, sizeof(*b));
	if (key->mv_size != 8 || value->mv_size != DIR_LEN || p[0] != DIR_VERSION || p[1] >= BUCKETS_MAX)
		return -EBADMSG;
	b->from_ns = key_get_u64(key->mv_data);
	b->slot = p[1];
	for (unsigned i = 0; i < 8; i++)
		*v[i] = key_get_u64(p + 2 + 8 * i);
	for (unsigned i = 1; i < KIND_END_; i++)
		b->count[i] = key_get_u64(p + 2 + 8 * (7 + i));
	return b->last_ns < b->from_ns ? -EBADMSG : 0;
}

int bucket_load(struct store_txn *t)
{
	struct bucket_dir *d = &t->dir;
	MDB_cursor *c = NULL;
	MDB_val key, value;
	int rc;

	if (d->loaded)
		return 0;
	rc = txn_cursor(t, txn_db(t, DB_BUCKETS), &c);
	if (rc)
		return rc;
	d->n = 0;
	while ((rc = guard_cursor_get(c, &key, &value, MDB_NEXT)) == 0) {
		if (d->n == BUCKETS_MAX || dir_decode(&d->b[d->n], &key, &value) ||
		    (d->n && d->b[d->n - 1].last_ns >= d->b[d->n].from_ns)) {
			rc = MDB_CORRUPTED;
			break;
		}
		d->n++;
	}
	mdb_cursor_close(c);
	if (rc != MDB_NOTFOUND)
		return db_errno(rc);
	d->loaded = true;
	return 0;
}

int bucket_save(struct store_txn *t)
{
	uint8_t key[8], value[DIR_LEN];
	int rc = 0;

	for (unsigned i = 0; i < t->dir.n && !rc; i++) {
		struct bucket *b = &t->dir.b[i];

		if (!b->dirty)
			continue;
		key_put_u64(key, b->from_ns);
		dir_encode(value, b);
		rc = txn_put(t, txn_db(t, DB_BUCKETS), key, sizeof(key), value, sizeof(value));
		b->dirty = false;
	}
	return rc;
}

/* How many buckets begin at or before at_ns. */
static unsigned rank(const struct bucket_dir *d, uint64_t at_ns)
{
	unsigned lo = 0, hi = d->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (d->b[mid].from_ns <= at_ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct bucket *bucket_find(struct store_txn *t, uint64_t at_ns)
{
	unsigned i = rank(&t->dir, at_ns);

	return i && at_ns <= t->dir.b[i - 1].last_ns ? &t->dir.b[i - 1] : NULL;
}

/* A pair of databases that no bucket uses. */
static uint8_t free_slot(const struct bucket_dir *d)
{
	bool used[BUCKETS_MAX] = {false};
	uint8_t slot = 0;

	for (unsigned i = 0; i < d->n; i++)
		used[d->b[i].slot] = true;
	while (used[slot])
		slot++;
	return slot;
}

int bucket_for(struct bucket **out, struct store_txn *t, uint64_t at_ns)
{
	struct bucket_dir *d = &t->dir;
	uint64_t width = t->s->options.keep_ns / BUCKETS_WANTED / WIDTH_UNIT_NS * WIDTH_UNIT_NS, from, last;
	struct bucket *b;
	unsigned i;
	int rc = bucket_load(t);

	if (rc)
		return rc;
	*out = bucket_find(t, at_ns);
	if (*out)
		return 0;
	if (width < WIDTH_UNIT_NS)
		width = WIDTH_UNIT_NS;
	i = rank(d, at_ns);
	from = at_ns - at_ns % width;
	last = key_time_after(from, width - 1);
	if (i && d->b[i - 1].last_ns >= from)
		from = d->b[i - 1].last_ns + 1;
	if (i < d->n && d->b[i].from_ns <= last)
		last = d->b[i].from_ns - 1;
	if (d->n < BUCKETS_MAX) {
		uint8_t slot = free_slot(d);

		memmove(&d->b[i + 1], &d->b[i], (d->n - i) * sizeof(d->b[0]));
		b = &d->b[i];
		memset(b, 0, sizeof(*b));
		b->from_ns = from;
		b->last_ns = last;
		b->slot = slot;
		d->n++;
	} else if (i) {
		b = &d->b[i - 1];
		b->last_ns = last;
	} else { /* before the first: its key in the directory changes */
		uint8_t key[8];

		b = &d->b[0];
		key_put_u64(key, b->from_ns);
		rc = txn_del(t, txn_db(t, DB_BUCKETS), key, sizeof(key));
		b->from_ns = from;
	}
	b->dirty = true;
	*out = b;
	return rc;
}

int bucket_split(struct store_txn *t, struct bucket *b)
{
	uint64_t share = t->s->options.size_budget / BUCKETS_WANTED;
	MDB_stat rec, idx;
	int rc;

	if (t->dir.n == BUCKETS_MAX || b->max_ns >= b->last_ns)
		return 0;
	rc = db_errno(mdb_stat(t->mdb, t->s->env->rec[b->slot], &rec));
	if (!rc)
		rc = db_errno(mdb_stat(t->mdb, t->s->env->idx[b->slot], &idx));
	if (rc)
		return rc;
	if (share < SHARE_MIN)
		share = SHARE_MIN;
	/* An index of many entries under one key keeps them in a tree of their own, which is not in its page count. */
	if ((rec.ms_branch_pages + rec.ms_leaf_pages + rec.ms_overflow_pages) * rec.ms_psize +
		    idx.ms_entries * INDEX_ENTRY >
	    share) {
		b->last_ns = b->max_ns;
		b->dirty = true;
	}
	return 0;
}

int bucket_drop(struct store_txn *t, struct bucket *b, uint64_t *dropped)
{
	struct bucket_dir *d = &t->dir;
	uint8_t key[8];
	int rc;

	key_put_u64(key, b->from_ns);
	rc = txn_del(t, txn_db(t, DB_BUCKETS), key, sizeof(key));
	if (!rc)
		rc = txn_fail(t, db_errno(guard_drop(t->mdb, t->s->env->idx[b->slot])));
	if (!rc)
		rc = txn_fail(t, db_errno(guard_drop(t->mdb, t->s->env->rec[b->slot])));
	if (rc)
		return rc;
	for (unsigned i = 1; i < KIND_END_; i++)
		*dropped += b->count[i];
	d->n--;
	memmove(b, b + 1, (size_t)(&d->b[d->n] - b) * sizeof(*b));
	return 0;
}

int bucket_put(struct store_txn *t, const uint8_t *key, size_t key_len, uint64_t end_ns, const void *value, size_t len)
{
	uint64_t at_ns = key_get_u64(key + 1), reach = key_time_before(end_ns, at_ns);
	MDB_stat before, after;
	struct bucket *b;
	bool empty;
	MDB_dbi dbi;
	int rc = txn_writable(t);

	if (!rc)
		rc = txn_fail(t, bucket_for(&b, t, at_ns));
	if (rc)
		return rc;
	dbi = t->s->env->rec[b->slot];
	mdb_stat(t->mdb, dbi, &before);
	rc = txn_put(t, dbi, key, key_len, value, len);
	if (rc)
		return rc;
	mdb_stat(t->mdb, dbi, &after);
	empty = b->max_ns == 0 && b->min_ns == 0;
	b->count[key[0]] += after.ms_entries - before.ms_entries;
	if (empty || at_ns < b->min_ns)
		b->min_ns = at_ns;
	if (at_ns > b->max_ns)
		b->max_ns = at_ns;
	if (end_ns > b->max_end_ns)
		b->max_end_ns = end_ns;
	if (reach > b->max_reach_ns)
		b->max_reach_ns = reach;
	b->dirty = true;
	return 0;
}

int bucket_get(struct store_txn *t, const uint8_t *key, size_t key_len, MDB_val *out)
{
	int rc = bucket_load(t);
	struct bucket *b = rc ? NULL : bucket_find(t, key_get_u64(key + 1));

	if (!b)
		return rc ? rc : -ENOENT;
	return txn_get(t, t->s->env->rec[b->slot], key, key_len, out);
}

/* One bucket's part of bucket_walk: key times from_ns to until_ns. */
static int walk_one(struct store_txn *t, const struct bucket *b, enum bucket_kind kind, uint64_t from_ns,
		    uint64_t until_ns, bucket_fn *fn, void *arg)
{
	uint8_t seek[9];
	MDB_cursor *c = NULL;
	MDB_val key = {sizeof(seek), seek}, value;
	int rc = txn_cursor(t, t->s->env->rec[b->slot], &c);
	MDB_cursor_op op = MDB_SET_RANGE;

	if (rc)
		return rc;
	key_put_u64(key_put_u8(seek, (uint8_t)kind), from_ns);
	for (;; op = MDB_NEXT) {
		const uint8_t *k;

		rc = guard_cursor_get(c, &key, &value, op);
		if (rc) {
			rc = rc == MDB_NOTFOUND ? 0 : db_errno(rc);
			break;
		}
		k = key.mv_data;
		if (key.mv_size < sizeof(seek) || k[0] != kind || key_get_u64(k + 1) > until_ns)
			break;
		rc = fn(arg, &key, &value);
		if (rc)
			break;
	}
	mdb_cursor_close(c);
	return rc;
}

int bucket_walk(struct store_txn *t, enum bucket_kind kind, uint64_t since_ns, uint64_t until_ns, bucket_fn *fn,
		void *arg)
{
	int rc = bucket_load(t);

	if (!until_ns)
		until_ns = UINT64_MAX;
	for (unsigned i = 0; i < t->dir.n && !rc; i++) {
		const struct bucket b = t->dir.b[i]; /* a copy: fn may write */

		if (b.min_ns <= until_ns && b.max_end_ns >= since_ns && b.count[kind])
			rc = walk_one(t, &b, kind, key_time_before(since_ns, b.max_reach_ns), until_ns, fn, arg);
	}
	return rc;
}
