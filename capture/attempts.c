/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ten million distinct SYNs may go to eight services or to ten million; both must fit. Records lie in sets of eight,
 * found by a keyed hash of the service; in a full set the record with the fewest attempts goes out first, so that the
 * big ones stay whole. Distinct sources are counted exactly up to the number of exemplars and by HyperLogLog beyond
 * (Flajolet et al., 2007; 128 registers: standard error 9 %), with the small-range correction.
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

#define WAYS 8
#define REGISTERS 128u
#define REGISTER_BITS 7
#define EXEMPLARS 4

struct attempts_rec {
	struct flow_attempts a; /* count 0: free */
	uint64_t interval;
	uint8_t reg[REGISTERS];
};

struct attempts {
	struct hash_secret secret;
	uint32_t set_mask, used;
	uint64_t newest;        /* interval */
	attempts_emit_fn emit;
	void *arg;
	struct attempts_rec *recs;
	uint32_t *live;         /* one bit a record: a flush looks only at these */
};

static size_t recs_count(const struct attempts *a)
{
	return ((size_t)a->set_mask + 1) * WAYS;
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
	a->recs = mmap(NULL, recs_count(a) * sizeof(*a->recs), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->recs == MAP_FAILED)
		a->recs = NULL;
	if (!a->recs || !a->live) {
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
	if (a->recs)
		munmap(a->recs, recs_count(a) * sizeof(*a->recs));
	free(a->live);
	free(a);
}

static uint64_t estimate(const struct attempts_rec *r)
{
	double sum = 0, e;
	unsigned zero = 0;

	for (unsigned i = 0; i < REGISTERS; i++) {
		sum += ldexp(1.0, -r->reg[i]);
		zero += r->reg[i] == 0;
	}
	e = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS * REGISTERS / sum;
	if (e <= 2.5 * REGISTERS && zero)
		e = REGISTERS * log((double)REGISTERS / zero);
	return (uint64_t)(e + 0.5);
}

static void hand_out(struct attempts *a, struct attempts_rec *r)
{
	/* Fewer sources than exemplars have room for are known exactly. */
	uint64_t n = r->a.n_exemplars < EXEMPLARS ? r->a.n_exemplars : estimate(r);
	size_t i = (size_t)(r - a->recs);

	if (n < r->a.n_exemplars)
		n = r->a.n_exemplars;
	r->a.sources = n < r->a.count ? n : r->a.count;
	a->emit(a->arg, &r->a);
	r->a.count = 0;
	a->live[i / 32] &= ~(1u << (i % 32));
	a->used--;
}

/* The record of that service and interval, made if need be. */
static struct attempts_rec *record(struct attempts *a, const struct flow_attempts *key, uint64_t interval)
{
	uint8_t bytes[24] = {0};
	struct attempts_rec *set, *least;
	uint64_t h;

	memcpy(bytes, key->dst.b, 16);
	memcpy(bytes + 16, &key->port, 2);
	bytes[18] = key->proto;
	memcpy(bytes + 20, &key->iface, 4);
	h = hash_bytes(&a->secret, bytes, sizeof(bytes));
	set = &a->recs[(h & a->set_mask) * WAYS];
	least = &set[0];
	for (unsigned i = 0; i < WAYS; i++) {
		struct attempts_rec *r = &set[i];

		if (r->a.count && r->interval == interval && r->a.port == key->port && r->a.proto == key->proto &&
		    r->a.iface == key->iface && addr_equal(&r->a.dst, &key->dst))
			return r;
		if (r->a.count < least->a.count)
			least = r;
	}
	if (least->a.count)
		hand_out(a, least);
	memset(least, 0, sizeof(*least));
	least->a = *key;
	least->interval = interval;
	h = (uint64_t)(least - a->recs);
	a->live[h / 32] |= 1u << (h % 32);
	a->used++;
	return least;
}

static void add_source(struct attempts *a, struct attempts_rec *r, const struct addr *src, uint16_t src_port)
{
	uint64_t h = hash_bytes(&a->secret, src->b, sizeof(src->b)), rest = h >> REGISTER_BITS;
	uint8_t rank = (uint8_t)(rest ? __builtin_ctzll(rest) + 1 : 64 - REGISTER_BITS + 1);
	unsigned i;

	if (r->reg[h % REGISTERS] < rank)
		r->reg[h % REGISTERS] = rank;
	if (r->a.n_exemplars == EXEMPLARS)
		return;
	for (i = 0; i < r->a.n_exemplars; i++)
		if (addr_equal(&r->a.exemplar[i].addr, src))
			return;
	r->a.exemplar[i].addr = *src;
	r->a.exemplar[i].port = src_port;
	r->a.n_exemplars++;
}

void attempts_add(struct attempts *a, const struct addr *dst, uint16_t port, uint8_t proto, uint32_t iface,
		  const struct addr *src, uint16_t src_port, uint64_t start_ns, uint64_t end_ns, uint64_t bytes)
{
	struct flow_attempts key = {.dst = *dst, .port = port, .proto = proto, .iface = iface,
				    .start_ns = start_ns, .end_ns = end_ns};
	uint64_t interval = start_ns / COVERAGE_INTERVAL_NS;
	struct attempts_rec *r = record(a, &key, interval);

	if (interval > a->newest)
		a->newest = interval;
	if (start_ns < r->a.start_ns)
		r->a.start_ns = start_ns;
	if (end_ns > r->a.end_ns)
		r->a.end_ns = end_ns;
	r->a.count++;
	r->a.bytes += bytes;
	add_source(a, r, src, src_port);
}

void attempts_flush(struct attempts *a, uint64_t now_ns)
{
	size_t words = (recs_count(a) + 31) / 32;

	for (size_t i = 0; a->used && i < words; i++) {
		for (uint32_t bits = a->live[i]; bits; bits &= bits - 1) {
			struct attempts_rec *r = &a->recs[i * 32 + (unsigned)__builtin_ctz(bits)];

			if (now_ns == ATTEMPTS_FLUSH_ALL || r->interval < now_ns / COVERAGE_INTERVAL_NS)
				hand_out(a, r);
		}
	}
}
