/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names for captures taken elsewhere: --inventory FILE is either what `docker inspect` printed on that host, or a list
 * written by hand, one "ADDRESS NAME [GROUP]" a line. The list is read whole before anything is told, so that a
 * workload with several lines comes as one, and a mistake in line 900 is not found with 899 lines already used.
 */
#include "config.h"
#include "inventory/inventory.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "inventory/inspect.h"
#include "inventory/names.h"

#define FILE_SIZE_MAX (64u << 20)

struct line {
	struct addr addr;
	char name[128], group[GROUP_STRLEN];
	uint32_t number;
};

struct lines {
	struct line *l;
	size_t n, cap;
	char *error;
};

static int complain(struct lines *t, uint32_t number, const char *what, const char *about)
{
	snprintf(t->error, INVENTORY_ERROR_STRLEN, "line %u: %s: \"%.60s\"", number, what, about);
	return -EINVAL;
}

static int add_line(struct lines *t, char *text, uint32_t number)
{
	char *save = NULL, *address, *name, *group, *rest;
	struct line *l;

	text[strcspn(text, "#\r")] = '\0';
	address = strtok_r(text, " \t", &save);
	if (!address)
		return 0;
	name = strtok_r(NULL, " \t", &save);
	group = name ? strtok_r(NULL, " \t", &save) : NULL;
	rest = group ? strtok_r(NULL, " \t", &save) : NULL;
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		struct line *grown = realloc(t->l, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		t->l = grown;
		t->cap = cap;
	}
	l = &t->l[t->n];
	if (addr_parse(&l->addr, address) < 0)
		return complain(t, number, "not an IPv4 or IPv6 address", address);
	if (!name)
		return complain(t, number, "no name after the address; a line is ADDRESS NAME [GROUP]", address);
	if (rest)
		return complain(t, number, "more than ADDRESS NAME [GROUP]", rest);
	if (strlen(name) >= sizeof(l->name))
		return complain(t, number, "a name has room for 127 bytes", name);
	if (group && strlen(group) >= sizeof(l->group))
		return complain(t, number, "a group has room for 127 bytes", group);
	if (group && strcmp(group, GROUP_WORLD) == 0)
		return complain(t, number, "\"world\" is what has no name; leave the line out", group);
	name_copy(l->name, sizeof(l->name), name);
	name_copy(l->group, sizeof(l->group), group ? group : "");
	l->number = number;
	t->n++;
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int c = addr_cmp(&x->addr, &y->addr);

	return c ? c : (x->number > y->number) - (x->number < y->number);
}

static int by_name(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : (x->number > y->number) - (x->number < y->number);
}

/* One address has one owner, and one name one group. Leaves the lines sorted by name. */
static int check_lines(struct lines *t)
{
	char what[100];

	qsort(t->l, t->n, sizeof(*t->l), by_addr);
	for (size_t i = 1; i < t->n; i++) {
		if (addr_cmp(&t->l[i].addr, &t->l[i - 1].addr) != 0 || strcmp(t->l[i].name, t->l[i - 1].name) == 0)
			continue;
		snprintf(what, sizeof(what), "its address already has another name in line %u", t->l[i - 1].number);
		return complain(t, t->l[i].number, what, t->l[i].name);
	}
	qsort(t->l, t->n, sizeof(*t->l), by_name);
	for (size_t i = 1; i < t->n; i++) {
		if (strcmp(t->l[i].name, t->l[i - 1].name) != 0)
			continue;
		if (!t->l[i].group[0]) /* once is enough */
			memcpy(t->l[i].group, t->l[i - 1].group, sizeof(t->l[i].group));
		if (t->l[i - 1].group[0] && strcmp(t->l[i].group, t->l[i - 1].group) != 0) {
			snprintf(what, sizeof(what), "this workload is in another group in line %u", t->l[i - 1].number);
			return complain(t, t->l[i].number, what, t->l[i].group);
		}
	}
	return 0;
}

static int tell(const struct lines *t, void (*up)(void *arg, const struct workload *w), void *arg)
{
	struct workload *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	for (size_t i = 0; i < t->n; i++) {
		bool last = i + 1 == t->n || strcmp(t->l[i].name, t->l[i + 1].name) != 0;

		workload_add_addr(w, &t->l[i].addr);
		if (!last)
			continue;
		memcpy(w->name, t->l[i].name, sizeof(w->name));
		memcpy(w->runtime_id, t->l[i].name, sizeof(w->runtime_id) - 1);
		snprintf(w->runtime, sizeof(w->runtime), "file");
		w->kind = strcmp(t->l[i].group, GROUP_HOST) == 0 ? WORKLOAD_HOST : WORKLOAD_CONTAINER;
		w->exit_code = -1;
		w->id = workload_id_of(w->runtime, w->name, 0);
		inventory_group_name(w, NULL, w->group);
		if (t->l[i].group[0])
			memcpy(w->group, t->l[i].group, sizeof(w->group));
		up(arg, w);
		memset(w, 0, sizeof(*w));
	}
	free(w);
	return 0;
}

static int read_list(char *text, void (*up)(void *arg, const struct workload *w), void *arg, char *error)
{
	struct lines t = {NULL, 0, 0, error};
	uint32_t number = 1;
	int r = 0;

	for (char *line = text, *end; r == 0 && *line; line = end, number++) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = '\0';
		r = add_line(&t, line, number);
	}
	if (r == 0 && t.n == 0) {
		snprintf(error, INVENTORY_ERROR_STRLEN, "no line \"ADDRESS NAME [GROUP]\" in it");
		r = -EINVAL;
	}
	if (r == 0)
		r = check_lines(&t);
	if (r == 0)
		r = tell(&t, up, arg);
	free(t.l);
	return r;
}

static int read_whole(struct buf *b, const char *path, char *error)
{
	FILE *f = fopen(path, "re");
	char chunk[65536];
	size_t n;
	int r = 0;

	if (!f) {
		r = -errno;
		snprintf(error, INVENTORY_ERROR_STRLEN, "cannot open: %s", strerror(-r));
		return r;
	}
	while (r == 0 && (n = fread(chunk, 1, sizeof(chunk), f)) > 0) {
		buf_add(b, chunk, n);
		if (b->len > FILE_SIZE_MAX) {
			snprintf(error, INVENTORY_ERROR_STRLEN, "larger than the limit of %u bytes", FILE_SIZE_MAX);
			r = -EFBIG;
		}
	}
	if (r == 0 && ferror(f)) {
		r = errno ? -errno : -EIO;
		snprintf(error, INVENTORY_ERROR_STRLEN, "cannot read: %s", strerror(-r));
	}
	if (r == 0 && buf_failed(b))
		r = -ENOMEM;
	fclose(f);
	return r;
}

int inventory_read_file(const char *path, void (*up)(void *arg, const struct workload *w), void *arg, char *error)
{
	struct buf b = BUF_INIT;
	const char *start;
	int r;

	error[0] = '\0';
	r = read_whole(&b, path, error);
	if (r < 0)
		goto out;
	if (b.len && memchr(b.data, '\0', b.len)) {
		snprintf(error, INVENTORY_ERROR_STRLEN, "has a zero byte in it: neither JSON nor a list of lines");
		r = -EINVAL;
		goto out;
	}
	for (start = b.len ? b.data : ""; isspace((unsigned char)*start); start++)
		;
	if (*start == '[' || *start == '{')
		r = inventory_parse_inspect(b.data, b.len, "file", up, arg, error);
	else if (b.len)
		r = read_list(b.data, up, arg, error);
	else
		snprintf(error, INVENTORY_ERROR_STRLEN, "is empty"), r = -EINVAL;
out:
	if (r < 0 && !error[0])
		snprintf(error, INVENTORY_ERROR_STRLEN, "%s", strerror(-r));
	buf_fini(&b);
	return r;
}
