/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A policy against history (see replay.h), and the verb of that name. Continuations of a conversation that was cut into
 * records are skipped: it is judged once, at its first packet. */
#include "config.h"
#include "ui-cli/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "segment/eval.h"
#include "store/flows.h"
#include "ui-cli/edge_json.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/map.h"
#include "ui-cli/policy_file.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"

#define GROUP_SLOTS 4096u /* direct-mapped: workload to group, so that selectors are not matched for every flow */

struct replaying {
	struct view *view;
	const struct policy *policy;
	const struct ruleset *rs;
	struct replay *out;
	struct graph_losses *losses;
	struct graph_sum *groups, *workloads;
	struct {
		uint64_t id;
		char group[GROUP_STRLEN];
	} slot[2][GROUP_SLOTS]; /* by end, so that one end's answer outlives the other's look-up */
};

/* The group that the policy gives the workload at that end. */
static void regroup(struct replaying *r, struct output_end *e, unsigned end)
{
	size_t i;

	if (!r->policy || !e->workload || e->workload->kind == WORKLOAD_HOST)
		return;
	i = (size_t)(e->workload->id % GROUP_SLOTS);
	if (r->slot[end][i].id != e->workload->id) {
		r->slot[end][i].id = e->workload->id;
		snprintf(r->slot[end][i].group, GROUP_STRLEN, "%s", policy_group_of(r->policy, e->workload));
	}
	e->group = r->slot[end][i].group;
}

static int on_flow(void *arg, const struct flow_rec *f)
{
	struct replaying *r = arg;
	struct output_end end[2];
	struct eval_result verdict;
	int rc;

	if (f->conv_id != f->id && f->conv_id)
		return 0;
	if (f->direction == FLOW_DIR_UNKNOWN) {
		r->out->undirected++;
		return 0;
	}
	naming_flow(r->view->naming, r->view->txn, f, end);
	regroup(r, &end[0], 0);
	regroup(r, &end[1], 1);
	eval(&verdict, r->rs, &(struct eval_end){f->addr[0], end[0].group}, &(struct eval_end){f->addr[1], end[1].group},
	     f->proto, f->port[1]);
	r->out->flows++;
	if (!eval_is_miss(&verdict))
		return 0;
	r->out->missed++;
	r->out->hurt += flow_answered(f);
	rc = graph_sum_add(r->groups, f, end, GRAPH_GROUP, graph_complete(r->losses, f));
	return rc < 0 ? rc : graph_sum_add(r->workloads, f, end, GRAPH_WORKLOAD, graph_complete(r->losses, f));
}

int replay(struct replay *out, struct view *v, const struct policy *p, const struct ruleset *rs, uint64_t since_ns,
	   uint64_t until_ns)
{
	struct flow_query q = {.since_ns = since_ns, .until_ns = until_ns};
	struct replaying *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	memset(out, 0, sizeof(*out));
	r->view = v;
	r->policy = p;
	r->rs = rs;
	r->out = out;
	rc = graph_sum_new(&r->groups);
	if (rc == 0)
		rc = graph_sum_new(&r->workloads);
	if (rc == 0)
		rc = graph_losses_new(&r->losses, v, since_ns, until_ns);
	if (rc == 0)
		rc = store_flow_walk(v->txn, &q, on_flow, r);
	if (rc == 0) {
		graph_sum_take(&out->misses, r->groups);
		graph_sum_take(&out->workloads, r->workloads);
	}
	graph_sum_free(r->groups);
	graph_sum_free(r->workloads);
	graph_losses_free(r->losses);
	free(r);
	return rc;
}

void replay_fini(struct replay *r)
{
	graph_fini(&r->misses);
	graph_fini(&r->workloads);
}

int replay_stage(const struct ruleset *rs, const struct edge_key *key)
{
	bool outbound = strcmp(key->server, GROUP_WORLD) == 0 || strcmp(key->server, GROUP_HOST) == 0;
	int group = ruleset_find_group(rs, outbound ? key->client : key->server);

	return group < 0 ? -1 : rs->groups[group].stage;
}

static const struct table_column columns[] = {
	{"CLIENT", false, true}, {"", false, false},      {"SERVER", false, true}, {"SERVICE", false, false},
	{"APP", false, true},    {"FLOWS", true, false},  {"ANSWERED", true, false}, {"LAST", false, false},
	{"NOTE", false, true}};

static void print_edge(struct table *t, const struct edge *e, uint64_t now_ns)
{
	enum table_style style = e->agg.answered ? TABLE_BAD : TABLE_DIM;
	char text[256], when[UNITS_STRLEN];
	struct buf note = BUF_INIT;

	map_note(&note, e);
	table_cell(t, style, e->key.client);
	table_cell(t, TABLE_DIM, "->");
	table_cell(t, style, e->key.server);
	table_cell(t, style, units_service(e->key.proto, e->key.port, text));
	table_cell(t, TABLE_PLAIN, map_apps(&e->agg, text, sizeof(text)));
	table_number(t, e->agg.flows);
	table_number(t, e->agg.answered);
	table_cell(t, TABLE_DIM, units_clock(e->agg.last_ns, now_ns, when));
	table_cell(t, TABLE_DIM, note.data);
	buf_fini(&note);
}

void replay_print(const struct replay *r)
{
	struct table *t = table_new(stdout, columns, sizeof(columns) / sizeof(columns[0]));
	char flows[UNITS_STRLEN], hurt[UNITS_STRLEN];
	uint64_t now_ns = time_now_ns();

	if (!t)
		return;
	for (size_t i = 0; i < r->workloads.n; i++)
		print_edge(t, &r->workloads.edges[i], now_ns);
	table_flush(t);
	if (r->missed)
		putchar('\n');
	units_plural(r->flows, "conversation", "conversations", flows);
	if (r->hurt)
		printf("%s judged: %s that worked would be refused, and %" PRIu64 " that nobody answered\n", flows,
		       units_plural(r->hurt, "conversation", "conversations", hurt), r->missed - r->hurt);
	else if (r->missed)
		printf("%s judged: nothing that worked would be refused; %" PRIu64 " that nobody answered would\n", flows, r->missed);
	else
		printf("%s judged: none would be refused\n", flows);
	if (r->undirected)
		printf("%" PRIu64 " not judged: weir came in the middle and does not know who began them\n", r->undirected);
	table_free(t);
}

int replay_print_json(const struct replay *r, const struct ruleset *rs)
{
	json_t *o;
	int rc = 0;

	for (size_t i = 0; i < r->misses.n && rc == 0; i++) {
		int stage = replay_stage(rs, &r->misses.edges[i].key);

		o = edge_json(&r->misses.edges[i], "replay_miss", "group");
		if (stage >= 0)
			jsonl_set_text(o, "stage", stage_name((unsigned)stage));
		rc = jsonl_print(o);
	}
	o = jsonl_event("replay");
	jsonl_set_number(o, "flows", r->flows);
	jsonl_set_number(o, "missed", r->missed);
	jsonl_set_number(o, "hurt", r->hurt);
	jsonl_set_number(o, "undirected", r->undirected);
	return rc < 0 ? rc : jsonl_print(o);
}

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
		.about = "The policy against history: what it would have refused, had every list in it been enforced, whatever the\n"
			 "stages say. Exit 3 when it would have refused something that worked.\n",
		.examples = "  weir replay policy.yaml --since -7d\n"
			    "  weir replay policy.yaml -o json | jq 'select(.answered > 0)'\n"};
	struct policy_file file;
	struct operands rest;
	struct ruleset rs;
	struct replay r;
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
	rc = replay(&r, &v, file.policy, &rs, since_ns, until_ns);
	if (rc == 0 && format == 1)
		rc = replay_print_json(&r, &rs);
	else if (rc == 0)
		replay_print(&r);
	if (rc < 0)
		status = view_failed(&v, "flows", rc);
	else if (r.hurt)
		status = VERB_WARNED;
	if (rc == 0 && format == 0)
		view_footer(&v, since_ns, until_ns);
	replay_fini(&r);
	view_close(&v);
out_rules:
	ruleset_fini(&rs);
out_file:
	policy_file_fini(&file);
	return status;
}
