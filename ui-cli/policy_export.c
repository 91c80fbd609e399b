/* SPDX-License-Identifier: GPL-3.0-or-later */
/* weir policy export: the document behind a generation, from the store. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/history.h"
#include "ui-cli/policy.h"
#include "ui-cli/verb.h"
#include "ui-cli/view.h"

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
		.about = "The document of the policy in force, or of an earlier generation, byte for\n"
			 "byte as it was applied.\n",
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
