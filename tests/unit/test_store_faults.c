/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What goes wrong around a store: full budget, full disk, damaged, foreign and newer files, read-only directories, a second
 * writer, readers that die. Whatever could crash runs in a child, so that a signal is a failed check and not the end.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "store/db.h"
#include "store/flows.h"
#include "store/identity.h"
#include "tests/tap.h"
#include "tests/unit/store_help.h"

static uint64_t rnd;

static int count_flow(void *arg, const struct flow_rec *f)
{
	(void)f;
	++*(uint64_t *)arg;
	return 0;
}

/* Puts flows from..from+n-1 in one transaction; what commit or the first failure said. */
static int put_flows(struct store *s, uint64_t from, uint64_t n)
{
	struct store_txn *t;
	struct flow_rec f;
	int rc = store_begin(&t, s, true);

	if (rc)
		return rc;
	for (uint64_t i = from; i < from + n && !rc; i++) {
		help_flow(&f, i);
		rc = store_flow_put(t, &f);
	}
	if (!rc)
		return store_commit(t);
	store_abort(t);
	return rc;
}

/* All flows, by walking everything there is; negative errno when that fails. */
static int64_t count_flows(struct store *s)
{
	struct flow_query all = {0};
	struct store_txn *t;
	struct store_stats st;
	uint64_t n = 0;
	int rc = store_begin(&t, s, false);

	if (rc)
		return rc;
	rc = store_stats(t, &st);
	if (!rc)
		rc = store_flow_walk(t, &all, count_flow, &n);
	for (unsigned i = 1; i <= 20 && !rc; i++) {
		struct flow_query q = {.workload = 1000 + 1 + i};
		uint64_t ignored = 0;

		rc = store_flow_walk(t, &q, count_flow, &ignored);
	}
	store_abort(t);
	return rc ? rc : (int64_t)n;
}

static int64_t open_and_count(const char *dir, enum store_mode mode)
{
	struct store *s;
	int64_t n = store_open(&s, dir, mode, NULL);

	if (n)
		return n;
	n = count_flows(s);
	if (n >= 0 && mode == STORE_WRITE && put_flows(s, 1u << 20, 10) != 0)
		n = -1;
	store_close(s);
	return n;
}

/* The same in a child; -1000 - signal when it died of one. */
static int64_t try_open(const char *dir, enum store_mode mode)
{
	int64_t n = -999;
	int fd[2], status;
	pid_t pid;

	if (pipe(fd) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		n = open_and_count(dir, mode);
		_exit(write(fd[1], &n, sizeof(n)) != sizeof(n));
	}
	close(fd[1]);
	if (read(fd[0], &n, sizeof(n)) != sizeof(n))
		n = -999;
	close(fd[0]);
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? -1000 - WTERMSIG(status) : n;
}

static char *data_path(char out[300], const char *dir)
{
	snprintf(out, 300, "%s/weir.mdb", dir);
	return out;
}

static uint64_t file_size(const char *dir)
{
	char path[300];
	struct stat st;

	return stat(data_path(path, dir), &st) == 0 ? (uint64_t)st.st_size : 0;
}

static unsigned count_files(const char *dir)
{
	unsigned n = 0;
	DIR *d = opendir(dir);

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n ? n - 2 : 0; /* without . and .. */
}

/* A whole file in memory, and back. */
static char *slurp(const char *dir, size_t *len)
{
	char path[300], *p;
	FILE *f = fopen(data_path(path, dir), "rb");

	*len = (size_t)file_size(dir);
	p = malloc(*len + 1);
	if (!f || !p || fread(p, 1, *len, f) != *len)
		abort();
	fclose(f);
	return p;
}

static void spill(const char *dir, const char *data, size_t len)
{
	char path[300];
	FILE *f = fopen(data_path(path, dir), "wb");

	if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0)
		abort();
}

static void test_nothing_there(void)
{
	char *dir = help_dir(), path[300];
	struct store *s = NULL;

	CHECK_EQ(store_open(&s, dir, STORE_READ, NULL), -ENOENT);
	CHECK_EQ(count_files(dir), 0);
	snprintf(path, sizeof(path), "%s/none", dir);
	CHECK_EQ(store_open(&s, path, STORE_READ, NULL), -ENOENT);
	CHECK_EQ(count_files(dir), 0);
	CHECK_EQ(store_open(&s, "/dev/null", STORE_READ, NULL), -ENOENT);
	CHECK_EQ(store_open(&s, "/dev/null", STORE_WRITE, NULL), -ENOENT);
	CHECK(s == NULL);
	CHECK_EQ(store_open(&s, path, STORE_WRITE, NULL), 0); /* makes the directory */
	store_close(s);
	CHECK_EQ(count_files(dir), 1);
	spill(dir, "", 0);
	CHECK_EQ(store_open(&s, dir, STORE_READ, NULL), -ENOENT);
	help_remove(dir);
}

static void test_second_writer(void)
{
	char *dir = help_dir();
	struct store *s, *r, *again = NULL;
	struct store_txn *t, *u;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	CHECK_EQ(put_flows(s, 0, 100), 0);
	CHECK_EQ(store_open(&again, dir, STORE_WRITE, NULL), -EBUSY);
	CHECK_EQ(try_open(dir, STORE_WRITE), -EBUSY);
	CHECK_EQ(try_open(dir, STORE_READ), 100);
	/* A reader in the writer's own process shares its environment, and leaving does not take the locks along. */
	CHECK_EQ(store_open(&r, dir, STORE_READ, NULL), 0);
	CHECK_EQ(count_flows(r), 100);
	CHECK_EQ(store_begin(&t, r, true), -EROFS);
	store_close(r);
	CHECK_EQ(try_open(dir, STORE_WRITE), -EBUSY);
	CHECK_EQ(store_begin(&t, s, true), 0);
	CHECK_EQ(store_begin(&u, s, true), -EBUSY); /* and no waiting for ourselves */
	store_abort(t);
	store_close(s);
	CHECK_EQ(try_open(dir, STORE_WRITE), 100);
	help_remove(dir);
}

/* The file never grows over its budget, the newest flows are always there, and no transaction ever fails. */
static void test_budget(void)
{
	struct store_options o = {.size_budget = 3 << 20, .no_sync = true};
	char *dir = help_dir();
	uint64_t biggest = 0, n = 0;
	struct flow_rec f, got;
	struct store_txn *t;
	struct store *s;
	int64_t left;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, &o), 0);
	for (; n < 60000; n += 250) {
		CHECK_EQ(put_flows(s, n, 250), 0);
		if (file_size(dir) > biggest)
			biggest = file_size(dir);
		help_flow(&f, n + 249);
		CHECK_EQ(store_begin(&t, s, false), 0);
		CHECK_EQ(store_flow_get(t, f.start_ns, f.id, &got), 0);
		store_abort(t);
	}
	left = count_flows(s);
	printf("# budget %llu: file %llu, %lld of %llu flows left\n", (unsigned long long)o.size_budget,
	       (unsigned long long)biggest, (long long)left, (unsigned long long)n);
	CHECK(biggest <= o.size_budget);
	CHECK(left > 6000); /* most of the budget is flows */
	/* One that can never fit says so, keeps nothing, and the next ones find room again. */
	CHECK_EQ(put_flows(s, n, 60000), -ENOSPC);
	help_flow(&f, n);
	CHECK_EQ(store_begin(&t, s, false), 0);
	CHECK_EQ(store_flow_get(t, f.start_ns, f.id, &got), -ENOENT);
	store_abort(t);
	for (; n < 80000; n += 250)
		CHECK_EQ(put_flows(s, n, 250), 0);
	CHECK(file_size(dir) <= o.size_budget);
	store_close(s);
	o.size_budget = 1000;
	CHECK_EQ(store_open(&s, dir, STORE_WRITE, &o), -EINVAL);
	help_remove(dir);
}

/* A reader that died in a transaction pins pages only until the writer needs them. */
static void test_dead_reader(void)
{
	struct store_options o = {.size_budget = 3 << 20, .no_sync = true};
	char *dir = help_dir(), c = 0;
	int fd[2], status;
	struct store *s;
	pid_t pid;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, &o), 0);
	CHECK_EQ(put_flows(s, 0, 1000), 0);
	store_close(s); /* an environment must not cross a fork */
	if (pipe(fd) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		struct store_txn *t;

		if (store_open(&s, dir, STORE_READ, NULL) || store_begin(&t, s, false))
			_exit(1);
		if (write(fd[1], &c, 1) == 1)
			pause();
		_exit(1);
	}
	CHECK(read(fd[0], &c, 1) == 1);
	CHECK_EQ(store_open(&s, dir, STORE_WRITE, &o), 0);
	CHECK_EQ(put_flows(s, 1000, 250), 0);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid);
	for (uint64_t n = 2000; n < 40000; n += 250)
		CHECK_EQ(put_flows(s, n, 250), 0);
	store_close(s);
	close(fd[0]);
	close(fd[1]);
	help_remove(dir);
}

/* A reader opened while the store was small goes on when a writer has made it large. */
static void test_grown_under_reader(void)
{
	struct store_options small = {.size_budget = 2 << 20, .no_sync = true}, large = {.no_sync = true};
	char *dir = help_dir();
	struct store *s;
	int status;
	pid_t pid;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, &small), 0);
	CHECK_EQ(put_flows(s, 0, 10), 0);
	store_close(s);
	CHECK_EQ(store_open(&s, dir, STORE_READ, NULL), 0);
	CHECK_EQ(count_flows(s), 10);
	pid = fork();
	if (pid == 0) { /* it opens anew: the parent's handle is not used here; only its memory is */
		struct store *w;
		char copy[300];

		snprintf(copy, sizeof(copy), "%s", dir);
		execl("/proc/self/exe", "test_store_faults", "grow", copy, (char *)NULL);
		(void)w;
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(file_size(dir) > small.size_budget);
	CHECK_EQ(count_flows(s), 30000);
	store_close(s);
	(void)large;
	help_remove(dir);
}

/* What the child of test_grown_under_reader does, in a program of its own. */
static int grow(const char *dir)
{
	struct store_options large = {.no_sync = true};
	struct store *s;

	if (store_open(&s, dir, STORE_WRITE, &large) || put_flows(s, 0, 30000))
		return 1;
	store_close(s);
	return 0;
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
		CHECK_EQ(put_flows(s, i * 3600000 / 10, 400), 0);
	CHECK_EQ(store_retain(s, HELP_EPOCH_NS + 14 * 86400 * NS_PER_S + 17000 * NS_PER_S, &dropped), 0);
	left = count_flows(s);
	CHECK(left > 0 && left < 2400);
	store_close(s);
	data = slurp(dir, &len);
	for (size_t cut = 0; cut < len; cut += cut % 4096 || tap_random(&rnd) % 4 ? 4096 - cut % 4096 : 1 + tap_random(&rnd) % 4095) {
		int64_t n;

		spill(dir, data, cut);
		n = try_open(dir, STORE_READ);
		/* Pages at the end that are free may be missing: LMDB itself leaves such files. */
		CHECK(cut == 0 ? n == -ENOENT : n == -EBADMSG || n == left);
		accepted += n == left;
		if (tap_random(&rnd) % 4 == 0) {
			n = try_open(dir, STORE_WRITE);
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

	spill(dir, "not a database at all\n", 22);
	CHECK_EQ(try_open(dir, STORE_READ), -EBADMSG);
	CHECK_EQ(try_open(dir, STORE_WRITE), -EBADMSG);
	CHECK_EQ(file_size(dir), 22);
	help_remove(dir);
	dir = help_dir();
	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	CHECK_EQ(put_flows(s, 0, 500), 0);
	store_close(s);
	data = slurp(dir, &len);
	copy = malloc(len);
	if (!copy)
		abort();
	for (unsigned i = 0; i < 150; i++) {
		memcpy(copy, data, len);
		for (unsigned k = 0; k < 8; k++) /* headers and meta of both pages, not the unused rest */
			copy[tap_random(&rnd) % 2 * 4096 + tap_random(&rnd) % 152] = (char)tap_random(&rnd);
		spill(dir, copy, len);
		CHECK(try_open(dir, STORE_READ) >= -200); /* an answer or an errno, but no signal */
	}
	memcpy(copy, data, len); /* LMDB's, but not ours: no database "meta" */
	while ((name = memmem(copy, len, "meta", 4)))
		name[0] = 'M';
	spill(dir, copy, len);
	CHECK_EQ(try_open(dir, STORE_READ), -EBADMSG);
	CHECK_EQ(try_open(dir, STORE_WRITE), -EBADMSG);
	spill(dir, data, len);
	CHECK_EQ(try_open(dir, STORE_READ), 500);
	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	CHECK_EQ(store_begin(&t, s, true), 0);
	CHECK_EQ(store_meta_put(t, "schema", &newer, sizeof(newer)), 0);
	CHECK_EQ(store_commit(t), 0);
	store_close(s);
	CHECK_EQ(try_open(dir, STORE_READ), -EPROTO);
	CHECK_EQ(try_open(dir, STORE_WRITE), -EPROTO);
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
		CHECK_EQ(put_flows(s, i * 500, 500), 0);
	store_close(s);
	data = slurp(dir, &len);
	copy = malloc(len);
	if (!copy)
		abort();
	for (size_t at = 8192; at < len; at += 4096) {
		memcpy(copy, data, len);
		memset(copy + at, 0, 4096);
		spill(dir, copy, len);
		CHECK(try_open(dir, STORE_READ) >= -200);
	}
	free(data);
	free(copy);
	help_remove(dir);
}

/* In a child with mounts of its own: what() on a directory; its exit status. 77 when mounts cannot be had. */
static int in_namespace(int (*what)(const char *dir), const char *dir)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(77);
		_exit(what(dir));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The directory on a read-only file system: it reads, and nothing is made there. */
static int read_only(const char *dir)
{
	unsigned files = count_files(dir);

	if (mount(dir, dir, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return 77;
	if (open_and_count(dir, STORE_READ) != 300)
		return 1;
	return count_files(dir) == files && open_and_count(dir, STORE_WRITE) == -EROFS ? 0 : 2;
}

/* The same as somebody who may read but not write. */
static int as_nobody(const char *dir)
{
	char path[300];

	if (chmod(dir, 0755) < 0 || chmod(data_path(path, dir), 0644) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
		return 77;
	return open_and_count(dir, STORE_READ) == 300 ? 0 : 1;
}

static void check_or_skip(int status, const char *what)
{
	if (status == 77)
		printf("# skipped (needs root): %s\n", what);
	else
		CHECK_EQ(status, 0);
}

static void test_read_only(void)
{
	char *dir = help_dir(), path[320];
	struct store *s;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	CHECK_EQ(put_flows(s, 0, 300), 0);
	store_close(s);
	check_or_skip(in_namespace(read_only, dir), "read-only file system, lock file there");
	snprintf(path, sizeof(path), "%s/weir.mdb-lock", dir);
	CHECK_EQ(unlink(path), 0);
	check_or_skip(in_namespace(read_only, dir), "read-only file system, no lock file");
	CHECK_EQ(count_files(dir), 1);
	check_or_skip(in_namespace(as_nobody, dir), "a user who may not write");
	CHECK_EQ(count_files(dir), 1);
	CHECK_EQ(try_open(dir, STORE_READ), 300); /* a copy: nothing but the data file */
	/* Without the lock file a reader is only safe with no writer: with one it is refused, never torn. */
	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	chmod(path, 0600);
	check_or_skip(in_namespace(as_nobody, dir) == 1 ? 0 : 77, "a user who may not register with a live writer");
	store_close(s);
	help_remove(dir);
}

/* A disk that is full: -ENOSPC, nothing of the transaction kept, and good again once there is room. */
static int full_disk(const char *dir)
{
	struct store_options o = {.no_sync = true};
	char filler[300], *block = calloc(1, 1 << 20);
	struct store *s;
	uint64_t n = 0;
	int rc, fd;

	snprintf(filler, sizeof(filler), "%s/filler", dir);
	if (!block || mount("tmpfs", dir, "tmpfs", 0, "size=6m") < 0)
		return 77;
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || write(fd, block, 1 << 20) != 1 << 20 || close(fd) < 0 || store_open(&s, dir, STORE_WRITE, &o))
		return 1;
	while ((rc = put_flows(s, n, 500)) == 0 && n < 1000000)
		n += 500;
	if (rc != -ENOSPC)
		return 2;
	if (count_flows(s) != (int64_t)n || put_flows(s, n, 5000) != -ENOSPC || count_flows(s) != (int64_t)n)
		return 3;
	store_close(s);
	if (open_and_count(dir, STORE_READ) != (int64_t)n)
		return 4;
	if (unlink(filler) < 0 || store_open(&s, dir, STORE_WRITE, &o))
		return 5;
	if (put_flows(s, n, 500) || count_flows(s) != (int64_t)n + 500)
		return 6;
	store_close(s);
	free(block);
	return 0;
}

static void test_full_disk(void)
{
	char *dir = help_dir();

	check_or_skip(in_namespace(full_disk, dir), "full disk");
	help_remove(dir);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "grow") == 0)
		return grow(argv[2]);
	rnd = tap_seed();
	test_nothing_there();
	test_second_writer();
	test_budget();
	test_dead_reader();
	test_grown_under_reader();
	test_truncated();
	test_foreign();
	test_holes();
	test_read_only();
	test_full_disk();
	return tap_done();
}
