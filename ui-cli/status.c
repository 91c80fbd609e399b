/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir status: is it running, as whom, on which interfaces, what has it lost, which policy is in force. The daemon
 * answers (daemon/control.h); with the daemon down the store tells what it can, and the exit code is 1.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "common/timefmt.h"
#include "daemon/control.h"
#include "store/history.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/options.h"
#include "ui-cli/status.h"
#include "ui-cli/verb.h"
#include "ui-cli/view.h"

#define STATUS_TIMEOUT_MS 5000

/* The store's figures under the names that the daemon's reply has. */
static void set_store(json_t *o, const struct store_stats *s)
{
	json_t *store = json_object();

	jsonl_set_number(store, "bytes_used", s->bytes_used);
	jsonl_set_number(store, "bytes_file", s->bytes_file);
	jsonl_set_number(store, "size_budget", s->size_budget);
	jsonl_set_number(store, "flows", s->flows);
	jsonl_set_number(store, "attempts", s->attempts);
	jsonl_set_number(store, "workloads", s->workloads);
	jsonl_set_number(store, "edges", s->edges);
	jsonl_set_number(store, "verdicts", s->verdicts);
	jsonl_set_time(store, "oldest_flow", s->oldest_flow_ns);
	jsonl_set_time(store, "newest_flow", s->newest_flow_ns);
	json_object_set_new(o, "store", store);
}

static json_t *stages(const struct generation *g)
{
	json_t *o = json_object();
	unsigned count[STAGE_ENFORCE + 1] = {0};
	struct ruleset rs;

	if (ruleset_decode(&rs, g->ruleset, g->ruleset_len) < 0)
		return o;
	for (size_t i = 0; i < rs.n_groups; i++)
		count[rs.groups[i].stage <= STAGE_ENFORCE ? rs.groups[i].stage : 0]++;
	for (unsigned i = 0; i <= STAGE_ENFORCE; i++)
		jsonl_set_number(o, stage_name(i), count[i]);
	ruleset_fini(&rs);
	return o;
}

/* The kernel counts the time to confirm by its own clock, which can be read as well while no weir runs: in the boot in
 * which the policy was applied. */
static void set_left(json_t *policy, struct store_txn *t, const struct generation *g)
{
	uint64_t now_ns = time_mono_ns();
	char boot_id[TIME_BOOT_STRLEN];
	struct confirm_deadline d;

	if (g->state != GENERATION_ARMED || store_deadline_get(t, &d) < 0 || d.generation != g->number || !d.boot_id[0])
		return;
	if (strcmp(time_boot_id(boot_id), d.boot_id) != 0)
		json_object_set_new(policy, "other_boot", json_true());
	else
		jsonl_set_real(policy, "confirm_left_s",
			       d.mono_ns > now_ns ? (double)(d.mono_ns - now_ns) / (double)NS_PER_S : 0);
}

static void set_policy(json_t *o, struct store_txn *t)
{
	json_t *policy = json_object();
	struct generation g;

	if (store_generation_current(t, &g) == 0) {
		jsonl_set_number(policy, "generation", g.number);
		jsonl_set_text(policy, "state", generation_state_name(g.state));
		jsonl_set_time(policy, "applied", g.applied_ns);
		jsonl_set_text(policy, "why", g.why);
		jsonl_set_time(policy, "confirm_by", g.confirm_by_ns);
		set_left(policy, t, &g);
		json_object_set_new(policy, "stages", stages(&g));
	} else {
		jsonl_set_number(policy, "generation", 0);
	}
	json_object_set_new(o, "policy", policy);
}

/* What the store knows, in the form of the daemon's reply. NULL when the store cannot be read (told already). */
static json_t *from_store(const struct command *c, const char *dir)
{
	struct coverage_rec lost;
	struct store_stats stats;
	uint64_t intervals;
	struct view v;
	json_t *o = NULL, *coverage;
	int rc;

	if (view_open(&v, c, dir) != VERB_DONE)
		return NULL;
	rc = store_stats(v.txn, &stats);
	if (rc == 0)
		rc = view_coverage(&v, 0, 0, &lost, &intervals);
	if (rc < 0) {
		view_failed(&v, "figures", rc);
		goto out;
	}
	o = json_object();
	json_object_set_new(o, "schema", json_integer(JSONL_SCHEMA));
	json_object_set_new(o, "running", json_false());
	set_store(o, &stats);
	set_policy(o, v.txn);
	coverage = json_object();
	json_object_set_new(coverage, "complete", json_boolean(intervals == 0));
	jsonl_set_number(coverage, "lost", lost.lost_kernel + lost.lost_interface + lost.lost_ring + lost.lost_store);
	jsonl_set_number(coverage, "intervals", intervals);
	json_object_set_new(o, "coverage", coverage);
out:
	view_close(&v);
	return o;
}

/* The daemon's reply. NULL with *error when there is no daemon, or it talks nonsense. */
static json_t *from_daemon(const char *dir, char *error)
{
	char *text = NULL;
	json_error_t where;
	json_t *o;

	if (control_request(dir, "{\"schema\":1,\"order\":\"status\"}", STATUS_TIMEOUT_MS, &text, error) < 0)
		return NULL;
	o = json_loads(text, 0, &where);
	free(text);
	if (!o) {
		snprintf(error, CONTROL_ERROR_STRLEN, "the daemon's answer is no JSON: %s", where.text);
		return NULL;
	}
	if (!json_is_true(json_object_get(o, "ok"))) {
		const char *why = json_string_value(json_object_get(o, "error"));

		snprintf(error, CONTROL_ERROR_STRLEN, "%s", why ? why : "the daemon refused to tell");
		json_decref(o);
		return NULL;
	}
	json_object_del(o, "ok");
	json_object_set_new(o, "running", json_true());
	return o;
}

int verb_status(int argc, char **argv)
{
	static const char *const formats[] = {"text", "json", NULL};
	const char *dir = STATE_DIR_DEFAULT;
	char error[CONTROL_ERROR_STRLEN] = "";
	int format = 0, status;
	const struct option_spec options[] = {OPTION_STATE(&dir), OPTION_OUTPUT(&format, formats), OPTION_END};
	const struct command c = {
		.verb = "status", .usage = "[options]", .options = options,
		.about = "Is weir running, as whom and with which capabilities, what does it watch, what\n"
			 "has it lost, how full is the store, which policy is in force. With the daemon\n"
			 "down: what the store knows, and exit 1.\n",
		.examples = "  weir status\n"
			    "  weir status -o json | jq .coverage\n"};
	struct operands rest;
	bool running;
	json_t *o;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	o = from_daemon(dir, error);
	running = o != NULL;
	if (!o)
		o = from_store(&c, dir);
	if (!o)
		return VERB_FAILED;
	json_object_set_new(o, "event_type", json_string("status"));
	json_object_set_new(o, "state", json_string(dir));
	if (format == 1) {
		if (jsonl_print(o) < 0)
			return command_failed(&c, "out of memory");
	} else {
		status_write_text(o, stdout);
		json_decref(o);
	}
	if (!running)
		return command_failed(&c, "the daemon does not answer: %s", error);
	return VERB_DONE;
}
