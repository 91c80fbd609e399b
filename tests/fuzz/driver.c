/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a fuzz target without libFuzzer: every seed file as it is, then mutations of them, for WEIR_FUZZ_SECONDS (60).
 * Blind, where libFuzzer follows coverage, but it needs nothing but the compiler at hand. The input that makes the
 * target fail, be it by a signal, a sanitizer's report or by taking longer than half a minute, is left in
 * fuzz-failure.bin. WEIR_SEED repeats a run.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "tests/fuzz/fuzz.h"
#include "tests/tap.h"

#define INPUT_MAX 65536
#define HANG_S 30

/* Where there is a sanitizer: called when it has found something, after its report. */
extern void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

struct seed {
	uint8_t *data;
	size_t len;
};

static struct seed *seeds;
static size_t n_seeds;
static uint8_t input[INPUT_MAX];
static size_t input_len;
static volatile uint64_t runs;

static void keep_input(void)
{
	static const char where[] = "the input is in fuzz-failure.bin\n";
	int fd = open("fuzz-failure.bin", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd >= 0 && write(fd, input, input_len) == (ssize_t)input_len && close(fd) == 0)
		(void)!write(STDERR_FILENO, where, sizeof(where) - 1);
}

static void on_crash(int sig)
{
	keep_input();
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Once a second: is it still the same input? */
static void on_alarm(int sig)
{
	static const char hang[] = "an input takes too long\n";
	static uint64_t last;
	static unsigned same;

	(void)sig;
	same = runs == last ? same + 1 : 0;
	last = runs;
	if (same < HANG_S)
		return;
	(void)!write(STDERR_FILENO, hang, sizeof(hang) - 1);
	abort();
}

static void watch(void)
{
	const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
	const struct itimerval second = {{1, 0}, {1, 0}};

	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(keep_input); /* it has handlers of its own, which tell more */
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		if (!__sanitizer_set_death_callback || fatal[i] == SIGABRT)
			signal(fatal[i], on_crash);
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &second, NULL);
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
		seeds[n_seeds].len = fread(input, 1, INPUT_MAX, f);
		fclose(f);
		seeds[n_seeds].data = malloc(seeds[n_seeds].len + 1);
		if (!seeds[n_seeds].data)
			break;
		memcpy(seeds[n_seeds].data, input, seeds[n_seeds].len);
		n_seeds++;
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
	uint64_t rng, until;

	for (int i = 1; i < argc; i++)
		load(argv[i]);
	if (n_seeds == 0)
		return tap_skip("no seeds: tests/fuzz/make_seeds and make_values make some");
	watch();
	for (size_t i = 0; i < n_seeds; i++, runs++) {
		input_len = seeds[i].len;
		memcpy(input, seeds[i].data, input_len);
		run_input();
	}
	rng = tap_seed();
	until = time_mono_ns() + strtoull(env ? env : "60", NULL, 10) * NS_PER_S;
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
