/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Edges in memory: see fold.h. An open-addressing table keyed by hour, groups by number, protocol and port; the
 * aggregate itself is common/edge.h's. What a report adds is the difference between what it says and what the last
 * one said; "unanswered" and "refused" are only said of a flow that is over, so that no difference is ever negative.
 */
#include "config.h"
#include "daemon/fold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/proto.h"
#include "common/timefmt.h"
#include "store/edges.h"

#define SLOTS_MIN 1024

struct fold_key {
	uint64_t hour;
	uint32_t client, server;
	uint16_t port;
	uint8_t proto, pad[5];
};

struct slot {
	struct fold_key key;
	struct edge_agg *agg; /* NULL: free */
};

struct fold {
	struct hash_secret secret;
	struct slot *slots;
	size_t n_slots, used;
};

int fold_new(struct fold **out)
{
	struct fold *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	hash_secret_init(&f->secret);
	f->n_slots = SLOTS_MIN;
	f->slots = calloc(f->n_slots, sizeof(*f->slots));
	if (!f->slots) {
		free(f);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}

static void clear(struct fold *f)
{
	for (size_t i = 0; i < f->n_slots; i++) {
		free(f->slots[i].agg);
		f->slots[i].agg = NULL;
	}
	f->used = 0;
}

void fold_free(struct fold *f)
{
	if (!f)
		return;
	clear(f);
	free(f->slots);
	free(f);
}

static struct slot *find(const struct fold *f, const struct fold_key *k)
{
	size_t i = hash_bytes(&f->secret, k, sizeof(*k)) & (f->n_slots - 1);

	while (f->slots[i].agg && memcmp(&f->slots[i].key, k, sizeof(*k)) != 0)
		i = (i + 1) & (f->n_slots - 1);
	return &f->slots[i];
}

static int grow(struct fold *f)
{
	struct slot *old = f->slots, *fresh = calloc(f->n_slots * 2, sizeof(*fresh));
	size_t n_old = f->n_slots;

	if (!fresh)
		return -ENOMEM;
	f->slots = fresh;
	f->n_slots *= 2;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].agg)
			*find(f, &old[i].key) = old[i];
	free(old);
	return 0;
}

/* Whether this record lets its application count: "Unknown" may still become something while the flow goes on. */
static bool tells_app(const struct flow_rec *r)
{
	return r->reason != FLOW_REASON_ACTIVE || strcmp(r->app, "Unknown") != 0;
}

/* The aggregate of one report alone, with what is only true of a finished flow left out while it goes on. */
static void said(struct edge_agg *out, const struct flow_rec *r, bool complete)
{
	edge_agg_from_flow(out, r, complete);
	if (r->reason == FLOW_REASON_ACTIVE)
		out->refused = out->unanswered = 0;
	if (!tells_app(r))
		out->n_apps = 0;
}

static void subtract(struct edge_agg *now, const struct fold_flow *flow)
{
	const struct flow_rec *last = flow->last;
	bool knew = last->direction != FLOW_DIR_UNKNOWN, answered = flow_answered(last);
	struct edge_agg before;

	said(&before, last, true);
	now->flows -= before.flows <= now->flows ? before.flows : now->flows;
	now->answered -= before.answered <= now->answered ? before.answered : now->answered;
	now->refused -= before.refused <= now->refused ? before.refused : now->refused;
	now->unanswered -= before.unanswered <= now->unanswered ? before.unanswered : now->unanswered;
	/* It taught, or failed to, when it was first seen answered with a known direction; that is not asked again. */
	if (answered && knew)
		now->teaching = now->lossy = 0;
	for (unsigned i = 0; i < 2; i++) {
		now->pkts[i] -= before.pkts[i] <= now->pkts[i] ? before.pkts[i] : now->pkts[i];
		now->bytes[i] -= before.bytes[i] <= now->bytes[i] ? before.bytes[i] : now->bytes[i];
	}
	if (before.n_apps && strcmp(last->app, flow->now->app) == 0)
		now->n_apps = 0;
	now->n_exemplars = 0;
	now->n_peers = 0;
}

/* Only an edge with world keeps a sample of the addresses behind that name: the world's end. */
static void choose_peer(struct edge_agg *a, const struct fold_flow *flow, bool swapped)
{
	unsigned server = !swapped;

	if (flow->server == NAMES_WORLD || flow->server == NAMES_HOST) {
		a->peer[0].addr = flow->now->addr[server];
		if (!a->peer[0].name[0])
			snprintf(a->peer[0].name, sizeof(a->peer[0].name), "%s", flow->peer_name);
	} else if (flow->client == NAMES_WORLD) {
		a->peer[0].addr = flow->now->addr[!server];
		a->peer[0].name[0] = '\0';
	} else {
		a->n_peers = 0;
	}
}

static void swap_u64(uint64_t v[2])
{
	uint64_t first = v[0];

	v[0] = v[1];
	v[1] = first;
}

int fold_add(struct fold *f, const struct fold_flow *flow)
{
	const struct flow_rec *r = flow->now;
	/* Where nobody knows who began, the lower port is the better guess for a service; it teaches nothing either
	 * way. */
	bool swapped = r->direction == FLOW_DIR_UNKNOWN && proto_has_ports(r->proto) && r->port[0] < r->port[1];
	struct fold_key key = {r->start_ns / (3600 * NS_PER_S), swapped ? flow->server : flow->client,
			       swapped ? flow->client : flow->server, r->port[!swapped], r->proto, {0}};
	struct edge_agg delta;
	struct slot *s;

	said(&delta, r, flow->complete);
	if (flow->last)
		subtract(&delta, flow);
	if (swapped) {
		swap_u64(delta.pkts);
		swap_u64(delta.bytes);
	}
	if (delta.n_peers) {
		struct fold_flow turned = *flow;

		turned.client = key.client;
		turned.server = key.server;
		choose_peer(&delta, &turned, swapped);
	}
	s = find(f, &key);
	if (s->agg) {
		edge_agg_merge(s->agg, &delta);
		return 0;
	}
	if (f->used * 2 >= f->n_slots) {
		if (grow(f))
			return -ENOMEM;
		s = find(f, &key);
	}
	s->agg = malloc(sizeof(*s->agg));
	if (!s->agg)
		return -ENOMEM;
	s->key = key;
	*s->agg = delta;
	f->used++;
	return 0;
}

size_t fold_pending(const struct fold *f)
{
	return f->used;
}

static void edge_key_of(struct edge_key *out, const struct fold_key *k, const struct names *names)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->client, sizeof(out->client), "%s", names_group(names, k->client));
	snprintf(out->server, sizeof(out->server), "%s", names_group(names, k->server));
	out->proto = k->proto;
	out->port = k->port;
}

int fold_flush(struct fold *f, struct store_txn *t, const struct names *names)
{
	int rc = 0;

	for (size_t i = 0; i < f->n_slots && rc == 0; i++) {
		struct edge_key key;

		if (!f->slots[i].agg)
			continue;
		edge_key_of(&key, &f->slots[i].key, names);
		rc = store_edge_add(t, &key, f->slots[i].agg);
	}
	clear(f);
	return rc;
}

void fold_each(const struct fold *f, const struct names *names,
	       void (*fn)(void *arg, const struct edge_key *key, const struct edge_agg *agg), void *arg)
{
	for (size_t i = 0; i < f->n_slots; i++) {
		struct edge_key key;

		if (!f->slots[i].agg)
			continue;
		edge_key_of(&key, &f->slots[i].key, names);
		fn(arg, &key, f->slots[i].agg);
	}
}
