/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir map: who talks to whom. The graph is read once, then handed to the writer of the form asked for; this file has
 * the verb, the text and JSON forms, and what all writers say alike.
 */
#include "config.h"
#include "ui-cli/map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ui-cli/edge_json.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/show.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"

#define MAP_APPS_SHOWN 2
#define MAP_PEERS_SHOWN 2
#define MAP_BY_AUTO (GRAPH_ADDRESS + 1)

const char *map_apps(const struct edge_agg *a, char *out, size_t size)
{
	unsigned order[EDGE_APPS_MAX], n = edge_apps(a, order);
	size_t len = 0;

	snprintf(out, size, "-");
	for (unsigned i = 0; i < n && i < MAP_APPS_SHOWN && len < size; i++) {
		char app[FLOW_APP_STRLEN + 8];
		bool guess;

		show_app(a->app[order[i]].name, a->app[order[i]].confidence, app, sizeof(app), &guess);
		len += (size_t)snprintf(out + len, size - len, "%s%s", i ? ", " : "", app);
	}
	if (n > MAP_APPS_SHOWN && len < size)
		snprintf(out + len, size - len, " +%u", n - MAP_APPS_SHOWN);
	return out;
}

/* Names of the sample, and addresses where there is no name and they are wanted. */
static void note_peers(struct buf *b, const struct edge_agg *a, bool addresses)
{
	unsigned shown = 0;
	char addr[ADDR_STRLEN];

	for (unsigned i = 0; i < a->n_peers; i++) {
		const char *name = a->peer[i].name[0] ? a->peer[i].name
				   : addresses	      ? addr_format(&a->peer[i].addr, addr)
						      : NULL;

		if (name && shown++ < MAP_PEERS_SHOWN)
			buf_printf(b, "%s%s", shown > 1 ? ", " : b->len ? "; " : "", name);
	}
	if (shown > MAP_PEERS_SHOWN)
		buf_adds(b, ", ...");
}

void map_note(struct buf *b, const struct edge *e)
{
	const struct edge_agg *a = &e->agg;

	if (a->answered == 0 && a->refused && !a->unanswered)
		buf_adds(b, "refused");
	else if (a->answered == 0 && a->unanswered && !a->refused)
		buf_adds(b, "unanswered");
	else {
		if (a->refused)
			buf_printf(b, "%" PRIu64 " refused", a->refused);
		if (a->unanswered)
			buf_printf(b, "%s%" PRIu64 " unanswered", b->len ? ", " : "", a->unanswered);
	}
	note_peers(b, a, strcmp(e->key.server, GROUP_WORLD) == 0 || strcmp(e->key.client, GROUP_WORLD) == 0);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int map_nodes(const struct graph *g, const char ***out, size_t *n)
{
	const char **names = calloc(2 * g->n + 1, sizeof(*names));
	size_t used = 0;

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < g->n; i++) {
		names[2 * i] = g->edges[i].key.client;
		names[2 * i + 1] = g->edges[i].key.server;
	}
	qsort(names, 2 * g->n, sizeof(*names), compare_names);
	for (size_t i = 0; i < 2 * g->n; i++) {
		if (used == 0 || strcmp(names[used - 1], names[i]) != 0)
			names[used++] = names[i];
	}
	*out = names;
	*n = used;
	return 0;
}

size_t map_node_index(const char **nodes, size_t n, const char *name)
{
	const char **found = bsearch(&name, nodes, n, sizeof(*nodes), compare_names);

	return found ? (size_t)(found - nodes) : 0;
}

static void text_row(struct table *t, const struct edge *e)
{
	char text[256], size[UNITS_STRLEN];
	struct buf note = BUF_INIT;
	bool silent = e->agg.answered == 0 && e->agg.refused + e->agg.unanswered > 0;
	enum table_style style = silent ? TABLE_DIM : TABLE_PLAIN;

	table_cell(t, style, e->key.client);
	table_cell(t, TABLE_DIM, "->");
	table_cell(t, style, e->key.server);
	table_cell(t, style, units_service(e->key.proto, e->key.port, text));
	table_cell(t, style, map_apps(&e->agg, text, sizeof(text)));
	table_number(t, e->agg.flows);
	table_cell(t, TABLE_PLAIN, units_bytes(e->agg.bytes[0] + e->agg.bytes[1], size));
	map_note(&note, e);
	table_cell(t, silent ? TABLE_WARN : TABLE_DIM, note.data);
	buf_fini(&note);
}

void map_print_hidden(const struct graph *g, const char *how, FILE *out)
{
	char edges[UNITS_STRLEN];

	if (g->icmp_errors)
		fprintf(out, "%s of ICMP errors alone not shown (%s)\n",
			units_plural(g->icmp_errors, "edge", "edges", edges), how);
}

int map_write_text(const struct map *m, FILE *out)
{
	static const struct table_column columns[] = {{"CLIENT", false, true, 0}, {"", false, false, 0},
						      {"SERVER", false, true, 0}, {"SERVICE", false, false, 0},
						      {"APP", false, true, 0},	  {"FLOWS", true, false, 0},
						      {"BYTES", true, false, 0},  {"NOTE", false, true, 0}};
	struct table *t = table_new(out, columns, sizeof(columns) / sizeof(columns[0]));
	char edges[UNITS_STRLEN], nodes[UNITS_STRLEN];
	const char **names = NULL;
	size_t n = 0;
	int rc = t ? map_nodes(m->graph, &names, &n) : -ENOMEM;

	if (rc < 0)
		goto out;
	for (size_t i = 0; i < m->graph->n; i++)
		text_row(t, &m->graph->edges[i]);
	table_flush(t);
	if (m->graph->n == 0)
		fputs("no flows in the store for this\n", out);
	else
		fprintf(out, "\n%s between %s, %s\n", units_plural(m->graph->n, "edge", "edges", edges),
			m->by == GRAPH_GROUP ? units_plural(n, "group", "groups", nodes)
			: m->by == GRAPH_ADDRESS ? units_plural(n, "address", "addresses", nodes)
						 : units_plural(n, "end", "ends", nodes), m->span);
	map_print_hidden(m->graph, "--icmp-errors", out);
	if (m->loss[0]) {
		table_print(out, TABLE_WARN, m->loss);
		fputc('\n', out);
	}
out:
	free(names);
	table_free(t);
	return rc;
}

int map_write_json(const struct map *m, FILE *out)
{
	static const char *const ends[] = {"group", "workload", "ip"};
	struct buf b = BUF_INIT;
	int rc = 0;

	for (size_t i = 0; i < m->graph->n && rc == 0; i++) {
		buf_clear(&b);
		rc = jsonl_line(&b, edge_json(&m->graph->edges[i], "edge", ends[m->by]));
		if (rc == 0)
			fwrite(b.data, 1, b.len, out);
	}
	buf_fini(&b);
	return rc;
}

static int write_map(struct view *v, struct map *m, int format, const struct graph_query *q)
{
	static int (*const writers[])(const struct map *, FILE *) = {map_write_text, map_write_json, map_write_dot,
								     map_write_mermaid, map_write_html};
	struct coverage_rec lost;
	uint64_t intervals;

	if (m->graph->n) {
		units_span(m->graph->first_ns, m->graph->last_ns, m->span, sizeof(m->span));
		if (m->graph->whole_hours)
			strncat(m->span, ", by whole hours", sizeof(m->span) - strlen(m->span) - 1);
	}
	if (view_coverage(v, q->since_ns, q->until_ns, &lost, &intervals) == 0)
		view_loss(&lost, intervals, m->loss);
	return writers[format](m, stdout);
}

/* Groups, unless the store knows no workload that could be in one. */
static enum graph_by by_itself(struct view *v)
{
	struct store_stats stats;

	return store_stats(v->txn, &stats) == 0 && stats.workloads == 0 ? GRAPH_ADDRESS : GRAPH_GROUP;
}

int verb_map(int argc, char **argv)
{
	static const char *const formats[] = {"text", "json", "dot", "mermaid", "html", NULL};
	static const char *const by[] = {"group", "workload", "address", "auto", NULL};
	const char *dir = STATE_DIR_DEFAULT;
	int format = 0, unit = MAP_BY_AUTO, status, rc;
	struct graph_query q = {0};
	const struct option_spec options[] = {
		OPTION_STATE(&dir), OPTION_SINCE(&q.since_ns), OPTION_UNTIL(&q.until_ns),
		{OPTION_KIND_CHOICE, 0, "by", "WHAT", "the ends", &unit, by},
		{OPTION_KIND_FLAG, 0, "icmp-errors", NULL, "ICMP errors as edges of their own, too", &q.icmp_errors,
		 NULL},
		OPTION_OUTPUT(&format, formats), OPTION_END};
	const struct command c = {
		.verb = "map", .usage = "[FILTER] [options]", .max_operands = -1, .options = options,
		.about = "Who talks to whom, over what: one line for each client, server and service.\n"
			 "world is every address that is no workload and not the host. An application in\n"
			 "parentheses with a question mark is a guess by port. Where no workload is\n"
			 "known at all, as in a capture file without --inventory, the ends are\n"
			 "addresses. ICMP errors are shown at the conversations that they refused\n"
			 "(refused); as edges of their own with a filter or --icmp-errors.\n",
		.examples = "  weir map\n"
			    "  weir map --since -1h --by workload 'group == shop/web'\n"
			    "  weir map -o dot | dot -Tsvg >map.svg\n"};
	struct filter *filter = NULL;
	struct filter_error error;
	struct operands rest;
	struct graph g = {0};
	struct map m = {.graph = &g};
	struct view v;
	char *text;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	text = operands_join(&rest);
	status = text ? show_filter_parse(&filter, &c, text, &error) : VERB_DONE;
	free(text);
	if (status != VERB_DONE)
		return status;
	q.filter = filter;
	status = view_open(&v, &c, dir);
	if (status == VERB_DONE) {
		q.by = unit == MAP_BY_AUTO ? by_itself(&v) : (enum graph_by)unit;
		m.by = q.by;
		rc = graph_read(&g, &v, &q);
		if (rc == 0)
			rc = write_map(&v, &m, format, &q);
		if (rc < 0)
			status = view_failed(&v, "flows", rc);
		graph_fini(&g);
		view_close(&v);
	}
	filter_free(filter);
	return status;
}
