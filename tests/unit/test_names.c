/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names by address and time: against a naive model, and by group. */
#include "config.h"

#include "common/timefmt.h"
#include "daemon/names.h"
#include "tests/tap.h"

/* Names against a naive model: a list of (address, from, to, workload), newest first, same rules. */
#define MODEL_ADDRS 8
#define MODEL_MAX 4096
struct model {
	struct { unsigned addr; uint64_t from, to, id; } v[MODEL_MAX];
	size_t n;
};

static struct addr model_addr(unsigned i)
{
	uint8_t v4[4] = {203, 0, 113, (uint8_t)i};

	return addr_from_v4(v4);
}

static uint64_t model_who(const struct model *m, unsigned addr, uint64_t at)
{
	uint64_t best = 2 * NS_PER_S + 1, id = 0;

	for (size_t i = m->n; i-- > 0;) {
		uint64_t d = at < m->v[i].from		     ? m->v[i].from - at
			     : m->v[i].to && at > m->v[i].to ? at - m->v[i].to
							     : 0;

		if (m->v[i].addr == addr && d < best) {
			best = d;
			id = m->v[i].id;
		}
	}
	return id;
}

static void test_names(void)
{
	static struct model m;
	uint64_t seed = tap_seed(), now = 1000 * NS_PER_S, alive[MODEL_ADDRS] = {0}, next = 1;
	struct names *n;

	CHECK_EQ(names_new(&n, false), 0);
	for (unsigned step = 0; step < 3000; step++) {
		unsigned a = (unsigned)(tap_random(&seed) % MODEL_ADDRS);
		struct names_end end;
		struct addr addr = model_addr(a);

		now += tap_random(&seed) % (3 * NS_PER_S);
		if (tap_random(&seed) % 2 == 0 && alive[a]) {
			names_down(n, alive[a], now);
			for (size_t i = 0; i < m.n; i++)
				if (m.v[i].id == alive[a])
					m.v[i].to = now;
			alive[a] = 0;
		} else if (!alive[a] && m.n < MODEL_MAX) {
			struct workload w = {.id = next, .start_ns = now, .n_addrs = 1, .addrs = {addr}, .group = "g"};

			CHECK_EQ(names_up(n, &w, "g", now), 0);
			m.v[m.n].addr = a;
			m.v[m.n].from = now;
			m.v[m.n].to = 0;
			m.v[m.n++].id = alive[a] = next++;
		}
		for (unsigned k = 0; k < 4; k++) {
			uint64_t at = now - tap_random(&seed) % (30 * NS_PER_S);
			unsigned other = (unsigned)(tap_random(&seed) % MODEL_ADDRS);

			addr = model_addr(other);
			names_find(n, &addr, at, &end);
			CHECK_EQ(end.workload, model_who(&m, other, at));
		}
	}
	names_forget(n, now - NS_PER_S);
	names_free(n);
}

static void test_names_groups(void)
{
	struct workload w = {.id = 5, .n_addrs = 1, .group = "own"};
	struct addr host, world, private_one;
	struct names_end end;
	struct names *n;

	addr_parse(&w.addrs[0], "10.1.0.2");
	addr_parse(&host, "10.1.0.1");
	addr_parse(&world, "198.51.100.9");
	addr_parse(&private_one, "10.1.0.77");
	CHECK_EQ(names_new(&n, false), 0);
	CHECK_EQ(names_up(n, &w, "shop/web", 0), 0);
	CHECK_EQ(names_host(n, &host, 1), 0);
	names_find(n, &w.addrs[0], 1, &end);
	CHECK_STR(names_group(n, end.group), "shop/web");
	names_find(n, &host, 1, &end);
	CHECK(end.group == NAMES_HOST && !end.late);
	names_find(n, &world, 1, &end);
	CHECK(end.group == NAMES_WORLD && !end.late);
	names_find(n, &private_one, 1, &end);
	CHECK(end.group == NAMES_WORLD && end.late); /* worth waiting for a name */
	CHECK_EQ(names_groups(n), 1);
	names_free(n);
}

int main(void)
{
	test_names();
	test_names_groups();
	return tap_done();
}
