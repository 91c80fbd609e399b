/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir apply, confirm and rollback: the three orders to the daemon (daemon/control.h). The document is read and checked
 * here first, so that a slip of the pen is told with its line and nothing is sent.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "daemon/control.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/options.h"
#include "ui-cli/policy_file.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"

#define ORDER_TIMEOUT_MS 60000

/* The daemon's complaints about a document, as FILE:LINE:COLUMN: text. */
static void complain(json_t *list, const char *path)
{
	json_t *e;
	size_t i;

	json_array_foreach (list, i, e) {
		const char *text = json_string_value(json_object_get(e, "text"));

		fprintf(stderr, "%s:%" PRIu64 ":%" PRIu64 ": %s%s\n", path,
			(uint64_t)json_integer_value(json_object_get(e, "line")),
			(uint64_t)json_integer_value(json_object_get(e, "column")),
			json_is_true(json_object_get(e, "warning")) ? "warning: " : "", text ? text : "?");
	}
}

/* Sends the order (freed) and takes the reply. VERB_DONE with *reply the caller's to decref, or VERB_FAILED,
 * complained. */
static int give(json_t **reply, const struct command *c, const char *dir, json_t *order, const char *path)
{
	char error[CONTROL_ERROR_STRLEN] = "", *text = order ? json_dumps(order, JSON_COMPACT) : NULL, *answer = NULL;
	json_t *o = NULL;
	const char *why;
	int rc;

	json_decref(order);
	if (!text)
		return command_failed(c, "out of memory");
	rc = control_request(dir, text, ORDER_TIMEOUT_MS, &answer, error);
	free(text);
	if (rc < 0)
		return command_failed(c, "%s", error);
	o = json_loads(answer, 0, NULL);
	free(answer);
	if (json_is_true(json_object_get(o, "ok"))) {
		complain(json_object_get(o, "warnings"), path);
		*reply = o;
		return VERB_DONE;
	}
	complain(json_object_get(o, "errors"), path);
	why = json_string_value(json_object_get(o, "error"));
	command_failed(c, "%s", why ? why : "the daemon's answer makes no sense: is it of the same version?");
	json_decref(o);
	return VERB_FAILED;
}

static void print_state(json_t *reply, const char *dir)
{
	const char *state = json_string_value(json_object_get(reply, "state"));
	const char *by = json_string_value(json_object_get(reply, "confirm_by"));
	uint64_t generation = (uint64_t)json_integer_value(json_object_get(reply, "generation")), ns;
	char when[UNITS_STRLEN], place[600] = "";

	if (generation == 0 || (state && strcmp(state, "removed") == 0)) {
		puts("no policy is in force any more: weir's table is gone from the kernel, everything is let through");
		return;
	}
	printf("generation %" PRIu64 " is in force%s%s\n", generation, state ? ", " : "", state ? state : "");
	if (by && time_parse(&ns, by, 0) == 0) {
		if (strcmp(dir, STATE_DIR_DEFAULT) != 0)
			snprintf(place, sizeof(place), " --state %s", dir);
		printf("what it enforces ends by itself at %s unless you confirm: weir confirm%s\n",
		       units_moment(ns, when), place);
	}
}

static int finish(const struct command *c, const char *dir, json_t *order, const char *path, bool json)
{
	json_t *reply = NULL;
	int status = give(&reply, c, dir, order, path);

	if (status != VERB_DONE)
		return status;
	if (json)
		return jsonl_print(reply) < 0 ? command_failed(c, "out of memory") : VERB_DONE;
	print_state(reply, dir);
	json_decref(reply);
	return VERB_DONE;
}

static json_t *new_order(const char *what)
{
	json_t *o = jsonl_event(NULL);

	json_object_set_new(o, "order", json_string(what));
	return o;
}

static const char *const formats[] = {"text", "json", NULL};

int verb_apply(int argc, char **argv)
{
	const char *dir = STATE_DIR_DEFAULT, *why = NULL;
	uint64_t within_ns = 600 * NS_PER_S;
	int format = 0, status;
	const struct option_spec options[] = {
		OPTION_STATE(&dir),
		{OPTION_KIND_SPAN, 0, "confirm-within", "SPAN",
		 "how long it enforces unconfirmed [10m]; 0: for good", &within_ns, NULL},
		{OPTION_KIND_TEXT, 'm', "message", "WHY", "kept with the generation", &why, NULL},
		OPTION_OUTPUT(&format, formats),
		OPTION_END};
	const struct command c = {
		.verb = "apply", .usage = "POLICY [options]", .min_operands = 1, .max_operands = 1, .options = options,
		.about = "Puts the policy into the kernel, each group at the stage the document says, in\n"
			 "one transaction. What enforces does so only until the time is up, unless `weir\n"
			 "confirm` makes it last: if you cut yourself off, wait. Connections that are\n"
			 "established are not cut.\n",
		.examples = "  weir apply policy.yaml -m 'shop: dry run'\n"
			    "  weir apply policy.yaml --confirm-within 5m && weir confirm\n"};
	struct policy_file f;
	struct operands rest;
	json_t *order, *text;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	status = policy_file_read(&f, &c, rest.v[0]);
	if (status != VERB_DONE)
		return status;
	text = json_stringn(f.text, f.len);
	if (!text) {
		status = command_failed(&c, "%s: this is no UTF-8 text", rest.v[0]);
	} else {
		order = new_order("apply");
		json_object_set_new(order, "policy", text);
		jsonl_set_number(order, "confirm_within_s", (within_ns + NS_PER_S - 1) / NS_PER_S);
		jsonl_set_text(order, "why", why);
		status = finish(&c, dir, order, rest.v[0], format == 1);
	}
	policy_file_fini(&f);
	return status;
}

int verb_confirm(int argc, char **argv)
{
	const char *dir = STATE_DIR_DEFAULT;
	int format = 0, status;
	const struct option_spec options[] = {OPTION_STATE(&dir), OPTION_OUTPUT(&format, formats), OPTION_END};
	const struct command c = {
		.verb = "confirm", .usage = "[options]", .options = options,
		.about = "Makes what enforces now last, where `weir apply` gave it a time limit.\n",
		.examples = "  weir confirm\n"};
	struct operands rest;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	return finish(&c, dir, new_order("confirm"), "policy", format == 1);
}

int verb_rollback(int argc, char **argv)
{
	const char *dir = STATE_DIR_DEFAULT;
	int format = 0, status;
	const struct option_spec options[] = {OPTION_STATE(&dir), OPTION_OUTPUT(&format, formats), OPTION_END};
	const struct command c = {
		.verb = "rollback", .usage = "[GENERATION] [options]", .max_operands = 1, .options = options,
		.about = "Puts an earlier generation back in force: the one before, or the one named. 0\n"
			 "takes weir's table out of the kernel and puts back what was changed on\n"
			 "bridges.\n",
		.examples = "  weir rollback\n"
			    "  weir rollback 3\n"
			    "  weir rollback 0\n"};
	struct operands rest;
	json_t *order;
	char *end;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	order = new_order("rollback");
	if (rest.n) {
		unsigned long long v = strtoull(rest.v[0], &end, 10);

		if (rest.v[0][0] < '0' || rest.v[0][0] > '9' || *end) {
			json_decref(order);
			return command_misused(&c, "\"%s\" is no generation: a whole number, from `weir status`",
					       rest.v[0]);
		}
		jsonl_set_number(order, "generation", v);
	}
	return finish(&c, dir, order, "policy", format == 1);
}
