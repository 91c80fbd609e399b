/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ten million distinct SYNs may go to eight services or to ten million; both must fit. Records lie in sets of eight,
 * found by a keyed hash of the service; in a full set the record with the fewest attempts goes out first, so that the
 * big ones stay whole. Distinct sources are counted exactly up to the number of exemplars and by HyperLogLog beyond
 * (Flajolet et al., 2007; 128 registers: standard error 9 %), with the small-range correction.
 *
 * A scan finds none of its services here and makes a record for each, so the price of not finding one counts: what a
 * set's records are named by and how many attempts they hold is one cache line, and an attempt waits for a few others
 * while first that line and then its record come from memory. Registers are touched once there are sources to estimate.
 */
#include "config.h"
#include "capture/attempts.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/coverage.h"
#include "common/hash.h"

#define WAYS 8u
#define REGISTERS 128u
#define REGISTER_BITS 7
#define EXEMPLARS 4
#define WAITING 32u /* a power of two */

struct attempts_rec {
	_Alignas(64) struct flow_attempts a;
	uint64_t interval;
	bool wide; /* more sources than exemplars: the registers count */
};

struct attempts_set {
	uint32_t tag[WAYS];   /* bits of the hash */
	uint32_t count[WAYS]; /* attempts, as far as 32 bits can tell; 0: free */
};

_Static_assert(sizeof(struct attempts_set) == 64, "a set is named by one cache line");
_Static_assert(sizeof(struct attempts_rec) == 3 * 64, "what fetch_half_way asks for is all of a record");

/* One attempt on its way. */
struct waiting {
	struct flow_attempts key; /* bytes are this one's */
	struct addr src;
	uint64_t hash;
	uint16_t src_port;
};

struct attempts {
	struct hash_secret secret;
	uint32_t set_mask, used;
	attempts_emit_fn emit;
	void *arg;
	struct attempts_set *sets;
	struct attempts_rec *recs;
	uint8_t (*reg)[REGISTERS]; /* of each record */
	uint32_t *live;            /* one bit a record: a flush looks only at these */
	unsigned first, n_waiting;
	struct waiting waiting[WAITING];
};

static size_t recs_count(const struct attempts *a)
{
	return ((size_t)a->set_mask + 1) * WAYS;
}

/* Zeroes that cost memory only once they are touched; NULL when there is no room. */
static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, bytes, MADV_HUGEPAGE); /* only a wish; see flow_table.c */
	return p;
}

static void give_back(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

int attempts_new(struct attempts **out, uint32_t size, attempts_emit_fn emit, void *arg)
{
	struct attempts *a = calloc(1, sizeof(*a));
	uint32_t sets = 1;

	if (!a)
		return -ENOMEM;
	while (sets * WAYS < size && sets < 1u << 20)
		sets *= 2;
	a->set_mask = sets - 1;
	a->emit = emit;
	a->arg = arg;
	hash_secret_init(&a->secret);
	a->live = calloc((recs_count(a) + 31) / 32, sizeof(*a->live));
	a->sets = reserve(((size_t)a->set_mask + 1) * sizeof(*a->sets));
	a->recs = reserve(recs_count(a) * sizeof(*a->recs));
	a->reg = reserve(recs_count(a) * sizeof(*a->reg));
	if (!a->sets || !a->recs || !a->reg || !a->live) {
		attempts_free(a);
		return -ENOMEM;
	}
	*out = a;
	return 0;
}

void attempts_free(struct attempts *a)
{
	if (!a)
		return;
	give_back(a->sets, ((size_t)a->set_mask + 1) * sizeof(*a->sets));
	give_back(a->recs, recs_count(a) * sizeof(*a->recs));
	give_back(a->reg, recs_count(a) * sizeof(*a->reg));
	free(a->live);
	free(a);
}

static uint64_t estimate(const uint8_t reg[REGISTERS])
{
	double sum = 0, e;
	unsigned zero = 0;

	for (unsigned i = 0; i < REGISTERS; i++) {
		sum += 1.0 / (double)(1ull << reg[i]); /* at most 58, see add_register */
		zero += reg[i] == 0;
	}
	e = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS * REGISTERS / sum;
	if (e <= 2.5 * REGISTERS && zero)
		e = REGISTERS * log((double)REGISTERS / zero);
	return (uint64_t)(e + 0.5);
}

static void hand_out(struct attempts *a, size_t i)
{
	struct attempts_rec *r = &a->recs[i];
	/* No more sources than exemplars have room for are known exactly. */
	uint64_t n = r->wide ? estimate(a->reg[i]) : r->a.n_exemplars;

	if (n < r->a.n_exemplars)
		n = r->a.n_exemplars;
	r->a.sources = n < r->a.count ? n : r->a.count;
	a->emit(a->arg, &r->a);
	a->sets[i / WAYS].count[i % WAYS] = 0;
	a->live[i / 32] &= ~(1u << (i % 32));
	a->used--;
}

static bool same_service(const struct attempts_rec *r, const struct flow_attempts *key)
{
	return r->interval == key->start_ns / COVERAGE_INTERVAL_NS && r->a.port == key->port &&
	       r->a.proto == key->proto && r->a.iface == key->iface && addr_equal(&r->a.dst, &key->dst);
}

/* The record that may be of that service, or else the one to make room; *known: which of the two. */
static size_t place_of(const struct attempts *a, const struct waiting *w, bool *known)
{
	size_t set = w->hash & a->set_mask;
	const struct attempts_set *s = &a->sets[set];
	uint32_t tag = (uint32_t)(w->hash >> 32);
	unsigned least = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		if (s->count[i] && s->tag[i] == tag && same_service(&a->recs[set * WAYS + i], &w->key)) {
			*known = true;
			return set * WAYS + i;
		}
		if (s->count[i] < s->count[least])
			least = i;
	}
	*known = false;
	return set * WAYS + least;
}

static void add_register(struct attempts *a, size_t i, const struct addr *src)
{
	uint64_t h = hash_bytes(&a->secret, src->b, sizeof(src->b)), rest = h >> REGISTER_BITS;
	uint8_t rank = (uint8_t)(rest ? __builtin_ctzll(rest) + 1 : 64 - REGISTER_BITS + 1);

	if (a->reg[i][h % REGISTERS] < rank)
		a->reg[i][h % REGISTERS] = rank;
}

static void add_source(struct attempts *a, size_t i, const struct addr *src, uint16_t src_port)
{
	struct attempts_rec *r = &a->recs[i];

	for (unsigned n = 0; n < r->a.n_exemplars; n++)
		if (addr_equal(&r->a.exemplar[n].addr, src))
			return;
	if (r->a.n_exemplars < EXEMPLARS) {
		r->a.exemplar[r->a.n_exemplars].addr = *src;
		r->a.exemplar[r->a.n_exemplars].port = src_port;
		r->a.n_exemplars++;
		return;
	}
	if (!r->wide) {
		r->wide = true;
		memset(a->reg[i], 0, sizeof(a->reg[i]));
		for (unsigned n = 0; n < EXEMPLARS; n++)
			add_register(a, i, &r->a.exemplar[n].addr);
	}
	add_register(a, i, src);
}

/* The oldest of those that wait is counted. */
static void leave(struct attempts *a)
{
	const struct waiting *w = &a->waiting[a->first];
	bool known;
	size_t i = place_of(a, w, &known);
	struct attempts_set *s = &a->sets[i / WAYS];
	struct attempts_rec *r = &a->recs[i];

	a->first = (a->first + 1) % WAITING;
	a->n_waiting--;
	if (!known) {
		if (s->count[i % WAYS])
			hand_out(a, i);
		memset(r, 0, sizeof(*r));
		r->a = w->key;
		r->a.count = r->a.bytes = 0;
		r->interval = w->key.start_ns / COVERAGE_INTERVAL_NS;
		s->tag[i % WAYS] = (uint32_t)(w->hash >> 32);
		a->live[i / 32] |= 1u << (i % 32);
		a->used++;
	}
	if (w->key.start_ns < r->a.start_ns)
		r->a.start_ns = w->key.start_ns;
	if (w->key.end_ns > r->a.end_ns)
		r->a.end_ns = w->key.end_ns;
	r->a.count++;
	r->a.bytes += w->key.bytes;
	if (s->count[i % WAYS] < UINT32_MAX)
		s->count[i % WAYS]++;
	add_source(a, i, &w->src, w->src_port);
}

/* What is half way through waiting: its set has come; now its record, or the one it will take the place of. */
static void fetch_half_way(const struct attempts *a)
{
	bool known;
	const struct attempts_rec *r = &a->recs[place_of(a, &a->waiting[(a->first + WAITING / 2) % WAITING], &known)];

	__builtin_prefetch(r, 1);
	__builtin_prefetch((const char *)r + 64, 1);
	__builtin_prefetch((const char *)r + 128, 1);
}

void attempts_add(struct attempts *a, const struct addr *dst, uint16_t port, uint8_t proto, uint32_t iface,
		  const struct addr *src, uint16_t src_port, uint64_t start_ns, uint64_t end_ns, uint64_t bytes)
{
	struct waiting *w = &a->waiting[(a->first + a->n_waiting) % WAITING];
	uint8_t service[24] = {0};

	w->key = (struct flow_attempts){.dst = *dst, .port = port, .proto = proto, .iface = iface,
					.start_ns = start_ns, .end_ns = end_ns, .bytes = bytes};
	w->src = *src;
	w->src_port = src_port;
	memcpy(service, dst->b, 16);
	memcpy(service + 16, &port, 2);
	service[18] = proto;
	memcpy(service + 20, &iface, 4);
	w->hash = hash_bytes(&a->secret, service, sizeof(service));
	__builtin_prefetch(&a->sets[w->hash & a->set_mask], 1);
	if (++a->n_waiting == WAITING) {
		fetch_half_way(a);
		leave(a);
	}
}

void attempts_flush(struct attempts *a, uint64_t now_ns)
{
	size_t words = (recs_count(a) + 31) / 32;

	while (a->n_waiting)
		leave(a);
	for (size_t i = 0; a->used && i < words; i++) {
		for (uint32_t bits = a->live[i]; bits; bits &= bits - 1) {
			size_t n = i * 32 + (unsigned)__builtin_ctz(bits);

			if (now_ns == ATTEMPTS_FLUSH_ALL || a->recs[n].interval < now_ns / COVERAGE_INTERVAL_NS)
				hand_out(a, n);
		}
	}
}
