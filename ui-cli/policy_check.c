/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir policy check and diff. check needs no store; where there is one, peers that nobody has ever seen are
 * pointed out, since they are most likely a slip of the pen.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment/diff.h"
#include "ui-cli/graph.h"
#include "ui-cli/in_force.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/map.h"
#include "ui-cli/policy.h"
#include "ui-cli/policy_file.h"
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

static json_t *item_json(const struct diff_item *i)
{
	json_t *o = jsonl_event("policy_difference");
	bool rule = i->kind == DIFF_RULE_ADDED || i->kind == DIFF_RULE_REMOVED || i->kind == DIFF_NAMES;

	jsonl_set_text(o, "kind", diff_kind_name(i->kind));
	jsonl_set_text(o, "group", i->group);
	if (i->kind == DIFF_GROUP_REMOVED || i->kind == DIFF_STAGE)
		jsonl_set_text(o, "stage_old", stage_name(i->stage_old));
	if (i->kind == DIFF_GROUP_ADDED || i->kind == DIFF_STAGE)
		jsonl_set_text(o, "stage_new", stage_name(i->stage_new));
	if (rule) {
		jsonl_set_text(o, "list", i->inbound ? "inbound" : "outbound");
		jsonl_set_text(o, "peer", i->peer);
	}
	jsonl_set_text(o, "what", i->what);
	if (i->line)
		jsonl_set_number(o, "line", i->line);
	json_object_set_new(o, "opens", json_boolean(i->opens));
	json_object_set_new(o, "closes", json_boolean(i->closes));
	return o;
}

int policy_print_diff(const struct diff *d, bool json)
{
	struct buf b = BUF_INIT;
	int rc = 0;

	if (!json) {
		diff_format(&b, d);
		fputs(b.data ? b.data : "", stdout);
		if (b.len && b.data[b.len - 1] != '\n')
			putchar('\n');
	}
	for (size_t i = 0; json && i < d->n && rc == 0; i++)
		rc = jsonl_print(item_json(&d->items[i]));
	buf_fini(&b);
	return rc;
}

static int diff_with(const struct command *c, const struct policy *old, const struct policy *new, bool json)
{
	struct diff d;
	int rc = diff_policies(&d, old, new), status = VERB_DONE;

	if (rc == 0) {
		rc = policy_print_diff(&d, json);
		status = d.n ? VERB_WARNED : VERB_DONE;
		diff_fini(&d);
	}
	return rc < 0 ? command_failed(c, "%s", strerror(-rc)) : status;
}

static int diff_with_force(const struct command *c, const char *dir, const struct policy *new, bool json)
{
	struct in_force f;
	struct view v;
	int status = view_open(&v, c, dir), rc;

	if (status != VERB_DONE)
		return status;
	rc = in_force_read(&f, v.txn);
	if (rc < 0) {
		status = view_failed(&v, "policy in force", rc);
	} else {
		status = diff_with(c, f.policy, new, json);
		in_force_fini(&f);
	}
	view_close(&v);
	return status;
}

int policy_diff_verb(int argc, char **argv)
{
	static const char *const formats[] = {"text", "json", NULL};
	const char *dir = STATE_DIR_DEFAULT;
	int format = 0, status;
	const struct option_spec options[] = {OPTION_STATE(&dir), OPTION_OUTPUT(&format, formats), OPTION_END};
	const struct command c = {
		.verb = "policy diff", .usage = "[OLD] NEW [options]", .min_operands = 1, .max_operands = 2, .options = options,
		.about = "What differs between two policies in meaning, not in text; without OLD: between the policy in force and NEW.\n"
			 "Exit 3 when something differs.\n",
		.examples = "  weir policy diff policy.yaml\n"
			    "  weir policy diff policy.yaml.old policy.yaml\n"};
	struct policy_file old = {0}, new = {0};
	struct operands rest;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	status = policy_file_read(&new, &c, rest.v[rest.n - 1]);
	if (status == VERB_DONE && rest.n == 2)
		status = policy_file_read(&old, &c, rest.v[0]);
	if (status == VERB_DONE && rest.n == 2)
		status = diff_with(&c, old.policy, new.policy, format == 1);
	else if (status == VERB_DONE)
		status = diff_with_force(&c, dir, new.policy, format == 1);
	policy_file_fini(&old);
	policy_file_fini(&new);
	return status;
}
