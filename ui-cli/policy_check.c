/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir policy check, diff and export. check needs no store; where there is one, peers that nobody has ever seen are
 * pointed out, since they are most likely a slip of the pen.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/history.h"
#include "ui-cli/graph.h"
#include "ui-cli/map.h"
#include "ui-cli/policy.h"
#include "ui-cli/policy_file.h"
#include "ui-cli/rulediff.h"
#include "ui-cli/verb.h"

/* Warnings about groups that the store has never seen, where there is a store. */
static void check_seen(struct policy_file *f, const char *dir)
{
	struct graph_query q = {0};
	struct graph g = {0};
	struct store *store;
	struct view v = {.dir = dir};
	const char **seen = NULL;
	size_t n, before = f->errors.n;

	if (store_open(&store, dir, STORE_READ, NULL) < 0)
		return;
	v.store = store;
	if (store_begin(&v.txn, store, false) == 0 && graph_read(&g, &v, &q) == 0 && g.n && map_nodes(&g, &seen, &n) == 0)
		policy_check_seen(f->policy, seen, n, &f->errors);
	if (f->errors.n > before) {
		struct policy_errors fresh = {.n = 0};

		for (size_t i = before; i < f->errors.n && i < POLICY_ERRORS_MAX; i++)
			fresh.e[fresh.n++] = f->errors.e[i];
		policy_file_complain(f->path, &fresh);
	}
	free(seen);
	graph_fini(&g);
	view_close(&v);
}

int policy_check_verb(int argc, char **argv)
{
	const char *dir = STATE_DIR_DEFAULT;
	const struct option_spec options[] = {OPTION_STATE(&dir), OPTION_END};
	const struct command c = {
		.verb = "policy check", .usage = "FILE [options]", .min_operands = 1, .max_operands = 1, .options = options,
		.about = "Is the document right? Each complaint is FILE:LINE:COLUMN: text. Exit 0 when there is none, 3 when there are\n"
			 "warnings only, 1 when the document cannot be used.\n",
		.examples = "  weir policy check policy.yaml\n"
			    "  weir policy generate | weir policy check -\n"};
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
		printf("%s: %zu groups, %zu with a policy, %zu rules%s\n", strcmp(f.path, "-") == 0 ? "policy" : f.path,
		       f.policy->n_groups, rs.n_groups, rs.n_rules, f.errors.n ? "" : ": right");
		ruleset_fini(&rs);
		if (f.errors.n)
			status = VERB_WARNED;
	}
	policy_file_fini(&f);
	return status;
}

/* The left side of a diff: a document, or what is in force. */
static int read_left(struct ruleset *out, const struct command *c, const char *path, const char *dir)
{
	struct policy_file f;
	struct generation g;
	struct view v;
	int status, rc;

	if (path) {
		status = policy_file_read(&f, c, path);
		if (status != VERB_DONE)
			return status;
		status = policy_file_compile(out, c, &f);
		policy_file_fini(&f);
		return status;
	}
	status = view_open(&v, c, dir);
	if (status != VERB_DONE)
		return status;
	rc = rulediff_in_force(out, &g, v.txn);
	if (rc < 0)
		status = view_failed(&v, "policy in force", rc);
	view_close(&v);
	return status;
}

int policy_diff_verb(int argc, char **argv)
{
	const char *dir = STATE_DIR_DEFAULT;
	const struct option_spec options[] = {OPTION_STATE(&dir), OPTION_END};
	const struct command c = {
		.verb = "policy diff", .usage = "[OLD] NEW [options]", .min_operands = 1, .max_operands = 2, .options = options,
		.about = "What differs between two policies in meaning, not in text; without OLD: between the policy in force and NEW.\n"
			 "Exit 3 when something differs.\n",
		.examples = "  weir policy diff policy.yaml\n"
			    "  weir policy diff policy.yaml.old policy.yaml\n"};
	struct buf lines = BUF_INIT;
	struct operands rest;
	struct policy_file f;
	struct ruleset from, to;
	struct rulediff d;
	int status;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	status = read_left(&from, &c, rest.n == 2 ? rest.v[0] : NULL, dir);
	if (status != VERB_DONE)
		return status;
	status = policy_file_read(&f, &c, rest.v[rest.n - 1]);
	if (status != VERB_DONE)
		goto out;
	status = policy_file_compile(&to, &c, &f);
	policy_file_fini(&f);
	if (status != VERB_DONE)
		goto out;
	rulediff(&d, &lines, &from, &to);
	ruleset_fini(&to);
	fputs(lines.len ? lines.data : "no difference\n", stdout);
	if (rulediff_total(&d))
		status = VERB_WARNED;
out:
	buf_fini(&lines);
	ruleset_fini(&from);
	return status;
}

static int parse_generation(const struct command *c, const char *text, uint64_t *out)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end)
		return command_misused(c, "\"%s\" is no generation: a whole number, from `weir status`", text);
	*out = v;
	return VERB_DONE;
}

int policy_export_verb(int argc, char **argv)
{
	const char *dir = STATE_DIR_DEFAULT;
	uint64_t number = 0;
	const struct option_spec options[] = {OPTION_STATE(&dir), OPTION_END};
	const struct command c = {
		.verb = "policy export", .usage = "[GENERATION] [options]", .max_operands = 1, .options = options,
		.about = "The document of the policy in force, or of an earlier generation, byte for byte as it was applied.\n",
		.examples = "  weir policy export >in-force.yaml\n"
			    "  weir policy export 3 | weir policy diff - policy.yaml\n"};
	struct operands rest;
	struct generation g;
	struct view v;
	int status, rc;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	if (rest.n && parse_generation(&c, rest.v[0], &number) != VERB_DONE)
		return VERB_MISUSED;
	status = view_open(&v, &c, dir);
	if (status != VERB_DONE)
		return status;
	rc = rest.n ? store_generation_get(v.txn, number, &g) : store_generation_current(v.txn, &g);
	if (rc == -ENOENT && rest.n)
		status = command_failed(&c, "there is no generation %" PRIu64 " in %s", number, dir);
	else if (rc == -ENOENT)
		status = command_failed(&c, "no policy is in force in %s: `weir apply POLICY` sets one", dir);
	else if (rc < 0)
		status = view_failed(&v, "policy", rc);
	else
		fwrite(g.policy, 1, g.policy_len, stdout);
	view_close(&v);
	return status;
}
