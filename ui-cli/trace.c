/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir trace: what could have been set off by a workload from a moment on (forward), or could have set it off (back).
 * Only time-respecting paths count: A reached C through B only when B was reached before its conversation with C was
 * over. The walk is Dijkstra's with time as the distance: forward, each workload gets the earliest moment at which
 * something that began at the first could have been there; back, the latest moment at which it could still have had an
 * effect.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/proto.h"
#include "common/timefmt.h"
#include "store/flows.h"
#include "store/identity.h"
#include "ui-cli/graph.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/options.h"
#include "ui-cli/show.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"
#include "ui-cli/view.h"

#define TRACE_NODES_MAX 100000u
#define TRACE_SLOTS (1u << 18) /* at most half full */

/* One end that was reached: a workload, or an address of the world (which is never walked on from). */
struct node {
	uint64_t workload; /* 0: addr says */
	struct addr addr;
	uint64_t when_ns;  /* reached (forward), or last left (back) */
	struct flow_rec by; /* the conversation that did it; by.id 0 for the first */
	size_t from;       /* node at the other end of it */
	unsigned depth;
	bool done;
};

struct trace {
	struct view view;
	const struct command *command;
	struct node *node;
	size_t n, max, at; /* at: the node being expanded */
	uint32_t *slot;    /* index into node + 1, by whom it is; 0: free */
	struct hash_secret secret;
	uint64_t until_ns, since_ns, max_depth;
	bool back, json;
	/* conversations on the way that nobody answered, though the protocol need not: not followed */
	uint64_t one_way;
};

/* The time of reaching the other end through f, being at this end at when_ns. False: f was over before (forward), or
 * began after (back). */
static bool passes(const struct trace *t, const struct flow_rec *f, uint64_t when_ns, uint64_t *reached_ns)
{
	if (t->back) {
		if (f->start_ns > when_ns)
			return false;
		*reached_ns = f->end_ns < when_ns ? f->end_ns : when_ns;
		return true;
	}
	if (f->end_ns < when_ns)
		return false;
	*reached_ns = f->start_ns > when_ns ? f->start_ns : when_ns;
	return true;
}

/* The slot of that workload, or, for workload 0, of that address; the free one where it would go. */
static uint32_t *slot_of(struct trace *t, uint64_t workload, const struct addr *a)
{
	uint64_t h = workload ? hash_bytes(&t->secret, &workload, sizeof(workload))
			      : hash_bytes(&t->secret, a, sizeof(*a));
	size_t i = h & (TRACE_SLOTS - 1);

	for (; t->slot[i]; i = (i + 1) & (TRACE_SLOTS - 1)) {
		const struct node *n = &t->node[t->slot[i] - 1];

		if (workload ? n->workload == workload : !n->workload && addr_equal(&n->addr, a))
			break;
	}
	return &t->slot[i];
}

static struct node *find(struct trace *t, uint64_t workload, const struct addr *a)
{
	uint32_t i = *slot_of(t, workload, a);

	return i ? &t->node[i - 1] : NULL;
}

static int add(struct trace *t, const struct node *n)
{
	if (t->n == TRACE_NODES_MAX)
		return -E2BIG;
	if (t->n == t->max) {
		size_t max = t->max ? 2 * t->max : 64;
		struct node *more = realloc(t->node, max * sizeof(*more));

		if (!more)
			return -ENOMEM;
		t->node = more;
		t->max = max;
	}
	t->node[t->n++] = *n;
	*slot_of(t, n->workload, &n->addr) = (uint32_t)t->n; /* it was not there: a free one */
	return 0;
}

/* Causes run from client to server: the client chose to connect, and what it sent is what acts. */
static int on_flow(void *arg, const struct flow_rec *f)
{
	struct trace *t = arg;
	const struct node *here = &t->node[t->at];
	unsigned mine = t->back ? 1 : 0;
	struct output_end end[2];
	struct node n = {.from = t->at, .depth = here->depth + 1}, *known;
	uint64_t id[2];

	if (graph_is_housekeeping(f)) /* whoever finds out a neighbour's address has not reached it yet */
		return 0;
	naming_flow(t->view.naming, t->view.txn, f, end);
	for (unsigned i = 0; i < 2; i++)
		id[i] = end[i].workload && end[i].workload->kind != WORKLOAD_HOST ? end[i].workload->id : 0;
	if (id[mine] != here->workload || id[!mine] == here->workload || !passes(t, f, here->when_ns, &n.when_ns))
		return 0;
	if (!flow_answered(f)) {
		t->one_way += f->proto == PROTO_UDP && f->state != FLOW_STATE_REFUSED;
		return 0;
	}
	n.workload = id[!mine];
	n.addr = f->addr[!mine];
	n.by = *f;
	n.by.attrs = NULL; /* borrowed: gone after this call */
	n.by.attrs_len = 0;
	known = find(t, n.workload, &n.addr);
	if (!known)
		return add(t, &n);
	if (!known->done && (t->back ? n.when_ns > known->when_ns : n.when_ns < known->when_ns))
		*known = n;
	return 0;
}

/* The node to expand next: the earliest (forward) or latest (back) that is not done. False: there is none. */
static bool next(struct trace *t)
{
	size_t best = t->n;

	for (size_t i = 0; i < t->n; i++) {
		const struct node *n = &t->node[i];

		if (n->done || !n->workload || n->depth >= t->max_depth)
			continue;
		if (best == t->n || (t->back ? n->when_ns > t->node[best].when_ns : n->when_ns < t->node[best].when_ns))
			best = i;
	}
	t->at = best;
	return best < t->n;
}

static int walk(struct trace *t)
{
	int rc = 0;

	while (rc == 0 && next(t)) {
		struct flow_query q = {
			.workload = t->node[t->at].workload, .since_ns = t->since_ns, .until_ns = t->until_ns};

		if (t->back)
			q.until_ns = t->node[t->at].when_ns;
		else
			q.since_ns = t->node[t->at].when_ns;
		t->node[t->at].done = true;
		rc = store_flow_walk(t->view.txn, &q, on_flow, t);
	}
	return rc;
}

static const char *label(struct trace *t, const struct node *n, char out[NAMING_LABEL_STRLEN])
{
	struct output_end end = {naming_workload(t->view.naming, t->view.txn, n->workload), NULL, NULL, NULL};

	if (!end.workload)
		naming_addr(t->view.naming, t->view.txn, &n->addr, n->when_ns, 0, &end);
	return naming_label(&end, &n->addr, out);
}

static int by_time(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;

	return (x->when_ns > y->when_ns) - (x->when_ns < y->when_ns);
}

/* The way to a node, from the first on: "intruder -> shop-web-1 -> shop-db-1". */
static void path(struct trace *t, const struct node *n, struct buf *b)
{
	char text[NAMING_LABEL_STRLEN];

	if (n->by.id)
		path(t, &t->node[n->from], b);
	buf_printf(b, "%s%s", n->by.id ? (t->back ? " <- " : " -> ") : "", label(t, n, text));
}

static int print_json(struct trace *t, const struct node *n)
{
	json_t *o = jsonl_event("trace"), *end = json_object();
	char text[NAMING_LABEL_STRLEN], service[SERVICE_STRLEN];
	struct buf b = BUF_INIT;

	jsonl_set_time(o, "timestamp", n->when_ns);
	jsonl_set_text(o, "direction", t->back ? "back" : "forward");
	jsonl_set_text(end, n->workload ? "workload" : "name", label(t, n, text));
	jsonl_set_addr(end, "ip", &n->addr);
	json_object_set_new(o, "reached", end);
	jsonl_set_number(o, "hops", n->depth);
	path(t, n, &b);
	jsonl_set_text(o, "path", b.data);
	buf_fini(&b);
	jsonl_set_text(o, "service", units_service(n->by.proto, n->by.port[1], service));
	jsonl_set_text(o, "app", n->by.app);
	jsonl_set_id(o, "flow_id", n->by.conv_id);
	return jsonl_print(o);
}

static void print_row(struct trace *t, struct table *table, const struct node *n)
{
	char text[NAMING_LABEL_STRLEN], when[UNITS_STRLEN];
	struct buf b = BUF_INIT;
	bool guess;

	path(t, n, &b);
	table_cell(table, TABLE_DIM, units_clock_ms(n->when_ns, time_now_ns(), when));
	table_number(table, n->depth);
	table_cell(table, TABLE_PLAIN, label(t, n, text));
	table_cell(table, TABLE_PLAIN, units_service(n->by.proto, n->by.port[1], text));
	show_app(n->by.app, n->by.confidence, text, sizeof(text), &guess);
	table_cell(table, guess ? TABLE_DIM : TABLE_PLAIN, text);
	table_cell(table, TABLE_DIM, b.data);
	buf_fini(&b);
}

static int print(struct trace *t)
{
	static const struct table_column columns[] = {{"TIME", false, false, 0},   {"HOPS", true, false, 0},
						      {"REACHED", false, true, 0}, {"SERVICE", false, false, 0},
						      {"APP", false, true, 0},	   {"PATH", false, true, 0}};
	struct table *table = table_new(stdout, columns, sizeof(columns) / sizeof(columns[0]));
	const struct node **order = calloc(t->n, sizeof(*order));
	char text[NAMING_LABEL_STRLEN], when[UNITS_STRLEN];
	int rc = table && order ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < t->n; i++)
		order[i] = &t->node[i];
	if (rc == 0)
		qsort(order, t->n, sizeof(*order), by_time);
	for (size_t i = 0; rc == 0 && i < t->n; i++) {
		if (order[i]->by.id == 0)
			continue;
		if (t->json)
			rc = print_json(t, order[i]);
		else
			print_row(t, table, order[i]);
	}
	if (rc == 0 && !t->json) {
		table_flush(table);
		printf("%s%s %s %s: %zu reached, through answered conversations, from client to server\n",
		       t->n > 1 ? "\n" : "", label(t, &t->node[0], text), t->back ? "back from" : "forward from",
		       units_moment(t->node[0].when_ns, when), t->n - 1);
		if (t->one_way)
			printf("%s of one-way UDP on the way not followed: it may have acted all the same\n",
			       units_plural(t->one_way, "conversation", "conversations", text));
		view_footer(&t->view, t->since_ns, t->until_ns);
	}
	free(order);
	table_free(table);
	return rc;
}

/* The workload to begin with. */
static int begin(struct trace *t, const char *name, uint64_t at_ns)
{
	struct workload *w = malloc(sizeof(*w));
	struct node first = {.when_ns = at_ns};
	int rc = w ? store_workload_find(t->view.txn, name, at_ns ? at_ns : time_now_ns(), w) : -ENOMEM;

	if (rc == -ENOENT)
		command_failed(t->command, "no workload \"%s\" is in the store%s; `weir map --by workload` lists names",
			       name, at_ns ? " at that time or before" : "");
	else if (rc == -EEXIST)
		command_failed(t->command, "several workloads have an id that begins with \"%s\": write more of it",
			       name);
	else if (rc < 0)
		view_failed(&t->view, "workloads", rc);
	if (rc == 0) {
		first.workload = w->id;
		if (w->n_addrs)
			first.addr = w->addrs[0];
		if (!at_ns)
			first.when_ns = !t->back ? w->start_ns : w->end_ns ? w->end_ns : time_now_ns();
		rc = add(t, &first);
	}
	free(w);
	return rc < 0 ? VERB_FAILED : VERB_DONE;
}

static int answer(struct trace *t)
{
	int rc = walk(t);

	if (rc == -E2BIG)
		return command_failed(
			t->command,
			"more than %u ends were reached; a shorter span (--since, --until) or fewer --hops helps",
			TRACE_NODES_MAX);
	if (rc == 0)
		rc = print(t);
	return rc < 0 ? view_failed(&t->view, "flows", rc) : VERB_DONE;
}

int verb_trace(int argc, char **argv)
{
	static const char *const formats[] = {"table", "json", NULL};
	struct trace t = {.max_depth = 8};
	const char *dir = STATE_DIR_DEFAULT;
	uint64_t at_ns = 0;
	bool forward = false;
	int format = 0, status;
	const struct option_spec options[] = {
		OPTION_STATE(&dir),
		{OPTION_KIND_TIME, 0, "at", "T", "the moment to begin with [its start; --back: end]", &at_ns,
		 NULL},
		{OPTION_KIND_FLAG, 0, "forward", NULL, "what it could have set off (this is the default)", &forward,
		 NULL},
		{OPTION_KIND_FLAG, 0, "back", NULL, "what could have set it off", &t.back, NULL},
		OPTION_SINCE(&t.since_ns),
		OPTION_UNTIL(&t.until_ns),
		{OPTION_KIND_NUMBER, 0, "hops", "N", "no further than that [8]", &t.max_depth, NULL},
		OPTION_OUTPUT(&format, formats),
		OPTION_END};
	const struct command c = {
		.verb = "trace",
		.usage = "WORKLOAD [options]",
		.min_operands = 1,
		.max_operands = 1,
		.options = options,
		.about = "Whom a workload could have reached from a moment on, through whom, and when at\n"
			 "the earliest; with --back: who could have reached it. Only paths that time\n"
			 "allows: each conversation was not over when the one before began. It shows\n"
			 "what was possible, not what happened. Only answered conversations count: UDP\n"
			 "that nobody answers (syslog, statsd) may act as well, and is not followed.\n",
		.examples = "  weir trace intruder --at '2026-11-21 02:14'\n"
			    "  weir trace shop-db-1 --at 02:20 --back --since -1h\n"};
	struct operands rest;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	if (forward && t.back)
		return command_misused(&c, "--forward or --back, not both");
	t.command = &c;
	t.json = format == 1;
	t.slot = calloc(TRACE_SLOTS, sizeof(*t.slot));
	if (!t.slot)
		return command_failed(&c, "out of memory");
	hash_secret_init(&t.secret);
	status = view_open(&t.view, &c, dir);
	if (status == VERB_DONE) {
		status = begin(&t, rest.v[0], at_ns);
		if (status == VERB_DONE)
			status = answer(&t);
		view_close(&t.view);
	}
	free(t.node);
	free(t.slot);
	return status;
}
