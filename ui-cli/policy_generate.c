/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir policy generate: the policy that was seen, on standard output, or merged into a file that people have worked on.
 * Learning itself is segment/learn's; here the store is read for it, and groups get the selectors of their workloads.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment/learn.h"
#include "ui-cli/graph.h"
#include "ui-cli/policy.h"
#include "ui-cli/policy_file.h"
#include "ui-cli/selectors.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"

struct lesson {
	uint64_t since_ns, until_ns; /* asked for */
	bool clients;                /* groups that were only ever clients, too */
	struct policy *policy;
	uint64_t first_ns, last_ns;  /* of the edges it was learned from; 0: none */
	struct buf unlisted;         /* with commas: clients that are not in the policy */
};

/* A group that was only ever a client of other groups: no list would decide on anything seen of it. */
static int add_client(struct policy *p, const char *name)
{
	struct policy_group *g = policy_add_group(p, name);

	if (!g)
		return -ENOMEM;
	g->has_policy = true;
	g->stage = STAGE_OBSERVE;
	g->comment = strdup("seen only as a client of other groups: nobody reached it, and it reached neither world nor host");
	return g->comment ? 0 : -ENOMEM;
}

static int by_name(const void *va, const void *vb)
{
	const struct policy_group *a = va, *b = vb;

	return strcmp(a->name, b->name);
}

/* Adds them, or lists them for the comment at the top. Edges are sorted by client. */
static int take_clients(struct lesson *l, struct policy *p, const struct graph *g)
{
	const char *before = "";
	int rc = 0;

	for (size_t i = 0; i < g->n && rc == 0; i++) {
		const char *client = g->edges[i].key.client;

		if (strcmp(client, before) == 0 || !policy_name_ok(client))
			continue;
		before = client;
		if (policy_find_group(p, client))
			continue;
		if (l->clients)
			rc = add_client(p, client);
		else
			buf_printf(&l->unlisted, "%s%s", l->unlisted.len ? ", " : "", client);
	}
	if (p->n_groups)
		qsort(p->groups, p->n_groups, sizeof(*p->groups), by_name);
	return rc;
}

static int learn(struct lesson *l, struct view *v)
{
	struct graph_query q = {.since_ns = l->since_ns, .until_ns = l->until_ns};
	struct graph g;
	int rc = graph_read(&g, v, &q);

	if (rc < 0)
		return rc;
	l->first_ns = g.first_ns;
	l->last_ns = g.last_ns;
	rc = learn_policy(&l->policy, g.edges, g.n);
	if (rc == 0)
		rc = take_clients(l, l->policy, &g);
	graph_fini(&g);
	return rc < 0 ? rc : selectors_choose(l->policy, v->txn, l->since_ns, l->until_ns);
}

static int print_new(const struct command *c, const struct policy *p, const char *comment)
{
	struct buf b = BUF_INIT;
	int rc = policy_emit(&b, p, comment);

	if (rc == 0)
		fwrite(b.data, 1, b.len, stdout);
	buf_fini(&b);
	return rc < 0 ? command_failed(c, "writing the policy failed: %s", strerror(-rc)) : VERB_DONE;
}

/* A file that is not there yet is simply written. */
static int write_first(const struct command *c, const struct policy *p, const char *comment, const char *path)
{
	char groups[UNITS_STRLEN];
	struct buf b = BUF_INIT;
	int rc = policy_emit(&b, p, comment), status = VERB_DONE;
	FILE *out = rc == 0 ? fopen(path, "wx") : NULL;

	if (rc == 0 && (!out || fwrite(b.data, 1, b.len, out) != b.len))
		rc = -errno;
	if (out && fclose(out) != 0 && rc == 0)
		rc = -errno;
	if (rc < 0)
		status = command_failed(c, "%s: %s", path, strerror(-rc));
	else
		printf("%s written: %s at stage observe\n", path,
		       units_plural(p->n_groups, "group", "groups", groups));
	buf_fini(&b);
	return status;
}

/* The lines of what a merge found that begin with mark, or those that do not, below a heading. How many. */
static size_t print_found(const char *found, char mark, bool with, const char *path, const char *heading)
{
	size_t n = 0, len;

	for (const char *line = found; line && *line; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		if ((line[0] == mark) != with)
			continue;
		if (n++ == 0)
			printf("%s: %s\n", path, heading);
		printf("%.*s\n", (int)len, line);
	}
	return n;
}

static int merge_into(const struct command *c, const struct policy *p, const char *comment, const char *path)
{
	struct buf merged = BUF_INIT, added = BUF_INIT;
	struct policy_errors errors = {.n = 0};
	char *text = NULL;
	size_t len = 0;
	int rc = policy_file_slurp(&text, &len, path), status = VERB_DONE;

	if (rc == -ENOENT)
		return write_first(c, p, comment, path);
	if (rc == 0)
		rc = policy_merge(&merged, text, len, p, &added, &errors);
	policy_file_complain(path, &errors);
	if (rc == 0 && added.len)
		rc = policy_file_replace(path, merged.data, merged.len);
	if (rc < 0) {
		status = command_failed(c, "%s was left as it is: %s", path,
					rc == -EINVAL	 ? "it is no policy that can be read"
					: rc == -ENOTSUP ? "what was found cannot be put into it mechanically"
							 : strerror(-rc));
		if (added.len)
			fprintf(stderr, "to be added by hand:\n%s", added.data);
	} else {
		if (print_found(added.data, '?', false, path, "added") == 0)
			printf("%s: nothing to add, everything that was answered is in it\n", path);
		print_found(added.data, '?', true, path,
			    "not added, for nobody ever answered; if it is meant, write it into the list yourself");
	}
	free(text);
	buf_fini(&merged);
	buf_fini(&added);
	return status;
}

/* What was learned goes out; the comment at the top says from what. */
static int hand_out(const struct command *c, const struct lesson *l, const char *path)
{
	struct buf comment = BUF_INIT;
	char span[160];
	int status;

	buf_printf(&comment, "Learned by weir %s from flows of\n%s", PACKAGE_VERSION,
		   units_span(l->first_ns, l->last_ns, span, sizeof(span)));
	if (l->unlisted.len)
		buf_printf(&comment, "\nOnly ever clients of other groups, so without lists of their own: they reach world and "
			   "host freely.\nweir policy generate --clients gives them empty lists:\n%s",
			   l->unlisted.data);
	status = path ? merge_into(c, l->policy, comment.data, path) : print_new(c, l->policy, comment.data);
	buf_fini(&comment);
	return status;
}

int policy_generate_verb(int argc, char **argv)
{
	const char *dir = STATE_DIR_DEFAULT, *path = NULL;
	struct lesson l = {.unlisted = BUF_INIT};
	const struct option_spec options[] = {OPTION_STATE(&dir),
					      OPTION_SINCE(&l.since_ns),
					      OPTION_UNTIL(&l.until_ns),
					      {OPTION_KIND_FLAG, 0, "clients", NULL,
					       "those that were only ever clients get empty lists",
					       &l.clients, NULL},
					      {OPTION_KIND_TEXT, 'w', "write", "FILE",
					       "merge into FILE: nothing in it is changed or lost", &path, NULL},
					      OPTION_END};
	const struct command c = {
		.verb = "policy generate", .usage = "[options]", .options = options,
		.about = "The policy that what was seen teaches: answered conversations of known\n"
			 "direction, seen without loss. Every new group is at stage observe, which\n"
			 "changes nothing; `weir learn` shows the evidence. A group that was only ever a\n"
			 "client of other groups has no list that would decide on anything seen: it is\n"
			 "named at the top, or with --clients gets empty lists.\n",
		.examples = "  weir policy generate >policy.yaml\n"
			    "  weir policy generate --since -7d -w policy.yaml\n"};
	struct operands rest;
	struct view v;
	int status, rc;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	status = view_open(&v, &c, dir);
	if (status != VERB_DONE)
		return status;
	rc = learn(&l, &v);
	if (rc < 0)
		status = view_failed(&v, "edges", rc);
	else if (l.first_ns == 0)
		status = command_failed(
			&c, "nothing to learn from yet: no conversation between workloads is in %s for that time", dir);
	else if (l.policy->n_groups == 0)
		status = command_failed(
			&c,
			"nothing to learn from: no list of a group would decide on any of the conversations in %s. "
			"A capture has no names by itself: weir read --inventory FILE brings them",
			dir);
	else
		status = hand_out(&c, &l, path);
	buf_fini(&l.unlisted);
	policy_free(l.policy);
	view_close(&v);
	return status;
}
