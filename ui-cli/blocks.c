/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir blocks: what was refused, or would have been, by name, with how often and why. A scan of a thousand ports
 * between the same two ends is one row with a list of services, not a thousand; JSON has every service. With -f, what
 * is new.
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
#include "ui-cli/jsonl.h"
#include "ui-cli/options.h"
#include "ui-cli/refusals.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"

#define SERVICES_APART 3  /* up to here each service of a pair is a row of its own */
#define SERVICES_LISTED 12 /* of those folded into one row */
#define FOLLOW_SPAN_NS (600 * NS_PER_S) /* the store's own interval */

struct listing {
	struct view view;
	const struct command *command;
	const char *dir;
	struct refusal_rules *rules;
	struct members *members; /* now: whom else an edit would let in */
	struct table *table;
	uint64_t since_ns, until_ns, now_ns;
	bool json, follow, brief;
};

static const struct table_column columns[] = {{"VERDICT", false, false, 11}, {"SOURCE", false, true, 20},
					      {"", false, false, 2},	     {"DESTINATION", false, true, 20},
					      {"SERVICE", false, false, 12}, {"COUNT", true, false, 6},
					      {"FIRST", false, false, 8},    {"LAST", false, false, 8}};

/* The lines of the explanation; the first, the verdict, is what the row says already. */
static void print_why(struct listing *l, const struct refusal *r)
{
	struct buf b = BUF_INIT;
	char *rest, *line;

	if (l->brief)
		return;
	refusal_explain(&b, r, refusal_rules_get(l->rules, l->view.txn, r->v.generation), l->members);
	line = b.data ? strtok_r(b.data, "\n", &rest) : NULL;
	if (!line)
		table_note(l->table, TABLE_DIM, "why: the store no longer has the policy that decided this");
	for (; line; line = strtok_r(NULL, "\n", &rest))
		table_note(l->table, TABLE_DIM, line);
	buf_fini(&b);
}

static void print_row(struct listing *l, const struct refusal *r, const char *service, uint64_t count,
		      uint64_t first_ns, uint64_t last_ns)
{
	char text[UNITS_STRLEN];

	table_cell(l->table, r->v.kind == VERDICT_BLOCK ? TABLE_BAD : TABLE_WARN, verdict_name(r->v.kind));
	table_cell(l->table, TABLE_PLAIN, r->label[0]);
	table_cell(l->table, TABLE_DIM, "->");
	table_cell(l->table, TABLE_PLAIN, r->label[1]);
	table_cell(l->table, TABLE_PLAIN, service);
	table_number(l->table, count);
	table_cell(l->table, TABLE_DIM, units_clock(first_ns, l->now_ns, text));
	table_cell(l->table, TABLE_DIM, units_clock(last_ns, l->now_ns, text));
}

/* Nobody read the counters then, so nobody can say when it was. */
static void print_away(struct listing *l, uint64_t away, uint64_t since_ns, uint64_t until_ns)
{
	char text[160], since[UNITS_STRLEN], until[UNITS_STRLEN];

	if (!away)
		return;
	snprintf(text, sizeof(text), "%" PRIu64 " of them counted while weir was not running, between %s and %s", away,
		 units_clock(since_ns, l->now_ns, since), units_clock(until_ns, l->now_ns, until));
	table_note(l->table, TABLE_DIM, text);
}

/* n refusals between the same two ends as one row. */
static void print_folded(struct listing *l, const struct refusal *r, size_t n)
{
	uint64_t count = 0, first_ns = UINT64_MAX, last_ns = 0, away = 0, since_ns = UINT64_MAX,
		 until_ns = 0;
	char text[UNITS_STRLEN], service[SERVICE_STRLEN];
	struct buf list = BUF_INIT;
	size_t listed = 0;

	for (size_t i = 0; i < n; i++) {
		if (r[i].fresh == 0)
			continue;
		count += r[i].fresh;
		first_ns = r[i].fresh_first_ns < first_ns ? r[i].fresh_first_ns : first_ns;
		last_ns = r[i].v.last_ns > last_ns ? r[i].v.last_ns : last_ns;
		away += r[i].away;
		since_ns = r[i].away && r[i].away_since_ns < since_ns ? r[i].away_since_ns : since_ns;
		until_ns = r[i].away_until_ns > until_ns ? r[i].away_until_ns : until_ns;
		if (listed++ < SERVICES_LISTED)
			buf_printf(&list, "%s%s", list.len ? ", " : "services: ",
				   units_service(r[i].v.proto, r[i].v.dst_port, service));
	}
	if (listed > SERVICES_LISTED)
		buf_printf(&list, " and %zu more", listed - SERVICES_LISTED);
	if (listed) {
		print_row(l, r, units_plural(listed, "service", "services", text), count, first_ns, last_ns);
		table_note(l->table, TABLE_DIM, list.data);
		print_away(l, away, since_ns, until_ns);
		if (!l->brief)
			table_note(l->table, TABLE_DIM, "for the first of them, and likewise for the others:");
		print_why(l, r);
	}
	buf_fini(&list);
}

static size_t print_table(struct listing *l, const struct refusals *r)
{
	char service[SERVICE_STRLEN];
	size_t shown = 0;

	for (size_t i = 0, n; i < r->n; i += n) {
		for (n = 1; i + n < r->n && refusal_same_pair(&r->list[i], &r->list[i + n]); n++)
			;
		if (n > SERVICES_APART) {
			print_folded(l, &r->list[i], n);
			shown += n;
			continue;
		}
		for (size_t j = i; j < i + n; j++) {
			const struct refusal *one = &r->list[j];

			if (one->fresh == 0)
				continue;
			print_row(l, one, units_service(one->v.proto, one->v.dst_port, service), one->fresh,
				  one->fresh_first_ns, one->v.last_ns);
			print_away(l, one->away, one->away_since_ns, one->away_until_ns);
			print_why(l, one);
			shown++;
		}
	}
	table_flush(l->table);
	return shown;
}

static void set_reason(json_t *o, const struct refusal *r, const struct ruleset *rs, const struct members *m)
{
	struct eval_end src, dst;
	struct buf b = BUF_INIT;
	struct eval_result result;
	struct eval_miss miss;
	uint32_t extends = 0;

	refusal_ends(r, rs, &src, &dst);
	eval(&result, rs, &src, &dst, r->v.proto, r->v.dst_port);
	if (result.group >= 0)
		jsonl_set_text(o, "group", rs->groups[result.group].name);
	if (eval_is_miss(&result)) {
		json_t *why = json_object();

		eval_nearest(&miss, rs, &result, &src, &dst, r->v.proto, r->v.dst_port);
		jsonl_set_text(why, "failed", eval_failed_name(miss.failed));
		if (miss.nearest)
			jsonl_set_number(why, "nearest_line", miss.nearest->line);
		eval_edit(&b, &extends, &result, &miss, &src, &dst, r->v.proto, r->v.dst_port);
		jsonl_set_text(why, "edit", b.data);
		if (extends)
			jsonl_set_number(why, "edit_extends_line", extends);
		buf_clear(&b);
		refusal_explain(&b, r, rs, m);
		jsonl_set_text(why, "text", b.data);
		json_object_set_new(o, "explanation", why);
	}
	buf_fini(&b);
}

static int print_json(struct listing *l, const struct refusal *r)
{
	const struct ruleset *rs = refusal_rules_get(l->rules, l->view.txn, r->v.generation);
	struct output_end end = {0};
	json_t *o = json_object();
	char proto[PROTO_STRLEN], service[SERVICE_STRLEN];

	json_object_set_new(o, "schema", json_integer(JSONL_SCHEMA));
	jsonl_set_time(o, "timestamp", r->v.last_ns);
	jsonl_set_text(o, "event_type", "block");
	jsonl_set_text(o, "verdict", verdict_name(r->v.kind));
	jsonl_set_addr(o, "src_ip", &r->v.src);
	if (r->v.sampled && proto_has_ports(r->v.proto))
		jsonl_set_number(o, "src_port", r->v.src_port);
	jsonl_set_addr(o, "dest_ip", &r->v.dst);
	jsonl_set_number(o, proto_is_icmp(r->v.proto) ? "icmp_type" : "dest_port", r->v.dst_port);
	jsonl_set_text(o, "proto", proto_format_json(r->v.proto, proto));
	jsonl_set_text(o, "service", units_service(r->v.proto, r->v.dst_port, service));
	for (unsigned i = 0; i < 2; i++) {
		end.workload = naming_workload(l->view.naming, l->view.txn, r->v.workload[i]);
		end.group = r->v.group[i];
		jsonl_set_members(o, i ? "dest" : "src", jsonl_end(&end));
	}
	jsonl_set_number(o, "count", r->fresh);
	jsonl_set_time(o, "first", r->fresh_first_ns);
	jsonl_set_time(o, "last", r->v.last_ns);
	if (r->away) {
		json_t *away = json_object();

		jsonl_set_number(away, "count", r->away);
		jsonl_set_time(away, "since", r->away_since_ns);
		jsonl_set_time(away, "until", r->away_until_ns);
		json_object_set_new(o, "away", away);
	}
	jsonl_set_text(o, "list", r->v.inbound ? "inbound" : "outbound");
	jsonl_set_number(o, "generation", r->v.generation);
	if (rs)
		set_reason(o, r, rs, l->members);
	return jsonl_print(o);
}

static int print_all_json(struct listing *l, const struct refusals *r)
{
	int rc = 0;

	for (size_t i = 0; i < r->n && rc == 0; i++) {
		if (r->list[i].fresh)
			rc = print_json(l, &r->list[i]);
	}
	return rc;
}

/* Does something that is counted lie outside of what was asked for? */
static bool cuts_interval(const struct listing *l, const struct refusals *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->list[i].fresh_first_ns < l->since_ns || (l->until_ns && r->list[i].v.last_ns > l->until_ns))
			return true;
	return false;
}

static void footer(struct listing *l, const struct refusals *r)
{
	uint64_t would = 0, did = 0;
	char text[UNITS_STRLEN];

	for (size_t i = 0; i < r->n; i++)
		*(r->list[i].v.kind == VERDICT_BLOCK ? &did : &would) += r->list[i].v.count;
	if (r->n == 0)
		puts("nothing was refused, and nothing would have been");
	else
		printf("\n%s refused, %" PRIu64 " would have been (not enforced); for TCP each SYN and its retries count\n",
		       units_plural(did, "packet", "packets", text), would);
	if (cuts_interval(l, r))
		puts("the store adds refusals up by ten minutes: those that the span cuts are counted whole");
	view_footer(&l->view, l->since_ns, l->until_ns);
}

static int print(struct listing *l, const struct refusals *r)
{
	int rc = members_new(&l->members, l->view.txn, l->now_ns);

	if (rc < 0)
		return rc;
	if (l->json)
		rc = print_all_json(l, r);
	else
		print_table(l, r);
	members_free(l->members);
	l->members = NULL;
	return rc;
}

static int go_on(struct listing *l, struct refusals *before)
{
	int rc = 0;

	while (rc == 0) {
		struct refusals now;

		if (fflush(stdout) != 0)
			return VERB_DONE;
		sleep(1);
		if (view_refresh(&l->view) != VERB_DONE)
			return VERB_FAILED;
		l->now_ns = time_now_ns();
		rc = refusals_read(&now, &l->view, l->since_ns, 0);
		if (rc < 0)
			break;
		refusals_compare(&now, before);
		rc = print(l, &now);
		refusals_fini(before);
		*before = now;
	}
	return view_failed(&l->view, "verdicts", rc);
}

static int list(struct listing *l)
{
	struct refusals r;
	int rc = refusal_rules_new(&l->rules), status = VERB_DONE;

	l->table = table_new(stdout, columns, sizeof(columns) / sizeof(columns[0]));
	if (rc < 0 || !l->table)
		return command_failed(l->command, "out of memory");
	if (l->follow)
		table_stream(l->table);
	rc = refusals_read(&r, &l->view, l->since_ns, l->until_ns);
	if (rc < 0)
		return view_failed(&l->view, "verdicts", rc);
	rc = print(l, &r);
	if (rc < 0)
		status = command_failed(l->command, "out of memory");
	else if (l->follow)
		status = go_on(l, &r);
	else if (!l->json)
		footer(l, &r);
	refusals_fini(&r);
	return status;
}

int verb_blocks(int argc, char **argv)
{
	static const char *const formats[] = {"table", "json", NULL};
	struct listing l = {.dir = STATE_DIR_DEFAULT, .now_ns = time_now_ns()};
	int format = 0, status;
	const struct option_spec options[] = {
		OPTION_STATE(&l.dir), OPTION_SINCE(&l.since_ns), OPTION_UNTIL(&l.until_ns),
		{OPTION_KIND_FLAG, 'f', "follow", NULL, "go on with what is refused from now on", &l.follow, NULL},
		{OPTION_KIND_FLAG, 'q', "brief", NULL, "without the explanations", &l.brief, NULL},
		OPTION_OUTPUT(&format, formats), OPTION_END};
	const struct command c = {
		.verb = "blocks", .usage = "[options]", .options = options,
		.about = "What was refused (block), or would have been if its group were at stage\n"
			 "enforce (would-block), by name, and why: the nearest rule, what did not fit,\n"
			 "the smallest edit that would allow it. Counts are the kernel's own.\n",
		.examples = "  weir blocks --since -1h\n"
			    "  weir blocks -f\n"
			    "  weir blocks -o json | jq -r '.explanation.edit'\n"};
	struct operands rest;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	l.command = &c;
	l.json = format == 1;
	if (l.follow && l.until_ns)
		return command_misused(&c, "-f goes on for ever; it cannot end at --until");
	if (l.follow && l.since_ns == 0)
		l.since_ns = l.now_ns - FOLLOW_SPAN_NS;
	status = view_open(&l.view, &c, l.dir);
	if (status != VERB_DONE)
		return status;
	status = list(&l);
	table_free(l.table);
	refusal_rules_free(l.rules);
	view_close(&l.view);
	return status;
}
