/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exact counters: what the kernel counted of refusals, by addresses and service, and of each rule. Growth since the
 * last reading is what is reported; an element that ran out and came back counts from zero again.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/timefmt.h"
#include "segment/nft_impl.h"
#include "segment/nft_read.h"

static const struct miss_set {
	const char *name;
	bool v4, icmp;
	uint8_t kind;
} miss_sets[NFT_MISS_SETS] = {
	{NFT_SET_WOULD_BLOCK "_4", true, false, VERDICT_WOULD_BLOCK},
	{NFT_SET_WOULD_BLOCK "_6", false, false, VERDICT_WOULD_BLOCK},
	{NFT_SET_WOULD_BLOCK NFT_SET_ICMP "_4", true, true, VERDICT_WOULD_BLOCK},
	{NFT_SET_WOULD_BLOCK NFT_SET_ICMP "_6", false, true, VERDICT_WOULD_BLOCK},
	{NFT_SET_BLOCK "_4", true, false, VERDICT_BLOCK},
	{NFT_SET_BLOCK "_6", false, false, VERDICT_BLOCK},
	{NFT_SET_BLOCK NFT_SET_ICMP "_4", true, true, VERDICT_BLOCK},
	{NFT_SET_BLOCK NFT_SET_ICMP "_6", false, true, VERDICT_BLOCK},
};

/* ---- what was seen before --------------------------------------------------------------------------------------- */
static struct nft_seen *seen_slot(struct nft_seen_table *t, const uint8_t *key)
{
	size_t i = (size_t)hash_fixed(key, NFT_KEY_MAX) & (t->cap - 1);

	while (t->v[i].used && memcmp(t->v[i].key, key, NFT_KEY_MAX) != 0)
		i = (i + 1) & (t->cap - 1);
	return &t->v[i];
}

static uint64_t seen_get(struct nft_seen_table *t, const uint8_t *key)
{
	return t->cap ? seen_slot(t, key)->packets : 0;
}

static int seen_put(struct nft_seen_table *t, const uint8_t *key, uint64_t packets)
{
	struct nft_seen *s;

	if (t->n * 2 >= t->cap) {
		struct nft_seen_table more = {.cap = t->cap ? t->cap * 2 : 64};

		more.v = calloc(more.cap, sizeof(*more.v));
		if (!more.v)
			return -ENOMEM;
		for (size_t i = 0; i < t->cap; i++)
			if (t->v[i].used)
				*seen_slot(&more, t->v[i].key) = t->v[i];
		more.n = t->n;
		free(t->v);
		*t = more;
	}
	s = seen_slot(t, key);
	t->n += !s->used;
	s->used = true;
	memcpy(s->key, key, NFT_KEY_MAX);
	s->packets = packets;
	return 0;
}

void nft_count_fini(struct nft *n)
{
	for (size_t i = 0; i < NFT_MISS_SETS; i++) {
		free(n->seen[i].v);
		n->seen[i] = (struct nft_seen_table){NULL, 0, 0};
	}
}

void nft_count_forget(struct nft *n)
{
	nft_count_fini(n);
	n->overflow_seen[0] = n->overflow_seen[1] = 0;
	n->seen_primed = n->seen_void = true;
	n->seen_away = false;
}

/* The counter of all that had no place in a set: would_block, block. */
#define SET_OVERFLOW(i) (NFT_MISS_SETS + (i))

int nft_counters_seed(struct nft *n, const struct counter_rec *c, size_t count, uint64_t read_ns, bool away)
{
	int rc = 0;

	n->seen_primed = true;
	if (!read_ns) {
		n->seen_tell_all = true;
		return 0;
	}
	nft_count_fini(n);
	n->overflow_seen[0] = n->overflow_seen[1] = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		uint8_t key[NFT_KEY_MAX] = {0};

		if (c[i].set == SET_OVERFLOW(0) || c[i].set == SET_OVERFLOW(1))
			n->overflow_seen[c[i].set - SET_OVERFLOW(0)] = c[i].packets;
		if (c[i].set >= NFT_MISS_SETS || c[i].key_len > sizeof(key))
			continue;
		memcpy(key, c[i].key, c[i].key_len);
		rc = seen_put(&n->seen[c[i].set], key, c[i].packets);
	}
	n->last_poll_ns = read_ns;
	n->seen_away = away;
	return rc;
}

void nft_counters_unknown(struct nft *n)
{
	n->seen_tell_all = true;
}

/* ---- polling ---------------------------------------------------------------------------------------------------- */
struct poll {
	struct nft *n;
	const struct nft_events *ev;
	uint64_t now_ns;
	const struct miss_set *set;
	size_t kept; /* of before, how many are there still */
	struct nft_seen_table next; /* becomes what was seen */
	struct nft_seen_table *before;
};

static void tell(const struct poll *p, uint8_t set, const uint8_t *key, uint64_t packets, const struct verdict_rec *v)
{
	struct counter_rec c = {.set = set, .key_len = key ? NFT_KEY_MAX : 0, .packets = packets};

	_Static_assert(NFT_KEY_MAX <= COUNTER_KEY_MAX, "the key of an element fits");
	if (!p->ev)
		return;
	if (p->ev->counter) {
		if (key)
			memcpy(c.key, key, NFT_KEY_MAX);
		p->ev->counter(p->ev->arg, &c, v);
	} else if (v && p->ev->verdict) {
		p->ev->verdict(p->ev->arg, v);
	}
}

static void fill(const struct poll *p, struct verdict_rec *v, const struct nft_read_elem *e)
{
	size_t a = p->set->v4 ? 4 : 16;
	uint16_t port_be;
	uint64_t idle_ns = e->expires_ms && e->expires_ms < NFT_MISS_TIMEOUT_MS
				   ? (NFT_MISS_TIMEOUT_MS - e->expires_ms) * 1000000
				   : 0;

	v->kind = p->set->kind;
	v->src = p->set->v4 ? addr_from_v4(e->key) : addr_from_v6(e->key);
	v->dst = p->set->v4 ? addr_from_v4(e->key + a) : addr_from_v6(e->key + a);
	if (p->set->icmp) {
		v->proto = p->set->v4 ? PROTO_ICMP : PROTO_ICMP6;
		v->dst_port = e->key[2 * a];
	} else {
		v->proto = e->key[2 * a];
		memcpy(&port_be, e->key + 2 * a + 4, 2);
		v->dst_port = ntohs(port_be);
	}
	/* The kernel renews an element's time at every packet, so that the last one's is known to the tick. */
	v->last_ns = p->now_ns > idle_ns ? p->now_ns - idle_ns : p->now_ns;
	v->first_ns = p->n->last_poll_ns && p->n->last_poll_ns < v->last_ns ? p->n->last_poll_ns : v->last_ns;
	v->inbound = nft_member_find(p->n, &v->dst) >= 0;
	snprintf(v->group[0], sizeof(v->group[0]), "%s", nft_member_group(p->n, &v->src));
	snprintf(v->group[1], sizeof(v->group[1]), "%s", nft_member_group(p->n, &v->dst));
	v->generation = p->n->about.generation;
	v->away = p->n->seen_away;
}

static int on_miss(void *arg, const struct nft_read_elem *e)
{
	struct poll *p = arg;
	struct verdict_rec v = {0};
	uint8_t key[NFT_KEY_MAX] = {0};
	uint64_t before;
	int rc;

	if (e->key_len > sizeof(key) || e->key_len < (p->set->v4 ? 9u : 33u))
		return 0;
	memcpy(key, e->key, e->key_len);
	before = seen_get(p->before, key);
	p->kept += before > 0;
	rc = seen_put(&p->next, key, e->packets);
	if (rc < 0)
		return rc;
	if (e->packets != before && p->n->seen_primed) {
		fill(p, &v, e);
		v.count = e->packets > before ? e->packets - before : e->packets;
		if (v.count == 1 && !v.away) /* the last one is the only one */
			v.first_ns = v.last_ns;
		tell(p, (uint8_t)(p->set - miss_sets), key, e->packets, &v);
	} else if (p->n->seen_tell_all) {
		tell(p, (uint8_t)(p->set - miss_sets), key, e->packets, NULL);
	}
	return 0;
}

static int on_overflow(void *arg, const char *chain, const struct nft_rule *r)
{
	struct poll *p = arg;
	size_t i = r->tag == NFT_TAG_OVERFLOW_BLOCK;
	struct verdict_rec v = {.kind = i ? VERDICT_BLOCK : VERDICT_WOULD_BLOCK, .first_ns = p->n->last_poll_ns,
				.last_ns = p->now_ns, .generation = p->n->about.generation,
				.away = p->n->seen_away};

	(void)chain;
	if (r->tag != NFT_TAG_OVERFLOW_BLOCK && r->tag != NFT_TAG_OVERFLOW_WOULD_BLOCK)
		return 0;
	v.count = r->packets >= p->n->overflow_seen[i] ? r->packets - p->n->overflow_seen[i] : r->packets;
	p->n->overflow_seen[i] = r->packets;
	if (v.count && p->n->seen_primed)
		tell(p, (uint8_t)SET_OVERFLOW(i), NULL, r->packets, &v);
	else if (r->packets && p->n->seen_tell_all)
		tell(p, (uint8_t)SET_OVERFLOW(i), NULL, r->packets, NULL);
	return 0;
}

static void tell_expiry(struct nft *n, const struct nft_events *ev)
{
	bool enforces = false;
	uint64_t timeout_ms;

	for (size_t i = 0; i < n->roles.n; i++)
		enforces = enforces || (n->roles.v[i].listed && n->roles.v[i].stage == STAGE_ENFORCE);
	if (!enforces || n->expiry_told || n->about.armed != NFT_ARMED_UNTIL || nft_is_armed(&n->about, &timeout_ms))
		return;
	if (!ev || !ev->expired)
		return;
	n->expiry_told = true;
	ev->expired(ev->arg, n->about.generation);
}

/* Elements that ran out: whoever keeps what was told of them need not any more. */
static void tell_gone(struct poll *p)
{
	for (size_t i = 0; p->kept < p->before->n && i < p->before->cap; i++) {
		const struct nft_seen *s = &p->before->v[i];

		if (s->used && s->packets && !seen_get(&p->next, s->key))
			tell(p, (uint8_t)(p->set - miss_sets), s->key, 0, NULL);
	}
}

/* One set. If the table changed under the reading, what was read is true and the rest comes next time. */
static int poll_set(struct poll *p, size_t set)
{
	int rc;

	p->set = &miss_sets[set];
	p->before = &p->n->seen[set];
	p->next = (struct nft_seen_table){NULL, 0, 0};
	p->kept = 0;
	rc = nft_read_elems(p->n->nl, p->set->name, on_miss, p);
	if (rc == 0) {
		tell_gone(p);
		free(p->before->v);
		*p->before = p->next;
		return 0;
	}
	/* What was told is not to be told again. */
	for (size_t i = 0; i < p->next.cap && rc == -EINTR; i++)
		if (p->next.v[i].used && seen_put(p->before, p->next.v[i].key, p->next.v[i].packets) < 0)
			rc = -ENOMEM;
	free(p->next.v);
	return rc;
}

int nft_poll_counters(struct nft *n, uint64_t now_ns, const struct nft_events *ev)
{
	struct poll p = {.n = n, .ev = ev, .now_ns = now_ns};
	bool whole = true;
	int rc = 0;

	if (n->about.generation == 0)
		return 0;
	if (n->seen_void && ev && ev->counter)
		ev->counter(ev->arg, NULL, NULL);
	n->seen_void = n->seen_void && !(ev && ev->counter);
	for (size_t i = 0; rc == 0 && i < NFT_MISS_SETS; i++) {
		rc = poll_set(&p, i);
		whole = whole && rc == 0;
		rc = rc == -EINTR ? 0 : rc;
	}
	if (rc == 0)
		rc = nft_read_rules(n->nl, NFT_SET_WOULD_BLOCK, on_overflow, &p);
	if (rc == 0)
		rc = nft_read_rules(n->nl, NFT_SET_BLOCK, on_overflow, &p);
	whole = whole && rc == 0;
	if (rc == -ENOENT || rc == -EINTR) /* a table that was removed is for nft_dispatch to put back */
		rc = 0;
	n->seen_primed = true;
	if (whole) { /* else the next reading goes on with what this one began */
		n->seen_tell_all = n->seen_away = false;
		n->last_poll_ns = now_ns;
	}
	tell_expiry(n, ev);
	return rc;
}

/* ---- rules ------------------------------------------------------------------------------------------------------ */
struct counts {
	struct nft_rule_count *v;
	size_t n, cap;
};

static int on_rule_count(void *arg, const char *chain, const struct nft_rule *r)
{
	struct counts *c = arg;

	(void)chain;
	if (!r->id)
		return 0;
	if (c->n == c->cap) {
		size_t cap = c->cap * 2 + 64;
		struct nft_rule_count *p = realloc(c->v, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		c->v = p;
		c->cap = cap;
	}
	c->v[c->n++] = (struct nft_rule_count){r->id, r->packets, r->bytes};
	return 0;
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = ((const struct nft_rule_count *)a)->rule_id, y = ((const struct nft_rule_count *)b)->rule_id;

	return x < y ? -1 : x > y;
}

int nft_rule_counts(struct nft *n, struct nft_rule_count **out, size_t *n_out)
{
	struct counts c = {NULL, 0, 0};
	size_t k = 0;
	int rc;

	do {
		c.n = 0;
		rc = nft_read_rules(n->nl, NULL, on_rule_count, &c);
	} while (rc == -EINTR);
	if (rc < 0) {
		free(c.v);
		return rc;
	}
	if (c.n)
		qsort(c.v, c.n, sizeof(*c.v), by_id);
	/* A rule of the policy is several of the kernel's: per IP version, per protocol. */
	for (size_t i = 1; i < c.n; i++) {
		if (c.v[i].rule_id == c.v[k].rule_id) {
			c.v[k].packets += c.v[i].packets;
			c.v[k].bytes += c.v[i].bytes;
		} else {
			c.v[++k] = c.v[i];
		}
	}
	*n_out = c.n ? k + 1 : 0;
	*out = c.v;
	return 0;
}
