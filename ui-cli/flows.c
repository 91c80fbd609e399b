/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir flows: conversations from the store, one a line, as a table, JSON or CSV; with -f those still to come. The store
 * is asked again every second; a conversation is printed when it is first seen and, if it was still going then, once
 * more when it has ended (same flow_id, last counters).
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/proto.h"
#include "common/timefmt.h"
#include "common/verdict.h"
#include "store/flows.h"
#include "ui-cli/attempts.h"
#include "ui-cli/filter.h"
#include "ui-cli/follow.h"
#include "ui-cli/options.h"
#include "ui-cli/output.h"
#include "ui-cli/show.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"
#include "ui-cli/view.h"

enum { OUT_TABLE, OUT_JSON, OUT_CSV };
static const char *const formats[] = {"table", "json", "csv", NULL};

static const struct table_column columns[] = {
	{"TIME", false, false, 12},  {"CLIENT", false, true, 20},   {"", false, false, 2},
	{"SERVER", false, true, 20}, {"SERVICE", false, false, 12}, {"APP", false, true, 14},
	{"STATE", false, false, 11}, {"PKTS", true, false, 6},	    {"BYTES", true, false, 7},
	{"LASTED", true, false, 6},  {"NAME", false, true, 0},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

struct listing {
	struct view view;
	const struct command *command;
	const char *state_dir;
	struct flow_query query;
	struct filter *filter;
	struct follow *follow; /* NULL: not following */
	struct table *table;
	struct buf line;
	uint64_t limit, shown, now_ns;
	int format;
	bool numeric, tail;
};

static enum table_style state_style(const struct flow_rec *f)
{
	if (f->verdict == VERDICT_BLOCK || f->state == FLOW_STATE_REFUSED)
		return TABLE_BAD;
	return f->verdict == VERDICT_WOULD_BLOCK || f->state == FLOW_STATE_NEW ? TABLE_WARN : TABLE_PLAIN;
}

/* "10.0.0.7:4711", "[fd00::7]:443", or the name. */
static const char *end_text(const struct listing *l, const struct flow_rec *f, const struct output_end *e, unsigned i,
			    char out[NAMING_LABEL_STRLEN])
{
	char a[ADDR_STRLEN];

	if (!l->numeric)
		return naming_label(&e[i], &f->addr[i], out);
	addr_format(&f->addr[i], a);
	if (!proto_has_ports(f->proto))
		snprintf(out, NAMING_LABEL_STRLEN, "%s", a);
	else
		snprintf(out, NAMING_LABEL_STRLEN, addr_is_v4(&f->addr[i]) ? "%s:%u" : "[%s]:%u", a, f->port[i]);
	return out;
}

static const char *state_text(const struct flow_rec *f)
{
	if (f->verdict == VERDICT_BLOCK || f->verdict == VERDICT_WOULD_BLOCK)
		return verdict_name(f->verdict);
	if (f->state == FLOW_STATE_NEW)
		return "unanswered";
	return flow_state_name(f->state);
}

/* What the payload called the server, and which end is nameless for a reason that is worth a look. */
static const char *name_text(const struct flow_rec *f, const struct output_end end[2], char *out, size_t size)
{
	static const char *const who[2] = {"client", "server"};
	size_t len;

	show_flow_name(f, out, size);
	for (unsigned i = 0; i < 2; i++) {
		len = strlen(out);
		if (end[i].unnamed && f->unnamed[i] != FLOW_UNNAMED_PRIVATE)
			snprintf(out + len, size - len, "%s(%s %s)", len ? " " : "", who[i], end[i].unnamed);
	}
	return out;
}

static void table_row(struct listing *l, const struct flow_rec *f, const struct output_end end[2])
{
	char text[NAMING_LABEL_STRLEN], small[UNITS_STRLEN];
	bool guess;

	table_cell(l->table, TABLE_DIM, units_clock_ms(f->start_ns, l->now_ns, small));
	table_cell(l->table, TABLE_PLAIN, end_text(l, f, end, 0, text));
	table_cell(l->table, TABLE_DIM, f->direction == FLOW_DIR_UNKNOWN ? "--" : "->");
	table_cell(l->table, TABLE_PLAIN, end_text(l, f, end, 1, text));
	table_cell(l->table, TABLE_PLAIN, units_service(f->proto, f->port[1], text));
	show_app(f->app, f->confidence, text, sizeof(text), &guess);
	table_cell(l->table, guess ? TABLE_DIM : TABLE_PLAIN, text);
	table_cell(l->table, state_style(f), state_text(f));
	table_number(l->table, f->pkts[0] + f->pkts[1]);
	table_cell(l->table, TABLE_PLAIN, units_bytes(f->bytes[0] + f->bytes[1], small));
	table_cell(l->table, TABLE_PLAIN,
		   !follow_is_over(f) ? "open" : duration_format(f->end_ns - f->start_ns, small));
	table_cell(l->table, TABLE_PLAIN, name_text(f, end, text, sizeof(text)));
}

static int print_flow(struct listing *l, const struct flow_rec *f, const struct output_end end[2])
{
	int rc;

	if (l->format == OUT_TABLE) {
		table_row(l, f, end);
		return 0;
	}
	buf_clear(&l->line);
	rc = l->format == OUT_JSON ? output_flow_json(&l->line, f, end) : output_flow_csv(&l->line, f, end);
	if (rc == 0 && fwrite(l->line.data, 1, l->line.len, stdout) != l->line.len)
		rc = -EPIPE;
	return rc;
}

/* Walk callback: 1 stops (the limit is reached). */
static int on_flow(void *arg, const struct flow_rec *f)
{
	struct listing *l = arg;
	struct output_end end[2];
	int rc;

	naming_flow(l->view.naming, l->view.txn, f, end);
	if (!filter_match(l->filter, f, end))
		return 0;
	if (l->follow && !follow_news(l->follow, f))
		return 0;
	rc = print_flow(l, f, end);
	if (rc < 0)
		return rc;
	l->shown++;
	return l->limit && l->shown >= l->limit;
}

/* -c N without --since means the newest N: find the start of the N-th newest that passes, then walk forward from it. */
struct tail {
	struct listing *listing;
	uint64_t left, start_ns;
};

static int count_back(void *arg, const struct flow_rec *f)
{
	struct tail *t = arg;
	struct output_end end[2];

	naming_flow(t->listing->view.naming, t->listing->view.txn, f, end);
	if (!filter_match(t->listing->filter, f, end))
		return 0;
	t->start_ns = f->start_ns;
	return --t->left == 0;
}

/* Records that began before the one to start with were only met since they lasted. */
static int skip_older(void *arg, const struct flow_rec *f)
{
	struct tail *t = arg;

	return f->start_ns < t->start_ns ? 0 : on_flow(t->listing, f);
}

static int walk(struct listing *l)
{
	struct tail t = {l, l->limit, 0};
	int rc;

	if (!l->tail)
		return store_flow_walk(l->view.txn, &l->query, on_flow, l);
	l->query.newest_first = true;
	rc = store_flow_walk(l->view.txn, &l->query, count_back, &t);
	l->query.newest_first = false;
	return rc < 0 ? rc : store_flow_walk(l->view.txn, &l->query, skip_older, &t);
}

/* What follows the flows: attempts without a record of their own (no filter fits those), and the notes. */
static int finish(struct listing *l)
{
	bool attempts = !l->filter && !l->limit;
	char text[UNITS_STRLEN];

	if (l->format == OUT_JSON && attempts)
		return attempts_print_json(&l->view, l->query.since_ns, l->query.until_ns);
	if (l->format != OUT_TABLE)
		return 0;
	table_flush(l->table);
	if (l->shown == 0)
		printf("no flows%s\n", l->filter || l->query.since_ns || l->query.until_ns ? " match" : " yet");
	else
		printf("%s\n", units_plural(l->shown, "flow", "flows", text));
	view_footer(&l->view, l->query.since_ns, l->query.until_ns);
	return attempts ? attempts_print_table(&l->view, l->query.since_ns, l->query.until_ns, l->now_ns) : 0;
}

static int go_on(struct listing *l)
{
	int rc = 0;

	while (rc >= 0) {
		if (l->format == OUT_TABLE)
			table_flush(l->table);
		if (fflush(stdout) != 0)
			return VERB_DONE; /* whoever read this has gone */
		sleep(1);
		if (view_refresh(&l->view) != VERB_DONE)
			return VERB_FAILED;
		l->now_ns = time_now_ns();
		rc = follow_ended(l->follow, l->view.txn, on_flow, l);
		l->query.since_ns = l->now_ns - FOLLOW_LOOKBACK_NS;
		if (rc >= 0)
			rc = store_flow_walk(l->view.txn, &l->query, on_flow, l);
	}
	return rc == -EPIPE ? VERB_DONE : view_failed(&l->view, "flows", rc);
}

static int list(struct listing *l, bool follow)
{
	int rc = VERB_FAILED;

	if (l->format == OUT_CSV) {
		output_flow_csv_header(&l->line);
		fputs(l->line.data ? l->line.data : "", stdout);
	}
	if (follow && follow_new(&l->follow) < 0)
		return command_failed(l->command, "out of memory");
	rc = walk(l);
	if (rc < 0 && rc != -EPIPE)
		return view_failed(&l->view, "flows", rc);
	if (!follow) {
		rc = finish(l);
		return rc < 0 && rc != -EPIPE ? view_failed(&l->view, "attempts", rc) : VERB_DONE;
	}
	l->limit = 0;
	return go_on(l);
}

static int parse_filter(struct listing *l, const struct operands *rest)
{
	struct filter_error error;
	char *text = operands_join(rest);
	int rc = VERB_DONE;

	if (text && show_filter_parse(&l->filter, l->command, text, &error) != VERB_DONE)
		rc = VERB_MISUSED;
	free(text);
	return rc;
}

static int prepare(struct listing *l, const struct operands *rest, bool follow)
{
	int status = parse_filter(l, rest);

	if (status != VERB_DONE)
		return status;
	if (follow && l->query.until_ns)
		return command_misused(l->command, "-f goes on for ever; it cannot end at --until");
	l->now_ns = time_now_ns();
	if (follow && !l->query.since_ns && !l->limit)
		l->query.since_ns = l->now_ns - FOLLOW_LOOKBACK_NS;
	l->tail = l->limit && !l->query.since_ns;
	filter_pins_addr(l->filter, &l->query.addr);
	return view_open(&l->view, l->command, l->state_dir);
}

int verb_flows(int argc, char **argv)
{
	struct listing l = {.state_dir = STATE_DIR_DEFAULT};
	bool follow = false;
	const struct option_spec options[] = {
		OPTION_STATE(&l.state_dir), OPTION_SINCE(&l.query.since_ns), OPTION_UNTIL(&l.query.until_ns),
		{OPTION_KIND_FLAG, 'f', "follow", NULL, "go on with flows as they come in", &follow, NULL},
		{OPTION_KIND_NUMBER, 'c', "count", "N", "only N: the first since T, or the newest", &l.limit, NULL},
		{OPTION_KIND_FLAG, 'n', "numeric", NULL, "addresses and ports instead of names", &l.numeric, NULL},
		OPTION_OUTPUT(&l.format, formats), OPTION_END};
	const struct command c = {
		.verb = "flows", .usage = "[FILTER] [options]", .max_operands = -1, .options = options,
		.about = "Conversations in the store, by their start. CLIENT -> SERVER is as the\n"
			 "conversation was begun; -- means that weir does not know who began it. An\n"
			 "application in parentheses with a question mark is a guess by port or address,\n"
			 "not seen in the payload. FILTER is pcap-filter syntax over flows, and terms\n"
			 "such as src.group == shop/web (man weir, FILTER).\n",
		.examples = "  weir flows --since -10m\n"
			    "  weir flows -f 'src.group == shop/web and not port 53'\n"
			    "  weir flows -o json 'host 10.0.3.7 and bytes > 10k' | jq .app.proto\n"};
	struct operands rest;
	int status;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	l.command = &c;
	status = prepare(&l, &rest, follow);
	if (status == VERB_DONE) {
		l.table = table_new(stdout, columns, N_COLUMNS);
		if (l.table && follow)
			table_stream(l.table);
		status = l.table ? list(&l, follow) : command_failed(&c, "out of memory");
		view_close(&l.view);
	}
	table_free(l.table);
	follow_free(l.follow);
	filter_free(l.filter);
	buf_fini(&l.line);
	return status;
}
