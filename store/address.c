/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Address intervals: key (address, from), value (workload, to). The intervals of one address never overlap, and only
 * the last may be open. Reports come late and out of order (a container is listed after it began to talk, an older
 * one after a newer one), so a new interval is fitted in: what covered its start ends there, and it ends where the
 * next begins. The newest of those that began at or before a time is then always the answer for that time: one seek.
 */
#include "config.h"
#include "store/identity.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store/key.h"
#include "store/txn.h"

#define INTERVAL_KEY_LEN 24
#define INTERVAL_LEN 16 /* u64 workload, u64 to */

static int decode(struct addr_interval *out, const MDB_val *key, const MDB_val *value)
{
	const uint8_t *k = key->mv_data, *v = value->mv_data;

	if (key->mv_size != INTERVAL_KEY_LEN || value->mv_size != INTERVAL_LEN)
		return -EBADMSG;
	memcpy(out->addr.b, k, 16);
	out->from_ns = key_get_u64(k + 16);
	out->workload = key_get_u64(v);
	out->to_ns = key_get_u64(v + 8);
	return 0;
}

static int put(struct store_txn *t, const struct addr_interval *i)
{
	uint8_t key[INTERVAL_KEY_LEN], value[INTERVAL_LEN];

	key_put_u64(key_put_addr(key, &i->addr), i->from_ns);
	key_put_u64(key_put_u64(value, i->workload), i->to_ns);
	return txn_put(t, txn_db(t, DB_ADDRS), key, sizeof(key), value, sizeof(value));
}

static int del(struct store_txn *t, const struct addr_interval *i)
{
	uint8_t key[INTERVAL_KEY_LEN];

	key_put_u64(key_put_addr(key, &i->addr), i->from_ns);
	return txn_del(t, txn_db(t, DB_ADDRS), key, sizeof(key));
}

/* The intervals around at_ns: the last that began at or before it, and the first that began after. Where there is none,
 * have is false. */
static int around(struct store_txn *t, const struct addr *a, uint64_t at_ns, struct addr_interval *before,
		  bool *have_before, struct addr_interval *after, bool *have_after)
{
	uint8_t raw[INTERVAL_KEY_LEN];
	MDB_val key = {sizeof(raw), raw}, value;
	MDB_cursor *c = NULL;
	int rc = txn_cursor(t, txn_db(t, DB_ADDRS), &c);

	*have_before = *have_after = false;
	if (rc)
		return rc;
	key_put_u64(key_put_addr(raw, a), at_ns);
	rc = guard_cursor_get(c, &key, &value, MDB_SET_RANGE);
	if (rc == 0 && memcmp(key.mv_data, raw, sizeof(raw)) == 0) {
		rc = decode(before, &key, &value);
		*have_before = rc == 0;
		if (!rc)
			rc = guard_cursor_get(c, &key, &value, MDB_NEXT);
	}
	if (rc == 0 && memcmp(key.mv_data, raw, 16) == 0) {
		rc = decode(after, &key, &value);
		*have_after = rc == 0;
	}
	if (rc < 0 && rc != MDB_NOTFOUND)
		goto out;
	if (!*have_before) {
		/* One back; from behind the end that is the last of all. */
		rc = guard_cursor_get(c, &key, &value, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
		if (rc == 0 && memcmp(key.mv_data, raw, 16) == 0) {
			rc = decode(before, &key, &value);
			*have_before = rc == 0;
		}
	}
out:
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND || rc == 0 ? 0 : rc == -EBADMSG ? rc : db_errno(rc);
}

int store_addr_bind(struct store_txn *t, const struct addr *a, uint64_t workload, uint64_t from_ns)
{
	struct addr_interval before, after, new = {*a, workload, from_ns, 0};
	bool have_before, have_after;
	int rc = txn_writable(t);

	if (!rc && workload == 0)
		return -EINVAL;
	if (!rc)
		rc = around(t, a, from_ns, &before, &have_before, &after, &have_after);
	if (rc)
		return txn_fail(t, rc);
	if (have_before && before.workload == workload && before.from_ns == from_ns && before.to_ns && !have_after) {
		before.to_ns = 0; /* it was given up for gone, and is not */
		return put(t, &before);
	}
	if (have_before && before.workload == workload &&
	    (before.from_ns == from_ns || before.to_ns == 0 || before.to_ns > from_ns))
		return 0; /* known */
	if (have_before && before.from_ns < from_ns && (before.to_ns == 0 || before.to_ns > from_ns)) {
		before.to_ns = from_ns;
		rc = put(t, &before);
	}
	if (!rc && have_after && after.workload == workload) {
		new.to_ns = after.to_ns; /* the same one, now known to have begun earlier */
		rc = del(t, &after);
	} else if (have_after) {
		new.to_ns = after.from_ns;
	}
	return rc ? rc : put(t, &new);
}

int store_addr_unbind(struct store_txn *t, const struct addr *a, uint64_t workload, uint64_t to_ns)
{
	struct addr_interval last, none;
	bool have, have_none;
	int rc = txn_writable(t);

	if (!rc)
		rc = around(t, a, UINT64_MAX, &last, &have, &none, &have_none);
	if (rc || !have || last.workload != workload || last.to_ns)
		return txn_fail(t, rc);
	last.to_ns = to_ns > last.from_ns ? to_ns : last.from_ns;
	return put(t, &last);
}

int store_addr_who(struct store_txn *t, const struct addr *a, uint64_t at_ns, uint64_t slack_ns,
		   struct addr_interval *out)
{
	struct addr_interval before, after;
	bool have_before, have_after;
	uint64_t late = UINT64_MAX, early = UINT64_MAX; /* how far off, where it is */
	int rc = around(t, a, at_ns, &before, &have_before, &after, &have_after);

	if (rc)
		return rc;
	if (have_before)
		late = before.to_ns == 0 || before.to_ns >= at_ns ? 0 : at_ns - before.to_ns;
	if (have_after)
		early = after.from_ns - at_ns;
	if ((late > slack_ns || !have_before) && (early > slack_ns || !have_after))
		return -ENOENT;
	*out = late <= early ? before : after;
	return 0;
}

int store_addr_history(struct store_txn *t, const struct addr *a, struct addr_interval **out, size_t *n)
{
	uint8_t raw[INTERVAL_KEY_LEN];
	MDB_val key = {sizeof(raw), raw}, value;
	struct addr_interval *v = NULL;
	size_t len = 0, cap = 0;
	MDB_cursor *c = NULL;
	MDB_cursor_op op = MDB_SET_RANGE;
	int rc = txn_cursor(t, txn_db(t, DB_ADDRS), &c);

	if (rc)
		return rc;
	key_put_u64(key_put_addr(raw, a), 0);
	for (;; op = MDB_NEXT) {
		rc = db_errno(guard_cursor_get(c, &key, &value, op));
		if (rc || key.mv_size != INTERVAL_KEY_LEN || memcmp(key.mv_data, raw, 16) != 0)
			break;
		if (len == cap || !v) {
			struct addr_interval *more = realloc(v, (cap ? 2 * cap : 8) * sizeof(*v));

			rc = more ? 0 : -ENOMEM;
			if (rc)
				break;
			v = more;
			cap = cap ? 2 * cap : 8;
		}
		rc = decode(&v[len++], &key, &value);
		if (rc)
			break;
	}
	mdb_cursor_close(c);
	if (rc && rc != -ENOENT) {
		free(v);
		return rc;
	}
	*out = v;
	*n = len;
	return 0;
}

int store_addr_walk(struct store_txn *t, store_addr_fn *fn, void *arg)
{
	struct addr_interval i;
	MDB_cursor *c = NULL;
	MDB_val key, value;
	int rc = txn_cursor(t, txn_db(t, DB_ADDRS), &c);

	if (rc)
		return rc;
	for (;;) {
		rc = guard_cursor_get(c, &key, &value, MDB_NEXT);
		if (rc) {
			rc = rc == MDB_NOTFOUND ? 0 : db_errno(rc);
			break;
		}
		rc = decode(&i, &key, &value);
		if (!rc)
			rc = fn(arg, &i);
		if (rc)
			break;
	}
	mdb_cursor_close(c);
	return rc;
}
