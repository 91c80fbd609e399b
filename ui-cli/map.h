/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writers of weir map: one graph, several forms. Each writes to standard output. */
#ifndef WEIR_UI_MAP_H
#define WEIR_UI_MAP_H
#include <stdio.h>

#include "common/buf.h"
#include "ui-cli/graph.h"

struct map {
	const struct graph *graph;
	enum graph_by by;
	char span[160];            /* "2026-11-21 02:14:00 to 02:31:07 +01:00 (17m07s)", or "" */
	char loss[VIEW_LOSS_STRLEN]; /* view_loss, or "" */
};

/* 0 or negative errno. */
int map_write_text(const struct map *m, FILE *out);
int map_write_json(const struct map *m, FILE *out);
int map_write_dot(const struct map *m, FILE *out);
int map_write_mermaid(const struct map *m, FILE *out);
int map_write_html(const struct map *m, FILE *out);

/* Names at the ends of edges, sorted, each once; *out and its array are the caller's to free (the texts are the
 * graph's). 0 or -ENOMEM. */
int map_nodes(const struct graph *g, const char ***out, size_t *n);
size_t map_node_index(const char **nodes, size_t n, const char *name);

/* Applications of an edge for people: "HTTP", "TLS, (SSH?)", "HTTP +2", "-"; the most frequent first. Returns out. */
const char *map_apps(const struct edge_agg *a, char *out, size_t size);
/* What is to be said about an edge: nobody answered, who the world is. Appended to b. */
void map_note(struct buf *b, const struct edge *e);
/* A line on the ICMP errors that were left out, if there are any; how: the option that shows them. */
void map_print_hidden(const struct graph *g, const char *how, FILE *out);

#endif
