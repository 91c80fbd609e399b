/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * capture/attempts: counts and bytes are exact whatever the pressure, sources are estimated within reason, records
 * never mix services or intervals.
 */
#include "config.h"

#include "capture/attempts.h"
#include "common/coverage.h"
#include "tests/tap.h"

struct got {
	uint64_t records, count, bytes, sources;
	uint64_t per_port[65536];
	bool mixed;
};

static void on_record(void *arg, const struct flow_attempts *a)
{
	struct got *g = arg;

	g->records++;
	g->count += a->count;
	g->bytes += a->bytes;
	g->sources += a->sources;
	g->per_port[a->port] += a->count;
	if (a->start_ns / COVERAGE_INTERVAL_NS != a->end_ns / COVERAGE_INTERVAL_NS || a->start_ns > a->end_ns)
		g->mixed = true;
	CHECK(a->n_exemplars >= 1 && a->n_exemplars <= 4);
	CHECK(a->sources >= a->n_exemplars && a->sources <= a->count);
}

static struct addr host(uint32_t n)
{
	uint8_t b[4] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	return addr_from_v4(b);
}

static void test_estimate(void)
{
	static const uint32_t sizes[] = {1, 3, 4, 5, 50, 500, 5000, 200000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		static struct got g;
		struct attempts *a;
		struct addr dst = host(1);
		uint64_t want = sizes[i], error;

		memset(&g, 0, sizeof(g));
		CHECK_EQ(attempts_new(&a, 1024, on_record, &g), 0);
		for (uint32_t n = 0; n < 2 * sizes[i]; n++) {
			struct addr src = host(100 + n % sizes[i]);

			attempts_add(a, &dst, 80, 6, 3, &src, (uint16_t)n, 5000, 5000, 60);
		}
		attempts_flush(a, ATTEMPTS_FLUSH_ALL);
		CHECK_EQ(g.records, 1);
		CHECK_EQ(g.count, 2 * sizes[i]);
		CHECK_EQ(g.bytes, 120 * (uint64_t)sizes[i]);
		error = g.sources > want ? g.sources - want : want - g.sources;
		CHECK(want < 4 ? error == 0 : error <= want / 3 + 1); /* three and a half standard errors */
		attempts_free(a);
	}
}

/* Many more services than places: every count still comes out, once. */
static void test_overflow(void)
{
	static struct got g;
	static uint64_t want[65536];
	uint64_t seed = tap_seed(), total = 0;
	struct attempts *a;

	CHECK_EQ(attempts_new(&a, 64, on_record, &g), 0);
	for (unsigned i = 0; i < 200000; i++) {
		struct addr dst = host((uint32_t)(tap_random(&seed) % 5));
		struct addr src = host((uint32_t)tap_random(&seed) % 1000);
		uint16_t port = (uint16_t)(tap_random(&seed) % 300);
		uint64_t when = (1 + tap_random(&seed) % 3) * COVERAGE_INTERVAL_NS + tap_random(&seed) % 1000;

		attempts_add(a, &dst, port, 6, 1, &src, 1, when, when, 60);
		want[port]++;
		total++;
	}
	attempts_flush(a, ATTEMPTS_FLUSH_ALL);
	CHECK_EQ(g.count, total);
	CHECK(g.records > 64);
	CHECK(!g.mixed);
	CHECK(memcmp(g.per_port, want, sizeof(want)) == 0);
	attempts_free(a);
}

static void test_intervals(void)
{
	static struct got g;
	struct attempts *a;
	struct addr dst = host(1), src = host(2);

	CHECK_EQ(attempts_new(&a, 64, on_record, &g), 0);
	attempts_add(a, &dst, 80, 6, 1, &src, 1, COVERAGE_INTERVAL_NS + 5, COVERAGE_INTERVAL_NS + 6, 60);
	attempts_add(a, &dst, 80, 6, 1, &src, 1, 2 * COVERAGE_INTERVAL_NS + 5, 2 * COVERAGE_INTERVAL_NS + 6, 60);
	attempts_flush(a, COVERAGE_INTERVAL_NS + 7);
	CHECK_EQ(g.records, 0);
	attempts_flush(a, 2 * COVERAGE_INTERVAL_NS);
	CHECK_EQ(g.records, 1);
	attempts_flush(a, 3 * COVERAGE_INTERVAL_NS);
	CHECK_EQ(g.records, 2);
	attempts_free(a);
}

int main(void)
{
	test_estimate();
	test_overflow();
	test_intervals();
	return tap_done();
}
