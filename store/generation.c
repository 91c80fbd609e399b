/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Policy generations: few, kept for ever, each with the whole document and the ruleset it became. Texts are stored with
 * their NUL, so that a walk can hand them out where they lie.
 */
#include "config.h"
#include "store/history.h"

#include <errno.h>
#include <string.h>

#include "common/wire.h"
#include "store/key.h"
#include "store/txn.h"

#define GENERATION_VERSION 1

const char *generation_state_name(unsigned v)
{
	static const char *const names[] = {"pending", "armed",       "confirmed", "superseded",
					    "expired", "rolled-back", "failed"};

	return v < sizeof(names) / sizeof(names[0]) ? names[v] : "?";
}

static void put_text(struct buf *b, const char *text, size_t len)
{
	wire_put_var(b, len);
	buf_add(b, text ? text : "", len);
	wire_put_u8(b, 0);
}

static const char *get_text(struct wire_reader *r, size_t *len)
{
	const char *p = wire_get_bytes(r, len);

	if (wire_get_u8(r) != 0)
		r->ok = false;
	return p;
}

int store_generation_put(struct store_txn *t, const struct generation *g)
{
	struct buf b = BUF_INIT;
	uint8_t key[8];
	int rc = txn_writable(t);

	if (rc)
		return rc;
	if (g->number == 0 || g->state > GENERATION_FAILED)
		return -EINVAL;
	wire_put_u8(&b, GENERATION_VERSION);
	wire_put_u64(&b, g->applied_ns);
	wire_put_u64(&b, g->ended_ns);
	wire_put_u64(&b, g->confirm_by_ns);
	wire_put_u8(&b, g->state);
	wire_put_u32(&b, g->uid);
	put_text(&b, g->why, g->why ? strlen(g->why) : 0);
	put_text(&b, g->error, g->error ? strlen(g->error) : 0);
	put_text(&b, g->policy, g->policy ? g->policy_len : 0);
	put_text(&b, g->ruleset, g->ruleset ? g->ruleset_len : 0);
	key_put_u64(key, g->number);
	rc = buf_failed(&b) ? -ENOMEM : txn_put(t, txn_db(t, DB_GENERATIONS), key, sizeof(key), b.data, b.len);
	buf_fini(&b);
	return txn_fail(t, rc);
}

/* The pointers in out are into data. */
static int decode(struct generation *out, const MDB_val *key, const void *data, size_t len)
{
	struct generation g = {0};
	struct wire_reader r;
	size_t n;
	uint8_t version;

	if (key->mv_size != 8)
		return -EBADMSG;
	wire_reader_init(&r, data, len);
	version = wire_get_u8(&r);
	if (wire_ok(&r) && version != GENERATION_VERSION)
		return -EPROTO;
	g.number = key_get_u64(key->mv_data);
	g.applied_ns = wire_get_u64(&r);
	g.ended_ns = wire_get_u64(&r);
	g.confirm_by_ns = wire_get_u64(&r);
	g.state = wire_get_u8(&r);
	g.uid = wire_get_u32(&r);
	g.why = get_text(&r, &n);
	g.error = get_text(&r, &n);
	g.policy = get_text(&r, &g.policy_len);
	g.ruleset = get_text(&r, &g.ruleset_len);
	if (!wire_ok(&r) || g.state > GENERATION_FAILED)
		return -EBADMSG;
	*out = g;
	return 0;
}

/* A copy that lives as long as the transaction, whatever it writes later. */
static int keep(struct generation *out, struct store_txn *t, const MDB_val *key, const MDB_val *value)
{
	const void *data = txn_keep(t, value->mv_data, value->mv_size);

	return data ? decode(out, key, data, value->mv_size) : -ENOMEM;
}

int store_generation_get(struct store_txn *t, uint64_t number, struct generation *out)
{
	uint8_t raw[8];
	MDB_val key = {sizeof(raw), raw}, value;
	int rc;

	key_put_u64(raw, number);
	rc = txn_get(t, txn_db(t, DB_GENERATIONS), raw, sizeof(raw), &value);
	return rc ? rc : keep(out, t, &key, &value);
}

int store_generation_current(struct store_txn *t, struct generation *out)
{
	MDB_cursor *c = NULL;
	MDB_val key, value;
	struct generation g;
	int rc = txn_cursor(t, txn_db(t, DB_GENERATIONS), &c);

	if (rc)
		return rc;
	for (;;) {
		rc = db_errno(guard_cursor_get(c, &key, &value, MDB_PREV)); /* the first call gives the last record */
		if (!rc)
			rc = decode(&g, &key, value.mv_data, value.mv_size);
		if (rc)
			break;
		if (g.state == GENERATION_ARMED || g.state == GENERATION_CONFIRMED) {
			rc = keep(out, t, &key, &value);
			break;
		}
	}
	mdb_cursor_close(c);
	return rc;
}

int store_generation_last(struct store_txn *t, uint64_t *number)
{
	MDB_cursor *c = NULL;
	MDB_val key, value;
	int rc = txn_cursor(t, txn_db(t, DB_GENERATIONS), &c);

	if (rc)
		return rc;
	rc = db_errno(guard_cursor_get(c, &key, &value, MDB_LAST));
	if (!rc && key.mv_size != 8)
		rc = -EBADMSG;
	if (!rc)
		*number = key_get_u64(key.mv_data);
	else if (rc == -ENOENT)
		*number = 0;
	mdb_cursor_close(c);
	return rc == -ENOENT ? 0 : rc;
}

int store_generation_walk(struct store_txn *t, store_generation_fn *fn, void *arg)
{
	MDB_cursor *c = NULL;
	MDB_val key, value;
	struct generation g;
	int rc = txn_cursor(t, txn_db(t, DB_GENERATIONS), &c);

	if (rc)
		return rc;
	for (;;) {
		rc = guard_cursor_get(c, &key, &value, MDB_NEXT);
		if (rc) {
			rc = rc == MDB_NOTFOUND ? 0 : db_errno(rc);
			break;
		}
		rc = decode(&g, &key, value.mv_data, value.mv_size);
		if (!rc)
			rc = fn(arg, &g);
		if (rc)
			break;
	}
	mdb_cursor_close(c);
	return rc;
}

#define META_DEADLINE "confirm_deadline"

int store_deadline_put(struct store_txn *t, const struct confirm_deadline *d)
{
	struct buf b = BUF_INIT;
	int rc;

	wire_put_u64(&b, d->generation);
	wire_put_u64(&b, d->mono_ns);
	wire_put_str(&b, d->boot_id);
	rc = buf_failed(&b) ? -ENOMEM : store_meta_put(t, META_DEADLINE, b.data, (uint32_t)b.len);
	buf_fini(&b);
	return rc;
}

int store_deadline_get(struct store_txn *t, struct confirm_deadline *out)
{
	struct confirm_deadline d;
	uint8_t data[80];
	uint32_t len = sizeof(data);
	struct wire_reader r;
	int rc = store_meta_get(t, META_DEADLINE, data, &len);

	if (rc < 0)
		return rc;
	wire_reader_init(&r, data, len);
	d.generation = wire_get_u64(&r);
	d.mono_ns = wire_get_u64(&r);
	wire_get_str(&r, d.boot_id, sizeof(d.boot_id));
	if (!wire_ok(&r))
		return -EBADMSG;
	*out = d;
	return 0;
}
