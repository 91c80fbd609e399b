/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The map for programs that draw: Graphviz (dot) and Mermaid. Several services between the same two ends become
 * one arrow with a line each, or the picture would be all arrows. Names are escaped as each language wants it.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ui-cli/map.h"
#include "ui-cli/units.h"

#define LABEL_LINES_MAX 6 /* services told of on one arrow */

/* A dot string: quotes and backslashes escaped, control characters left out. */
static void put_dot(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		if ((unsigned char)*text >= 0x20)
			fputc(*text, out);
	}
}

/* A Mermaid string in quotes: its own markup and HTML as entities. */
static void put_mermaid(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("\"#<>&;`|[]{}\\", *text))
			fprintf(out, "#%d;", *text);
		else if ((unsigned char)*text >= 0x20)
			fputc(*text, out);
	}
}

static bool same_ends(const struct edge *a, const struct edge *b)
{
	return strcmp(a->key.client, b->key.client) == 0 && strcmp(a->key.server, b->key.server) == 0;
}

/* Edges from i on that join the same ends; they are neighbours, since edges are sorted. */
static size_t run_length(const struct graph *g, size_t i)
{
	size_t n = 1;

	while (i + n < g->n && same_ends(&g->edges[i], &g->edges[i + n]))
		n++;
	return n;
}

/* The arrow's label, a service a line, joined by newline as the language writes it. */
static void put_label(FILE *out, const struct edge *e, size_t n, const char *newline, void (*put)(FILE *, const char *))
{
	char service[SERVICE_STRLEN], apps[128];

	for (size_t i = 0; i < n && i < LABEL_LINES_MAX; i++) {
		if (i)
			fputs(newline, out);
		put(out, units_service(e[i].key.proto, e[i].key.port, service));
		map_apps(&e[i].agg, apps, sizeof(apps));
		if (strcmp(apps, "-") != 0) {
			fputc(' ', out);
			put(out, apps);
		}
	}
	if (n > LABEL_LINES_MAX)
		fprintf(out, "%s+%zu more", newline, n - LABEL_LINES_MAX);
}

static bool any_answered(const struct edge *e, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (e[i].agg.answered)
			return true;
	}
	return false;
}

int map_write_dot(const struct map *m, FILE *out)
{
	const struct graph *g = m->graph;

	fputs("digraph weir {\n\trankdir=LR;\n\tlabel=\"", out);
	put_dot(out, m->span);
	if (m->loss[0]) {
		fputs("\\n", out);
		put_dot(out, m->loss);
	}
	fputs("\";\n\tnode [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
	      "\tedge [fontname=\"sans-serif\", fontsize=10];\n"
	      "\t\"world\" [shape=ellipse];\n", out);
	for (size_t i = 0, n; i < g->n; i += n) {
		const struct edge *e = &g->edges[i];

		n = run_length(g, i);
		fputs("\t\"", out);
		put_dot(out, e->key.client);
		fputs("\" -> \"", out);
		put_dot(out, e->key.server);
		fputs("\" [label=\"", out);
		put_label(out, e, n, "\\n", put_dot);
		fprintf(out, "\"%s];\n", any_answered(e, n) ? "" : ", style=dashed");
	}
	fputs("}\n", out);
	return 0;
}

int map_write_mermaid(const struct map *m, FILE *out)
{
	const struct graph *g = m->graph;
	const char **nodes;
	size_t n_nodes;
	int rc = map_nodes(g, &nodes, &n_nodes);

	if (rc < 0)
		return rc;
	fputs("flowchart LR\n", out);
	if (m->span[0])
		fprintf(out, "    %%%% %s\n", m->span);
	if (m->loss[0])
		fprintf(out, "    %%%% %s\n", m->loss);
	for (size_t i = 0; i < n_nodes; i++) {
		bool world = strcmp(nodes[i], GROUP_WORLD) == 0;

		fprintf(out, "    n%zu%s\"", i, world ? "((" : "[");
		put_mermaid(out, nodes[i]);
		fprintf(out, "\"%s\n", world ? "))" : "]");
	}
	for (size_t i = 0, n; i < g->n; i += n) {
		const struct edge *e = &g->edges[i];

		n = run_length(g, i);
		fprintf(out, "    n%zu %s|\"", map_node_index(nodes, n_nodes, e->key.client),
			any_answered(e, n) ? "-->" : "-.->");
		put_label(out, e, n, "<br/>", put_mermaid);
		fprintf(out, "\"| n%zu\n", map_node_index(nodes, n_nodes, e->key.server));
	}
	free(nodes);
	return 0;
}
