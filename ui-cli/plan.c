/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir plan: what applying a policy would change, against the policy in force, and whom it would have hurt had it been
 * in force over the last days. Changes nothing.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/timefmt.h"
#include "ui-cli/in_force.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/policy.h"
#include "ui-cli/policy_file.h"
#include "ui-cli/table.h"
#include "ui-cli/trial.h"
#include "ui-cli/units.h"
#include "ui-cli/unlisted.h"
#include "ui-cli/verb.h"

#define PLAN_HISTORY_NS (7 * 86400 * NS_PER_S)
#define UNLISTED_NAMED 20 /* of the groups without an entry; JSON has all */

struct plan {
	struct view view;
	const struct command *command;
	const struct policy *policy;
	struct ruleset rules;
	struct in_force now;
	struct diff diff;
	struct trial trial;
	struct unlisted unlisted;
	uint64_t since_ns;
};

static void print_changes(const struct plan *p)
{
	const struct generation *g = &p->now.generation;
	char when[UNITS_STRLEN];
	size_t closes = 0;

	if (g->number)
		printf("against generation %" PRIu64 ", applied %s:\n", g->number, units_moment(g->applied_ns, when));
	else
		fputs("against nothing: no policy is in force\n", stdout);
	in_force_print_lapsed(&p->now, stdout);
	putchar('\n');
	policy_print_diff(&p->diff, false);
	for (size_t i = 0; i < p->diff.n; i++)
		closes += p->diff.items[i].closes;
	if (closes)
		printf(closes == 1 ? "%zu of these refuses at once what was let through\n"
				   : "%zu of these refuse at once what was let through\n", closes);
}

static size_t enforcing(const struct ruleset *rs)
{
	size_t n = 0;

	for (size_t i = 0; i < rs->n_groups; i++)
		n += rs->groups[i].stage == STAGE_ENFORCE;
	return n;
}

/* "no entry" is easily overlooked: nothing in the document tells of it. */
static void print_unlisted(const struct unlisted *u)
{
	char text[UNITS_STRLEN];

	if (u->n == 0)
		return;
	printf("%s no entry in it, so nothing decides on who reaches %s or what %s to world and host: ",
	       units_plural(u->n, "group has", "groups have", text), u->n == 1 ? "it" : "them",
	       u->n == 1 ? "it sends" : "they send");
	for (size_t i = 0; i < u->n && i < UNLISTED_NAMED; i++) {
		if (i)
			fputs(", ", stdout);
		table_print(stdout, TABLE_PLAIN, u->group[i]);
	}
	if (u->n > UNLISTED_NAMED)
		printf(" and %zu more", u->n - UNLISTED_NAMED);
	putchar('\n');
}

static void print_consequences(const struct plan *p)
{
	size_t groups = enforcing(&p->rules);
	uint64_t hurt = trial_hurt_enforced(&p->trial);
	char text[UNITS_STRLEN], when[UNITS_STRLEN];

	printf("\nits lists against the flows since %s, whatever the stage:\n\n", units_moment(p->since_ns, when));
	trial_print(&p->trial);
	if (groups == 0) {
		fputs("no group is at stage enforce: applying this blocks nothing\n", stdout);
		return;
	}
	printf("%s at stage enforce: ", units_plural(groups, "group", "groups", text));
	if (hurt) {
		snprintf(text, sizeof(text), "%" PRIu64 " that worked would have been refused there", hurt);
		table_print(stdout, TABLE_BAD, text);
	} else {
		table_print(stdout, TABLE_GOOD, "nothing that worked would have been refused there");
	}
	putchar('\n');
}

static int print_json(const struct plan *p)
{
	json_t *o = jsonl_event("plan"), *unlisted = json_array();
	int rc;

	for (size_t i = 0; i < p->unlisted.n; i++)
		json_array_append_new(unlisted, json_string(p->unlisted.group[i]));

	jsonl_set_number(o, "against_generation", p->now.generation.number);
	in_force_set_lapsed(o, &p->now);
	jsonl_set_number(o, "differences", p->diff.n);
	jsonl_set_number(o, "groups_enforcing", enforcing(&p->rules));
	jsonl_set_number(o, "hurt_enforced", trial_hurt_enforced(&p->trial));
	jsonl_set_time(o, "since", p->since_ns);
	jsonl_set_members(o, "groups_without_entry", unlisted);
	rc = jsonl_print(o);
	if (rc == 0)
		rc = policy_print_diff(&p->diff, true);
	return rc < 0 ? rc : trial_print_json(&p->trial);
}

/* Everything is read; says it. */
static int tell(struct plan *p, bool json)
{
	if (json && print_json(p) < 0)
		return command_failed(p->command, "out of memory");
	if (!json) {
		print_changes(p);
		print_consequences(p);
		print_unlisted(&p->unlisted);
		view_footer(&p->view, p->since_ns, 0);
	}
	return trial_hurt(&p->trial) ? VERB_WARNED : VERB_DONE;
}

static int make(struct plan *p, bool json)
{
	int rc = in_force_read(&p->now, p->view.txn), status = VERB_DONE;

	if (rc < 0)
		return view_failed(&p->view, "policy in force", rc);
	rc = unlisted_find(&p->unlisted, p->view.txn, p->policy, &p->rules, p->since_ns);
	if (rc == 0)
		rc = diff_policies(&p->diff, p->now.policy, p->policy);
	if (rc == 0) {
		rc = trial_run(&p->trial, &p->view, p->policy, &p->rules, p->since_ns, 0);
		if (rc == 0) {
			status = tell(p, json);
			trial_fini(&p->trial);
		}
		diff_fini(&p->diff);
	}
	unlisted_fini(&p->unlisted);
	in_force_fini(&p->now);
	return rc < 0 ? view_failed(&p->view, "flows", rc) : status;
}

int verb_plan(int argc, char **argv)
{
	static const char *const formats[] = {"text", "json", NULL};
	const char *dir = STATE_DIR_DEFAULT;
	struct plan p = {.since_ns = time_now_ns() - PLAN_HISTORY_NS};
	int format = 0, status;
	const struct option_spec options[] = {OPTION_STATE(&dir),
					      {OPTION_KIND_TIME, 0, "since", "T",
					       "history to try it on, from T on [-7d]",
					       &p.since_ns, NULL},
					      OPTION_OUTPUT(&format, formats),
					      OPTION_END};
	const struct command c = {
		.verb = "plan", .usage = "POLICY [options]", .min_operands = 1, .max_operands = 1, .options = options,
		.about = "What `weir apply POLICY` would change, and what the policy would have refused\n"
			 "of the traffic of the last days, by name. Changes nothing. Exit 3 when\n"
			 "something that worked would have been refused.\n",
		.examples = "  weir plan policy.yaml\n"
			    "  weir plan policy.yaml --since -1d\n"};
	struct policy_file f;
	struct operands rest;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	p.command = &c;
	status = policy_file_read(&f, &c, rest.v[0]);
	if (status != VERB_DONE)
		return status;
	p.policy = f.policy;
	status = policy_file_compile(&p.rules, &c, &f);
	if (status == VERB_DONE) {
		status = view_open(&p.view, &c, dir);
		if (status == VERB_DONE) {
			status = make(&p, format == 1);
			view_close(&p.view);
		}
		ruleset_fini(&p.rules);
	}
	policy_file_fini(&f);
	return status;
}
