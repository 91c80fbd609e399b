/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir learn: what was seen, as the evidence for a policy: each edge with what learning makes of it, how ready each
 * group is, what would be widened. With --backtest the first part of history is learned and the rest is tried on it,
 * which tells how much a policy made today would hurt tomorrow.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "segment/learn.h"
#include "ui-cli/edge_json.h"
#include "ui-cli/graph.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/map.h"
#include "ui-cli/options.h"
#include "ui-cli/table.h"
#include "ui-cli/trial.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"
#include "ui-cli/view.h"

struct learning {
	struct view view;
	const struct command *command;
	struct graph_query query;
	struct graph graph;
	uint8_t *decision; /* one an edge */
	struct learn_readiness *readiness;
	size_t n_readiness;
	struct learn_widening *widening;
	size_t n_widening;
	uint64_t now_ns;
};

static enum table_style decision_style(unsigned d)
{
	return d == LEARN_ALLOW ? TABLE_GOOD : d == LEARN_ASK || d == LEARN_COVERAGE ? TABLE_WARN : TABLE_DIM;
}

static unsigned hours_of(const struct edge_agg *a)
{
	return (unsigned)(__builtin_popcountll(a->hours[0]) + __builtin_popcountll(a->hours[1]) +
			  __builtin_popcountll(a->hours[2]));
}

static void print_edges(const struct learning *l)
{
	static const struct table_column columns[] = {
		{"DECISION", false, false, 0}, {"CLIENT", false, true, 0},   {"", false, false, 0},
		{"SERVER", false, true, 0},    {"SERVICE", false, false, 0}, {"APP", false, true, 0},
		{"FLOWS", true, false, 0},     {"ANSWERED", true, false, 0}, {"HOURS", true, false, 0},
		{"FIRST", false, false, 0},    {"LAST", false, false, 0},    {"NOTE", false, true, 0}};
	struct table *t = table_new(stdout, columns, sizeof(columns) / sizeof(columns[0]));
	char text[256], when[UNITS_STRLEN];

	for (size_t i = 0; t && i < l->graph.n; i++) {
		const struct edge *e = &l->graph.edges[i];
		struct buf note = BUF_INIT;

		map_note(&note, e);
		table_cell(t, decision_style(l->decision[i]), learn_decision_name(l->decision[i]));
		table_cell(t, TABLE_PLAIN, e->key.client);
		table_cell(t, TABLE_DIM, "->");
		table_cell(t, TABLE_PLAIN, e->key.server);
		table_cell(t, TABLE_PLAIN, units_service(e->key.proto, e->key.port, text));
		table_cell(t, TABLE_PLAIN, map_apps(&e->agg, text, sizeof(text)));
		table_number(t, e->agg.flows);
		table_number(t, e->agg.answered);
		table_number(t, hours_of(&e->agg));
		table_cell(t, TABLE_DIM, units_clock(e->agg.first_ns, l->now_ns, when));
		table_cell(t, TABLE_DIM, units_clock(e->agg.last_ns, l->now_ns, when));
		table_cell(t, TABLE_DIM, note.data);
		buf_fini(&note);
	}
	if (t)
		table_flush(t);
	table_free(t);
}

/* What the decisions that occur mean. */
static void print_legend(const struct learning *l)
{
	bool seen[LEARN_SELF + 1] = {false};

	for (size_t i = 0; i < l->graph.n; i++)
		seen[l->decision[i] <= LEARN_SELF ? l->decision[i] : 0] = true;
	putchar('\n');
	for (unsigned d = 0; d <= LEARN_SELF; d++) {
		if (seen[d])
			printf("%-10s  %s\n", learn_decision_name(d), learn_decision_text(d));
	}
}

static const char *percent(double p, char out[UNITS_STRLEN])
{
	snprintf(out, UNITS_STRLEN, p >= 0.0995 ? "%.0f %%" : "%.2g %%", 100 * p);
	return out;
}

static void print_readiness(const struct learning *l)
{
	static const struct table_column columns[] = {{"GROUP", false, true, 0},	 {"FLOWS", true, false, 0},
						      {"EDGES", true, false, 0},	 {"SEEN ONCE", true, false, 0},
						      {"NEXT IS NEW", true, false, 0},	 {"AT MOST", true, false, 0},
						      {"HOURS OF WEEK", true, false, 0}, {"TO ASK", true, false, 0}};
	struct table *t = table_new(stdout, columns, sizeof(columns) / sizeof(columns[0]));
	char text[UNITS_STRLEN];

	for (size_t i = 0; t && i < l->n_readiness; i++) {
		const struct learn_readiness *r = &l->readiness[i];

		table_cell(t, TABLE_PLAIN, r->group);
		table_number(t, r->flows);
		table_number(t, r->edges);
		table_number(t, r->edges_once);
		table_cell(t, TABLE_PLAIN, percent(r->p_unseen, text));
		table_cell(t, r->p_unseen_upper < 0.01 ? TABLE_GOOD : TABLE_WARN, percent(r->p_unseen_upper, text));
		snprintf(text, sizeof(text), "%u/168", r->hours_of_week);
		table_cell(t, TABLE_PLAIN, text);
		table_number(t, r->asked);
	}
	if (t && table_rows(t)) {
		fputs("\nready? how likely the next conversation of a group lies on an edge never seen (Good-Turing; "
		      "at most: 95 %)\n\n",
		      stdout);
		table_flush(t);
	}
	table_free(t);
}

static void print_widenings(const struct learning *l)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < l->n_widening; i++) {
		buf_clear(&b);
		learn_widening_format(&b, &l->widening[i]);
		if (i == 0)
			fputs("\nwidened: many ports of one peer become a range\n", stdout);
		fputs("  ", stdout);
		table_print(stdout, l->widening[i].applied ? TABLE_WARN : TABLE_DIM, b.data);
		fputs(l->widening[i].applied ? "\n" : " (not applied: the budget is spent)\n", stdout);
	}
	buf_fini(&b);
}

static void print_text(struct learning *l)
{
	char span[160];

	if (l->graph.n == 0) {
		puts("nothing to learn from: no flows in the store for this time");
		return;
	}
	print_edges(l);
	print_legend(l);
	print_readiness(l);
	print_widenings(l);
	printf("\nfrom %s%s\n", units_span(l->graph.first_ns, l->graph.last_ns, span, sizeof(span)),
	       l->graph.whole_hours ? ", by whole hours" : "");
	map_print_hidden(&l->graph, "weir map --icmp-errors", stdout);
	view_footer(&l->view, l->query.since_ns, l->query.until_ns);
}

static json_t *readiness_json(const struct learn_readiness *r)
{
	json_t *o = jsonl_event("readiness");

	jsonl_set_text(o, "group", r->group);
	jsonl_set_number(o, "flows", r->flows);
	jsonl_set_number(o, "edges", r->edges);
	jsonl_set_number(o, "edges_once", r->edges_once);
	jsonl_set_real(o, "p_unseen", r->p_unseen);
	jsonl_set_real(o, "p_unseen_upper", r->p_unseen_upper);
	jsonl_set_number(o, "hours_of_week", r->hours_of_week);
	jsonl_set_number(o, "asked", r->asked);
	jsonl_set_time(o, "first", r->since_ns);
	jsonl_set_time(o, "last", r->until_ns);
	return o;
}

static json_t *widening_json(const struct learn_widening *w)
{
	json_t *o = jsonl_event("widening"), *src = json_object(), *dest = json_object();
	char text[SERVICE_STRLEN];

	jsonl_set_text(src, "group", w->client);
	jsonl_set_text(dest, "group", w->server);
	json_object_set_new(o, "src", src);
	json_object_set_new(o, "dest", dest);
	jsonl_set_text(o, "range", service_format(&w->range, text));
	jsonl_set_number(o, "ports_seen", w->seen);
	json_object_set_new(o, "applied", json_boolean(w->applied));
	return o;
}

static int print_json(const struct learning *l)
{
	int rc = 0;

	for (size_t i = 0; i < l->graph.n && rc == 0; i++) {
		json_t *o = edge_json(&l->graph.edges[i], "learned_edge", "group");

		jsonl_set_text(o, "decision", learn_decision_name(l->decision[i]));
		rc = jsonl_print(o);
	}
	for (size_t i = 0; i < l->n_readiness && rc == 0; i++)
		rc = jsonl_print(readiness_json(&l->readiness[i]));
	for (size_t i = 0; i < l->n_widening && rc == 0; i++)
		rc = jsonl_print(widening_json(&l->widening[i]));
	return rc;
}

static int learn(struct learning *l, bool json)
{
	struct policy *p = NULL;
	int rc = graph_read(&l->graph, &l->view, &l->query);

	if (rc < 0)
		return rc;
	l->decision = calloc(l->graph.n + 1, 1);
	if (!l->decision)
		return -ENOMEM;
	rc = learn_decide_all(l->decision, l->graph.edges, l->graph.n);
	if (rc == 0)
		rc = learn_readiness(&l->readiness, &l->n_readiness, l->graph.edges, l->graph.n);
	if (rc == 0)
		rc = learn_policy_with(&p, &l->widening, &l->n_widening, NULL, l->graph.edges, l->graph.n);
	policy_free(p);
	if (rc < 0)
		return rc;
	if (json)
		return print_json(l);
	print_text(l);
	return 0;
}

static void print_backtest(const struct learning *l, const struct trial *t, uint64_t split_ns, bool json)
{
	const struct replay_sum *sum = replay_sum(t->replay);
	char span[160], share[UNITS_STRLEN];

	if (json) {
		json_t *o = jsonl_event("backtest");

		jsonl_set_time(o, "learned_from", l->graph.first_ns);
		jsonl_set_time(o, "split", split_ns);
		jsonl_set_time(o, "tried_to", l->graph.last_ns);
		jsonl_set_number(o, "flows", sum->flows);
		jsonl_set_number(o, "missed", sum->missed);
		jsonl_set_number(o, "hurt", sum->missed_answered);
		jsonl_set_number(o, "free", sum->free);
		jsonl_print(o);
		return;
	}
	printf("learned from %s\n", units_span(l->graph.first_ns, split_ns, span, sizeof(span)));
	printf("tried on     %s\n\n", units_span(split_ns, l->graph.last_ns, span, sizeof(span)));
	trial_print(t);
	printf("false blocks: %s of what was judged\n", units_share(sum->missed_answered, sum->flows, share));
}

/* Learns up to the split, tries the rest. 0 or negative errno; *hurt: conversations that would have been refused. */
static int backtest(struct learning *l, double part, bool json, uint64_t *hurt)
{
	struct graph_query q = l->query;
	struct graph early = {0};
	struct policy *p = NULL;
	struct ruleset rs;
	struct trial t = {0};
	uint64_t split_ns;
	int rc;

	l->query.exact = true;
	rc = graph_read(&l->graph, &l->view, &l->query);
	if (rc < 0)
		return rc;
	if (l->graph.n == 0)
		return -ENODATA;
	split_ns = l->graph.first_ns + (uint64_t)(part * (double)(l->graph.last_ns - l->graph.first_ns));
	q.until_ns = split_ns;
	q.exact = true;
	rc = graph_read(&early, &l->view, &q);
	if (rc == 0)
		rc = learn_policy(&p, early.edges, early.n);
	graph_fini(&early);
	if (rc < 0)
		return rc;
	rc = policy_compile(&rs, p);
	policy_free(p);
	if (rc < 0)
		return rc;
	rc = trial_run(&t, &l->view, NULL, &rs, split_ns + 1, l->query.until_ns);
	if (rc == 0) {
		print_backtest(l, &t, split_ns, json);
		*hurt = trial_hurt(&t);
		trial_fini(&t);
	}
	ruleset_fini(&rs);
	return rc;
}

int verb_learn(int argc, char **argv)
{
	static const char *const formats[] = {"table", "json", NULL};
	struct learning l = {.now_ns = time_now_ns()};
	const char *dir = STATE_DIR_DEFAULT;
	uint64_t part = 70, hurt = 0;
	bool test = false;
	int format = 0, status, rc;
	const struct option_spec options[] = {
		OPTION_STATE(&dir),
		OPTION_SINCE(&l.query.since_ns),
		OPTION_UNTIL(&l.query.until_ns),
		{OPTION_KIND_FLAG, 0, "backtest", NULL, "learn the first part of history, try the rest on it", &test,
		 NULL},
		{OPTION_KIND_NUMBER, 0, "part", "PERCENT", "how much of it is learned from [70]", &part, NULL},
		OPTION_OUTPUT(&format, formats),
		OPTION_END};
	const struct command c = {
		.verb = "learn", .usage = "[options]", .options = options,
		.about = "The edges that were seen, with what learning makes of each and why; how ready\n"
			 "each group is for a policy. Only answered conversations of known direction,\n"
			 "seen while nothing was lost, become rules. With --backtest: exit 3 when\n"
			 "something that worked later would have been refused.\n",
		.examples = "  weir learn --since -7d\n"
			    "  weir learn --backtest --part 80\n"
			    "  weir learn -o json | jq 'select(.decision == \"ask\")'\n"};
	struct operands rest;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	if (part < 1 || part > 99)
		return command_misused(&c, "--part is between 1 and 99 per cent");
	l.command = &c;
	status = view_open(&l.view, &c, dir);
	if (status != VERB_DONE)
		return status;
	rc = test ? backtest(&l, (double)part / 100, format == 1, &hurt) : learn(&l, format == 1);
	if (rc == -ENODATA)
		status = command_failed(&c, "nothing to learn from: no flows in %s for this time", dir);
	else if (rc < 0)
		status = view_failed(&l.view, "edges", rc);
	else if (hurt)
		status = VERB_WARNED;
	free(l.decision);
	free(l.readiness);
	free(l.widening);
	graph_fini(&l.graph);
	view_close(&l.view);
	return status;
}
