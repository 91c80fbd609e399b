/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Workloads: the record by id, and two small indexes that carry the end of life beside the start, so that "alive
 * then" is decided without fetching the record. Names and runtime ids share one index ('n' and 'r' in front):
 * name, NUL, start, id.
 */
#include "config.h"
#include "store/identity.h"

#include <errno.h>
#include <string.h>

#include "store/key.h"
#include "store/txn.h"

#define NAME_KEY_MAX (1 + 128 + 1 + 16)
#define TAIL_LEN 17 /* NUL, u64 start, u64 id */

static size_t start_key(uint8_t out[16], const struct workload *w)
{
	key_put_u64(key_put_u64(out, w->start_ns), w->id);
	return 16;
}

static size_t name_key(uint8_t out[NAME_KEY_MAX], uint8_t kind, const char *name, const struct workload *w)
{
	uint8_t *p = key_put_bytes(key_put_u8(out, kind), name, strnlen(name, 127));

	p = key_put_u64(key_put_u64(key_put_u8(p, 0), w->start_ns), w->id);
	return (size_t)(p - out);
}

static int unindex(struct store_txn *t, const struct workload *w)
{
	uint8_t key[NAME_KEY_MAX];
	int rc = txn_del(t, txn_db(t, DB_WORKLOAD_STARTS), key, start_key(key, w));

	if (!rc)
		rc = txn_del(t, txn_db(t, DB_WORKLOAD_NAMES), key, name_key(key, 'n', w->name, w));
	if (!rc)
		rc = txn_del(t, txn_db(t, DB_WORKLOAD_NAMES), key, name_key(key, 'r', w->runtime_id, w));
	return rc;
}

static int index_workload(struct store_txn *t, const struct workload *w)
{
	uint8_t key[NAME_KEY_MAX], end[8];
	int rc;

	key_put_u64(end, w->end_ns);
	rc = txn_put(t, txn_db(t, DB_WORKLOAD_STARTS), key, start_key(key, w), end, sizeof(end));
	if (!rc)
		rc = txn_put(t, txn_db(t, DB_WORKLOAD_NAMES), key, name_key(key, 'n', w->name, w), end, sizeof(end));
	if (!rc && w->runtime_id[0])
		rc = txn_put(t, txn_db(t, DB_WORKLOAD_NAMES), key, name_key(key, 'r', w->runtime_id, w), end,
			     sizeof(end));
	return rc;
}

int store_workload_put(struct store_txn *t, const struct workload *w)
{
	uint8_t key[8];
	struct workload old;
	struct buf b = BUF_INIT;
	int rc = txn_writable(t);

	if (rc)
		return rc;
	if (w->id == 0 || w->n_addrs > WORKLOAD_ADDRS_MAX)
		return -EINVAL;
	rc = store_workload_get(t, w->id, &old);
	if (rc == 0)
		rc = unindex(t, &old);
	else if (rc == -ENOENT)
		rc = 0;
	if (rc)
		goto out;
	key_put_u64(key, w->id);
	workload_encode(&b, w);
	rc = buf_failed(&b) ? -ENOMEM : txn_put(t, txn_db(t, DB_WORKLOADS), key, sizeof(key), b.data, b.len);
	if (!rc)
		rc = index_workload(t, w);
out:
	buf_fini(&b);
	return txn_fail(t, rc);
}

int store_workload_get(struct store_txn *t, uint64_t id, struct workload *out)
{
	uint8_t key[8];
	MDB_val v;
	int rc;

	key_put_u64(key, id);
	rc = txn_get(t, txn_db(t, DB_WORKLOADS), key, sizeof(key), &v);
	return rc ? rc : workload_decode(out, v.mv_data, v.mv_size);
}

int store_workload_walk(struct store_txn *t, uint64_t since_ns, uint64_t until_ns, store_workload_fn *fn, void *arg)
{
	MDB_cursor *c = NULL;
	MDB_val key, value;
	struct workload w;
	int rc = txn_cursor(t, txn_db(t, DB_WORKLOAD_STARTS), &c);

	if (rc)
		return rc;
	for (;;) {
		uint64_t end;

		rc = guard_cursor_get(c, &key, &value, MDB_NEXT);
		if (rc) {
			rc = rc == MDB_NOTFOUND ? 0 : db_errno(rc);
			break;
		}
		rc = key.mv_size == 16 && value.mv_size == 8 ? 0 : -EBADMSG;
		if (rc || (until_ns && key_get_u64(key.mv_data) > until_ns))
			break;
		end = key_get_u64(value.mv_data);
		if (end && end < since_ns)
			continue;
		rc = store_workload_get(t, key_get_u64((const uint8_t *)key.mv_data + 8), &w);
		if (!rc)
			rc = fn(arg, &w);
		if (rc)
			break;
	}
	mdb_cursor_close(c);
	return rc;
}

/* The best of those met so far. */
struct best {
	uint64_t id, start_ns;
	bool alive;
};

static void consider(struct best *b, uint64_t at_ns, uint64_t start_ns, uint64_t end_ns, uint64_t id)
{
	bool alive = end_ns == 0 || end_ns >= at_ns;

	if (start_ns > at_ns || (b->id && (b->alive > alive || (b->alive == alive && b->start_ns > start_ns))))
		return;
	b->id = id;
	b->start_ns = start_ns;
	b->alive = alive;
}

/*
 * All index entries whose name begins with the first len bytes of prefix (exact: is that). -EEXIST: several names do.
 * prefix has its kind in front.
 */
static int find(struct best *best, struct store_txn *t, const uint8_t *prefix, size_t len, bool exact, uint64_t at_ns)
{
	uint8_t first[NAME_KEY_MAX];
	size_t first_len = 0;
	MDB_cursor *c = NULL;
	MDB_val key = {len, (void *)(uintptr_t)prefix}, value;
	MDB_cursor_op op = MDB_SET_RANGE;
	int rc = txn_cursor(t, txn_db(t, DB_WORKLOAD_NAMES), &c);

	if (rc)
		return rc;
	for (;; op = MDB_NEXT) {
		const uint8_t *k, *tail;
		size_t n;

		rc = guard_cursor_get(c, &key, &value, op);
		if (rc) {
			rc = rc == MDB_NOTFOUND ? 0 : db_errno(rc);
			break;
		}
		k = key.mv_data;
		if (key.mv_size < len || memcmp(k, prefix, len) != 0)
			break;
		rc = key.mv_size > TAIL_LEN && key.mv_size <= NAME_KEY_MAX && value.mv_size == 8 ? 0 : -EBADMSG;
		if (rc)
			break;
		n = key.mv_size - TAIL_LEN;
		tail = k + n + 1;
		if (exact && n != len)
			break;
		if (first_len && (n != first_len || memcmp(k, first, n) != 0)) {
			rc = -EEXIST;
			break;
		}
		memcpy(first, k, n);
		first_len = n;
		consider(best, at_ns, key_get_u64(tail), key_get_u64(value.mv_data), key_get_u64(tail + 8));
	}
	mdb_cursor_close(c);
	return rc;
}

int store_workload_find(struct store_txn *t, const char *name, uint64_t at_ns, struct workload *out)
{
	uint8_t key[NAME_KEY_MAX];
	struct best best = {0};
	size_t len = strlen(name);
	int rc;

	if (len == 0 || len > 127)
		return -ENOENT;
	key_put_bytes(key_put_u8(key, 'n'), name, len);
	rc = find(&best, t, key, 1 + len, true, at_ns);
	if (!rc && !best.id) {
		key[0] = 'r';
		rc = find(&best, t, key, 1 + len, false, at_ns);
	}
	if (rc)
		return rc;
	return best.id ? store_workload_get(t, best.id, out) : -ENOENT;
}
