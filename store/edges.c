/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Edges by the hour. Reading adds up the hours asked for: records come sorted by hour, so the same edge is met once an
 * hour, and a table by edge key finds its sum. Names are put back and the answer sorted at the end.
 */
#include "config.h"
#include "store/edges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "store/edge_cache.h"
#include "store/group.h"
#include "store/key.h"
#include "store/txn.h"

int store_edge_add(struct store_txn *t, const struct edge_key *key, const struct edge_agg *agg)
{
	int rc = txn_writable(t);

	return rc ? rc : txn_fail(t, edge_cache_add(t, key, agg));
}

struct sum {
	uint8_t key[EDGE_KEY_LEN - 4]; /* without the hour */
	struct edge_agg agg;
};

struct sums {
	struct hash_secret secret;
	struct sum *v;
	uint32_t *slot; /* 1 + index; 0: free */
	size_t n, cap;  /* slots: 2 * cap */
};

static int grow(struct sums *s)
{
	size_t cap = s->cap ? 2 * s->cap : 256;
	struct sum *v = realloc(s->v, cap * sizeof(*v));
	uint32_t *slot;

	if (!v)
		return -ENOMEM;
	s->v = v;
	slot = calloc(2 * cap, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	free(s->slot);
	s->slot = slot;
	s->cap = cap;
	for (size_t i = 0; i < s->n; i++) {
		uint64_t h = hash_bytes(&s->secret, v[i].key, sizeof(v[i].key));

		while (slot[h % (2 * cap)])
			h++;
		slot[h % (2 * cap)] = (uint32_t)i + 1;
	}
	return 0;
}

static int add(struct sums *s, const uint8_t *key, const MDB_val *value)
{
	struct edge_agg agg;
	uint64_t h;
	int rc = edge_agg_decode(&agg, value->mv_data, value->mv_size);

	if (!rc && s->n == s->cap)
		rc = grow(s);
	if (rc)
		return rc;
	for (h = hash_bytes(&s->secret, key, sizeof(s->v->key)); s->slot[h % (2 * s->cap)]; h++) {
		struct sum *e = &s->v[s->slot[h % (2 * s->cap)] - 1];

		if (memcmp(e->key, key, sizeof(e->key)) == 0) {
			edge_agg_merge(&e->agg, &agg);
			return 0;
		}
	}
	memcpy(s->v[s->n].key, key, sizeof(s->v->key));
	s->v[s->n].agg = agg;
	s->slot[h % (2 * s->cap)] = (uint32_t)++s->n;
	return 0;
}

static int sum_hours(struct sums *s, struct store_txn *t, uint32_t first, uint32_t last)
{
	uint8_t seek[4];
	MDB_val key = {sizeof(seek), seek}, value;
	MDB_cursor *c = NULL;
	MDB_cursor_op op = MDB_SET_RANGE;
	int rc = txn_cursor(t, txn_db(t, DB_EDGES), &c);

	if (rc)
		return rc;
	key_put_u32(seek, first);
	for (;; op = MDB_NEXT) {
		rc = guard_cursor_get(c, &key, &value, op);
		if (rc) {
			rc = rc == MDB_NOTFOUND ? 0 : db_errno(rc);
			break;
		}
		rc = key.mv_size == EDGE_KEY_LEN ? 0 : -EBADMSG;
		if (rc || key_get_u32(key.mv_data) > last)
			break;
		rc = add(s, (const uint8_t *)key.mv_data + 4, &value);
		if (rc)
			break;
	}
	mdb_cursor_close(c);
	return rc;
}

static int compare(const void *a, const void *b)
{
	return edge_key_cmp(&((const struct edge *)a)->key, &((const struct edge *)b)->key);
}

int store_edges_read(struct store_txn *t, uint64_t since_ns, uint64_t until_ns, struct edge **out, size_t *n)
{
	struct sums s = {.v = NULL};
	struct edge *edges = NULL;
	int rc = txn_flush(t);

	hash_secret_init(&s.secret);
	if (!rc)
		rc = sum_hours(&s, t, (uint32_t)(since_ns / EDGE_HOUR_NS),
			       until_ns ? (uint32_t)(until_ns / EDGE_HOUR_NS) : UINT32_MAX);
	if (rc)
		goto out;
	rc = -ENOMEM;
	edges = calloc(s.n ? s.n : 1, sizeof(*edges));
	if (!edges)
		goto out;
	rc = 0;
	for (size_t i = 0; i < s.n && !rc; i++) {
		rc = group_name(edges[i].key.client, t, key_get_u32(s.v[i].key));
		if (!rc)
			rc = group_name(edges[i].key.server, t, key_get_u32(s.v[i].key + 4));
		edges[i].key.proto = s.v[i].key[8];
		edges[i].key.port = key_get_u16(s.v[i].key + 9);
		edges[i].agg = s.v[i].agg;
	}
	if (rc)
		goto out;
	qsort(edges, s.n, sizeof(*edges), compare);
	*out = edges;
	*n = s.n;
	edges = NULL;
out:
	free(edges);
	free(s.v);
	free(s.slot);
	return rc;
}
