/* SPDX-License-Identifier: GPL-3.0-or-later */
/* weir policy check: is the document right? */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "ui-cli/policy.h"
#include "ui-cli/policy_file.h"
#include "ui-cli/verb.h"

int policy_check_verb(int argc, char **argv)
{
	const struct option_spec options[] = {OPTION_END};
	const struct command c = {
		.verb = "policy check", .usage = "FILE", .min_operands = 1, .max_operands = 1, .options = options,
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
