/* SPDX-License-Identifier: GPL-3.0-or-later */
/* weir status for people: see status.h. Members that are missing are simply not told of. */
#include "config.h"
#include "ui-cli/status.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/timefmt.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"

static const char *text_of(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static uint64_t number_of(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);
	double d = json_number_value(v);

	return d > 0 ? (uint64_t)d : 0;
}

/* RFC 3339 UTC as it came, as local time; "" when absent. */
static const char *moment_of(json_t *o, const char *key, char out[UNITS_STRLEN])
{
	uint64_t ns;

	*out = '\0';
	if (time_parse(&ns, text_of(o, key), 0) == 0)
		units_moment(ns, out);
	return out;
}

static const char *span_of(json_t *o, const char *key, char out[TIME_STRLEN])
{
	double s = json_number_value(json_object_get(o, key));

	return duration_format(s > 0 ? (uint64_t)(s * 1e9) : 0, out);
}

static void line(FILE *out, const char *what, enum table_style style, const char *text)
{
	fprintf(out, "%-10s ", what);
	table_print(out, style, text);
	fputc('\n', out);
}

/* The kernel counts the time to confirm by a clock of its own, which nobody can set. What is left of it is told
 * wherever it is known; "confirm_by" is what the clock on the wall would have said, had nobody set it since. */
static void write_deadline(json_t *status, json_t *policy, FILE *out)
{
	bool running = json_is_true(json_object_get(status, "running"));
	json_t *left = json_object_get(policy, "confirm_left_s");
	char when[UNITS_STRLEN], span[TIME_STRLEN];
	struct buf b = BUF_INIT;

	if (json_is_true(json_object_get(policy, "other_boot")))
		buf_adds(&b, "never confirmed, and not applied since this machine was started: "
			     "the kernel has no rule of it");
	else if (left && !running && json_number_value(left) <= 0)
		buf_adds(&b, "never confirmed: the kernel has ended enforcement by itself");
	else if (left)
		buf_printf(&b, "enforcement ends by itself at %s (in %s)",
			   units_moment(time_now_ns() + (uint64_t)(json_number_value(left) * 1e9), when),
			   span_of(policy, "confirm_left_s", span));
	else if (*moment_of(policy, "confirm_by", when))
		buf_printf(&b, "enforcement ends by itself at %s", when);
	if (running)
		buf_adds(&b, " unless confirmed: weir confirm");
	else if (json_number_value(left) > 0)
		buf_adds(&b, "; to confirm, start weir first");
	if (b.len)
		line(out, "", TABLE_WARN, b.data);
	buf_fini(&b);
}

static void write_policy(json_t *status, FILE *out)
{
	json_t *p = json_object_get(status, "policy"), *stages = json_object_get(p, "stages"), *v;
	char when[UNITS_STRLEN];
	const char *key;
	struct buf b = BUF_INIT;

	if (!p)
		return;
	if (number_of(p, "generation") == 0) {
		line(out, "policy", TABLE_PLAIN, "none in force: everything is let through");
		return;
	}
	buf_printf(&b, "generation %" PRIu64 ", %s", number_of(p, "generation"), text_of(p, "state"));
	if (*moment_of(p, "applied", when))
		buf_printf(&b, ", applied %s", when);
	if (*text_of(p, "why"))
		buf_printf(&b, " (%s)", text_of(p, "why"));
	line(out, "policy", TABLE_PLAIN, b.data);
	buf_clear(&b);
	json_object_foreach (stages, key, v)
		buf_printf(&b, "%s%" PRIu64 " %s", b.len ? ", " : "groups: ", (uint64_t)json_integer_value(v), key);
	if (b.len)
		line(out, "", TABLE_PLAIN, b.data);
	if (strcmp(text_of(p, "state"), "expired") == 0)
		line(out, "", TABLE_WARN, "it ran out unconfirmed: what it refused is let through and counted as "
		     "would-block; weir apply puts it back");
	if (strcmp(text_of(p, "state"), "armed") == 0)
		write_deadline(status, p, out);
	if (json_object_get(p, "kernel_generation") &&
	    number_of(p, "kernel_generation") != number_of(p, "generation")) {
		buf_clear(&b);
		buf_printf(&b, "the kernel has generation %" PRIu64 " instead", number_of(p, "kernel_generation"));
		line(out, "", TABLE_BAD, b.data);
	}
	buf_fini(&b);
}

static void write_store(json_t *status, FILE *out)
{
	json_t *s = json_object_get(status, "store");
	static const char *const counts[][3] = {{"flows", "flow", "flows"},
						{"workloads", "workload", "workloads"},
						{"edges", "edge", "edges"},
						{"verdicts", "verdict", "verdicts"}};
	char used[UNITS_STRLEN], budget[UNITS_STRLEN], from[UNITS_STRLEN], to[UNITS_STRLEN], text[UNITS_STRLEN];
	struct buf b = BUF_INIT;

	if (!s)
		return;
	buf_printf(&b, "%s, %s of %s", text_of(status, "state"), units_bytes(number_of(s, "bytes_used"), used),
		   units_bytes(number_of(s, "size_budget"), budget));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		buf_printf(&b, "%s%s", i ? ", " : "; ",
			   units_plural(number_of(s, counts[i][0]), counts[i][1], counts[i][2], text));
	line(out, "store", TABLE_PLAIN, b.data);
	if (*moment_of(s, "oldest_flow", from) && *moment_of(s, "newest_flow", to)) {
		buf_clear(&b);
		buf_printf(&b, "flows from %s to %s", from, to);
		line(out, "", TABLE_PLAIN, b.data);
	}
	buf_fini(&b);
}

static void write_coverage(json_t *status, FILE *out)
{
	json_t *c = json_object_get(status, "coverage");
	uint64_t lost = number_of(c, "lost"), gaps = number_of(c, "gaps");
	char text[UNITS_STRLEN];
	struct buf b = BUF_INIT;

	if (!c)
		return;
	if (json_is_true(json_object_get(c, "complete"))) {
		line(out, "coverage", TABLE_GOOD, "complete: nothing is known to have been missed");
		return;
	}
	buf_adds(&b, "incomplete: ");
	if (lost)
		buf_adds(&b, units_plural(lost, "packet or record lost", "packets or records lost", text));
	if (gaps)
		buf_printf(&b, "%s%s", lost ? ", " : "", units_plural(gaps, "gap", "gaps", text));
	if (!lost && !gaps) /* the store does not count those */
		buf_adds(&b, "not watched for a time");
	line(out, "coverage", TABLE_WARN, b.data);
	buf_fini(&b);
}

/* "docker: not reachable since 02:14, 4 containers as last known" */
static void write_runtimes(json_t *inv, FILE *out)
{
	json_t *list = json_object_get(inv, "runtimes"), *o;
	char when[UNITS_STRLEN];
	struct buf b = BUF_INIT;
	size_t i, told = 0;

	json_array_foreach (list, i, o) {
		uint64_t n = number_of(o, "workloads");

		if (json_is_true(json_object_get(o, "reached")))
			continue; /* as it should be; in JSON */
		buf_clear(&b);
		buf_printf(&b, "%s at %s: not reachable since %s", text_of(o, "name"), text_of(o, "path"),
			   moment_of(o, "since", when));
		if (n)
			buf_printf(&b, ", %" PRIu64 " container%s as last known", n, n == 1 ? "" : "s");
		line(out, told++ ? "" : "runtime", TABLE_WARN, b.data);
	}
	buf_fini(&b);
}

/* Ends of flows where workloads are, without a name. A private address elsewhere may well be a machine of the same
 * site. */
static void write_unnamed(json_t *engine, FILE *out)
{
	struct buf b = BUF_INIT;
	const char *why;
	json_t *v;

	json_object_foreach (json_object_get(engine, "unnamed_why"), why, v)
		buf_printf(&b, "%s%" PRIu64 " %s", b.len ? ", " : "ends of flows without a name: ",
			   (uint64_t)json_integer_value(v), why);
	if (b.len)
		line(out, "", TABLE_PLAIN, b.data);
	buf_fini(&b);
}

static void write_inventory(json_t *status, FILE *out)
{
	json_t *inv = json_object_get(status, "inventory"), *notices = json_object_get(inv, "notices"), *notice;
	char when[UNITS_STRLEN];
	struct buf b = BUF_INIT;
	size_t i, told = 0;

	if (!inv)
		return;
	buf_printf(&b, "%" PRIu64 " workloads in %" PRIu64 " groups%s", number_of(inv, "workloads"),
		   number_of(inv, "groups"),
		   json_is_false(json_object_get(inv, "settled")) ? "; still asking the runtime" : "");
	line(out, "inventory", TABLE_PLAIN, b.data);
	write_runtimes(inv, out);
	write_unnamed(json_object_get(status, "engine"), out);
	json_array_foreach (notices, i, notice) {
		if (!json_is_true(json_object_get(notice, "problem")))
			continue; /* news; in JSON */
		buf_clear(&b);
		buf_printf(&b, "%s  %s", moment_of(notice, "timestamp", when), text_of(notice, "text"));
		line(out, told++ ? "" : "problems", TABLE_WARN, b.data);
	}
	buf_fini(&b);
}

static void write_interfaces(json_t *status, FILE *out)
{
	static const struct table_column columns[] = {{"INTERFACE", false, false, 0},
						      {"PACKETS", true, false, 0},
						      {"LOST", true, false, 0},
						      {"EVICTED", true, false, 0},
						      {"STATE", false, false, 0}};
	json_t *list = json_object_get(status, "interfaces"), *o;
	struct table *t = table_new(out, columns, sizeof(columns) / sizeof(columns[0]));
	size_t i;

	json_array_foreach (list, i, o) {
		uint64_t lost = number_of(o, "lost_kernel") + number_of(o, "lost_interface") +
				number_of(o, "lost_ring") + number_of(o, "lost_store");
		bool attached = !json_is_false(json_object_get(o, "attached"));

		if (!t)
			break;
		table_cell(t, TABLE_PLAIN, text_of(o, "name"));
		table_number(t, number_of(o, "received"));
		table_number(t, lost);
		table_number(t, number_of(o, "evicted"));
		table_cell(t, attached ? TABLE_PLAIN : TABLE_WARN, attached ? "attached" : "not attached");
	}
	if (t && table_rows(t)) {
		fputc('\n', out);
		table_flush(t);
	}
	table_free(t);
}

/* "cap_net_raw, cap_net_admin", or "none". */
static void join(struct buf *b, json_t *list)
{
	json_t *v;
	size_t i;

	buf_clear(b);
	json_array_foreach (list, i, v)
		buf_printf(b, "%s%s", i ? ", " : "", json_string_value(v) ? json_string_value(v) : "?");
	if (b->len == 0)
		buf_adds(b, "none");
}

/* What a process could take back into use: the enforcer holds what the capture workers it starts will need. */
static void join_held(struct buf *b, json_t *role)
{
	json_t *used = json_object_get(role, "capabilities"), *v, *u;
	size_t i, k;

	join(b, used);
	json_array_foreach (json_object_get(role, "capabilities_held"), i, v) {
		bool is_used = false;

		json_array_foreach (used, k, u)
			is_used |= json_equal(u, v);
		if (!is_used && json_string_value(v))
			buf_printf(b, "; holds %s", json_string_value(v));
	}
}

static void write_roles(json_t *status, FILE *out)
{
	static const struct table_column columns[] = {{"ROLE", false, false, 0},    {"PID", true, false, 0},
						      {"USER", false, false, 0},    {"CAPABILITIES", false, false, 0},
						      {"SECCOMP", false, false, 0}, {"UP", true, false, 0},
						      {"RESTARTS", true, false, 0}, {"MEMORY", true, false, 0}};
	json_t *list = json_object_get(status, "roles"), *o;
	struct table *t = table_new(out, columns, sizeof(columns) / sizeof(columns[0]));
	char text[UNITS_STRLEN];
	struct buf caps = BUF_INIT;
	size_t i;

	json_array_foreach (list, i, o) {
		if (!t)
			break;
		join_held(&caps, o);
		table_cell(t, TABLE_PLAIN, text_of(o, "role"));
		table_number(t, number_of(o, "pid"));
		table_cell(t, TABLE_PLAIN, text_of(o, "user"));
		table_cell(t, TABLE_PLAIN, caps.data);
		table_cell(t, TABLE_PLAIN, text_of(o, "seccomp"));
		table_cell(t, TABLE_PLAIN, span_of(o, "uptime_s", text));
		table_number(t, number_of(o, "restarts"));
		table_cell(t, TABLE_PLAIN, units_bytes(number_of(o, "rss_bytes"), text));
	}
	if (t && table_rows(t)) {
		fputc('\n', out);
		table_flush(t);
	}
	buf_fini(&caps);
	table_free(t);
}

void status_write_text(json_t *status, FILE *out)
{
	bool running = json_is_true(json_object_get(status, "running"));
	char up[TIME_STRLEN], text[UNITS_STRLEN + TIME_STRLEN];

	if (running) {
		snprintf(text, sizeof(text), "%.40s, running for %s", text_of(status, "version"),
			 span_of(status, "uptime_s", up));
		line(out, "weir", TABLE_GOOD, text);
	} else {
		line(out, "weir", TABLE_BAD, "not running; this is what the store knows");
	}
	write_policy(status, out);
	write_coverage(status, out);
	write_store(status, out);
	write_inventory(status, out);
	write_interfaces(status, out);
	write_roles(status, out);
}
