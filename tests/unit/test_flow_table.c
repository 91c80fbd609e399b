/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * capture/flow_table against the simplest thing that could be right: an array that is searched from the start. Random
 * operations, with few enough keys that they meet, and full enough tables that buckets overflow.
 */
#include "config.h"

#include "capture/flow_table.h"
#include "tests/tap.h"

#define PLACES 1024u

struct model {
	struct flow_key key;
	struct flow *flow; /* NULL: not in the table */
	uint64_t value;
};

static struct flow_key random_key(uint64_t *seed, bool few)
{
	struct flow_key k;
	uint64_t r = tap_random(seed);
	uint32_t hosts = few ? 4 : 4096;

	memset(&k, 0, sizeof(k));
	for (unsigned i = 0; i < 2; i++) {
		uint32_t v4 = 0x0a000000u + (uint32_t)(tap_random(seed) % hosts);

		k.addr[i] = addr_from_v4(&v4);
		if (r & 1)
			k.addr[i].b[0] = 0xfd; /* no longer IPv4-mapped */
		k.port[i] = (uint16_t)(1 + tap_random(seed) % (few ? 3 : 60000));
	}
	k.proto = (uint8_t[]){6, 17, 1, 47}[r >> 8 & 3];
	if (k.proto == 1)
		k.port[1] = 8;
	if (k.proto == 47)
		k.port[0] = k.port[1] = 0;
	k.vlan = r & 2 ? 5 : 0;
	k.tunnel_id = r & 4 ? 42 : 0;
	return k;
}

static struct flow_key reversed(const struct flow_key *k)
{
	struct flow_key r = *k;

	r.addr[0] = k->addr[1];
	r.addr[1] = k->addr[0];
	if (k->proto == 6 || k->proto == 17) {
		r.port[0] = k->port[1];
		r.port[1] = k->port[0];
	}
	return r;
}

static bool same(const struct flow_key *a, const struct flow_key *b)
{
	struct flow_key r = reversed(b);

	return memcmp(a, b, sizeof(*a)) == 0 || memcmp(a, &r, sizeof(*a)) == 0;
}

static struct model *model_find(struct model *m, size_t n, const struct flow_key *k)
{
	for (size_t i = 0; i < n; i++)
		if (m[i].flow && same(&m[i].key, k))
			return &m[i];
	return NULL;
}

static struct model *model_free_place(struct model *m)
{
	for (size_t i = 0; i < PLACES; i++)
		if (!m[i].flow)
			return &m[i];
	return NULL;
}

static void check_counts(const struct flow_table *t, const struct model *m)
{
	uint32_t live = 0, by_class = 0, walked = 0;

	for (size_t i = 0; i < PLACES; i++)
		live += m[i].flow != NULL;
	for (unsigned c = FLOW_CLASS_EMBRYONIC; c < FLOW_CLASS_MAX_; c++)
		by_class += t->count[c];
	for (uint32_t i = 0; i < t->high; i++)
		walked += flow_table_at(t, i) != NULL;
	CHECK_EQ(t->used, live);
	CHECK_EQ(by_class, live);
	CHECK_EQ(walked, live);
}

static void step(struct flow_table *t, struct model *m, uint64_t *seed, bool few)
{
	struct flow_key k = random_key(seed, few), r = reversed(&k);
	uint64_t hash = flow_table_hash(t, &k);
	struct model *known = model_find(m, PLACES, &k);
	unsigned dir = 9;
	struct flow *f = flow_table_find(t, &k, hash, &dir);

	CHECK(hash == flow_table_hash(t, &r));
	CHECK(f == (known ? known->flow : NULL));
	if (f && known) {
		CHECK(f->start_ns == known->value);
		CHECK_EQ(dir, memcmp(&f->key, &k, sizeof(k)) == 0 ? 0 : 1);
		if (tap_random(seed) % 3 == 0) {
			flow_table_remove(t, f);
			known->flow = NULL;
		} else {
			flow_table_set_class(t, f, (enum flow_class)(1 + tap_random(seed) % 3));
		}
		return;
	}
	known = model_free_place(m);
	f = flow_table_add(t, &k, hash);
	CHECK((f != NULL) == (known != NULL));
	if (!f || !known)
		return;
	CHECK_EQ(f->class, FLOW_CLASS_EMBRYONIC);
	CHECK_EQ(f->pkts[0] + f->bytes[1], 0);
	f->start_ns = known->value = tap_random(seed);
	f->pkts[0] = 1;
	known->key = k;
	known->flow = f;
}

static void test_model(bool few, unsigned steps)
{
	static struct model m[PLACES];
	uint64_t seed = tap_seed();
	struct flow_table t;

	memset(m, 0, sizeof(m));
	CHECK_EQ(flow_table_init(&t, 1), 0);
	CHECK_EQ(t.size, PLACES);
	for (unsigned i = 0; i < steps; i++) {
		step(&t, m, &seed, few);
		if (i % 1000 == 0)
			check_counts(&t, m);
	}
	check_counts(&t, m);
	/* Every flow the model knows is found both ways, and nothing is left when all are gone. */
	for (size_t i = 0; i < PLACES; i++) {
		struct flow_key r = reversed(&m[i].key);
		unsigned dir;

		if (!m[i].flow)
			continue;
		CHECK(flow_table_find(&t, &m[i].key, flow_table_hash(&t, &m[i].key), &dir) == m[i].flow);
		CHECK(flow_table_find(&t, &r, flow_table_hash(&t, &r), &dir) == m[i].flow);
		flow_table_remove(&t, m[i].flow);
		m[i].flow = NULL;
	}
	check_counts(&t, m);
	flow_table_fini(&t);
}

int main(void)
{
	test_model(true, 100000);
	test_model(false, 20000);
	return tap_done();
}
