/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Selectors of a learned policy: whoever was in a group is in it under the policy, and nobody else. An image that a
 * plain container and a Compose service share must not move the one into the other's group.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "segment/policy_text.h"
#include "store/identity.h"
#include "tests/tap.h"
#include "ui-cli/selectors.h"

#define T0_NS 1583316000000000000ull /* 2020-03-04T10:00:00Z */

static const struct {
	const char *name, *group, *image, *project, *service;
} all[] = {
	{"web-1", "web", "", "", ""},		      /* namespaces, grouped by a template */
	{"web-2", "web", "", "", ""},
	{"db-1", "db", "", "", ""},		      /* one alone */
	{"x-a", "odd", "", "", ""},		      /* one group, names that have nothing in common */
	{"y-b", "odd", "", "", ""},
	{"pg", "postgres", "postgres:15", "", ""},    /* by image; */
	{"shop-db-1", "shop/db", "postgres:15", "shop", "db"}, /* the same image in a Compose service */
	{"r1", "redis", "redis:7", "", ""},	      /* an image that nobody else has */
	{"r2", "redis", "redis:7.2", "", ""},
};
#define N_ALL (sizeof(all) / sizeof(all[0]))

static void fill(struct workload *w, size_t i)
{
	memset(w, 0, sizeof(*w));
	w->kind = all[i].image[0] ? WORKLOAD_CONTAINER : WORKLOAD_NETNS;
	w->start_ns = T0_NS + i * NS_PER_S;
	w->exit_code = -1;
	w->id = workload_id_of("test", all[i].name, w->start_ns);
	snprintf(w->runtime, sizeof(w->runtime), "test");
	snprintf(w->name, sizeof(w->name), "%s", all[i].name);
	snprintf(w->group, sizeof(w->group), "%s", all[i].group);
	snprintf(w->image, sizeof(w->image), "%s", all[i].image);
	snprintf(w->project, sizeof(w->project), "%s", all[i].project);
	snprintf(w->service, sizeof(w->service), "%s", all[i].service);
}

static int put_all(struct store *s)
{
	static struct workload w;
	struct store_txn *t;
	int rc = store_begin(&t, s, true);

	for (size_t i = 0; i < N_ALL && rc == 0; i++) {
		fill(&w, i);
		rc = store_workload_put(t, &w);
	}
	return rc ? rc : store_commit(t);
}

/* The selectors of a group as the document has them; "" for none. */
static const char *selectors_of(struct policy *p, const char *group)
{
	static struct buf b;
	const struct policy_group *g = policy_find_group(p, group);

	buf_clear(&b);
	if (g && g->n_selectors)
		policy_emit_selectors(&b, g);
	return b.data ? b.data : "";
}

/* groups: which of them the policy learned of, in order; NULL ends. */
static struct policy *choose(struct store *s, const char *const *groups)
{
	static struct workload w;
	struct policy *p = policy_new();
	struct store_txn *t;

	for (; *groups; groups++)
		policy_append_group(p, *groups)->has_policy = true;
	CHECK_EQ(store_begin(&t, s, false), 0);
	CHECK_EQ(selectors_choose(p, t, 0, 0), 0);
	store_abort(t);
	for (size_t i = 0; i < N_ALL; i++) {
		fill(&w, i);
		CHECK_STR(policy_group_of(p, &w), all[i].group);
	}
	return p;
}

int main(void)
{
	static const char *const most[] = {"db", "odd", "postgres", "redis", "web", NULL};
	static const char *const with_compose[] = {"postgres", "shop/db", NULL};
	char dir[256], command[300];
	struct store *s = NULL;
	struct policy *p;

	snprintf(dir, sizeof(dir), "%s/weir-selectors-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(dir) || store_open(&s, dir, STORE_WRITE, NULL) < 0)
		return 99;
	CHECK_EQ(put_all(s), 0);
	p = choose(s, most);
	CHECK_STR(selectors_of(p, "web"), "{name: 'web-*'}");
	CHECK_STR(selectors_of(p, "db"), "{name: db-1}");
	CHECK_STR(selectors_of(p, "odd"), "");
	CHECK_STR(selectors_of(p, "postgres"), ""); /* it would take shop-db-1 along */
	CHECK_STR(selectors_of(p, "redis"), "{image: redis}");
	policy_free(p);
	p = choose(s, with_compose);
	CHECK_STR(selectors_of(p, "postgres"), "");
	CHECK_STR(selectors_of(p, "shop/db"), "{compose: {project: shop, service: db}}");
	policy_free(p);
	store_close(s);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	if (system(command) != 0)
		fprintf(stderr, "%s is left behind\n", dir);
	return tap_done();
}
