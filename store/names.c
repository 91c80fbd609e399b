/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of addresses, from DNS answers seen: key (address, name), value (first, last, TTL). An address of a content
 * network has many names; what was told last before a time is the best guess for it. A host that is told ever new
 * names for one address must not fill the store: each address keeps NAMES_MAX, those told last.
 */
#include "config.h"
#include "store/history.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/timefmt.h"
#include "store/key.h"
#include "store/txn.h"

#define NAMES_MAX 32
#define NAME_MAX_LEN 255 /* RFC 1035 section 2.3.4 */
#define NAME_VALUE_LEN (8 + 8 + 4)

struct name {
	uint64_t first_ns, last_ns;
	uint32_t ttl_s;
	const char *text; /* LMDB's */
	size_t len;
};

typedef int name_fn(void *arg, const struct name *n);

static int walk_names(struct store_txn *t, const struct addr *a, name_fn *fn, void *arg)
{
	MDB_val key = {sizeof(a->b), (void *)(uintptr_t)a->b}, value;
	MDB_cursor *c = NULL;
	MDB_cursor_op op = MDB_SET_RANGE;
	int rc = txn_cursor(t, txn_db(t, DB_NAMES), &c);

	if (rc)
		return rc;
	for (;; op = MDB_NEXT) {
		struct name n;
		const uint8_t *v;

		rc = guard_cursor_get(c, &key, &value, op);
		if (rc) {
			rc = rc == MDB_NOTFOUND ? 0 : db_errno(rc);
			break;
		}
		if (key.mv_size < 16 || memcmp(key.mv_data, a->b, 16) != 0)
			break;
		rc = value.mv_size == NAME_VALUE_LEN ? 0 : -EBADMSG;
		if (rc)
			break;
		v = value.mv_data;
		n = (struct name){key_get_u64(v), key_get_u64(v + 8), key_get_u32(v + 16),
				  (const char *)key.mv_data + 16, key.mv_size - 16};
		rc = fn(arg, &n);
		if (rc)
			break;
	}
	mdb_cursor_close(c);
	return rc;
}

/* How many names, and which was told longest ago. */
struct oldest {
	unsigned count;
	uint64_t last_ns;
	char text[NAME_MAX_LEN];
	size_t len;
};

static int find_oldest(void *arg, const struct name *n)
{
	struct oldest *o = arg;

	if ((o->count == 0 || n->last_ns < o->last_ns) && n->len <= sizeof(o->text)) {
		o->last_ns = n->last_ns;
		memcpy(o->text, n->text, n->len);
		o->len = n->len;
	}
	o->count++;
	return 0;
}

static size_t name_key(uint8_t out[16 + NAME_MAX_LEN], const struct addr *a, const char *text, size_t len)
{
	key_put_bytes(key_put_addr(out, a), text, len);
	return 16 + len;
}

int store_name_put(struct store_txn *t, const struct addr *a, const char *name, uint32_t ttl_s, uint64_t seen_ns)
{
	uint8_t key[16 + NAME_MAX_LEN], value[NAME_VALUE_LEN];
	size_t len = strlen(name), key_len;
	uint64_t first = seen_ns, last = seen_ns;
	struct oldest oldest = {0};
	MDB_val v;
	int rc = txn_writable(t);

	if (rc)
		return rc;
	if (len == 0 || len > NAME_MAX_LEN)
		return -EINVAL;
	key_len = name_key(key, a, name, len);
	rc = txn_get(t, txn_db(t, DB_NAMES), key, key_len, &v);
	if (rc == 0 && v.mv_size == NAME_VALUE_LEN) {
		const uint8_t *p = v.mv_data;

		first = key_get_u64(p) < first ? key_get_u64(p) : first;
		if (key_get_u64(p + 8) > last) {
			last = key_get_u64(p + 8);
			ttl_s = key_get_u32(p + 16);
		}
	} else if (rc == -ENOENT) {
		rc = walk_names(t, a, find_oldest, &oldest);
		if (!rc && oldest.count >= NAMES_MAX) {
			uint8_t gone[16 + NAME_MAX_LEN];

			rc = txn_del(t, txn_db(t, DB_NAMES), gone, name_key(gone, a, oldest.text, oldest.len));
		}
	}
	if (rc)
		return txn_fail(t, rc);
	key_put_u32(key_put_u64(key_put_u64(value, first), last), ttl_s);
	return txn_put(t, txn_db(t, DB_NAMES), key, key_len, value, sizeof(value));
}

/* Of the names told by at_ns: one whose TTL still runs before one whose has run out, then the one told last. */
struct best {
	uint64_t at_ns;
	bool have, live;
	uint64_t told_ns, first_ns;
	char text[NAME_MAX_LEN];
	size_t len;
};

static int find_best(void *arg, const struct name *n)
{
	struct best *b = arg;
	bool live = b->at_ns <= key_time_after(n->last_ns, n->ttl_s * NS_PER_S);
	uint64_t told = n->last_ns < b->at_ns ? n->last_ns : b->at_ns;

	if (n->first_ns > b->at_ns || n->len > sizeof(b->text))
		return 0;
	if (b->have && (b->live > live || (b->live == live && (b->told_ns > told ||
							       (b->told_ns == told && b->first_ns >= n->first_ns)))))
		return 0;
	b->have = true;
	b->live = live;
	b->told_ns = told;
	b->first_ns = n->first_ns;
	memcpy(b->text, n->text, n->len);
	b->len = n->len;
	return 0;
}

int store_name_get(struct store_txn *t, const struct addr *a, uint64_t at_ns, char *name, size_t size)
{
	struct best b = {.at_ns = at_ns};
	int rc = walk_names(t, a, find_best, &b);

	if (rc || !b.have || size == 0)
		return rc ? rc : -ENOENT;
	if (b.len > size - 1)
		b.len = size - 1;
	memcpy(name, b.text, b.len);
	name[b.len] = '\0';
	return 0;
}
