/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir who: which workload had an address, then or ever; also the other way round, which addresses a workload had.
 * Containers that are long gone answer like living ones. An address that no workload had is told apart: what DNS
 * called it, and who had it just before and after.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "store/flows.h"
#include "store/history.h"
#include "store/identity.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/options.h"
#include "ui-cli/shared.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"
#include "ui-cli/view.h"

struct question {
	struct view view;
	const struct command *command;
	const char *subject;
	struct addr addr;
	uint64_t at_ns, now_ns; /* at 0: ever */
	uint8_t unnamed;        /* why the last flow of it that was looked at has no name (enum flow_unnamed) */
	bool json;
	struct table *table;
};

static void print_fact(const char *what, const char *text)
{
	if (!text || !*text)
		return;
	printf("  %-10s ", what);
	table_print(stdout, TABLE_PLAIN, text);
	putchar('\n');
}

static const char *end_text(uint64_t to_ns, uint64_t now_ns, char out[UNITS_STRLEN])
{
	if (to_ns == 0)
		snprintf(out, UNITS_STRLEN, "now");
	else
		units_clock(to_ns, now_ns, out);
	return out;
}

static void print_lifetime(const char *what, uint64_t from_ns, uint64_t to_ns)
{
	char from[UNITS_STRLEN], to[UNITS_STRLEN], took[TIME_STRLEN], text[200];
	uint64_t end_ns = to_ns ? to_ns : time_now_ns();

	snprintf(text, sizeof(text), "%s to %s (%s)", units_moment(from_ns, from),
		 to_ns ? units_moment(to_ns, to) : "now",
		 duration_format(end_ns > from_ns ? end_ns - from_ns : 0, took));
	print_fact(what, text);
}

/* Who else is behind the address; or whose it is. */
static void print_network(struct question *q, const struct workload *w)
{
	struct workload *owner = malloc(sizeof(*owner));
	struct buf text = BUF_INIT;
	char addr[ADDR_STRLEN];

	if (owner && shared_owner(owner, &q->view, w)) {
		buf_printf(&text, "that of %s%s%s: what it sends and receives carries that name", owner->name,
			   owner->n_addrs ? ", " : "", owner->n_addrs ? addr_format(&owner->addrs[0], addr) : "");
	} else if (shared_guests(&text, &q->view, w, q->at_ns) == 0 && text.len) {
		buf_adds(&text, " share it: which of them sent a packet cannot be told");
	}
	print_fact("network", text.data);
	buf_fini(&text);
	free(owner);
}

static void print_workload(struct question *q, const struct workload *w, const struct addr_interval *held)
{
	char text[400];

	print_fact("workload", w->name);
	print_fact("group", w->kind == WORKLOAD_HOST ? GROUP_HOST : w->group);
	snprintf(text, sizeof(text), w->image_digest[0] ? "%s (%s)" : "%s", w->image, w->image_digest);
	print_fact("image", text);
	snprintf(text, sizeof(text), w->runtime_id[0] ? "%s %s" : "%s", w->runtime, w->runtime_id);
	print_fact("runtime", text);
	snprintf(text, sizeof(text), "%s/%s", w->project, w->service);
	print_fact("compose", w->project[0] ? text : NULL);
	snprintf(text, sizeof(text), "%s/%s", w->pod_namespace, w->pod);
	print_fact("pod", w->pod[0] ? text : NULL);
	print_network(q, w);
	if (held)
		print_lifetime("held it", held->from_ns, held->to_ns);
	print_lifetime("lived", w->start_ns, w->end_ns);
	if (w->end_ns && w->exit_code >= 0) {
		snprintf(text, sizeof(text), "%d", (int)w->exit_code);
		print_fact("exit code", text);
	}
}

static void set_network(json_t *o, struct question *q, const struct workload *w)
{
	struct workload *owner = malloc(sizeof(*owner));
	struct buf guests = BUF_INIT;

	if (owner && shared_owner(owner, &q->view, w))
		jsonl_set_text(o, "network_of", owner->name);
	else if (shared_guests(&guests, &q->view, w, q->at_ns) == 0 && guests.len)
		jsonl_set_text(o, "network_shared_with", guests.data);
	buf_fini(&guests);
	free(owner);
}

static int print_json(struct question *q, const struct addr_interval *i, const struct workload *w,
		      const char *name)
{
	json_t *o = jsonl_event("address");

	if (!i || !addr_is_zero(&i->addr))
		jsonl_set_addr(o, "ip", i ? &i->addr : &q->addr);
	jsonl_set_time(o, "at", q->at_ns);
	jsonl_set_text(o, "name", name);
	if (!w) {
		jsonl_set_text(o, "group", GROUP_WORLD);
		jsonl_set_text(o, "unnamed", flow_unnamed_name(q->unnamed));
		return jsonl_print(o);
	}
	jsonl_set_time(o, "from", i->from_ns);
	jsonl_set_time(o, "until", i->to_ns);
	jsonl_set_text(o, "group", w->kind == WORKLOAD_HOST ? GROUP_HOST : w->group);
	jsonl_set_workload(o, w);
	jsonl_set_time(o, "started", w->start_ns);
	jsonl_set_time(o, "ended", w->end_ns);
	set_network(o, q, w);
	return jsonl_print(o);
}

static const struct table_column columns[] = {{"ADDRESS", false, false, 0}, {"FROM", false, false, 0},
					      {"TO", false, false, 0},	    {"WORKLOAD", false, true, 0},
					      {"GROUP", false, true, 0},    {"IMAGE", false, true, 0}};

static void print_row(struct question *q, const struct addr_interval *i, const struct workload *w)
{
	char text[ADDR_STRLEN], clock[UNITS_STRLEN];

	table_cell(q->table, TABLE_PLAIN, addr_format(&i->addr, text));
	table_cell(q->table, TABLE_PLAIN, units_clock(i->from_ns, q->now_ns, clock));
	table_cell(q->table, TABLE_PLAIN, end_text(i->to_ns, q->now_ns, clock));
	table_cell(q->table, TABLE_PLAIN, w ? w->name : "?");
	table_cell(q->table, TABLE_PLAIN, w ? (w->kind == WORKLOAD_HOST ? GROUP_HOST : w->group) : "?");
	table_cell(q->table, TABLE_DIM, w ? w->image : "");
}

static void note_guests(struct question *q, const struct workload *w)
{
	struct buf text = BUF_INIT;

	if (shared_guests(&text, &q->view, w, 0) == 0 && text.len) {
		buf_adds(&text, " shared its network");
		table_note(q->table, TABLE_DIM, text.data);
	}
	buf_fini(&text);
}

/* The holders before and after a time at which nobody had the address. */
static void print_neighbours(struct question *q, const struct addr_interval *list, size_t n)
{
	const struct workload *w;
	char when[UNITS_STRLEN], text[300];

	for (size_t i = 0; i < n; i++) {
		bool before = list[i].to_ns && list[i].to_ns <= q->at_ns;
		bool nearest = before ? i + 1 == n || list[i + 1].from_ns > q->at_ns
				      : list[i].from_ns > q->at_ns && (i == 0 || list[i - 1].from_ns <= q->at_ns);

		if (!nearest)
			continue;
		w = naming_workload(q->view.naming, q->view.txn, list[i].workload);
		snprintf(text, sizeof(text), "%s, %s %s", w ? w->name : "a workload no longer in the store",
			 before ? "until" : "from", units_moment(before ? list[i].to_ns : list[i].from_ns, when));
		print_fact(before ? "before" : "after", text);
	}
}

static int find_reason(void *arg, const struct flow_rec *f)
{
	struct question *q = arg;

	for (unsigned i = 0; i < 2; i++)
		if (addr_equal(&f->addr[i], &q->addr))
			q->unnamed = f->unnamed[i];
	return q->unnamed != FLOW_UNNAMED_NONE;
}

/* Its flows say why they have no name: those of that time, or the newest. */
static void look_for_reason(struct question *q)
{
	struct flow_query flows = {.addr = q->addr, .newest_first = true};

	if (q->at_ns) {
		flows.since_ns = q->at_ns > NAMING_SLACK_NS ? q->at_ns - NAMING_SLACK_NS : 0;
		flows.until_ns = q->at_ns + NAMING_SLACK_NS;
	}
	store_flow_walk(q->view.txn, &flows, find_reason, q);
}

/* Nobody had it. VERB_DONE where something is known all the same. */
static int answer_stranger(struct question *q, const struct addr_interval *list, size_t n)
{
	char name[256] = "", when[UNITS_STRLEN], text[ADDR_STRLEN];
	bool known = store_name_get(q->view.txn, &q->addr, q->at_ns ? q->at_ns : q->now_ns, name, sizeof(name)) == 0;

	look_for_reason(q);
	if (q->json) {
		int rc = print_json(q, NULL, NULL, name);

		return rc < 0 ? view_failed(&q->view, "addresses", rc) : known ? VERB_DONE : VERB_FAILED;
	}
	addr_format(&q->addr, text);
	if (q->at_ns)
		printf("%s at %s: no workload had it\n", text, units_moment(q->at_ns, when));
	else
		printf("%s: no workload ever had it, as far as the store reaches\n", text);
	print_fact("DNS name", name);
	print_fact("no name", flow_unnamed_text(q->unnamed));
	print_neighbours(q, list, n);
	if (!known && n == 0)
		printf("  It counts as %s. Its flows: weir flows host %s\n", GROUP_WORLD, text);
	return known ? VERB_DONE : VERB_FAILED;
}

static int answer_at(struct question *q, const struct addr_interval *list, size_t n)
{
	char text[ADDR_STRLEN], when[UNITS_STRLEN];
	const struct workload *w = NULL;
	struct addr_interval held;
	int rc = store_addr_who(q->view.txn, &q->addr, q->at_ns, NAMING_SLACK_NS, &held);

	if (rc == -ENOENT)
		return answer_stranger(q, list, n);
	if (rc < 0)
		return view_failed(&q->view, "addresses", rc);
	w = naming_workload(q->view.naming, q->view.txn, held.workload);
	if (q->json) {
		rc = print_json(q, &held, w, NULL);
		return rc < 0 ? view_failed(&q->view, "addresses", rc) : VERB_DONE;
	}
	printf("%s at %s\n", addr_format(&q->addr, text), units_moment(q->at_ns, when));
	if (w)
		print_workload(q, w, &held);
	else
		puts("  a workload that the store no longer has");
	return VERB_DONE;
}

static int answer_ever(struct question *q, const struct addr_interval *list, size_t n)
{
	int rc = 0;

	if (n == 0)
		return answer_stranger(q, list, n);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct workload *w = naming_workload(q->view.naming, q->view.txn, list[i].workload);

		if (q->json)
			rc = print_json(q, &list[i], w, NULL);
		else
			print_row(q, &list[i], w);
		if (w && !q->json)
			note_guests(q, w);
	}
	table_flush(q->table);
	return rc < 0 ? view_failed(&q->view, "addresses", rc) : VERB_DONE;
}

static int answer_addr(struct question *q)
{
	struct addr_interval *list = NULL;
	size_t n = 0;
	int rc = store_addr_history(q->view.txn, &q->addr, &list, &n), status;

	if (rc < 0 && rc != -ENOENT)
		return view_failed(&q->view, "addresses", rc);
	status = q->at_ns ? answer_at(q, list, n) : answer_ever(q, list, n);
	free(list);
	return status;
}

static int is_member(void *arg, const struct workload *w)
{
	const struct question *q = arg;

	return strcmp(w->group, q->subject) == 0;
}

static void tell_unknown(struct question *q)
{
	if (store_workload_walk(q->view.txn, 0, 0, is_member, q) > 0)
		command_failed(q->command, "\"%s\" is a group: weir map --by workload 'group == %s' shows its members",
			       q->subject, q->subject);
	else
		command_failed(q->command,
			       "\"%s\" is no address, and no workload of that name or id is in the store%s. "
			       "`weir map --by workload` lists names",
			       q->subject, q->at_ns ? " at that time" : "");
}

/* The subject is a workload: what it was, and the addresses it has or had last. */
static int answer_workload(struct question *q)
{
	struct workload *w = malloc(sizeof(*w));
	char text[ADDR_STRLEN];
	int rc = w ? store_workload_find(q->view.txn, q->subject, q->at_ns ? q->at_ns : q->now_ns, w) : -ENOMEM;

	if (rc == -ENOENT)
		tell_unknown(q);
	else if (rc == -EEXIST)
		command_failed(q->command, "several workloads have an id that begins with \"%s\": write more of it",
			       q->subject);
	else if (rc < 0)
		view_failed(&q->view, "workloads", rc);
	for (unsigned i = 0; rc == 0 && i < w->n_addrs; i++) {
		struct addr_interval held = {w->addrs[i], w->id, w->start_ns, w->end_ns};

		if (q->json)
			rc = print_json(q, &held, w, NULL);
		else
			printf("%s%s", i ? ", " : "", addr_format(&w->addrs[i], text));
	}
	if (rc == 0 && q->json && !w->n_addrs) {
		struct addr_interval none = {.workload = w->id, .from_ns = w->start_ns, .to_ns = w->end_ns};

		rc = print_json(q, &none, w, NULL);
	}
	if (rc == 0 && !q->json) {
		puts(w->n_addrs ? "" : "no address");
		print_workload(q, w, NULL);
	}
	free(w);
	return rc < 0 ? VERB_FAILED : VERB_DONE;
}

int verb_who(int argc, char **argv)
{
	static const char *const formats[] = {"table", "json", NULL};
	const char *dir = STATE_DIR_DEFAULT;
	struct question q = {.now_ns = time_now_ns()};
	int format = 0, status;
	const struct option_spec options[] = {OPTION_STATE(&dir),
					      {OPTION_KIND_TIME, 0, "at", "T",
					       "who had it then: \"YYYY-MM-DD HH:MM\", now, or -90m", &q.at_ns,
					       NULL},
					      OPTION_OUTPUT(&format, formats),
					      OPTION_END};
	const struct command c = {
		.verb = "who",
		.usage = "ADDRESS|WORKLOAD [options]",
		.min_operands = 1,
		.max_operands = 1,
		.options = options,
		.about = "Which workload had an address: its name, group, image and lifetime, also when\n"
			 "it is long gone. Without --at: everyone who ever had it. Exit 1 when nobody is\n"
			 "known to have had it.\n",
		.examples = "  weir who 10.0.3.7\n"
			    "  weir who 10.0.3.7 --at '2026-11-21 02:14'\n"
			    "  weir who shop-web-1 -o json\n"};
	struct operands rest;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	q.command = &c;
	q.subject = rest.v[0];
	q.json = format == 1;
	status = view_open(&q.view, &c, dir);
	if (status != VERB_DONE)
		return status;
	q.table = table_new(stdout, columns, sizeof(columns) / sizeof(columns[0]));
	if (!q.table)
		status = command_failed(&c, "out of memory");
	else if (addr_parse(&q.addr, q.subject) == 0)
		status = answer_addr(&q);
	else
		status = answer_workload(&q);
	table_free(q.table);
	view_close(&q.view);
	return status;
}
