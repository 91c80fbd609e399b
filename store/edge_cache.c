/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two open-addressed tables, one of edges and one of group numbers; both are written out or emptied when full. */
#include "config.h"
#include "store/edge_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "store/group.h"
#include "store/key.h"
#include "store/txn.h"

#define EDGES 1024 /* powers of two */
#define GROUPS 1024

struct cached_edge {
	uint8_t key[EDGE_KEY_LEN];
	struct edge_agg agg;
};

struct cached_group {
	uint32_t number; /* 0: free */
	char name[GROUP_STRLEN];
};

struct edge_cache {
	struct hash_secret secret;
	uint16_t slot[2 * EDGES]; /* 1 + index into edge; 0: free */
	struct cached_edge edge[EDGES];
	struct cached_group group[GROUPS];
	unsigned n_edges, n_groups;
	struct buf buf;
};

int edge_cache_new(struct edge_cache **out)
{
	struct edge_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	hash_secret_init(&c->secret);
	*out = c;
	return 0;
}

void edge_cache_free(struct edge_cache *c)
{
	if (!c)
		return;
	buf_fini(&c->buf);
	free(c);
}

static void clear_edges(struct edge_cache *c)
{
	if (c->n_edges)
		memset(c->slot, 0, sizeof(c->slot));
	c->n_edges = 0;
}

static void clear_groups(struct edge_cache *c)
{
	if (c->n_groups)
		memset(c->group, 0, sizeof(c->group));
	c->n_groups = 0;
}

void edge_cache_clear(struct edge_cache *c, bool committed)
{
	clear_edges(c);
	if (!committed)
		clear_groups(c);
}

static int group_number(uint32_t *out, struct store_txn *t, const char *name)
{
	struct edge_cache *c = t->s->edges;
	size_t len = strnlen(name, GROUP_STRLEN);
	uint64_t h = hash_bytes(&c->secret, name, len);
	int rc;

	if (len == GROUP_STRLEN)
		return -EINVAL;
	for (; c->group[h % GROUPS].number; h++) {
		if (memcmp(c->group[h % GROUPS].name, name, len + 1) == 0) {
			*out = c->group[h % GROUPS].number;
			return 0;
		}
	}
	rc = group_intern(out, t, name);
	if (rc)
		return rc;
	if (c->n_groups == GROUPS / 2) {
		clear_groups(c);
		h = hash_bytes(&c->secret, name, len);
	}
	c->group[h % GROUPS].number = *out;
	memcpy(c->group[h % GROUPS].name, name, len + 1);
	c->n_groups++;
	return 0;
}

int edge_cache_add(struct store_txn *t, const struct edge_key *key, const struct edge_agg *agg)
{
	struct edge_cache *c = t->s->edges;
	uint8_t raw[EDGE_KEY_LEN];
	uint32_t client, server;
	struct cached_edge *e;
	uint64_t h;
	int rc = group_number(&client, t, key->client);

	if (!rc)
		rc = group_number(&server, t, key->server);
	if (rc)
		return rc;
	key_put_u32(key_put_u32(key_put_u32(raw, (uint32_t)(agg->first_ns / EDGE_HOUR_NS)), client), server);
	key_put_u16(key_put_u8(raw + 12, key->proto), key->port);
	for (h = hash_bytes(&c->secret, raw, sizeof(raw)); c->slot[h % (2 * EDGES)]; h++) {
		e = &c->edge[c->slot[h % (2 * EDGES)] - 1];
		if (memcmp(e->key, raw, sizeof(raw)) == 0) {
			edge_agg_merge(&e->agg, agg);
			return 0;
		}
	}
	if (c->n_edges == EDGES) {
		rc = edge_cache_flush(t);
		if (rc)
			return rc;
		h = hash_bytes(&c->secret, raw, sizeof(raw));
	}
	e = &c->edge[c->n_edges++];
	memcpy(e->key, raw, sizeof(raw));
	e->agg = *agg;
	c->slot[h % (2 * EDGES)] = (uint16_t)c->n_edges;
	return 0;
}

static int write_edge(struct store_txn *t, struct cached_edge *e)
{
	struct edge_cache *c = t->s->edges;
	struct edge_agg sum;
	uint8_t first[8];
	MDB_val v;
	int rc = txn_get(t, txn_db(t, DB_EDGES), e->key, sizeof(e->key), &v);

	if (rc == 0) {
		rc = edge_agg_decode(&sum, v.mv_data, v.mv_size);
		if (rc)
			return rc;
		edge_agg_merge(&sum, &e->agg);
	} else if (rc == -ENOENT) {
		sum = e->agg;
	} else {
		return rc;
	}
	buf_clear(&c->buf);
	edge_agg_encode(&c->buf, &sum);
	if (buf_failed(&c->buf))
		return -ENOMEM;
	rc = txn_put(t, txn_db(t, DB_EDGES), e->key, sizeof(e->key), c->buf.data, c->buf.len);
	if (rc || txn_get(t, txn_db(t, DB_EDGE_SET), e->key + 4, EDGE_KEY_LEN - 4, &v) == 0)
		return rc;
	key_put_u64(first, sum.first_ns);
	return txn_put(t, txn_db(t, DB_EDGE_SET), e->key + 4, EDGE_KEY_LEN - 4, first, sizeof(first));
}

int edge_cache_flush(struct store_txn *t)
{
	struct edge_cache *c = t->s->edges;
	int rc = 0;

	for (unsigned i = 0; i < c->n_edges && !rc; i++)
		rc = txn_fail(t, write_edge(t, &c->edge[i]));
	clear_edges(c);
	return rc;
}
