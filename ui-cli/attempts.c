/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Folded attempts: see attempts.h. They have no source to speak of, and so no filter fits them. */
#include "config.h"
#include "ui-cli/attempts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "store/flows.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"

struct printing {
	struct view *view;
	struct table *table;
	struct buf line;
	uint64_t now_ns, count;
};

static int on_json(void *arg, const struct flow_attempts *a)
{
	struct printing *p = arg;
	struct output_end dst;
	int rc;

	naming_addr(p->view->naming, p->view->txn, &a->dst, a->start_ns, 0, &dst);
	buf_clear(&p->line);
	rc = output_attempts_json(&p->line, a, &dst);
	if (rc == 0 && fwrite(p->line.data, 1, p->line.len, stdout) != p->line.len)
		rc = -EPIPE;
	return rc;
}

int attempts_print_json(struct view *v, uint64_t since_ns, uint64_t until_ns)
{
	struct printing p = {.view = v};
	int rc = store_attempts_walk(v->txn, since_ns, until_ns, on_json, &p);

	buf_fini(&p.line);
	return rc;
}

static int on_row(void *arg, const struct flow_attempts *a)
{
	struct printing *p = arg;
	char text[NAMING_LABEL_STRLEN], small[UNITS_STRLEN];
	struct output_end dst;

	naming_addr(p->view->naming, p->view->txn, &a->dst, a->start_ns, 0, &dst);
	table_cell(p->table, TABLE_DIM, units_clock(a->start_ns, p->now_ns, small));
	snprintf(text, sizeof(text), "about %" PRIu64, a->sources);
	table_cell(p->table, TABLE_PLAIN, text);
	table_cell(p->table, TABLE_DIM, "->");
	table_cell(p->table, TABLE_PLAIN, naming_label(&dst, &a->dst, text));
	table_cell(p->table, TABLE_PLAIN, units_service(a->proto, a->port, text));
	table_number(p->table, a->count);
	p->count += a->count;
	return 0;
}

int attempts_print_table(struct view *v, uint64_t since_ns, uint64_t until_ns, uint64_t now_ns)
{
	static const struct table_column columns[] = {{"TIME", false, false, 0},   {"SOURCES", true, false, 0},
						      {"", false, false, 0},       {"SERVER", false, true, 0},
						      {"SERVICE", false, false, 0}, {"ATTEMPTS", true, false, 0}};
	struct printing p = {.view = v, .now_ns = now_ns};
	int rc;

	p.table = table_new(stdout, columns, sizeof(columns) / sizeof(columns[0]));
	if (!p.table)
		return -ENOMEM;
	rc = store_attempts_walk(v->txn, since_ns, until_ns, on_row, &p);
	if (rc == 0 && table_rows(p.table)) {
		printf("\n%" PRIu64
		       " more attempts that nobody answered, folded since there were too many at a time:\n\n",
		       p.count);
		table_flush(p.table);
	}
	table_free(p.table);
	return rc;
}
