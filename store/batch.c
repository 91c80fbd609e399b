/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Batches of flows: see batch.h. A record's place in the tree is (start, id); that of its index entries is (key,
 * start, first bits of the id). Both are sorted as five 64-bit words, which compares several times faster than bytes,
 * and written in that order.
 *
 * A flow that is reported again with grown counters, as each one in progress is every few seconds, replaces its record.
 * Its index entries are mostly there already, but LMDB would copy their pages before it noticed; so for such flows, and
 * only for them, an entry is looked up before it is put. Nothing is ever deleted to write a flow.
 */
#include "config.h"
#include "store/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "store/key.h"
#include "store/txn.h"

#define BATCH_RECORDS 16384
#define BATCH_BYTES (8u << 20)
#define ENTRIES_PER_FLOW 6 /* two ends, the address before DNAT, two workloads, long */
#define HEAD_LEN 17        /* flow_encode begins with u8 version, u64 id, u64 start: the key has the latter two */

/* What is sorted: by the words in turn. */
struct item {
	uint64_t w[5];
};
/* Of a record: start, id, its number in the batch (later wins), offset << 32 | length of its bytes, end. */
enum { REC_START, REC_ID, REC_SEQ, REC_BYTES, REC_END };
/* Of an index entry: slot << 8 | kind, key bytes (2 words), start, first bits of the id << 32 | number of its
 * record. */
enum { IDX_KIND, IDX_KEY, IDX_KEY2, IDX_START, IDX_ID };

struct batch {
	struct buf bytes;
	struct item *rec, *idx, *spare;
	bool *known; /* by number: the record was there before, so look before you put its entries */
	size_t n_rec, n_idx;
};

int batch_new(struct batch **out)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->rec = malloc(BATCH_RECORDS * sizeof(*b->rec));
	b->idx = malloc(BATCH_RECORDS * ENTRIES_PER_FLOW * sizeof(*b->idx));
	b->spare = malloc(BATCH_RECORDS * ENTRIES_PER_FLOW * sizeof(*b->spare));
	b->known = calloc(BATCH_RECORDS, sizeof(*b->known));
	if (!b->rec || !b->idx || !b->spare || !b->known) {
		batch_free(b);
		return -ENOMEM;
	}
	*out = b;
	return 0;
}

void batch_free(struct batch *b)
{
	if (!b)
		return;
	buf_fini(&b->bytes);
	free(b->rec);
	free(b->idx);
	free(b->spare);
	free(b->known);
	free(b);
}

void batch_clear(struct batch *b)
{
	buf_clear(&b->bytes);
	b->n_rec = b->n_idx = 0;
}

static inline bool item_less(const struct item *a, const struct item *b)
{
	for (unsigned i = 0; i < 4; i++)
		if (a->w[i] != b->w[i])
			return a->w[i] < b->w[i];
	return a->w[4] < b->w[4];
}

/* Bottom-up merge sort: no worst case, and what comes sorted (it mostly does) costs one pass. */
static void sort_items(struct item *a, struct item *spare, size_t n)
{
	struct item *from = a, *to = spare;

	for (size_t run = 1; run < n; run *= 2) {
		for (size_t lo = 0; lo < n; lo += 2 * run) {
			size_t mid = lo + run < n ? lo + run : n, hi = mid + run < n ? mid + run : n;
			size_t i = lo, j = mid, k = lo;

			if (mid == hi || !item_less(&from[mid], &from[mid - 1])) {
				memcpy(&to[lo], &from[lo], (hi - lo) * sizeof(*to));
				continue;
			}
			while (i < mid && j < hi)
				to[k++] = item_less(&from[j], &from[i]) ? from[j++] : from[i++];
			memcpy(&to[k], &from[i], (mid - i) * sizeof(*to));
			memcpy(&to[k + mid - i], &from[j], (hi - j) * sizeof(*to));
		}
		struct item *swap = from;

		from = to;
		to = swap;
	}
	if (from != a)
		memcpy(a, from, n * sizeof(*a));
}

static void add_entry(struct batch *b, const struct flow_rec *f, uint64_t kind, uint64_t key, uint64_t key2)
{
	struct item *e = &b->idx[b->n_idx++];

	e->w[IDX_KIND] = kind;
	e->w[IDX_KEY] = key;
	e->w[IDX_KEY2] = key2;
	e->w[IDX_START] = f->start_ns;
	e->w[IDX_ID] = f->id >> 48 << 32 | (b->n_rec - 1);
}

static void add_addr(struct batch *b, const struct flow_rec *f, const struct addr *a)
{
	if (addr_is_v4(a))
		add_entry(b, f, INDEX_V4, (uint64_t)key_get_u32(a->b + 12) << 32, 0);
	else
		add_entry(b, f, INDEX_V6, key_get_u64(a->b), key_get_u64(a->b + 8));
}

size_t index_key_addr(uint8_t out[INDEX_KEY_MAX], const struct addr *a)
{
	bool v4 = addr_is_v4(a);

	key_put_bytes(key_put_u8(out, v4 ? INDEX_V4 : INDEX_V6), v4 ? a->b + 12 : a->b, v4 ? 4 : 16);
	return v4 ? 5 : 17;
}

int batch_add(struct store_txn *t, const struct flow_rec *f)
{
	struct batch *b = t->s->batch;
	size_t at = b->bytes.len;
	struct item *r;
	int rc;

	if (b->n_rec == BATCH_RECORDS || at > BATCH_BYTES) {
		rc = batch_flush(t);
		if (rc)
			return txn_fail(t, rc);
		at = 0;
	}
	flow_encode(&b->bytes, f);
	if (buf_failed(&b->bytes))
		return txn_fail(t, -ENOMEM);
	r = &b->rec[b->n_rec];
	r->w[REC_START] = f->start_ns;
	r->w[REC_ID] = f->id;
	b->known[b->n_rec] = false;
	r->w[REC_SEQ] = b->n_rec++;
	r->w[REC_BYTES] = (uint64_t)at << 32 | (b->bytes.len - at);
	r->w[REC_END] = f->end_ns;
	add_addr(b, f, &f->addr[0]);
	if (!addr_equal(&f->addr[0], &f->addr[1]))
		add_addr(b, f, &f->addr[1]);
	if (!addr_equal(&f->nat_addr, &addr_any))
		add_addr(b, f, &f->nat_addr);
	for (unsigned i = 0; i < 2; i++)
		if (f->workload[i] && (i == 0 || f->workload[1] != f->workload[0]))
			add_entry(b, f, INDEX_WORKLOAD, f->workload[i], 0);
	if (f->end_ns - f->start_ns > INDEX_LONG_NS)
		add_entry(b, f, INDEX_LONG, 0, 0);
	return 0;
}

/* The last key of a bucket's records; len 0: none. Keys behind it, in order, can be appended. */
struct last_key {
	uint8_t key[KEY_MAX];
	size_t len;
};

static void last_key_read(struct last_key *last, MDB_cursor *c)
{
	MDB_val key, value;

	last->len = guard_cursor_get(c, &key, &value, MDB_LAST) == 0 && key.mv_size <= KEY_MAX ? key.mv_size : 0;
	if (last->len)
		memcpy(last->key, key.mv_data, last->len);
}

/* Flow keys have one length and sort behind all other kinds. */
static bool behind_last(const struct last_key *last, const uint8_t key[FLOW_KEY_LEN])
{
	size_t n = last->len < FLOW_KEY_LEN ? last->len : FLOW_KEY_LEN;

	return memcmp(key, last->key, n) > 0 || n == 0;
}

static void note_flow(struct bucket *k, const struct item *r)
{
	uint64_t start = r->w[REC_START], end = r->w[REC_END];
	bool empty = k->min_ns == 0 && k->max_ns == 0, first = k->min_flow_ns == 0 && k->max_flow_ns == 0;

	if (empty || start < k->min_ns)
		k->min_ns = start;
	if (start > k->max_ns)
		k->max_ns = start;
	if (first || start < k->min_flow_ns)
		k->min_flow_ns = start;
	if (start > k->max_flow_ns)
		k->max_flow_ns = start;
	if (end > k->max_end_ns)
		k->max_end_ns = end;
	if (end - start > k->max_life_ns)
		k->max_life_ns = end - start;
	k->dirty = true;
}

/* Writes the sorted records from *i on that belong to one bucket; leaves *i behind them. */
static int write_records(struct store_txn *t, size_t *i)
{
	struct batch *b = t->s->batch;
	uint8_t key[FLOW_KEY_LEN];
	struct last_key last;
	MDB_stat st;
	size_t entries = 0;
	MDB_cursor *c = NULL;
	struct bucket *k;
	bool append = false;
	int rc = bucket_for(&k, t, b->rec[*i].w[REC_START]);

	if (!rc)
		rc = db_errno(mdb_stat(t->mdb, t->s->env->rec[k->slot], &st));
	if (!rc)
		rc = txn_cursor(t, t->s->env->rec[k->slot], &c);
	if (!rc) {
		entries = st.ms_entries;
		last_key_read(&last, c);
	}
	for (; !rc && *i < b->n_rec; ++*i) {
		struct item *r = &b->rec[*i];
		char *bytes = b->bytes.data + (r->w[REC_BYTES] >> 32);
		MDB_val mk = {sizeof(key), key}, mv;

		if (r->w[REC_START] > k->last_ns)
			break;
		if (*i + 1 < b->n_rec && r[1].w[REC_START] == r->w[REC_START] && r[1].w[REC_ID] == r->w[REC_ID])
			continue; /* a later report of the same record follows */
		key_put_u64(key_put_u64(key_put_u8(key, KIND_FLOW), r->w[REC_START]), r->w[REC_ID]);
		append = append || behind_last(&last, key);
		/* The version moves next to the rest, over what the key has already. */
		bytes[HEAD_LEN - 1] = bytes[0];
		mv.mv_data = bytes + HEAD_LEN - 1;
		mv.mv_size = (r->w[REC_BYTES] & UINT32_MAX) - (HEAD_LEN - 1);
		rc = db_errno(guard_cursor_put(c, &mk, &mv, append ? MDB_APPEND : 0));
		if (!rc)
			rc = db_errno(mdb_stat(t->mdb, t->s->env->rec[k->slot], &st));
		if (rc)
			break;
		b->known[r->w[REC_SEQ]] = st.ms_entries == entries;
		k->count[KIND_FLOW] += st.ms_entries - entries;
		entries = st.ms_entries;
		note_flow(k, r);
	}
	if (c)
		mdb_cursor_close(c);
	return rc;
}

/*
 * One index entry. The cursor stands where the one before it went, so most find their place without a descent. (LMDB's
 * MDB_MULTIPLE would take all of one key in a call; in 0.9.24 it loses entries when the key exists already, which the
 * model test shows, and it is no faster.)
 */
static int write_entry(MDB_cursor *c, const struct item *e, bool look)
{
	static const uint8_t lengths[256] = {[INDEX_V4] = 5, [INDEX_V6] = 17, [INDEX_WORKLOAD] = 9, [INDEX_LONG] = 1};
	uint8_t key[INDEX_KEY_MAX], value[INDEX_VALUE_LEN];
	MDB_val k = {lengths[e->w[IDX_KIND] & 0xff], key}, v = {sizeof(value), value};

	key_put_u64(key_put_u64(key_put_u8(key, (uint8_t)e->w[IDX_KIND]), e->w[IDX_KEY]), e->w[IDX_KEY2]);
	key_put_u16(key_put_u64(value, e->w[IDX_START]), (uint16_t)(e->w[IDX_ID] >> 32));
	if (look && guard_cursor_get(c, &k, &v, MDB_GET_BOTH) == 0)
		return 0;
	return db_errno(guard_cursor_put(c, &k, &v, 0));
}

/* The same but for the number of the record. */
static bool same_entry(const struct item *a, const struct item *b)
{
	return memcmp(a->w, b->w, 4 * sizeof(a->w[0])) == 0 && a->w[IDX_ID] >> 32 == b->w[IDX_ID] >> 32;
}

static int write_index(struct store_txn *t)
{
	struct batch *b = t->s->batch;
	MDB_cursor *c = NULL;
	uint64_t slot = UINT64_MAX;
	struct bucket *k = NULL;
	int rc = 0;

	for (size_t i = 0; i < b->n_idx; i++) {
		struct item *e = &b->idx[i];

		if (!k || e->w[IDX_START] < k->from_ns || e->w[IDX_START] > k->last_ns)
			k = bucket_find(t, e->w[IDX_START]);
		if (!k)
			return -EBADMSG; /* cannot be: its record has just been put there */
		e->w[IDX_KIND] |= (uint64_t)k->slot << 8;
	}
	sort_items(b->idx, b->spare, b->n_idx);
	for (size_t i = 0; i < b->n_idx && !rc; i++) {
		const struct item *e = &b->idx[i];

		if (i && same_entry(e, e - 1))
			continue;
		if (e->w[IDX_KIND] >> 8 != slot) {
			slot = e->w[IDX_KIND] >> 8;
			if (c)
				mdb_cursor_close(c);
			c = NULL;
			rc = txn_cursor(t, t->s->env->idx[slot], &c);
		}
		if (!rc)
			rc = write_entry(c, e, b->known[e->w[IDX_ID] & UINT32_MAX]);
	}
	if (c)
		mdb_cursor_close(c);
	return rc;
}

int batch_flush(struct store_txn *t)
{
	struct batch *b = t->s->batch;
	int rc = 0;

	if (!b->n_rec)
		return 0;
	rc = bucket_load(t);
	sort_items(b->rec, b->spare, b->n_rec);
	for (size_t i = 0; i < b->n_rec && !rc;)
		rc = write_records(t, &i);
	if (!rc)
		rc = write_index(t);
	/* Only now may a bucket be closed: the index entries had to find it. */
	for (unsigned i = 0; i < t->dir.n && !rc; i++)
		if (t->dir.b[i].dirty)
			rc = bucket_split(t, &t->dir.b[i]);
	batch_clear(b);
	return rc;
}
