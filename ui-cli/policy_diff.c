/* SPDX-License-Identifier: GPL-3.0-or-later */
/* weir policy diff: two documents, or one and the policy in force. segment/diff compares what they allow; plan prints
 * the same. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "ui-cli/in_force.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/policy.h"
#include "ui-cli/policy_file.h"
#include "ui-cli/verb.h"
#include "ui-cli/view.h"

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
	const struct command c = {.verb = "policy diff",
				  .usage = "[OLD] NEW [options]",
				  .min_operands = 1,
				  .max_operands = 2,
				  .options = options,
				  .about = "What differs between two policies in meaning, not in text; without OLD:\n"
					   "between the policy in force and NEW. Exit 3 when something differs.\n",
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
