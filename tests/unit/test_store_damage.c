/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files that are not what they should be: cut short, of others, of a newer weir, with holes. Each is opened and
 * walked in a child, so that a signal is a failed check and not the end.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "store/db.h"
#include "tests/tap.h"
#include "tests/unit/store_help.h"

static uint64_t rnd;

/* Mostly whole pages, sometimes somewhere inside the page. */
static size_t next_cut(size_t cut)
{
	size_t into = cut % 4096;

	return into || tap_random(&rnd) % 4 ? cut + 4096 - into : cut + 1 + tap_random(&rnd) % 4095;
}

/* Every length a file can be cut to: refused, or whole. */
static void test_truncated(void)
{
	char *dir = help_dir(), *data;
	uint64_t dropped;
	size_t len, accepted = 0;
	struct store *s;
	int64_t left;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQ(help_put_flows(s, i * 3600000 / 10, 400), 0);
	CHECK_EQ(store_retain(s, HELP_EPOCH_NS + 14 * 86400 * NS_PER_S + 17000 * NS_PER_S, &dropped), 0);
	left = help_count_flows(s);
	CHECK(left > 0 && left < 2400);
	store_close(s);
	data = help_slurp(dir, &len);
	for (size_t cut = 0; cut < len; cut = next_cut(cut)) {
		int64_t n;

		help_spill(dir, data, cut);
		n = help_try_open(dir, STORE_READ);
		/* Pages at the end that are free may be missing: LMDB itself leaves such files. */
		CHECK(cut == 0 ? n == -ENOENT : n == -EBADMSG || n == left);
		accepted += n == left;
		if (tap_random(&rnd) % 4 == 0) {
			n = help_try_open(dir, STORE_WRITE);
			CHECK(cut == 0 ? n == 0 : n == -EBADMSG || n == left);
		}
	}
	printf("# %zu bytes, %lld flows; %zu cuts left nothing out\n", len, (long long)left, accepted);
	free(data);
	help_remove(dir);
}

/* Files of others, and bytes at random where LMDB keeps its head: an error, no signal. */
static void test_foreign(void)
{
	char *dir = help_dir(), *data, *copy, *name;
	uint32_t newer = 0x02000000; /* 2^25 in either byte order is more than we know */
	struct store_txn *t;
	struct store *s;
	size_t len;

	help_spill(dir, "not a database at all\n", 22);
	CHECK_EQ(help_try_open(dir, STORE_READ), -EBADMSG);
	CHECK_EQ(help_try_open(dir, STORE_WRITE), -EBADMSG);
	CHECK_EQ(help_file_size(dir), 22);
	help_remove(dir);
	dir = help_dir();
	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	CHECK_EQ(help_put_flows(s, 0, 500), 0);
	store_close(s);
	data = help_slurp(dir, &len);
	copy = malloc(len);
	if (!copy)
		abort();
	for (unsigned i = 0; i < 150; i++) {
		memcpy(copy, data, len);
		for (unsigned k = 0; k < 8; k++) /* headers and meta of both pages, not the unused rest */
			copy[tap_random(&rnd) % 2 * 4096 + tap_random(&rnd) % 152] = (char)tap_random(&rnd);
		help_spill(dir, copy, len);
		CHECK(help_try_open(dir, STORE_READ) >= -200); /* an answer or an errno, but no signal */
	}
	memcpy(copy, data, len); /* LMDB's, but not ours: no database "meta" */
	while ((name = memmem(copy, len, "meta", 4)))
		name[0] = 'M';
	help_spill(dir, copy, len);
	CHECK_EQ(help_try_open(dir, STORE_READ), -EBADMSG);
	CHECK_EQ(help_try_open(dir, STORE_WRITE), -EBADMSG);
	help_spill(dir, data, len);
	CHECK_EQ(help_try_open(dir, STORE_READ), 500);
	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	CHECK_EQ(store_begin(&t, s, true), 0);
	CHECK_EQ(store_meta_put(t, "schema", &newer, sizeof(newer)), 0);
	CHECK_EQ(store_commit(t), 0);
	store_close(s);
	CHECK_EQ(help_try_open(dir, STORE_READ), -EPROTO);
	CHECK_EQ(help_try_open(dir, STORE_WRITE), -EPROTO);
	free(data);
	free(copy);
	help_remove(dir);
}

/* A hole where pages were, as an interrupted copy leaves it: an answer or an error. */
static void test_holes(void)
{
	char *dir = help_dir(), *data, *copy;
	struct store *s;
	size_t len;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(help_put_flows(s, i * 500, 500), 0);
	store_close(s);
	data = help_slurp(dir, &len);
	copy = malloc(len);
	if (!copy)
		abort();
	for (size_t at = 8192; at < len; at += 4096) {
		memcpy(copy, data, len);
		memset(copy + at, 0, 4096);
		help_spill(dir, copy, len);
		CHECK(help_try_open(dir, STORE_READ) >= -200);
	}
	free(data);
	free(copy);
	help_remove(dir);
}

/* A reader that stays keeps pages from being used again: their list grows to a tree of several pages. */
static void test_long_free_list(void)
{
	char *dir = help_dir();
	struct store_txn *reader;
	struct store *s;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	CHECK_EQ(help_put_flows(s, 0, 1), 0);
	CHECK_EQ(store_begin(&reader, s, false), 0);
	for (unsigned i = 1; i < 400; i++)
		CHECK_EQ(help_put_flows(s, i, 1), 0);
	CHECK_EQ(help_try_open(dir, STORE_READ), 400);
	store_abort(reader);
	store_close(s);
	CHECK_EQ(help_try_open(dir, STORE_READ), 400);
	CHECK_EQ(help_try_open(dir, STORE_WRITE), 400);
	help_remove(dir);
}

int main(void)
{
	rnd = tap_seed();
	test_truncated();
	test_foreign();
	test_holes();
	test_long_free_list();
	return tap_done();
}
