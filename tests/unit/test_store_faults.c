/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What goes wrong around a store: full budget, full disk, read-only directories, a second writer, readers that die or
 * are overtaken. Damaged files have a program of their own.
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
	help_spill(dir, "", 0);
	CHECK_EQ(store_open(&s, dir, STORE_READ, NULL), -ENOENT);
	help_remove(dir);
}

static void test_second_writer(void)
{
	char *dir = help_dir();
	struct store *s, *r, *again = NULL;
	struct store_txn *t, *u;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, NULL), 0);
	CHECK_EQ(help_put_flows(s, 0, 100), 0);
	CHECK_EQ(store_open(&again, dir, STORE_WRITE, NULL), -EBUSY);
	CHECK_EQ(help_try_open(dir, STORE_WRITE), -EBUSY);
	CHECK_EQ(help_try_open(dir, STORE_READ), 100);
	/* A reader in the writer's own process shares its environment, and leaving does not take the locks along. */
	CHECK_EQ(store_open(&r, dir, STORE_READ, NULL), 0);
	CHECK_EQ(help_count_flows(r), 100);
	CHECK_EQ(store_begin(&t, r, true), -EROFS);
	store_close(r);
	CHECK_EQ(help_try_open(dir, STORE_WRITE), -EBUSY);
	CHECK_EQ(store_begin(&t, s, true), 0);
	CHECK_EQ(store_begin(&u, s, true), -EBUSY); /* and no waiting for ourselves */
	store_abort(t);
	store_close(s);
	CHECK_EQ(help_try_open(dir, STORE_WRITE), 100);
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
		CHECK_EQ(help_put_flows(s, n, 250), 0);
		if (help_file_size(dir) > biggest)
			biggest = help_file_size(dir);
		help_flow(&f, n + 249);
		CHECK_EQ(store_begin(&t, s, false), 0);
		CHECK_EQ(store_flow_get(t, f.start_ns, f.id, &got), 0);
		store_abort(t);
	}
	left = help_count_flows(s);
	printf("# budget %llu: file %llu, %lld of %llu flows left\n", (unsigned long long)o.size_budget,
	       (unsigned long long)biggest, (long long)left, (unsigned long long)n);
	CHECK(biggest <= o.size_budget);
	CHECK(left > 6000); /* most of the budget is flows */
	/* One that can never fit says so, keeps nothing, and the next ones find room again. */
	CHECK_EQ(help_put_flows(s, n, 60000), -ENOSPC);
	help_flow(&f, n);
	CHECK_EQ(store_begin(&t, s, false), 0);
	CHECK_EQ(store_flow_get(t, f.start_ns, f.id, &got), -ENOENT);
	store_abort(t);
	for (; n < 80000; n += 250)
		CHECK_EQ(help_put_flows(s, n, 250), 0);
	CHECK(help_file_size(dir) <= o.size_budget);
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
	CHECK_EQ(help_put_flows(s, 0, 1000), 0);
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
	close(fd[1]);
	CHECK(read(fd[0], &c, 1) == 1);
	CHECK_EQ(store_open(&s, dir, STORE_WRITE, &o), 0);
	CHECK_EQ(help_put_flows(s, 1000, 250), 0);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid);
	for (uint64_t n = 2000; n < 40000; n += 250)
		CHECK_EQ(help_put_flows(s, n, 250), 0);
	store_close(s);
	close(fd[0]);
	help_remove(dir);
}

/* A reader opened while the store was small goes on when a writer has made it large. The writer is this program again,
 * since a child after fork must not use what LMDB has open. */
static void test_grown_under_reader(void)
{
	struct store_options small = {.size_budget = 2 << 20, .no_sync = true};
	char *dir = help_dir();
	struct store *s;
	int status;
	pid_t pid;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, &small), 0);
	CHECK_EQ(help_put_flows(s, 0, 10), 0);
	store_close(s);
	CHECK_EQ(store_open(&s, dir, STORE_READ, NULL), 0);
	CHECK_EQ(help_count_flows(s), 10);
	pid = fork();
	if (pid == 0) {
		execl("/proc/self/exe", "test_store_faults", "grow", dir, (char *)NULL);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(help_file_size(dir) > small.size_budget);
	CHECK_EQ(help_count_flows(s), 30000);
	store_close(s);
	help_remove(dir);
}

/* What the child of test_grown_under_reader does, in a program of its own. */
static int grow(const char *dir)
{
	struct store_options large = {.no_sync = true};
	struct store *s;

	if (store_open(&s, dir, STORE_WRITE, &large) || help_put_flows(s, 0, 30000))
		return 1;
	store_close(s);
	return 0;
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
	if (help_open_and_count(dir, STORE_READ) != 300)
		return 1;
	return count_files(dir) == files && help_open_and_count(dir, STORE_WRITE) == -EROFS ? 0 : 2;
}

/* The same as somebody who may read but not write. */
static int as_nobody(const char *dir)
{
	char path[300];

	if (chmod(dir, 0755) < 0 || chmod(help_data_path(path, dir), 0644) < 0 || setgid(65534) < 0 ||
	    setuid(65534) < 0)
		return 77;
	return help_open_and_count(dir, STORE_READ) == 300 ? 0 : 1;
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
	CHECK_EQ(help_put_flows(s, 0, 300), 0);
	store_close(s);
	check_or_skip(in_namespace(read_only, dir), "read-only file system, lock file there");
	snprintf(path, sizeof(path), "%s/weir.mdb-lock", dir);
	CHECK_EQ(unlink(path), 0);
	check_or_skip(in_namespace(read_only, dir), "read-only file system, no lock file");
	CHECK_EQ(count_files(dir), 1);
	check_or_skip(in_namespace(as_nobody, dir), "a user who may not write");
	CHECK_EQ(count_files(dir), 1);
	CHECK_EQ(help_try_open(dir, STORE_READ), 300); /* a copy: nothing but the data file */
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
	while ((rc = help_put_flows(s, n, 500)) == 0 && n < 1000000)
		n += 500;
	if (rc != -ENOSPC)
		return 2;
	if (help_count_flows(s) != (int64_t)n || help_put_flows(s, n, 5000) != -ENOSPC ||
	    help_count_flows(s) != (int64_t)n)
		return 3;
	store_close(s);
	if (help_open_and_count(dir, STORE_READ) != (int64_t)n)
		return 4;
	if (unlink(filler) < 0 || store_open(&s, dir, STORE_WRITE, &o))
		return 5;
	if (help_put_flows(s, n, 500) || help_count_flows(s) != (int64_t)n + 500)
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
	test_nothing_there();
	test_second_writer();
	test_budget();
	test_dead_reader();
	test_grown_under_reader();
	test_read_only();
	test_full_disk();
	return tap_done();
}
