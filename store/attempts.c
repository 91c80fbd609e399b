/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Folded attempts, kept in the buckets of the flows they stand for. One is a sum already, but a scan of a million ports
 * is a million of them, and a key and a place in the tree for each cost ten times what it says. So a transaction
 * collects them here, sorts them by start and writes blocks: as many records, back to back, as half a page holds, under
 * the key of the first. A block spans at most BLOCK_SPAN_NS, so that a question about a minute reads that minute.
 */
#include "config.h"
#include "store/attempts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/timefmt.h"
#include "common/wire.h"
#include "store/flows.h"
#include "store/key.h"
#include "store/txn.h"

#define ATTEMPTS_KEY_LEN (1 + 8 + 16 + 1 + 2 + 4 + 2)
#define BATCH_RECORDS 8192u
#define BLOCK_BYTES 1800u /* begun below it; with the largest record it still fits two to a page */
#define BLOCK_SPAN_NS (10 * NS_PER_S)
#define SAME_LOOK 16u     /* records of one start looked at for one that replaces another */
#define RADIX_BITS 11
#define FETCH_AHEAD 8u

struct item {
	uint64_t start_ns;
	uint32_t n;
};

struct attempts_batch {
	size_t n;
	struct buf block;
	struct flow_attempts rec[BATCH_RECORDS];
	struct item item[BATCH_RECORDS], spare[BATCH_RECORDS];
};

int attempts_batch_new(struct attempts_batch **out)
{
	*out = calloc(1, sizeof(**out)); /* touched only as far as it is used */
	return *out ? 0 : -ENOMEM;
}

void attempts_batch_free(struct attempts_batch *b)
{
	if (!b)
		return;
	buf_fini(&b->block);
	free(b);
}

void attempts_batch_clear(struct attempts_batch *b)
{
	b->n = 0;
}

int store_attempts_put(struct store_txn *t, const struct flow_attempts *a)
{
	struct attempts_batch *b;
	int rc = txn_writable(t);

	if (rc)
		return rc;
	if (a->end_ns < a->start_ns || a->n_exemplars > sizeof(a->exemplar) / sizeof(a->exemplar[0]))
		return -EINVAL;
	b = t->s->attempts;
	if (b->n == BATCH_RECORDS) {
		rc = attempts_batch_flush(t);
		if (rc)
			return txn_fail(t, rc);
	}
	b->rec[b->n++] = *a;
	return 0;
}

/* By start, what came first stays first. Digit by digit: as many passes as the span of times has digits. */
static void sort_items(struct attempts_batch *b)
{
	uint64_t min = UINT64_MAX, max = 0;
	struct item *from = b->item, *to = b->spare;

	for (uint32_t i = 0; i < b->n; i++) {
		b->item[i] = (struct item){b->rec[i].start_ns, i};
		min = b->rec[i].start_ns < min ? b->rec[i].start_ns : min;
		max = b->rec[i].start_ns > max ? b->rec[i].start_ns : max;
	}
	for (unsigned shift = 0; shift < 64 && (max - min) >> shift; shift += RADIX_BITS) {
		uint32_t at[1u << RADIX_BITS] = {0}, sum = 0;
		struct item *swap = from;

		for (size_t i = 0; i < b->n; i++)
			at[(from[i].start_ns - min) >> shift & ((1u << RADIX_BITS) - 1)]++;
		for (unsigned d = 0; d < 1u << RADIX_BITS; d++) {
			uint32_t count = at[d];

			at[d] = sum;
			sum += count;
		}
		for (size_t i = 0; i < b->n; i++)
			to[at[(from[i].start_ns - min) >> shift & ((1u << RADIX_BITS) - 1)]++] = from[i];
		from = to;
		to = swap;
	}
	if (from != b->item)
		memcpy(b->item, from, b->n * sizeof(*from));
}

static bool same_key(const struct flow_attempts *a, const struct flow_attempts *b)
{
	return a->start_ns == b->start_ns && a->port == b->port && a->proto == b->proto && a->iface == b->iface &&
	       addr_equal(&a->dst, &b->dst);
}

/* A later put of the same one stands for this. */
static bool replaced(const struct attempts_batch *b, size_t i)
{
	const struct flow_attempts *a = &b->rec[b->item[i].n];

	for (size_t j = i + 1; j < b->n && j <= i + SAME_LOOK && b->item[j].start_ns == a->start_ns; j++)
		if (same_key(a, &b->rec[b->item[j].n]))
			return true;
	return false;
}

/*
 * Writes one block under the key of its first record and a number: 0, unless another block is there already that began
 * with the same record (of another worker, say). The very same block, as when a capture is read again, is not
 * written twice.
 */
static int put_block(struct store_txn *t, const struct flow_attempts *first, uint64_t end_ns, unsigned count)
{
	const struct buf *block = &t->s->attempts->block;
	uint8_t key[ATTEMPTS_KEY_LEN], *p = key_put_u64(key_put_u8(key, KIND_ATTEMPTS), first->start_ns);
	struct bucket *k;
	int rc;

	p = key_put_u16(key_put_u8(key_put_addr(p, &first->dst), first->proto), first->port);
	p = key_put_u32(p, first->iface);
	for (unsigned number = 0; number <= UINT16_MAX; number++) {
		MDB_val old;

		key_put_u16(p, (uint16_t)number);
		rc = bucket_get(t, key, sizeof(key), &old);
		if (rc == -ENOENT)
			break;
		if (rc || (old.mv_size == block->len && memcmp(old.mv_data, block->data, block->len) == 0))
			return rc;
	}
	rc = bucket_put(t, key, sizeof(key), end_ns, block->data, block->len);
	k = rc ? NULL : bucket_find(t, first->start_ns);
	if (k)
		k->count[KIND_ATTEMPTS] += count - 1; /* bucket_put counted the block as one */
	return rc;
}

int attempts_batch_flush(struct store_txn *t)
{
	struct attempts_batch *b = t->s->attempts;
	int rc = b->n ? bucket_load(t) : 0;

	if (!b->n || rc)
		return rc;
	sort_items(b);
	for (size_t i = 0; i < b->n && !rc;) {
		const struct flow_attempts *first = NULL;
		uint64_t end_ns = 0;
		unsigned count = 0;

		buf_clear(&b->block);
		for (; i < b->n && b->block.len < BLOCK_BYTES; i++) {
			const struct flow_attempts *a = &b->rec[b->item[i].n];

			if (i + FETCH_AHEAD < b->n)
				__builtin_prefetch(&b->rec[b->item[i + FETCH_AHEAD].n]);
			if (first && a->start_ns - first->start_ns > BLOCK_SPAN_NS)
				break;
			if (replaced(b, i))
				continue;
			first = first ? first : a;
			end_ns = a->end_ns > end_ns ? a->end_ns : end_ns;
			flow_attempts_encode(&b->block, a);
			count++;
		}
		if (first)
			rc = buf_failed(&b->block) ? -ENOMEM : put_block(t, first, end_ns, count);
	}
	b->n = 0;
	for (unsigned i = 0; i < t->dir.n && !rc; i++)
		if (t->dir.b[i].dirty)
			rc = bucket_split(t, &t->dir.b[i]);
	return rc;
}

struct walk {
	uint64_t since_ns, until_ns;
	store_attempts_fn *fn;
	void *arg;
};

static int each(void *arg, const MDB_val *key, const MDB_val *value)
{
	const struct walk *w = arg;
	struct wire_reader r;
	struct flow_attempts a;
	int rc = 0;

	(void)key;
	wire_reader_init(&r, value->mv_data, value->mv_size);
	while (!rc && wire_left(&r)) {
		rc = flow_attempts_get(&a, &r);
		if (!rc && a.end_ns >= w->since_ns && (!w->until_ns || a.start_ns <= w->until_ns))
			rc = w->fn(w->arg, &a);
	}
	return rc;
}

int store_attempts_walk(struct store_txn *t, uint64_t since_ns, uint64_t until_ns, store_attempts_fn *fn, void *arg)
{
	struct walk w = {since_ns, until_ns, fn, arg};
	int rc = txn_flush(t);

	return rc ? rc : bucket_walk(t, KIND_ATTEMPTS, since_ns, until_ns, each, &w);
}
