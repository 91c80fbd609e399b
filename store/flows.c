/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading flows. A bucket's flows are sorted by start, but a question is about lives: a flow that began before the
 * interval and reaches into it belongs to the answer. Most flows are short, so the scan begins INDEX_LONG_NS before the
 * interval; the few that last longer are listed in an index of their own, which is followed from as far back as the
 * longest life in the bucket reaches. The two ranges of start times do not overlap, so the answer stays in order.
 * With a workload or an address given, that index is followed instead over the whole range.
 */
#include "config.h"
#include "store/flows.h"

#include <errno.h>
#include <string.h>

#include "store/batch.h"
#include "store/key.h"
#include "store/txn.h"

#define HEAD_LEN 17 /* see batch.c */
#define VALUE_MAX (FLOW_ATTRS_MAX + 1024)

int store_flow_put(struct store_txn *t, const struct flow_rec *f)
{
	int rc = txn_writable(t);

	if (rc)
		return rc;
	if (f->attrs_len > FLOW_ATTRS_MAX)
		return -EMSGSIZE;
	if (f->end_ns < f->start_ns)
		return -EINVAL;
	return batch_add(t, f);
}

/* A record as it is kept: its key has start and id, which flow_decode wants in front. scratch takes the whole. */
static int decode(struct flow_rec *out, uint8_t scratch[VALUE_MAX], const MDB_val *key, const MDB_val *value)
{
	const uint8_t *k = key->mv_data, *v = value->mv_data;

	if (key->mv_size != FLOW_KEY_LEN || value->mv_size < 1 || value->mv_size - 1 > VALUE_MAX - HEAD_LEN)
		return -EBADMSG;
	scratch[0] = v[0];
	memcpy(scratch + 1, k + 9, 8);
	memcpy(scratch + 9, k + 1, 8);
	memcpy(scratch + HEAD_LEN, v + 1, value->mv_size - 1);
	return flow_decode(out, scratch, value->mv_size - 1 + HEAD_LEN);
}

int store_flow_get(struct store_txn *t, uint64_t start_ns, uint64_t id, struct flow_rec *out)
{
	uint8_t raw[FLOW_KEY_LEN], scratch[VALUE_MAX];
	MDB_val key = {sizeof(raw), raw}, value;
	struct flow_rec f;
	int rc = txn_flush(t);

	key_put_u64(key_put_u64(key_put_u8(raw, KIND_FLOW), start_ns), id);
	if (!rc)
		rc = bucket_get(t, raw, sizeof(raw), &value);
	if (!rc)
		rc = decode(&f, scratch, &key, &value);
	if (rc)
		return rc;
	if (f.attrs_len) {
		f.attrs = txn_keep(t, f.attrs, f.attrs_len);
		if (!f.attrs)
			return -ENOMEM;
	}
	*out = f;
	return 0;
}

struct walk {
	struct store_txn *t;
	const struct flow_query *q;
	uint64_t until_ns;
	store_flow_fn *fn;
	void *arg;
	struct bucket b; /* a copy: fn may write */
	MDB_cursor *rec, *idx;
	uint8_t index_key[INDEX_KEY_MAX];
	size_t index_key_len; /* 0: by time */
	uint8_t scratch[VALUE_MAX];
};

static bool wanted(const struct walk *w, const struct flow_rec *f)
{
	const struct flow_query *q = w->q;

	return f->end_ns >= q->since_ns && f->start_ns <= w->until_ns &&
	       (!q->workload || f->workload[0] == q->workload || f->workload[1] == q->workload) &&
	       (addr_equal(&q->addr, &addr_any) || addr_equal(&q->addr, &f->addr[0]) ||
		addr_equal(&q->addr, &f->addr[1]) || addr_equal(&q->addr, &f->nat_addr));
}

static int offer(struct walk *w, const MDB_val *key, const MDB_val *value)
{
	struct flow_rec f;
	int rc = decode(&f, w->scratch, key, value);

	if (!rc && wanted(w, &f))
		rc = w->fn(w->arg, &f);
	return rc;
}

/* Places the record cursor at the first record at or behind (start, id), or for newest_first the last at or before it.
 * 0, MDB_NOTFOUND, or LMDB's error. */
static int seek(const struct walk *w, uint64_t start_ns, uint64_t id, MDB_val *key, MDB_val *value)
{
	uint8_t raw[FLOW_KEY_LEN];
	int rc;

	key_put_u64(key_put_u64(key_put_u8(raw, KIND_FLOW), start_ns), id);
	key->mv_size = sizeof(raw);
	key->mv_data = raw;
	rc = guard_cursor_get(w->rec, key, value, MDB_SET_RANGE);
	if (!w->q->newest_first)
		return rc;
	if (rc == MDB_NOTFOUND)
		return guard_cursor_get(w->rec, key, value, MDB_LAST);
	if (rc == 0 && (key->mv_size != sizeof(raw) || memcmp(key->mv_data, raw, sizeof(raw)) != 0))
		rc = guard_cursor_get(w->rec, key, value, MDB_PREV);
	return rc;
}

/* All records with start and id between these, in the order asked for. */
static int scan(struct walk *w, uint64_t from_ns, uint64_t from_id, uint64_t to_ns, uint64_t to_id)
{
	bool back = w->q->newest_first;
	MDB_val key, value;
	int rc = seek(w, back ? to_ns : from_ns, back ? to_id : from_id, &key, &value);

	while (rc == 0) {
		const uint8_t *k = key.mv_data;
		uint64_t start, id;

		if (key.mv_size != FLOW_KEY_LEN || k[0] != KIND_FLOW)
			return 0;
		start = key_get_u64(k + 1);
		id = key_get_u64(k + 9);
		if (back ? start < from_ns || (start == from_ns && id < from_id)
			 : start > to_ns || (start == to_ns && id > to_id))
			return 0;
		rc = offer(w, &key, &value);
		if (rc)
			return rc;
		rc = guard_cursor_get(w->rec, &key, &value, back ? MDB_PREV : MDB_NEXT);
	}
	return rc == MDB_NOTFOUND ? 0 : db_errno(rc);
}

/* The first index value of the key at or behind from_ns, or, going back, the last at or before to_ns. */
static int index_seek(const struct walk *w, MDB_val *key, MDB_val *value, uint64_t from_ns, uint64_t to_ns)
{
	uint8_t raw[INDEX_VALUE_LEN];
	bool back = w->q->newest_first;
	int rc;

	if (back && to_ns == UINT64_MAX) {
		rc = guard_cursor_get(w->idx, key, value, MDB_SET);
		return rc ? rc : guard_cursor_get(w->idx, key, value, MDB_LAST_DUP);
	}
	key_put_u16(key_put_u64(raw, back ? to_ns + 1 : from_ns), 0);
	value->mv_size = sizeof(raw);
	value->mv_data = raw;
	rc = guard_cursor_get(w->idx, key, value, MDB_GET_BOTH_RANGE);
	if (!back)
		return rc;
	if (rc == 0)
		return guard_cursor_get(w->idx, key, value, MDB_PREV_DUP);
	if (rc != MDB_NOTFOUND)
		return rc;
	rc = guard_cursor_get(w->idx, key, value, MDB_SET);
	return rc ? rc : guard_cursor_get(w->idx, key, value, MDB_LAST_DUP);
}

/* Follows one index key over start times from_ns to to_ns. */
static int follow(struct walk *w, const uint8_t *index_key, size_t len, uint64_t from_ns, uint64_t to_ns)
{
	bool back = w->q->newest_first;
	MDB_val key = {len, (void *)(uintptr_t)index_key}, value;
	int rc = index_seek(w, &key, &value, from_ns, to_ns);

	while (rc == 0) {
		uint64_t start, id;

		if (value.mv_size != INDEX_VALUE_LEN)
			return -EBADMSG;
		start = key_get_u64(value.mv_data);
		id = (uint64_t)key_get_u16((const uint8_t *)value.mv_data + 8) << 48;
		if (back ? start < from_ns : start > to_ns)
			return 0;
		rc = scan(w, start, id, start, id | (UINT64_MAX >> 16));
		if (rc)
			return rc;
		/* When fn wrote, the cursors were kept in place by LMDB; its values were not. */
		rc = guard_cursor_get(w->idx, &key, &value, back ? MDB_PREV_DUP : MDB_NEXT_DUP);
	}
	return rc == MDB_NOTFOUND ? 0 : db_errno(rc);
}

static int walk_bucket(struct walk *w)
{
	static const uint8_t long_key[1] = {INDEX_LONG};
	uint64_t from = key_time_before(w->q->since_ns, w->b.max_life_ns);
	uint64_t near = key_time_before(w->q->since_ns, INDEX_LONG_NS);
	int rc = 0;

	if (w->index_key_len)
		return follow(w, w->index_key, w->index_key_len, from, w->until_ns);
	if (w->q->newest_first)
		rc = scan(w, from > near ? from : near, 0, w->until_ns, UINT64_MAX);
	if (!rc && from < near)
		rc = follow(w, long_key, sizeof(long_key), from, near - 1);
	if (!rc && !w->q->newest_first)
		rc = scan(w, from > near ? from : near, 0, w->until_ns, UINT64_MAX);
	return rc;
}

int store_flow_walk(struct store_txn *t, const struct flow_query *q, store_flow_fn *fn, void *arg)
{
	struct walk w = {.t = t, .q = q, .until_ns = q->until_ns ? q->until_ns : UINT64_MAX, .fn = fn, .arg = arg};
	struct bucket_dir dir;
	int rc = txn_flush(t);

	if (!rc)
		rc = bucket_load(t);
	if (rc)
		return rc;
	if (q->workload) {
		key_put_u64(key_put_u8(w.index_key, INDEX_WORKLOAD), q->workload);
		w.index_key_len = 9;
	} else if (!addr_equal(&q->addr, &addr_any)) {
		w.index_key_len = index_key_addr(w.index_key, &q->addr);
	}
	dir = t->dir;
	for (unsigned i = 0; i < dir.n && !rc; i++) {
		w.b = dir.b[q->newest_first ? dir.n - 1 - i : i];
		if (!w.b.count[KIND_FLOW] || w.b.min_flow_ns > w.until_ns || w.b.max_end_ns < q->since_ns)
			continue;
		rc = txn_cursor(t, t->s->env->rec[w.b.slot], &w.rec);
		if (!rc)
			rc = txn_cursor(t, t->s->env->idx[w.b.slot], &w.idx);
		if (!rc)
			rc = walk_bucket(&w);
		if (w.rec)
			mdb_cursor_close(w.rec);
		if (w.idx)
			mdb_cursor_close(w.idx);
		w.rec = w.idx = NULL;
	}
	return rc;
}
