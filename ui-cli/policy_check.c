/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir policy check: is the document right? It needs no store; where there is one, peers that nobody has ever seen are
 * pointed out, since they are most likely a slip of the pen.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/edges.h"
#include "store/identity.h"
#include "ui-cli/policy.h"
#include "ui-cli/policy_file.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"

/* Names of groups that the store has ever seen; some more than once. */
struct seen {
	char **name;
	size_t n, max;
};

static int see(struct seen *s, const char *name)
{
	if (s->n == s->max) {
		size_t max = s->max ? 2 * s->max : 64;
		char **more = realloc(s->name, max * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->name = more;
		s->max = max;
	}
	s->name[s->n] = strdup(name);
	return s->name[s->n] ? (int)(s->n++, 0) : -ENOMEM;
}

static int on_workload(void *arg, const struct workload *w)
{
	return see(arg, w->group);
}

static int see_all(struct seen *s, struct store_txn *t)
{
	struct edge *edges = NULL;
	size_t n = 0;
	int rc = store_workload_walk(t, 0, 0, on_workload, s);

	if (rc == 0)
		rc = store_edges_read(t, 0, 0, &edges, &n);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = see(s, edges[i].key.client);
		if (rc == 0)
			rc = see(s, edges[i].key.server);
	}
	free(edges);
	return rc;
}

/* Warns of groups that neither the document describes nor the store has seen. Without a store: nothing. */
static void check_seen(struct policy_file *f, const char *dir)
{
	struct policy_errors fresh = {.n = 0};
	struct store *store = NULL;
	struct store_txn *t = NULL;
	struct seen s = {NULL, 0, 0};

	if (store_open(&store, dir, STORE_READ, NULL) < 0)
		return;
	if (store_begin(&t, store, false) == 0 && see_all(&s, t) == 0 && s.n)
		policy_check_seen(f->policy, (const char *const *)s.name, s.n, &fresh);
	policy_file_complain(f->path, &fresh);
	f->errors.n += fresh.n;
	for (size_t i = 0; i < s.n; i++)
		free(s.name[i]);
	free(s.name);
	store_abort(t);
	store_close(store);
}

int policy_check_verb(int argc, char **argv)
{
	const char *dir = STATE_DIR_DEFAULT;
	const struct option_spec options[] = {OPTION_STATE(&dir), OPTION_END};
	const struct command c = {
		.verb = "policy check",
		.usage = "FILE [options]",
		.min_operands = 1,
		.max_operands = 1,
		.options = options,
		.about = "Is the document right? Each complaint is FILE:LINE:COLUMN: text. Where there\n"
			 "is a store, groups that were never seen are pointed out too. Exit 0 when all\n"
			 "is right, 3 when there are only warnings, 1 when the document cannot be used.\n",
		.examples = "  weir policy check policy.yaml\n"
			    "  weir policy generate | weir policy check -\n"};
	char groups[UNITS_STRLEN], rules[UNITS_STRLEN];
	struct policy_file f;
	struct operands rest;
	struct ruleset rs;
	int status;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	status = policy_file_read(&f, &c, rest.v[0]);
	if (status != VERB_DONE)
		return status;
	check_seen(&f, dir);
	status = policy_file_compile(&rs, &c, &f);
	if (status == VERB_DONE) {
		printf("%s: %s, %zu with a policy, %s%s\n", strcmp(f.path, "-") == 0 ? "policy" : f.path,
		       units_plural(f.policy->n_groups, "group", "groups", groups), rs.n_groups,
		       units_plural(rs.n_rules, "rule", "rules", rules), f.errors.n ? "" : ": right");
		ruleset_fini(&rs);
		if (f.errors.n)
			status = VERB_WARNED;
	}
	policy_file_fini(&f);
	return status;
}
