/* SPDX-License-Identifier: GPL-3.0-or-later */
/* weir policy: finds the second word. */
#include "config.h"
#include "ui-cli/policy.h"

#include <stdio.h>
#include <string.h>

#include "ui-cli/verb.h"

static const struct verb table[] = {
	{"generate", policy_generate_verb, "write the policy that the flows teach, or merge it into a file"},
	{"check", policy_check_verb, "is the document right? complaints with line and column"},
	{"diff", policy_diff_verb, "what differs between two policies, or a policy and the one in force"},
	{"export", policy_export_verb, "the policy in force, or an earlier generation, as applied"},
	{NULL, NULL, NULL},
};

static void print_help(FILE *out)
{
	fputs("usage: weir policy generate|check|diff|export [options]\n\n"
	      "The policy document: groups, allow rules, stages (weir-policy(5)).\n\n", out);
	for (const struct verb *v = table; v->name; v++)
		fprintf(out, "  %-10s %s\n", v->name, v->summary);
	fputs("\nexamples:\n"
	      "  weir policy generate >policy.yaml\n"
	      "  weir policy check policy.yaml\n"
	      "  weir policy diff policy.yaml\n", out);
}

int verb_policy(int argc, char **argv)
{
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		print_help(stdout);
		return VERB_DONE;
	}
	for (const struct verb *v = table; argc > 1 && v->name; v++) {
		if (strcmp(v->name, argv[1]) == 0)
			return v->run(argc - 1, argv + 1);
	}
	if (argc > 1)
		fprintf(stderr, "weir policy: there is no \"%s\"\n", argv[1]);
	print_help(stderr);
	return VERB_MISUSED;
}
