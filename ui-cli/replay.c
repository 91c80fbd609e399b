/* SPDX-License-Identifier: GPL-3.0-or-later */
/* weir replay: a policy against history. The work is trial.c's. */
#include "config.h"

#include "ui-cli/policy_file.h"
#include "ui-cli/trial.h"
#include "ui-cli/verb.h"

int verb_replay(int argc, char **argv)
{
	static const char *const formats[] = {"table", "json", NULL};
	const char *dir = STATE_DIR_DEFAULT;
	uint64_t since_ns = 0, until_ns = 0;
	int format = 0, status, rc;
	const struct option_spec options[] = {OPTION_STATE(&dir), OPTION_SINCE(&since_ns), OPTION_UNTIL(&until_ns),
					      OPTION_OUTPUT(&format, formats), OPTION_END};
	const struct command c = {
		.verb = "replay", .usage = "POLICY [options]", .min_operands = 1, .max_operands = 1, .options = options,
		.about = "The policy against history: what it would have refused, had every list in it\n"
			 "been enforced, whatever the stages say. Exit 3 when it would have refused\n"
			 "something that worked.\n",
		.examples = "  weir replay policy.yaml --since -7d\n"
			    "  weir replay policy.yaml -o json | jq 'select(.answered > 0)'\n"};
	struct policy_file file;
	struct operands rest;
	struct ruleset rs;
	struct trial t = {0};
	struct view v;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	status = policy_file_read(&file, &c, rest.v[0]);
	if (status != VERB_DONE)
		return status;
	status = policy_file_compile(&rs, &c, &file);
	if (status != VERB_DONE)
		goto out_file;
	status = view_open(&v, &c, dir);
	if (status != VERB_DONE)
		goto out_rules;
	rc = trial_run(&t, &v, file.policy, &rs, since_ns, until_ns);
	if (rc < 0) {
		status = view_failed(&v, "flows", rc);
		goto out_view;
	}
	if (format == 1) {
		if (trial_print_json(&t) < 0)
			status = command_failed(&c, "out of memory");
	} else {
		trial_print(&t);
		view_footer(&v, since_ns, until_ns);
	}
	if (status == VERB_DONE && trial_hurt(&t))
		status = VERB_WARNED;
	trial_fini(&t);
out_view:
	view_close(&v);
out_rules:
	ruleset_fini(&rs);
out_file:
	policy_file_fini(&file);
	return status;
}
