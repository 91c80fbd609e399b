/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Groups without an entry: see unlisted.h. A history has very many short lives and few groups: whenever the list is
 * full, equal names are made one before it is given more room. */
#include "config.h"
#include "ui-cli/unlisted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/identity.h"

struct finding {
	struct unlisted *out;
	const struct policy *policy;
	const struct ruleset *rules;
};

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void make_unique(struct unlisted *u)
{
	size_t n = 0;

	if (u->n)
		qsort(u->group, u->n, sizeof(*u->group), compare);
	for (size_t i = 0; i < u->n; i++)
		if (n == 0 || strcmp(u->group[n - 1], u->group[i]) != 0)
			memmove(u->group[n++], u->group[i], sizeof(*u->group));
	u->n = n;
}

static int grow(struct unlisted *u)
{
	size_t max = u->max ? 2 * u->max : 64;
	char(*more)[GROUP_STRLEN];

	make_unique(u);
	if (u->n * 2 < u->max)
		return 0;
	more = realloc(u->group, max * sizeof(*more));
	if (!more)
		return -ENOMEM;
	u->group = more;
	u->max = max;
	return 0;
}

static int on_workload(void *arg, const struct workload *w)
{
	struct finding *f = arg;
	const char *group = policy_group_of(f->policy, w);

	/* A name that cannot be a group's can have no entry either. */
	if (w->kind == WORKLOAD_HOST || !policy_name_ok(group) || ruleset_find_group(f->rules, group) >= 0)
		return 0;
	if (f->out->n == f->out->max && grow(f->out) < 0)
		return -ENOMEM;
	memset(f->out->group[f->out->n], 0, GROUP_STRLEN);
	memcpy(f->out->group[f->out->n++], group, strnlen(group, GROUP_STRLEN - 1));
	return 0;
}

int unlisted_find(struct unlisted *out, struct store_txn *t, const struct policy *p, const struct ruleset *rs,
		  uint64_t since_ns)
{
	struct unlisted u = {0};
	struct finding f = {&u, p, rs};
	int rc = store_workload_walk(t, since_ns, 0, on_workload, &f);

	if (rc < 0) {
		unlisted_fini(&u);
		return rc;
	}
	make_unique(&u);
	*out = u;
	return 0;
}

void unlisted_fini(struct unlisted *u)
{
	free(u->group);
	*u = (struct unlisted){0};
}
