/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The LMDB environment of a state directory. Who may open it, and how:
 *
 * - A writer holds flock(LOCK_EX) on the data file for as long as it lives; a second one gets -EBUSY. The kernel lets
 *   go of it with the process, so that there is never a stale lock to remove.
 * - A reader registers in LMDB's lock file, so that the writer does not reuse pages it still reads. Where that file
 *   cannot be written (read-only file system, a copy that belongs to somebody else), it reads without it, but only
 *   when it gets flock(LOCK_SH): that is proof that nobody writes, and keeps it so. With a writer there it is
 *   refused; torn answers are worse than none.
 * - One process opens a file once; further store_opens share it (LMDB's POSIX locks fall when any descriptor of the
 *   file is closed).
 *
 * The map is as large as the size budget from the start: address space costs nothing, the file grows as it fills, LMDB
 * itself cannot exceed it, and no transaction ever has to be repeated because the map was too small.
 */
#include "config.h"
#include "store/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/check.h"
#include "store/key.h"

#define READERS_MAX 510
#define FILE_MODE 0640
#define LOCK_MODE 0660 /* readers of the group write themselves into it */
#define SCHEMA_NAME "schema"
#define SCHEMA_VERSION 1u
#define RESERVE_MIN (128u << 10)

static struct store_env *open_envs; /* of this process; see above */

static const char *const db_names[DB_COUNT_] = {
	[DB_META] = "meta",
	[DB_BUCKETS] = "buckets",
	[DB_WORKLOADS] = "workloads",
	[DB_WORKLOAD_STARTS] = "workload.starts",
	[DB_WORKLOAD_NAMES] = "workload.names",
	[DB_ADDRS] = "addrs",
	[DB_GROUPS] = "groups",
	[DB_EDGES] = "edges",
	[DB_EDGE_SET] = "edge.set",
	[DB_GENERATIONS] = "generations",
	[DB_NAMES] = "names",
};

uint64_t env_reserve(uint64_t budget)
{
	return budget / 128 > RESERVE_MIN ? budget / 128 : RESERVE_MIN;
}

/* Opens all handles; creates the databases when create. */
static int open_handles(struct store_env *e, MDB_txn *txn, bool create)
{
	unsigned flag = create ? MDB_CREATE : 0;
	char name[8];
	int rc = 0;

	for (unsigned i = 0; i < DB_COUNT_ && !rc; i++)
		rc = guard_dbi_open(txn, db_names[i], flag, &e->db[i]);
	for (unsigned i = 0; i < BUCKETS_MAX && !rc; i++) {
		snprintf(name, sizeof(name), "r%02x", i);
		rc = guard_dbi_open(txn, name, flag, &e->rec[i]);
		name[0] = 'x';
		if (!rc)
			rc = guard_dbi_open(txn, name, flag | MDB_DUPSORT | MDB_DUPFIXED, &e->idx[i]);
	}
	return rc == MDB_NOTFOUND ? -EBADMSG : db_errno(rc);
}

/* Is what is there ours, and of a version we know? -ENOENT: nothing at all is there. */
static int check_schema(MDB_txn *txn)
{
	MDB_val key = {sizeof(SCHEMA_NAME) - 1, (void *)(uintptr_t)SCHEMA_NAME}, value;
	MDB_dbi main_db, meta;
	MDB_stat st;
	int rc;

	rc = guard_dbi_open(txn, NULL, 0, &main_db);
	if (!rc)
		rc = mdb_stat(txn, main_db, &st);
	if (rc)
		return db_errno(rc);
	if (st.ms_entries == 0)
		return -ENOENT;
	rc = guard_dbi_open(txn, db_names[DB_META], 0, &meta);
	if (!rc)
		rc = guard_get(txn, meta, &key, &value);
	if (rc)
		return rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE ? -EBADMSG : db_errno(rc);
	if (value.mv_size != 4 || key_get_u32(value.mv_data) < 1)
		return -EBADMSG;
	return key_get_u32(value.mv_data) > SCHEMA_VERSION ? -EPROTO : 0;
}

static int write_schema(struct store_env *e, MDB_txn *txn)
{
	uint8_t version[4];
	MDB_val key = {sizeof(SCHEMA_NAME) - 1, (void *)(uintptr_t)SCHEMA_NAME}, value = {4, version};

	key_put_u32(version, SCHEMA_VERSION);
	return db_errno(guard_put(txn, e->db[DB_META], &key, &value, 0));
}

/* Checks what is there, opens the handles; in a new file makes everything first. */
static int open_dbs(struct store_env *e)
{
	MDB_txn *txn = NULL;
	int rc = db_errno(mdb_txn_begin(e->mdb, NULL, e->write ? 0 : MDB_RDONLY, &txn));
	bool fresh;

	if (rc)
		return rc;
	rc = check_schema(txn);
	fresh = rc == -ENOENT && e->write;
	if (rc && !fresh)
		goto out;
	rc = open_handles(e, txn, e->write);
	if (!rc && fresh)
		rc = write_schema(e, txn);
	if (rc)
		goto out;
	rc = db_errno(guard_commit(txn)); /* for a reader too: it publishes the handles */
	txn = NULL;
out:
	if (txn)
		mdb_txn_abort(txn);
	return rc;
}

/* Can a reader register? Creates the lock file when the directory allows, as the data file's owner would have. */
static bool lock_file_usable(const char *data_path, const struct stat *data)
{
	char path[4096 + 32];
	int fd, made;

	snprintf(path, sizeof(path), "%s-lock", data_path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	made = fd < 0 && errno == ENOENT;
	if (made)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, LOCK_MODE);
	if (fd < 0)
		return false;
	if (made && (fchmod(fd, LOCK_MODE) < 0 || fchown(fd, data->st_uid, data->st_gid) < 0))
		made = 0; /* not ours to give: the reader itself is served all the same */
	close(fd);
	return true;
}

static int lmdb_open(struct store_env *e, const char *path, const struct store_options *o, bool unlocked)
{
	unsigned flags = MDB_NOSUBDIR | MDB_NOTLS;
	mode_t mask;
	int rc;

	if (!e->write)
		flags |= MDB_RDONLY;
	if (unlocked)
		flags |= MDB_NOLOCK;
	if (e->write && o->no_sync)
		flags |= MDB_NOSYNC;
	rc = mdb_env_create(&e->mdb);
	if (!rc)
		rc = mdb_env_set_maxdbs(e->mdb, DB_COUNT_ + 2 * BUCKETS_MAX);
	if (!rc)
		rc = mdb_env_set_maxreaders(e->mdb, READERS_MAX);
	if (!rc)
		rc = mdb_env_set_assert(e->mdb, guard_assert);
	if (!rc && e->write) {
		e->limit = (o->size_budget - env_reserve(o->size_budget)) & ~(uint64_t)4095;
		rc = mdb_env_set_mapsize(e->mdb, e->limit);
	}
	if (rc)
		return db_errno(rc);
	/* LMDB makes data and lock file with one mode; the lock file needs the group's w bit, the data file exists. */
	mask = umask(0007);
	rc = mdb_env_open(e->mdb, path, flags, LOCK_MODE);
	umask(mask);
	if (!rc && e->write)
		mdb_reader_check(e->mdb, NULL);
	return db_errno(rc);
}

static int open_new(struct store_env *e, const char *path, const struct store_options *o)
{
	struct stat st;
	bool unlocked = false;
	int rc;

	if (fstat(e->fd, &st) < 0)
		return -errno;
	if (e->write && flock(e->fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (!e->write && !lock_file_usable(path, &st)) {
		int saved = errno;

		if (flock(e->fd, LOCK_SH | LOCK_NB) < 0)
			return errno == EWOULDBLOCK && saved ? -saved : -errno;
		unlocked = true;
	}
	rc = check_file(e->fd);
	if (rc && !(rc == -ENOENT && e->write))
		return rc;
	rc = lmdb_open(e, path, o, unlocked);
	return rc ? rc : open_dbs(e);
}

/* The data file's descriptor; a writer makes directory and file. */
static int open_file(const char *dir, const char *path, bool write)
{
	int fd;

	if (write && mkdir(dir, 0750) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, write ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	return fd;
}

/* Already open in this process? A writer cannot share. */
static int find_open(struct store_env **out, const struct stat *st, bool write)
{
	struct store_env *e = open_envs;

	while (e && (e->dev != st->st_dev || e->ino != st->st_ino || e->pid != getpid()))
		e = e->next;
	if (e && write)
		return -EBUSY;
	if (e)
		e->refs++;
	*out = e;
	return 0;
}

int env_open(struct store_env **out, const char *dir, enum store_mode mode, const struct store_options *options)
{
	bool write = mode == STORE_WRITE;
	struct store_env *e = NULL;
	char path[4096];
	struct stat st;
	int fd, rc;

	if (snprintf(path, sizeof(path), "%s/" STORE_FILE, dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open_file(dir, path, write);
	if (fd < 0)
		return fd;
	rc = fstat(fd, &st) < 0 ? -errno : find_open(&e, &st, write);
	if (rc || e) {
		close(fd);
		if (!rc)
			*out = e;
		return rc;
	}
	e = calloc(1, sizeof(*e));
	if (!e) {
		close(fd);
		return -ENOMEM;
	}
	e->fd = fd;
	e->dev = st.st_dev;
	e->ino = st.st_ino;
	e->pid = getpid();
	e->write = write;
	e->refs = 1;
	rc = open_new(e, path, options);
	e->next = open_envs;
	open_envs = e;
	if (rc)
		env_close(e);
	else
		*out = e;
	return rc;
}

void env_close(struct store_env *e)
{
	struct store_env **p = &open_envs;

	if (!e || --e->refs)
		return;
	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	if (e->mdb)
		mdb_env_close(e->mdb);
	close(e->fd);
	free(e);
}

int env_allow(struct store_env *e, uint64_t bytes)
{
	if (e->txns)
		return -EBUSY;
	return db_errno(mdb_env_set_mapsize(e->mdb, bytes & ~(uint64_t)4095));
}

int env_space(struct env_space *out, struct store_env *e, MDB_txn *txn)
{
	struct env_space s = {0};
	MDB_cursor *c = NULL;
	MDB_envinfo info;
	MDB_val key, value;
	MDB_stat st;
	size_t id, pages;
	int rc;

	mdb_env_info(e->mdb, &info);
	mdb_env_stat(e->mdb, &st);
	s.file = (info.me_last_pgno + 1) * st.ms_psize;
	rc = mdb_cursor_open(txn, 0, &c); /* 0: LMDB's own database of free pages, by the transaction that freed them */
	if (rc)
		return db_errno(rc);
	while ((rc = guard_cursor_get(c, &key, &value, MDB_NEXT)) == 0) {
		if (key.mv_size != sizeof(id) || value.mv_size < sizeof(pages)) {
			rc = MDB_CORRUPTED;
			break;
		}
		memcpy(&id, key.mv_data, sizeof(id));
		memcpy(&pages, value.mv_data, sizeof(pages));
		s.free += pages * st.ms_psize;
		if (id < info.me_last_txnid)
			s.free_next += pages * st.ms_psize;
	}
	mdb_cursor_close(c);
	if (rc != MDB_NOTFOUND)
		return db_errno(rc);
	*out = s;
	return 0;
}
