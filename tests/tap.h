/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The smallest test runner that serves: CHECK counts and tells, tap_done turns the count into an exit status automake
 * understands (0 pass, 1 fail, 77 skip). One program per module; functions named test_*; a model test prints its seed.
 */
#ifndef WEIR_TESTS_TAP_H
#define WEIR_TESTS_TAP_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned long tap_checks, tap_failures;

#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		tap_checks++;                                                                                          \
		if (!(cond)) {                                                                                         \
			tap_failures++;                                                                                \
			fprintf(stderr, "%s:%d: %s: failed: %s\n", __FILE__, __LINE__, __func__, #cond);               \
		}                                                                                                      \
	} while (0)

#define CHECK_EQ(got, want)                                                                                            \
	do {                                                                                                           \
		long long tap_g = (long long)(got), tap_w = (long long)(want);                                         \
                                                                                                                       \
		tap_checks++;                                                                                          \
		if (tap_g != tap_w) {                                                                                  \
			tap_failures++;                                                                                \
			fprintf(stderr, "%s:%d: %s: %s is %lld, not %lld\n", __FILE__, __LINE__, __func__, #got,       \
				tap_g, tap_w);                                                                         \
		}                                                                                                      \
	} while (0)

#define CHECK_STR(got, want)                                                                                           \
	do {                                                                                                           \
		const char *tap_g = (got), *tap_w = (want);                                                            \
                                                                                                                       \
		tap_checks++;                                                                                          \
		if (!tap_g || strcmp(tap_g, tap_w) != 0) {                                                             \
			tap_failures++;                                                                                \
			fprintf(stderr, "%s:%d: %s: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, __func__, #got,   \
				tap_g ? tap_g : "(null)", tap_w);                                                      \
		}                                                                                                      \
	} while (0)

/* Seed of a model test: WEIR_SEED, or the clock; printed, so that a failure can be repeated. */
static inline uint64_t tap_seed(void)
{
	const char *env = getenv("WEIR_SEED");
	uint64_t seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);

	printf("# seed %llu (repeat with WEIR_SEED=%llu)\n", (unsigned long long)seed, (unsigned long long)seed);
	return seed;
}

/* xorshift64*: good enough to choose operations, and the same everywhere. */
static inline uint64_t tap_random(uint64_t *state)
{
	uint64_t x = *state ? *state : 88172645463325252ull;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 2685821657736338717ull;
}

static inline int tap_skip(const char *why)
{
	printf("SKIP: %s\n", why);
	return 77;
}

static inline int tap_done(void)
{
	printf("%lu checks, %lu failed\n", tap_checks, tap_failures);
	return tap_failures || tap_checks == 0 ? 1 : 0;
}

#endif
