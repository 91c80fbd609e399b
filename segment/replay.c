/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A ruleset against history, see replay.h. Misses are kept in a hash table by edge, since a history has millions of
 * flows and few edges; its keys come from the network, so the hash is keyed by a secret.
 */
#include "config.h"
#include "segment/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "segment/policy_text.h"

struct replay {
	const struct ruleset *rs;
	struct replay_sum sum;
	struct hash_secret secret;
	struct replay_miss *misses;
	size_t n;
	uint32_t *slots; /* 1 + index into misses; 0 free. Always a power of two, at most half full */
	size_t n_slots;
	struct replay_miss *sorted;
};

int replay_new(struct replay **out, const struct ruleset *rs)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->n_slots = 64;
	r->slots = calloc(r->n_slots, sizeof(*r->slots));
	if (!r->slots) {
		free(r);
		return -ENOMEM;
	}
	r->rs = rs;
	hash_secret_init(&r->secret);
	*out = r;
	return 0;
}

void replay_free(struct replay *r)
{
	if (!r)
		return;
	free(r->misses);
	free(r->sorted);
	free(r->slots);
	free(r);
}

static uint64_t key_hash(const struct replay *r, const struct edge_key *k)
{
	uint64_t h = hash_bytes(&r->secret, k->client, strlen(k->client));

	h = hash_mix(h ^ hash_bytes(&r->secret, k->server, strlen(k->server)), 0x9e3779b97f4a7c15ull);
	return hash_mix(h ^ ((uint64_t)k->proto << 16 | k->port), r->secret.k[1] | 1);
}

/* The slot of that key, or the free one where it would go. */
static uint32_t *find_slot(struct replay *r, const struct edge_key *k)
{
	size_t i = key_hash(r, k) & (r->n_slots - 1);

	while (r->slots[i] && edge_key_cmp(&r->misses[r->slots[i] - 1].key, k) != 0)
		i = (i + 1) & (r->n_slots - 1);
	return &r->slots[i];
}

static int grow_slots(struct replay *r)
{
	uint32_t *fresh = calloc(r->n_slots * 2, sizeof(*fresh));

	if (!fresh)
		return -ENOMEM;
	free(r->slots);
	r->slots = fresh;
	r->n_slots *= 2;
	for (size_t i = 0; i < r->n; i++)
		*find_slot(r, &r->misses[i].key) = (uint32_t)i + 1;
	return 0;
}

/* The entry of that key, new if need be; NULL without memory. */
static struct replay_miss *miss_of(struct replay *r, const struct edge_key *k)
{
	uint32_t *slot = find_slot(r, k);
	struct replay_miss *m;

	if (*slot)
		return &r->misses[*slot - 1];
	m = policy_grow(r->misses, r->n, sizeof(*m));
	if (!m || r->n >= UINT32_MAX - 1)
		return NULL;
	r->misses = m;
	m = &r->misses[r->n++];
	*slot = (uint32_t)r->n;
	memset(m, 0, sizeof(*m));
	m->key = *k;
	if (r->n * 2 > r->n_slots && grow_slots(r) < 0)
		return NULL;
	return &r->misses[r->n - 1];
}

static void set_group(char out[GROUP_STRLEN], const char *group)
{
	size_t len;

	if (!group || !group[0])
		group = GROUP_WORLD;
	len = strnlen(group, GROUP_STRLEN - 1);
	memcpy(out, group, len);
	memset(out + len, 0, GROUP_STRLEN - len);
}

/* So many flows of one kind between these two. */
static int judge(struct replay *r, const struct edge_key *key, const struct addr ends[2], uint64_t flows,
		 uint64_t answered, uint64_t first_ns, uint64_t last_ns)
{
	struct eval_end src = {ends[0], key->client}, dst = {ends[1], key->server};
	struct eval_result res;
	struct replay_miss *m;

	eval(&res, r->rs, &src, &dst, key->proto, key->port);
	if (res.group < 0) {
		r->sum.free += flows;
		return 0;
	}
	r->sum.flows += flows;
	if (res.rule) {
		r->sum.allowed += flows;
		return 0;
	}
	r->sum.missed += flows;
	r->sum.missed_answered += answered;
	m = miss_of(r, key);
	if (!m)
		return -ENOMEM;
	if (m->flows == 0) {
		memcpy(m->owner, r->rs->groups[res.group].name, sizeof(m->owner));
		m->inbound = res.inbound;
		m->stage = res.stage;
		m->src = ends[0];
		m->dst = ends[1];
		m->first_ns = first_ns;
	}
	m->flows += flows;
	m->answered += answered;
	if (first_ns < m->first_ns)
		m->first_ns = first_ns;
	if (last_ns > m->last_ns)
		m->last_ns = last_ns;
	return 0;
}

int replay_flow(struct replay *r, const struct flow_rec *f, const char *client, const char *server)
{
	struct edge_key key;

	if (f->conv_id != f->id || proto_is_icmp_error(f->proto, f->port[1]))
		return 0;
	if (f->direction == FLOW_DIR_UNKNOWN) {
		r->sum.undirected++;
		return 0;
	}
	set_group(key.client, client);
	set_group(key.server, server);
	key.proto = f->proto;
	key.port = proto_has_ports(f->proto) || proto_is_icmp(f->proto) ? f->port[1] : 0;
	return judge(r, &key, f->addr, 1, flow_answered(f), f->start_ns, f->end_ns);
}

int replay_edge(struct replay *r, const struct edge *e)
{
	const struct edge_agg *a = &e->agg;
	uint64_t flows = a->flows ? a->flows : 1, answered = a->answered < flows ? a->answered : flows;
	bool world_client = strcmp(e->key.client, GROUP_WORLD) == 0;
	struct addr ends[2] = {addr_any, addr_any};
	int rc = 0;

	if (proto_is_icmp_error(e->key.proto, e->key.port))
		return 0;
	/* Answered flows that neither taught nor lost packets had no direction: the key is a guess. */
	if (a->answered > 0 && a->teaching + a->lossy == 0) {
		r->sum.undirected += flows;
		return 0;
	}
	/* Each sampled address for its own flows, the last one for those of addresses that found no place in the
	 * sample. */
	for (unsigned i = 0; i < a->n_peers && rc == 0; i++) {
		uint64_t share = i + 1u == a->n_peers || a->peer[i].flows > flows ? flows : a->peer[i].flows;
		uint64_t share_answered = share < answered ? share : answered;

		ends[world_client ? 0 : 1] = a->peer[i].addr;
		if (share)
			rc = judge(r, &e->key, ends, share, share_answered, a->first_ns, a->last_ns);
		flows -= share;
		answered -= share_answered;
	}
	return a->n_peers ? rc : judge(r, &e->key, ends, flows, answered, a->first_ns, a->last_ns);
}

const struct replay_sum *replay_sum(const struct replay *r)
{
	return &r->sum;
}

static int worst_first(const void *va, const void *vb)
{
	const struct replay_miss *a = va, *b = vb;

	if (a->answered != b->answered)
		return a->answered > b->answered ? -1 : 1;
	if (a->flows != b->flows)
		return a->flows > b->flows ? -1 : 1;
	return edge_key_cmp(&a->key, &b->key);
}

int replay_misses(struct replay *r, const struct replay_miss **out, size_t *n)
{
	struct replay_miss *sorted = calloc(r->n + 1, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	if (r->n)
		memcpy(sorted, r->misses, r->n * sizeof(*sorted));
	qsort(sorted, r->n, sizeof(*sorted), worst_first);
	free(r->sorted);
	r->sorted = sorted;
	*out = sorted;
	*n = r->n;
	return 0;
}

void replay_miss_format(struct buf *b, const struct replay_miss *m)
{
	struct service s = service_of(m->key.proto, m->key.port);
	char text[SERVICE_STRLEN];

	buf_printf(b, "%s to %s %s: %" PRIu64 " flow%s (%" PRIu64 " answered)", m->key.client, m->key.server,
		   service_format(&s, text), m->flows, m->flows == 1 ? "" : "s", m->answered);
}
