/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Folders of seeds: see seed_dir.h. */
#include "config.h"
#include "tests/fuzz/seed_dir.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/hash.h"

static const char *out_dir;

static int make(const char *path)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	perror(path);
	return -1;
}

int seed_dir_open(const char *dir, const char *const *kinds, size_t n)
{
	char path[4096];

	out_dir = dir;
	if (make(dir) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, kinds[i]);
		if (make(path) < 0)
			return -1;
	}
	return 0;
}

int seed_dir_write(const char *kind, const void *data, size_t len)
{
	char path[4096];
	int rc = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/%016llx", out_dir, kind, (unsigned long long)hash_fixed(data, len));
	f = fopen(path, "wb");
	if (!f || fwrite(data, 1, len, f) != len) {
		perror(path);
		rc = -1;
	}
	if (f)
		fclose(f);
	return rc;
}
