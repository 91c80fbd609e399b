/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A policy tried on history: see trial.h. segment/replay judges by group; what it counts as a miss is kept by workload
 * too, since whoever has to decide knows containers by their names. */
#include "config.h"
#include "ui-cli/trial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "store/flows.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/map.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"

#define GROUP_SLOTS 4096u /* direct-mapped: workload to group, so that selectors are not matched for every flow */

struct trying {
	struct view *view;
	const struct policy *policy;
	struct replay *replay;
	struct graph_losses *losses;
	struct graph_sum *misses;
	struct {
		uint64_t id;
		char group[GROUP_STRLEN];
	} slot[2][GROUP_SLOTS]; /* by end, so that one end's answer outlives the other's look-up */
};

/* The group that the policy gives the workload at that end. */
static void regroup(struct trying *t, struct output_end *e, unsigned end)
{
	size_t i;

	if (!t->policy || !e->workload || e->workload->kind == WORKLOAD_HOST)
		return;
	i = (size_t)(e->workload->id % GROUP_SLOTS);
	if (t->slot[end][i].id != e->workload->id) {
		t->slot[end][i].id = e->workload->id;
		snprintf(t->slot[end][i].group, GROUP_STRLEN, "%s", policy_group_of(t->policy, e->workload));
	}
	e->group = t->slot[end][i].group;
}

static int on_flow(void *arg, const struct flow_rec *f)
{
	struct trying *t = arg;
	uint64_t missed = replay_sum(t->replay)->missed;
	struct output_end end[2];
	int rc;

	if (graph_is_housekeeping(f))
		return 0;
	naming_flow(t->view->naming, t->view->txn, f, end);
	regroup(t, &end[0], 0);
	regroup(t, &end[1], 1);
	rc = replay_flow(t->replay, f, end[0].group, end[1].group);
	if (rc < 0 || replay_sum(t->replay)->missed == missed)
		return rc;
	return graph_sum_add(t->misses, f, end, GRAPH_WORKLOAD, graph_complete(t->losses, f));
}

int trial_run(struct trial *out, struct view *v, const struct policy *p, const struct ruleset *rs, uint64_t since_ns,
	      uint64_t until_ns)
{
	struct flow_query q = {.since_ns = since_ns, .until_ns = until_ns};
	struct trying *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return -ENOMEM;
	t->view = v;
	t->policy = p;
	rc = replay_new(&t->replay, rs);
	if (rc == 0)
		rc = graph_sum_new(&t->misses);
	if (rc == 0)
		rc = graph_losses_new(&t->losses, v, since_ns, until_ns);
	if (rc == 0)
		rc = store_flow_walk(v->txn, &q, on_flow, t);
	if (rc == 0) {
		out->replay = t->replay;
		t->replay = NULL;
		graph_sum_take(&out->misses, t->misses);
	}
	replay_free(t->replay);
	graph_sum_free(t->misses);
	graph_losses_free(t->losses);
	free(t);
	return rc;
}

void trial_fini(struct trial *t)
{
	replay_free(t->replay);
	graph_fini(&t->misses);
	t->replay = NULL;
}

uint64_t trial_hurt(const struct trial *t)
{
	return replay_sum(t->replay)->missed_answered;
}

uint64_t trial_hurt_enforced(const struct trial *t)
{
	const struct replay_miss *miss;
	uint64_t hurt = 0;
	size_t n;

	if (replay_misses(t->replay, &miss, &n) < 0)
		return trial_hurt(t);
	for (size_t i = 0; i < n; i++)
		hurt += miss[i].stage == STAGE_ENFORCE ? miss[i].answered : 0;
	return hurt;
}

static void print_row(struct table *table, const struct edge *e, uint64_t now_ns)
{
	enum table_style style = e->agg.answered ? TABLE_BAD : TABLE_DIM;
	char text[256], when[UNITS_STRLEN];
	struct buf note = BUF_INIT;

	map_note(&note, e);
	table_cell(table, style, e->key.client);
	table_cell(table, TABLE_DIM, "->");
	table_cell(table, style, e->key.server);
	table_cell(table, style, units_service(e->key.proto, e->key.port, text));
	table_cell(table, TABLE_PLAIN, map_apps(&e->agg, text, sizeof(text)));
	table_number(table, e->agg.flows);
	table_number(table, e->agg.answered);
	table_cell(table, TABLE_DIM, units_clock(e->agg.last_ns, now_ns, when));
	table_cell(table, TABLE_DIM, note.data);
	buf_fini(&note);
}

static void print_sum(const struct replay_sum *s)
{
	char flows[UNITS_STRLEN];

	units_plural(s->flows, "conversation", "conversations", flows);
	if (s->missed_answered)
		printf("%s judged: %" PRIu64 " that worked would be refused, and %" PRIu64 " that did not\n",
		       flows, s->missed_answered, s->missed - s->missed_answered);
	else if (s->missed)
		printf("%s judged: nothing that worked would be refused; %" PRIu64 " that did not would be\n",
		       flows, s->missed);
	else
		printf("%s judged: none would be refused\n", flows);
	if (s->free)
		printf("%" PRIu64 " not judged: no list of the policy decides on them\n", s->free);
	if (s->undirected)
		printf("%" PRIu64 " not judged: weir came in the middle and does not know who began them\n",
		       s->undirected);
}

void trial_print(const struct trial *t)
{
	static const struct table_column columns[] = {
		{"CLIENT", false, true, 0},   {"", false, false, 0},	 {"SERVER", false, true, 0},
		{"SERVICE", false, false, 0}, {"APP", false, true, 0},	 {"FLOWS", true, false, 0},
		{"ANSWERED", true, false, 0}, {"LAST", false, false, 0}, {"NOTE", false, true, 0}};
	struct table *table = table_new(stdout, columns, sizeof(columns) / sizeof(columns[0]));
	uint64_t now_ns = time_now_ns();

	for (size_t i = 0; table && i < t->misses.n; i++)
		print_row(table, &t->misses.edges[i], now_ns);
	if (table && table_rows(table)) {
		table_flush(table);
		putchar('\n');
	}
	table_free(table);
	print_sum(replay_sum(t->replay));
}

static json_t *miss_json(const struct replay_miss *m)
{
	json_t *o = jsonl_event("replay_miss"), *src = json_object(), *dest = json_object();
	char proto[PROTO_STRLEN], service[SERVICE_STRLEN];

	jsonl_set_text(src, "group", m->key.client);
	jsonl_set_text(dest, "group", m->key.server);
	json_object_set_new(o, "src", src);
	json_object_set_new(o, "dest", dest);
	jsonl_set_text(o, "proto", proto_format_json(m->key.proto, proto));
	jsonl_set_text(o, "service", units_service(m->key.proto, m->key.port, service));
	jsonl_set_text(o, "group", m->owner);
	jsonl_set_text(o, "list", m->inbound ? "inbound" : "outbound");
	jsonl_set_text(o, "stage", stage_name(m->stage));
	jsonl_set_number(o, "flows", m->flows);
	jsonl_set_number(o, "answered", m->answered);
	jsonl_set_time(o, "first", m->first_ns);
	jsonl_set_time(o, "last", m->last_ns);
	return o;
}

int trial_print_json(const struct trial *t)
{
	const struct replay_sum *s = replay_sum(t->replay);
	const struct replay_miss *miss;
	size_t n = 0;
	json_t *o;
	int rc = replay_misses(t->replay, &miss, &n);

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = jsonl_print(miss_json(&miss[i]));
	if (rc < 0)
		return rc;
	o = jsonl_event("replay");
	jsonl_set_number(o, "flows", s->flows);
	jsonl_set_number(o, "allowed", s->allowed);
	jsonl_set_number(o, "missed", s->missed);
	jsonl_set_number(o, "hurt", s->missed_answered);
	jsonl_set_number(o, "free", s->free);
	jsonl_set_number(o, "undirected", s->undirected);
	return jsonl_print(o);
}
