/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir top: the busiest edges now. The store has totals for each conversation, renewed every few seconds while it goes
 * on; what an edge carried between two looks is the growth of its conversations, remembered by record id. Plain ANSI:
 * the screen is drawn anew at each look, and given back as it was at the end.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/proto.h"
#include "common/timefmt.h"
#include "store/flows.h"
#include "ui-cli/graph.h"
#include "ui-cli/map.h"
#include "ui-cli/options.h"
#include "ui-cli/show.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"

#define TOP_EVERY_NS (5 * NS_PER_S) /* as often as the engine writes flows in progress through */
#define TOP_LOOKBACK_NS (30 * NS_PER_S)
#define SEEN_SLOTS (1u << 17)
#define SEEN_MAX (SEEN_SLOTS * 3 / 4)

struct seen {
	uint64_t id, pkts[2], bytes[2];
};

struct top {
	struct view view;
	const struct command *command;
	struct filter *filter;
	struct graph_sum *sum;
	struct seen *before, *now; /* open-addressed by id */
	size_t n_now;
	uint64_t every_ns, last_ns; /* last_ns 0: nothing to compare with yet */
	int by;
	bool once;
};

static volatile sig_atomic_t stopped;

static void on_signal(int signo)
{
	(void)signo;
	stopped = 1;
}

static struct seen *slot_of(struct seen *table, uint64_t id)
{
	size_t i = (size_t)(id * 0x9e3779b97f4a7c15ull >> 47) & (SEEN_SLOTS - 1);

	while (table[i].id && table[i].id != id)
		i = (i + 1) & (SEEN_SLOTS - 1);
	return &table[i];
}

static int on_flow(void *arg, const struct flow_rec *f)
{
	struct top *t = arg;
	struct seen *old = slot_of(t->before, f->id), *new = slot_of(t->now, f->id);
	struct flow_rec grown = *f;
	struct output_end end[2];
	bool fresh = old->id == 0;

	if (new->id == 0 && t->n_now < SEEN_MAX) {
		t->n_now++;
		*new = (struct seen){f->id, {f->pkts[0], f->pkts[1]}, {f->bytes[0], f->bytes[1]}};
	}
	/* One that was idle for longer than a look reaches back: how much of it is new nobody knows. */
	if (t->last_ns == 0 || (fresh && f->start_ns + TOP_LOOKBACK_NS < t->last_ns))
		return 0;
	/* As the map has it: nobody's conversations, unless a filter asks for them. */
	if (!t->filter && (graph_is_housekeeping(f) || proto_is_icmp_error(f->proto, f->port[1])))
		return 0;
	naming_flow(t->view.naming, t->view.txn, f, end);
	if (!filter_match(t->filter, f, end))
		return 0;
	for (unsigned i = 0; i < 2 && !fresh; i++) {
		grown.pkts[i] -= old->pkts[i] < f->pkts[i] ? old->pkts[i] : f->pkts[i];
		grown.bytes[i] -= old->bytes[i] < f->bytes[i] ? old->bytes[i] : f->bytes[i];
	}
	if (!fresh && grown.pkts[0] + grown.pkts[1] == 0)
		return 0;
	if (!fresh)
		grown.conv_id = f->id + 1; /* no new conversation: edge_agg_from_flow counts those that begin */
	return graph_sum_add(t->sum, &grown, end, (enum graph_by)t->by, true);
}

static int look(struct top *t, uint64_t now_ns)
{
	struct flow_query q = {.since_ns = now_ns - TOP_LOOKBACK_NS};
	struct seen *old = t->before;
	int rc;

	t->before = t->now;
	t->now = old;
	t->n_now = 0;
	memset(t->now, 0, SEEN_SLOTS * sizeof(*t->now));
	filter_pins_addr(t->filter, &q.addr);
	rc = store_flow_walk(t->view.txn, &q, on_flow, t);
	return rc;
}

static int busiest_first(const void *a, const void *b)
{
	const struct edge_agg *x = &((const struct edge *)a)->agg, *y = &((const struct edge *)b)->agg;
	uint64_t bx = x->bytes[0] + x->bytes[1], by = y->bytes[0] + y->bytes[1];

	return (bx < by) - (bx > by);
}

static size_t rows_that_fit(void)
{
	struct winsize ws;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row > 6)
		return ws.ws_row - 4u;
	return isatty(STDOUT_FILENO) ? 20 : SIZE_MAX;
}

static void rate(struct table *t, uint64_t bytes, double seconds)
{
	char text[UNITS_STRLEN], out[UNITS_STRLEN + 4];

	snprintf(out, sizeof(out), "%s/s", units_bytes((uint64_t)((double)bytes / seconds), text));
	table_cell(t, TABLE_PLAIN, out);
}

static void draw(struct top *t, uint64_t now_ns)
{
	static const struct table_column columns[] = {
		{"CLIENT", false, true, 0},    {"", false, false, 0},	      {"SERVER", false, true, 0},
		{"SERVICE", false, false, 0},  {"APP", false, true, 0},	      {"TO SERVER", true, false, 0},
		{"TO CLIENT", true, false, 0}, {"PACKETS/S", true, false, 0}, {"NEW FLOWS", true, false, 0}};
	double seconds = (double)(now_ns - t->last_ns) / 1e9;
	struct table *table = table_new(stdout, columns, sizeof(columns) / sizeof(columns[0]));
	size_t fit = rows_that_fit();
	char text[256], when[UNITS_STRLEN], count[UNITS_STRLEN];
	struct graph g;

	graph_sum_take(&g, t->sum);
	if (g.n)
		qsort(g.edges, g.n, sizeof(*g.edges), busiest_first);
	if (isatty(STDOUT_FILENO) && !t->once)
		fputs("\033[H\033[2J", stdout);
	printf("weir top  %s, the last %.1f s, %s\n\n", units_moment(now_ns, when), seconds,
	       units_plural(g.n, "edge", "edges", count));
	for (size_t i = 0; table && i < g.n && i < fit; i++) {
		const struct edge *e = &g.edges[i];

		table_cell(table, TABLE_PLAIN, e->key.client);
		table_cell(table, TABLE_DIM, "->");
		table_cell(table, TABLE_PLAIN, e->key.server);
		table_cell(table, TABLE_PLAIN, units_service(e->key.proto, e->key.port, text));
		table_cell(table, TABLE_PLAIN, map_apps(&e->agg, text, sizeof(text)));
		rate(table, e->agg.bytes[0], seconds);
		rate(table, e->agg.bytes[1], seconds);
		table_number(table, (uint64_t)((double)(e->agg.pkts[0] + e->agg.pkts[1]) / seconds));
		table_number(table, e->agg.flows);
	}
	if (table)
		table_flush(table);
	if (g.n == 0)
		puts("nothing moved");
	fflush(stdout);
	table_free(table);
	graph_fini(&g);
}

static void wait_for(uint64_t ns)
{
	struct timespec left = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};

	nanosleep(&left, NULL); /* a signal ends it early, and the loop */
}

static int run(struct top *t)
{
	bool screen = isatty(STDOUT_FILENO) && !t->once;
	uint64_t now_ns;
	int rc = 0;

	if (screen)
		fputs("\033[?1049h\033[?25l", stdout); /* another screen, no cursor */
	while (rc == 0 && !stopped && !ferror(stdout)) {
		now_ns = time_now_ns();
		rc = look(t, now_ns);
		if (rc == 0 && t->last_ns) {
			draw(t, now_ns);
			if (t->once)
				break;
		}
		t->last_ns = now_ns;
		wait_for(t->every_ns);
		if (!stopped && view_refresh(&t->view) != VERB_DONE)
			rc = -EIO;
	}
	if (screen) {
		fputs("\033[?25h\033[?1049l", stdout);
		fflush(stdout);
	}
	return rc;
}

static int start(struct top *t, const char *dir, const struct operands *rest)
{
	struct filter_error error;
	char *text = operands_join(rest);
	int status = text ? show_filter_parse(&t->filter, t->command, text, &error) : VERB_DONE, rc;

	free(text);
	if (status != VERB_DONE)
		return status;
	t->before = calloc(SEEN_SLOTS, sizeof(*t->before));
	t->now = calloc(SEEN_SLOTS, sizeof(*t->now));
	if (!t->before || !t->now || graph_sum_new(&t->sum) < 0)
		return command_failed(t->command, "out of memory");
	status = view_open(&t->view, t->command, dir);
	if (status != VERB_DONE)
		return status;
	rc = run(t);
	if (rc < 0)
		status = view_failed(&t->view, "flows", rc);
	view_close(&t->view);
	return status;
}

int verb_top(int argc, char **argv)
{
	static const char *const by[] = {"group", "workload", NULL};
	struct top t = {.every_ns = TOP_EVERY_NS};
	const char *dir = STATE_DIR_DEFAULT;
	const struct option_spec options[] = {
		OPTION_STATE(&dir),
		{OPTION_KIND_CHOICE, 0, "by", "WHAT", "the ends", &t.by, by},
		{OPTION_KIND_SPAN, 0, "every", "SPAN", "how often to look [5s]", &t.every_ns, NULL},
		{OPTION_KIND_FLAG, 0, "once", NULL, "one look, then end", &t.once, NULL}, OPTION_END};
	const struct command c = {
		.verb = "top", .usage = "[FILTER] [options]", .max_operands = -1, .options = options,
		.about = "The busiest edges now, drawn anew every few seconds. Ctrl-C ends it.\n",
		.examples = "  weir top\n"
			    "  weir top --by workload 'not port 53'\n"
			    "  weir top --once --every 2s\n"};
	struct sigaction act = {.sa_handler = on_signal};
	struct operands rest;
	int status;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	if (t.every_ns < 100 * NS_PER_MS)
		return command_misused(&c, "--every: looking more often than every 100 ms shows nothing new");
	t.command = &c;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	status = start(&t, dir, &rest);
	graph_sum_free(t.sum);
	filter_free(t.filter);
	free(t.before);
	free(t.now);
	return status;
}
