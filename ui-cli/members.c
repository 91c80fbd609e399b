/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Workloads by group: see members.h. A sorted list of the groups of all live workloads, in which equal ones are
 * counted. */
#include "config.h"
#include "ui-cli/members.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/identity.h"

struct members {
	char (*group)[GROUP_STRLEN];
	size_t n, max;
};

static int add(void *arg, const struct workload *w)
{
	struct members *m = arg;

	if (w->kind == WORKLOAD_HOST)
		return 0;
	if (m->n == m->max) {
		size_t max = m->max ? 2 * m->max : 64;
		char(*more)[GROUP_STRLEN] = realloc(m->group, max * sizeof(*more));

		if (!more)
			return -ENOMEM;
		m->group = more;
		m->max = max;
	}
	memcpy(m->group[m->n++], w->group, GROUP_STRLEN);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

int members_new(struct members **out, struct store_txn *t, uint64_t at_ns)
{
	struct members *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return -ENOMEM;
	rc = store_workload_walk(t, at_ns, at_ns, add, m);
	if (rc < 0) {
		members_free(m);
		return rc;
	}
	if (m->n)
		qsort(m->group, m->n, GROUP_STRLEN, compare);
	*out = m;
	return 0;
}

void members_free(struct members *m)
{
	if (!m)
		return;
	free(m->group);
	free(m);
}

/* The first place whose group is not before the one asked for (or, after: is behind it). */
static size_t bound(const struct members *m, const char *group, int after)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(m->group[mid], group) < after)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

unsigned members_of(const struct members *m, const char *group)
{
	return (unsigned)(bound(m, group, 1) - bound(m, group, 0));
}
