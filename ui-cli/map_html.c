/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The map as one HTML page that needs nothing else: a drawing (inline SVG) and the table under it. The drawing is
 * layered: a group stands one column to the right of the clients it serves, so that arrows run from left to right;
 * groups that call one another keep the column in which they were first met. No script, and nothing is fetched.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ui-cli/map.h"
#include "ui-cli/units.h"

#define BOX_WIDTH 170
#define BOX_HEIGHT 34
#define COLUMN_STEP 290
#define ROW_STEP 62
#define MARGIN 24

struct drawing {
	const struct map *map;
	FILE *out;
	const char **nodes;
	size_t n;
	unsigned *column, *row;
	unsigned columns, rows;
};

static void put_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			if ((unsigned char)*text >= 0x20)
				fputc(*text, out);
		}
	}
}

/* Columns by relaxation; a cycle stops pushing when it runs out of rounds. world keeps its place whoever calls it,
 * since it nearly always is a client too. */
static void lay_out(struct drawing *d)
{
	const struct graph *g = d->map->graph;
	unsigned *used;
	bool moved = true;

	for (size_t round = 0; moved && round < d->n && round < 6; round++) {
		moved = false;
		for (size_t i = 0; i < g->n; i++) {
			size_t from = map_node_index(d->nodes, d->n, g->edges[i].key.client);
			size_t to = map_node_index(d->nodes, d->n, g->edges[i].key.server);

			if (from == to || strcmp(d->nodes[to], GROUP_WORLD) == 0 || d->column[to] > d->column[from])
				continue;
			d->column[to] = d->column[from] + 1;
			moved = true;
		}
	}
	for (size_t i = 0; i < d->n; i++) {
		if (d->column[i] + 1 > d->columns)
			d->columns = d->column[i] + 1;
	}
	used = calloc(d->columns + 1, sizeof(*used));
	for (size_t i = 0; used && i < d->n; i++) {
		d->row[i] = used[d->column[i]]++;
		if (used[d->column[i]] > d->rows)
			d->rows = used[d->column[i]];
	}
	free(used);
}

static unsigned x_of(const struct drawing *d, size_t i)
{
	return MARGIN + d->column[i] * COLUMN_STEP;
}

static unsigned y_of(const struct drawing *d, size_t i)
{
	return MARGIN + d->row[i] * ROW_STEP;
}

/* One curve for all services between two ends; the services are its tool tip. */
static void draw_arrow(struct drawing *d, const struct edge *e, size_t n)
{
	size_t from = map_node_index(d->nodes, d->n, e->key.client), to = map_node_index(d->nodes, d->n, e->key.server);
	bool forward = x_of(d, to) > x_of(d, from), answered = false;
	unsigned x1 = x_of(d, from) + (forward ? BOX_WIDTH : BOX_WIDTH / 2),
		 x2 = x_of(d, to) + (forward ? 0 : BOX_WIDTH / 2);
	unsigned y1 = y_of(d, from) + (forward ? BOX_HEIGHT / 2 : BOX_HEIGHT);
	unsigned y2 = y_of(d, to) + (forward ? BOX_HEIGHT / 2 : BOX_HEIGHT), bend = forward ? (x2 - x1) / 2 : 0;

	for (size_t i = 0; i < n; i++)
		answered = answered || e[i].agg.answered;
	fprintf(d->out, "<path class=\"%s\" marker-end=\"url(#a)\" d=\"M%u %u C%u %u %u %u %u %u\"><title>",
		answered ? "e" : "e silent", x1, y1, x1 + bend, forward ? y1 : y1 + ROW_STEP, x2 - bend,
		forward ? y2 : y2 + ROW_STEP, x2, y2);
	put_text(d->out, e->key.client);
	fputs(" -&gt; ", d->out);
	put_text(d->out, e->key.server);
	for (size_t i = 0; i < n; i++) {
		char service[SERVICE_STRLEN], apps[128], flows[UNITS_STRLEN];

		fputc('\n', d->out);
		put_text(d->out, units_service(e[i].key.proto, e[i].key.port, service));
		fputc(' ', d->out);
		put_text(d->out, map_apps(&e[i].agg, apps, sizeof(apps)));
		fprintf(d->out, ", %s", units_plural(e[i].agg.flows, "flow", "flows", flows));
	}
	fputs("</title></path>\n", d->out);
}

static void draw(struct drawing *d)
{
	const struct graph *g = d->map->graph;

	fprintf(d->out,
		"<svg width=\"%u\" height=\"%u\">\n<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" "
		"markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n",
		2 * MARGIN + d->columns * COLUMN_STEP, 2 * MARGIN + (d->rows + 1) * ROW_STEP);
	for (size_t i = 0, n; i < g->n; i += n) {
		for (n = 1; i + n < g->n && strcmp(g->edges[i].key.client, g->edges[i + n].key.client) == 0 &&
			    strcmp(g->edges[i].key.server, g->edges[i + n].key.server) == 0; n++)
			;
		draw_arrow(d, &g->edges[i], n);
	}
	for (size_t i = 0; i < d->n; i++) {
		fprintf(d->out, "<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" rx=\"6\"/><text x=\"%u\" y=\"%u\">",
			x_of(d, i), y_of(d, i), BOX_WIDTH, BOX_HEIGHT, x_of(d, i) + BOX_WIDTH / 2,
			y_of(d, i) + BOX_HEIGHT / 2 + 5);
		put_text(d->out, d->nodes[i]);
		fputs("</text>\n", d->out);
	}
	fputs("</svg>\n", d->out);
}

static void cell(FILE *out, const char *class, const char *text)
{
	fprintf(out, "<td%s>", class);
	put_text(out, text ? text : "");
	fputs("</td>", out);
}

static void write_table(const struct map *m, FILE *out)
{
	fputs("<table><tr><th>Client<th>Server<th>Service<th>Application<th>Flows<th>Bytes<th>Note</tr>\n", out);
	for (size_t i = 0; i < m->graph->n; i++) {
		const struct edge *e = &m->graph->edges[i];
		char text[256], count[24];
		struct buf note = BUF_INIT;

		map_note(&note, e);
		snprintf(count, sizeof(count), "%" PRIu64, e->agg.flows);
		fputs("<tr>", out);
		cell(out, "", e->key.client);
		cell(out, "", e->key.server);
		cell(out, "", units_service(e->key.proto, e->key.port, text));
		cell(out, "", map_apps(&e->agg, text, sizeof(text)));
		cell(out, " class=\"r\"", count);
		cell(out, " class=\"r\"", units_bytes(e->agg.bytes[0] + e->agg.bytes[1], text));
		cell(out, "", note.data);
		fputs("</tr>\n", out);
		buf_fini(&note);
	}
	fputs("</table>\n", out);
}

int map_write_html(const struct map *m, FILE *out)
{
	struct drawing d = {.map = m, .out = out};
	int rc = map_nodes(m->graph, &d.nodes, &d.n);

	if (rc < 0)
		return rc;
	d.column = calloc(d.n + 1, sizeof(*d.column));
	d.row = calloc(d.n + 1, sizeof(*d.row));
	if (!d.column || !d.row) {
		rc = -ENOMEM;
		goto out;
	}
	lay_out(&d);
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>weir map</title>\n<style>\n"
	      "body{font:14px system-ui,sans-serif;margin:24px;color:#222}\n"
	      "rect{fill:#fff;stroke:#456}text{text-anchor:middle;font-size:13px}\n"
	      ".e{fill:none;stroke:#456;stroke-width:1.4}.e:hover{stroke:#c40;stroke-width:3}"
	      ".silent{stroke-dasharray:5 4;stroke:#999}marker path{fill:#456}\n"
	      "table{border-collapse:collapse}td,th{padding:3px 12px 3px 0;text-align:left;border-bottom:1px solid "
	      "#ddd}\n"
	      ".r{text-align:right}.loss{color:#a40}\n</style>\n<h1>Who talks to whom</h1>\n<p>",
	      out);
	put_text(out, m->span);
	fputs("</p>\n", out);
	if (m->loss[0]) {
		fputs("<p class=\"loss\">", out);
		put_text(out, m->loss);
		fputs("</p>\n", out);
	}
	draw(&d);
	write_table(m, out);
	fputs("</html>\n", out);
out:
	free(d.column);
	free(d.row);
	free(d.nodes);
	return rc;
}
