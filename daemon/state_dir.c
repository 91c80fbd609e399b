/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Preparing the state directory: see state_dir.h. Nothing here follows a symbolic link inside the directory. */
#include "config.h"
#include "daemon/state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const own_files[] = {"weir.mdb", "weir.mdb-lock", "data.mdb", "lock.mdb", "control.sock"};
#define N_OWN (sizeof(own_files) / sizeof(own_files[0]))

/* Makes the directory and those above it that are missing. */
static int make_dirs(const char *path)
{
	char *copy = strdup(path);
	int rc = copy ? 0 : -ENOMEM;

	for (char *p = copy ? copy + 1 : NULL; p && *p && !rc; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			rc = -errno;
		*p = '/';
	}
	if (!rc && mkdir(copy, 0750) < 0 && errno != EEXIST)
		rc = -errno;
	free(copy);
	return rc;
}

/* Whether the directory is ours to give away: empty, or with a store in it. */
static bool is_ours(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	bool ours = true, store = false;
	struct dirent *entry;

	if (!d) {
		if (copy >= 0)
			close(copy);
		return false;
	}
	while ((entry = readdir(d))) {
		bool known = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;

		for (size_t i = 0; !known && i < N_OWN; i++)
			known = strcmp(entry->d_name, own_files[i]) == 0;
		store |= strstr(entry->d_name, ".mdb") != NULL;
		ours &= known;
	}
	closedir(d);
	return ours || store;
}

static int give_away(int fd, const char *path, uid_t uid, gid_t gid, char *error)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != uid) {
		if (st.st_uid != 0 || !is_ours(fd)) {
			snprintf(error, STATE_DIR_ERROR_STRLEN,
				 "%s is not weir's: it belongs to user %u and holds other files. Name a directory of "
				 "weir's own with --state",
				 path, (unsigned)st.st_uid);
			return -EACCES;
		}
		if (fchown(fd, uid, gid) < 0)
			return -errno;
	}
	for (size_t i = 0; i < N_OWN; i++) {
		if (fstatat(fd, own_files[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid == 0 && uid != 0 &&
		    (S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode)) && st.st_nlink == 1 &&
		    fchownat(fd, own_files[i], uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
	}
	return 0;
}

int state_dir_open(int *out, const char *path, uid_t uid, gid_t gid, char *error)
{
	int fd = -1, rc = make_dirs(path);

	error[0] = '\0';
	if (!rc) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = fd < 0 ? -errno : 0;
	}
	if (!rc && geteuid() == 0)
		rc = give_away(fd, path, uid, gid, error);
	if (!rc && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		rc = -errno;
		if (rc == -EWOULDBLOCK) {
			rc = -EBUSY;
			snprintf(error, STATE_DIR_ERROR_STRLEN,
				 "another weir runs with %s: stop it, or give this one a directory of its own with "
				 "--state",
				 path);
		}
	}
	if (rc) {
		if (!error[0])
			snprintf(error, STATE_DIR_ERROR_STRLEN, "state directory %s: %s", path, strerror(-rc));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

static size_t add_group(gid_t gid, gid_t *out, size_t n, size_t max)
{
	for (size_t i = 0; i < n; i++)
		if (out[i] == gid)
			return n;
	if (n < max)
		out[n++] = gid;
	return n;
}

/* A socket that its group may use. */
static size_t add_socket(const char *path, gid_t *out, size_t n, size_t max)
{
	struct stat st;

	if (strncmp(path, "unix://", 7) == 0)
		path += 7;
	if (stat(path, &st) < 0 || !S_ISSOCK(st.st_mode) || (st.st_mode & 060) != 060)
		return n;
	return add_group(st.st_gid, out, n, max);
}

size_t state_dir_runtime_groups(const struct settings *s, gid_t *out, size_t max)
{
	static const char *const usual[] = {"/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock"};
	const char *host = getenv("DOCKER_HOST");
	const struct group *docker;
	size_t n = 0;

	for (size_t i = 0; s->runtimes[i]; i++)
		n = add_socket(s->runtimes[i], out, n, max);
	if (s->runtimes_set)
		return n;
	if (host)
		n = add_socket(host, out, n, max);
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		n = add_socket(usual[i], out, n, max);
	docker = getgrnam("docker"); /* the engine may be started after us */
	return docker ? add_group(docker->gr_gid, out, n, max) : n;
}
