/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A policy document on disk: see policy_file.h. */
#include "config.h"
#include "ui-cli/policy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "ui-cli/verb.h"

static int read_all(struct buf *b, int fd)
{
	char block[65536];
	ssize_t got;

	while ((got = read(fd, block, sizeof(block))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		buf_add(b, block, (size_t)got);
		if (b->len > POLICY_TEXT_MAX)
			return -E2BIG;
	}
	return buf_failed(b) ? -ENOMEM : 0;
}

int policy_file_slurp(char **text, size_t *len, const char *path)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), rc;
	struct buf b = BUF_INIT;

	if (fd < 0)
		return -errno;
	rc = read_all(&b, fd);
	if (!standard)
		close(fd);
	if (rc < 0) {
		buf_fini(&b);
		return rc;
	}
	*len = b.len;
	*text = buf_take(&b);
	return *text ? 0 : -ENOMEM;
}

void policy_file_complain(const char *path, const struct policy_errors *errors)
{
	for (size_t i = 0; i < errors->n && i < POLICY_ERRORS_MAX; i++) {
		const struct policy_error *e = &errors->e[i];

		if (e->line && e->column)
			fprintf(stderr, "%s:%u:%u: ", path, e->line, e->column);
		else if (e->line)
			fprintf(stderr, "%s:%u: ", path, e->line);
		else
			fprintf(stderr, "%s: ", path);
		fprintf(stderr, "%s%s\n", e->warning ? "warning: " : "", e->text);
	}
	if (errors->n > POLICY_ERRORS_MAX)
		fprintf(stderr, "%s: and %zu more\n", path, errors->n - POLICY_ERRORS_MAX);
}

int policy_file_read(struct policy_file *out, const struct command *c, const char *path)
{
	struct policy_file f = {.path = path};
	int rc = policy_file_slurp(&f.text, &f.len, path);

	if (rc == -ENOENT)
		return command_failed(c, "%s: no such file. `weir policy generate > %s` writes one from what was seen",
				      path, path);
	if (rc == -E2BIG)
		return command_failed(c, "%s: longer than %u MiB: this is no policy", path, POLICY_TEXT_MAX >> 20);
	if (rc < 0)
		return command_failed(c, "%s: %s", path, strerror(-rc));
	rc = policy_parse(&f.policy, f.text, f.len, &f.errors);
	policy_file_complain(path, &f.errors);
	if (rc < 0) {
		if (rc != -EINVAL)
			command_failed(c, "%s: %s", path, strerror(-rc));
		f.policy = NULL;
		policy_file_fini(&f);
		return VERB_FAILED;
	}
	*out = f;
	return VERB_DONE;
}

void policy_file_fini(struct policy_file *f)
{
	policy_free(f->policy);
	free(f->text);
	f->policy = NULL;
	f->text = NULL;
}

int policy_file_compile(struct ruleset *out, const struct command *c, const struct policy_file *f)
{
	int rc = policy_compile(out, f->policy);

	return rc < 0 ? command_failed(c, "%s: %s", f->path, strerror(-rc)) : VERB_DONE;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t put = write(fd, text, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		text += put;
		len -= (size_t)put;
	}
	return 0;
}

int policy_file_replace(const char *path, const char *text, size_t len)
{
	char *real = realpath(path, NULL), temporary[PATH_MAX];
	struct stat st;
	int fd = -1, rc = 0, n;

	if (!real)
		return -errno;
	n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", real);
	if (n < 0 || (size_t)n >= sizeof(temporary)) {
		free(real);
		return -ENAMETOOLONG;
	}
	if (stat(real, &st) < 0 || (fd = mkostemp(temporary, O_CLOEXEC)) < 0) {
		rc = -errno;
		free(real);
		return rc;
	}
	rc = write_all(fd, text, len);
	/* Another owner's file stays that owner's where we may; the mode is kept in any case. */
	if (rc == 0 && fchown(fd, st.st_uid, st.st_gid) < 0 && errno != EPERM)
		rc = -errno;
	if (rc == 0 && (fchmod(fd, st.st_mode & 07777) < 0 || fsync(fd) < 0))
		rc = -errno;
	close(fd);
	if (rc == 0 && rename(temporary, real) < 0)
		rc = -errno;
	if (rc < 0)
		unlink(temporary);
	free(real);
	return rc;
}
