/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a fuzz target without libFuzzer: every seed file as it is, then mutations of them, for WEIR_FUZZ_SECONDS (20).
 * Blind, where libFuzzer follows coverage, but it needs nothing but the compiler at hand. An input that makes the
 * target fail is left in fuzz-failure.bin, when that can still be written, before each run.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "tests/fuzz/fuzz.h"
#include "tests/tap.h"

#define INPUT_MAX 65536

struct seed {
	uint8_t *data;
	size_t len;
};

static struct seed *seeds;
static size_t n_seeds;
static uint8_t input[INPUT_MAX];
static size_t input_len;

static void on_crash(int sig)
{
	int fd = open("fuzz-failure.bin", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd >= 0 && write(fd, input, input_len) == (ssize_t)input_len)
		close(fd);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void load(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[4096];

	while (d && (e = readdir(d))) {
		struct seed *more = realloc(seeds, (n_seeds + 1) * sizeof(*seeds));
		FILE *f;

		if (!more)
			break;
		seeds = more;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "rb");
		if (!f)
			continue;
		seeds[n_seeds].data = malloc(INPUT_MAX);
		seeds[n_seeds].len = seeds[n_seeds].data ? fread(seeds[n_seeds].data, 1, INPUT_MAX, f) : 0;
		n_seeds++;
		fclose(f);
	}
	if (d)
		closedir(d);
}

static void run_input(void)
{
	uint8_t *exact = malloc(input_len ? input_len : 1); /* its own block: the sanitizer sees a step beyond */

	if (!exact)
		abort();
	memcpy(exact, input, input_len);
	LLVMFuzzerTestOneInput(exact, input_len);
	free(exact);
}

static void mutate(uint64_t *rng)
{
	static const uint8_t edges[] = {0, 1, 4, 5, 6, 0x11, 0x40, 0x45, 0x60, 0x7f, 0x80, 0xff};
	size_t at = input_len ? tap_random(rng) % input_len : 0, n;

	switch (tap_random(rng) % 7) {
	case 0:
	case 1:
		if (input_len)
			input[at] = (uint8_t)tap_random(rng);
		break;
	case 2:
		if (input_len)
			input[at] = edges[tap_random(rng) % sizeof(edges)];
		break;
	case 3:
		if (input_len)
			input[at] ^= (uint8_t)(1u << (tap_random(rng) % 8));
		break;
	case 4: /* cut */
		input_len = at;
		break;
	case 5: /* leave some out */
		n = tap_random(rng) % (input_len - at + 1) % 64;
		memmove(input + at, input + at + n, input_len - at - n);
		input_len -= n;
		break;
	default: { /* a piece of another */
		const struct seed *s = &seeds[tap_random(rng) % n_seeds];
		size_t from = s->len ? tap_random(rng) % s->len : 0;

		n = s->len - from;
		if (n > INPUT_MAX - at)
			n = INPUT_MAX - at;
		memcpy(input + at, s->data + from, n);
		if (at + n > input_len)
			input_len = at + n;
	}
	}
}

int main(int argc, char **argv)
{
	const char *env = getenv("WEIR_FUZZ_SECONDS");
	uint64_t rng, until, runs = 0;

	for (int i = 1; i < argc; i++)
		load(argv[i]);
	if (n_seeds == 0)
		return tap_skip("no seeds: tests/fuzz/make_seeds makes some");
	signal(SIGABRT, on_crash);
	signal(SIGSEGV, on_crash);
	for (size_t i = 0; i < n_seeds; i++, runs++) {
		input_len = seeds[i].len;
		memcpy(input, seeds[i].data, input_len);
		run_input();
	}
	rng = tap_seed();
	until = time_mono_ns() + strtoull(env ? env : "20", NULL, 10) * NS_PER_S;
	for (; time_mono_ns() < until; runs++) {
		const struct seed *s = &seeds[tap_random(&rng) % n_seeds];

		input_len = s->len;
		memcpy(input, s->data, input_len);
		for (uint64_t n = 1 + tap_random(&rng) % 8; n; n--)
			mutate(&rng);
		run_input();
	}
	printf("%zu seeds, %llu runs, no failure\n", n_seeds, (unsigned long long)runs);
	return 0;
}
