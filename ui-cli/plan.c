/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir plan: what applying a policy would change in the kernel, against the policy in force, and whom it would have hurt
 * had it been in force over the last days. Changes nothing.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/timefmt.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/policy_file.h"
#include "ui-cli/replay.h"
#include "ui-cli/rulediff.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"

#define PLAN_HISTORY_NS (7 * 86400 * NS_PER_S)

struct plan {
	struct view view;
	const struct command *command;
	struct ruleset now, next;
	struct generation in_force;
	struct rulediff diff;
	struct buf lines;
	struct replay replay;
	uint64_t since_ns;
};

static void print_changes(const struct plan *p)
{
	char when[UNITS_STRLEN];
	const struct rulediff *d = &p->diff;

	if (p->in_force.number)
		printf("against generation %" PRIu64 ", applied %s\n\n", p->in_force.number, units_moment(p->in_force.applied_ns, when));
	else
		fputs("against nothing: no policy is in force\n\n", stdout);
	if (rulediff_total(d) == 0) {
		fputs("nothing changes in the kernel\n", stdout);
		return;
	}
	fputs(p->lines.data ? p->lines.data : "", stdout);
	printf("\nin the kernel, in one transaction: %zu groups added, %zu removed, %zu change stage; %zu rules added, %zu removed, "
	       "%zu changed\n", d->groups_added, d->groups_removed, d->stages_changed, d->rules_added, d->rules_removed,
	       d->rules_changed);
}

/* How many groups would drop packets. */
static size_t enforcing(const struct ruleset *rs)
{
	size_t n = 0;

	for (size_t i = 0; i < rs->n_groups; i++)
		n += rs->groups[i].stage == STAGE_ENFORCE;
	return n;
}

/* Hurt in earnest: edges that worked and whose group is at enforce in the plan. */
static uint64_t hurt_enforced(const struct plan *p)
{
	uint64_t n = 0;

	for (size_t i = 0; i < p->replay.misses.n; i++) {
		if (replay_stage(&p->next, &p->replay.misses.edges[i].key) == STAGE_ENFORCE)
			n += p->replay.misses.edges[i].agg.answered;
	}
	return n;
}

static void print_consequences(const struct plan *p)
{
	size_t groups = enforcing(&p->next);
	uint64_t hurt = hurt_enforced(p);
	char text[UNITS_STRLEN], when[UNITS_STRLEN];

	printf("\nthe same lists against the flows since %s, whatever the stage:\n\n", units_moment(p->since_ns, when));
	replay_print(&p->replay);
	if (groups == 0) {
		fputs("no group is at stage enforce: applying this blocks nothing\n", stdout);
		return;
	}
	printf("%s at stage enforce; ", units_plural(groups, "group", "groups", text));
	if (hurt)
		table_print(stdout, TABLE_BAD, "some of what worked would have been refused there:");
	else
		table_print(stdout, TABLE_GOOD, "nothing that worked would have been refused there");
	if (hurt)
		printf(" %s", units_plural(hurt, "conversation", "conversations", text));
	putchar('\n');
}

static int print_json(const struct plan *p)
{
	json_t *o = jsonl_event("plan");

	jsonl_set_number(o, "against_generation", p->in_force.number);
	jsonl_set_number(o, "groups_added", p->diff.groups_added);
	jsonl_set_number(o, "groups_removed", p->diff.groups_removed);
	jsonl_set_number(o, "stages_changed", p->diff.stages_changed);
	jsonl_set_number(o, "rules_added", p->diff.rules_added);
	jsonl_set_number(o, "rules_removed", p->diff.rules_removed);
	jsonl_set_number(o, "rules_changed", p->diff.rules_changed);
	jsonl_set_text(o, "changes", p->lines.data);
	jsonl_set_time(o, "since", p->since_ns);
	jsonl_set_number(o, "hurt_enforced", hurt_enforced(p));
	if (jsonl_print(o) < 0)
		return -1;
	return replay_print_json(&p->replay, &p->next);
}

static int make(struct plan *p, const struct policy_file *f, bool json)
{
	int rc = rulediff_in_force(&p->now, &p->in_force, p->view.txn), status = VERB_DONE;

	if (rc < 0)
		return view_failed(&p->view, "policy in force", rc);
	rulediff(&p->diff, &p->lines, &p->now, &p->next);
	rc = replay(&p->replay, &p->view, f->policy, &p->next, p->since_ns, 0);
	if (rc < 0) {
		status = view_failed(&p->view, "flows", rc);
		goto out;
	}
	if (json && print_json(p) < 0)
		status = command_failed(p->command, "out of memory");
	if (!json) {
		print_changes(p);
		print_consequences(p);
		view_footer(&p->view, p->since_ns, 0);
	}
	if (status == VERB_DONE && p->replay.hurt)
		status = VERB_WARNED;
	replay_fini(&p->replay);
out:
	ruleset_fini(&p->now);
	buf_fini(&p->lines);
	return status;
}

int verb_plan(int argc, char **argv)
{
	static const char *const formats[] = {"text", "json", NULL};
	const char *dir = STATE_DIR_DEFAULT;
	struct plan p = {.since_ns = time_now_ns() - PLAN_HISTORY_NS};
	int format = 0, status;
	const struct option_spec options[] = {
		OPTION_STATE(&dir),
		{OPTION_KIND_TIME, 0, "since", "T", "history to try it on [-7d]: RFC 3339, \"YYYY-MM-DD HH:MM\", or -90m", &p.since_ns, NULL},
		OPTION_OUTPUT(&format, formats), OPTION_END};
	const struct command c = {
		.verb = "plan", .usage = "POLICY [options]", .min_operands = 1, .max_operands = 1, .options = options,
		.about = "What `weir apply POLICY` would change in the kernel, and what the policy would have refused of the traffic of\n"
			 "the last days, by name. Changes nothing. Exit 3 when something that worked would have been refused.\n",
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
	status = policy_file_compile(&p.next, &c, &f);
	if (status == VERB_DONE) {
		status = view_open(&p.view, &c, dir);
		if (status == VERB_DONE) {
			status = make(&p, &f, format == 1);
			view_close(&p.view);
		}
		ruleset_fini(&p.next);
	}
	policy_file_fini(&f);
	return status;
}
