/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Millions of look-ups a second, keys chosen by strangers, and memory that must neither grow nor be touched in vain.
 * Flows live in one dense array, filled from the bottom, with a free list; an index of 64-byte buckets finds them. A
 * bucket has 15 references, each with some bits of the hash so that a wrong flow is hardly ever fetched, and a count
 * of the flows that wanted this bucket but had to go on to the next one: a look-up walks on only while that count is
 * not zero, and removal leaves no tombstones. Full means eight flows a bucket on average, so walking on is rare.
 */
#include "config.h"
#include "capture/flow_table.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "common/proto.h"

#define SLOTS 15
#define PER_BUCKET 8
#define SIZE_MIN 1024u
#define SIZE_MAX_ (1u << 24)
#define PLACE_BITS 24
#define PLACE_MASK ((1u << PLACE_BITS) - 1)

struct flow_bucket {
	uint32_t slot[SLOTS]; /* 8 bits of hash over 24 of 1 + place; 0 empty */
	uint32_t passed;      /* flows stored in a later bucket that came by here */
};

_Static_assert(sizeof(struct flow) == 128, "a flow is two cache lines");
_Static_assert(sizeof(struct flow_bucket) == 64, "a bucket is one cache line");

static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Look-ups are scattered over all of it: huge pages save a walk of the page table each. Only a wish. */
	(void)madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

static size_t buckets_bytes(const struct flow_table *t)
{
	return ((size_t)t->bucket_mask + 1) * sizeof(struct flow_bucket);
}

int flow_table_init(struct flow_table *t, uint32_t size)
{
	memset(t, 0, sizeof(*t));
	t->size = SIZE_MIN;
	while (t->size < size && t->size < SIZE_MAX_ / 2)
		t->size *= 2;
	t->bucket_mask = t->size / PER_BUCKET - 1;
	hash_secret_init(&t->secret);
	t->flows = reserve(t->size * sizeof(struct flow));
	t->buckets = reserve(buckets_bytes(t));
	if (!t->flows || !t->buckets) {
		flow_table_fini(t);
		return -ENOMEM;
	}
	return 0;
}

void flow_table_fini(struct flow_table *t)
{
	if (t->flows)
		munmap(t->flows, t->size * sizeof(struct flow));
	if (t->buckets)
		munmap(t->buckets, buckets_bytes(t));
	t->flows = NULL;
	t->buckets = NULL;
}

static inline uint64_t word(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* Any order will do that both directions agree on: by two words instead of sixteen bytes. */
static inline int addr_order(const struct addr *a, const struct addr *b)
{
	uint64_t a0 = word(a->b), b0 = word(b->b), a1 = word(a->b + 8), b1 = word(b->b + 8);

	return a0 != b0 ? (a0 < b0 ? -1 : 1) : a1 != b1 ? (a1 < b1 ? -1 : 1) : 0;
}

uint64_t flow_table_hash(const struct flow_table *t, const struct flow_key *k)
{
	bool ported = proto_has_ports(k->proto);
	int order = addr_order(&k->addr[0], &k->addr[1]);
	unsigned first = order > 0 || (order == 0 && ported && k->port[0] > k->port[1]);
	const uint8_t *a = k->addr[first].b, *b = k->addr[!first].b;
	unsigned p = ported ? first : 0;
	uint64_t rest = (uint64_t)k->port[p] << 48 | (uint64_t)k->port[!p] << 32 | (uint64_t)k->vlan << 16 |
			(uint64_t)k->proto << 8 | k->tunnel;
	uint64_t h = hash_mix(word(a + 8) ^ t->secret.k[0], word(b + 8) ^ t->secret.k[1]);

	h = hash_mix(h ^ word(a) ^ rest, t->secret.k[1] ^ word(b));
	return hash_mix(h ^ k->tunnel_id, t->secret.k[0] | 1);
}

static inline bool same_end(const struct flow_key *a, unsigned i, const struct flow_key *b, unsigned j)
{
	return word(a->addr[i].b) == word(b->addr[j].b) && word(a->addr[i].b + 8) == word(b->addr[j].b + 8);
}

/* Whether k names the flow with key f; *dir: which end of f sent. */
static inline bool same_flow(const struct flow_key *f, const struct flow_key *k, unsigned *dir)
{
	bool swapped_ports = proto_has_ports(f->proto);

	if (f->proto != k->proto || f->vlan != k->vlan || f->tunnel != k->tunnel || f->tunnel_id != k->tunnel_id)
		return false;
	if (f->port[0] == k->port[0] && f->port[1] == k->port[1] && same_end(f, 0, k, 0) && same_end(f, 1, k, 1)) {
		*dir = 0;
		return true;
	}
	if (f->port[0] == k->port[swapped_ports] && f->port[1] == k->port[!swapped_ports] && same_end(f, 0, k, 1) &&
	    same_end(f, 1, k, 0)) {
		*dir = 1;
		return true;
	}
	return false;
}

struct flow *flow_table_find(const struct flow_table *t, const struct flow_key *k, uint64_t hash, unsigned *dir)
{
	uint32_t tag = (uint32_t)(hash >> 56) << PLACE_BITS;

	for (uint32_t i = (uint32_t)hash & t->bucket_mask, n = 0; n <= t->bucket_mask; n++) {
		const struct flow_bucket *b = &t->buckets[i];

		for (unsigned s = 0; s < SLOTS; s++) {
			uint32_t v = b->slot[s];
			struct flow *f;

			if (v == 0 || (v & ~PLACE_MASK) != tag)
				continue;
			f = &t->flows[(v & PLACE_MASK) - 1];
			if (same_flow(&f->key, k, dir))
				return f;
		}
		if (b->passed == 0)
			return NULL;
		i = (i + 1) & t->bucket_mask;
	}
	return NULL;
}

void flow_table_fetch_index(const struct flow_table *t, uint64_t hash)
{
	__builtin_prefetch(&t->buckets[(uint32_t)hash & t->bucket_mask], 1);
}

void flow_table_fetch_flow(const struct flow_table *t, uint64_t hash)
{
	const struct flow_bucket *b = &t->buckets[(uint32_t)hash & t->bucket_mask];
	uint32_t tag = (uint32_t)(hash >> 56) << PLACE_BITS;

	for (unsigned s = 0; s < SLOTS; s++) {
		if (b->slot[s] && (b->slot[s] & ~PLACE_MASK) == tag) {
			const struct flow *f = &t->flows[(b->slot[s] & PLACE_MASK) - 1];

			__builtin_prefetch(f, 1);
			__builtin_prefetch((const uint8_t *)f + 64, 1);
			return;
		}
	}
}

void flow_table_fetch_removal(const struct flow_table *t, uint32_t place)
{
	if (place < t->high && t->flows[place].class != FLOW_CLASS_FREE)
		flow_table_fetch_index(t, flow_table_hash(t, &t->flows[place].key));
}

struct flow *flow_table_add(struct flow_table *t, const struct flow_key *k, uint64_t hash)
{
	uint32_t i = (uint32_t)hash & t->bucket_mask, place;
	struct flow *f;
	unsigned s;

	if (t->free_list) {
		place = t->free_list - 1;
		t->free_list = t->flows[place].next_free;
	} else if (t->high < t->size) {
		place = t->high++;
	} else {
		return NULL;
	}
	f = &t->flows[place];
	memset(f, 0, sizeof(*f));
	f->key = *k;
	f->class = FLOW_CLASS_EMBRYONIC;
	t->count[FLOW_CLASS_EMBRYONIC]++;
	t->used++;
	for (;; i = (i + 1) & t->bucket_mask) { /* ends: there are nearly twice as many slots as places */
		struct flow_bucket *b = &t->buckets[i];

		for (s = 0; s < SLOTS && b->slot[s]; s++)
			;
		if (s < SLOTS) {
			b->slot[s] = (uint32_t)(hash >> 56) << PLACE_BITS | (place + 1);
			return f;
		}
		b->passed++;
	}
}

void flow_table_remove(struct flow_table *t, struct flow *f)
{
	uint64_t hash = flow_table_hash(t, &f->key);
	uint32_t place = (uint32_t)(f - t->flows), i = (uint32_t)hash & t->bucket_mask;
	uint32_t want = (uint32_t)(hash >> 56) << PLACE_BITS | (place + 1);

	for (;; i = (i + 1) & t->bucket_mask) {
		struct flow_bucket *b = &t->buckets[i];
		unsigned s;

		for (s = 0; s < SLOTS && b->slot[s] != want; s++)
			;
		if (s < SLOTS) {
			b->slot[s] = 0;
			break;
		}
		b->passed--;
	}
	t->count[f->class]--;
	t->used--;
	f->class = FLOW_CLASS_FREE;
	f->next_free = t->free_list;
	t->free_list = place + 1;
}

void flow_table_set_class(struct flow_table *t, struct flow *f, enum flow_class c)
{
	t->count[f->class]--;
	f->class = (uint8_t)c;
	t->count[c]++;
}
