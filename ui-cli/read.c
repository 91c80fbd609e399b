/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `weir read`: capture files through the same pipeline as live traffic. What was found goes to the store that --state
 * names, or out as JSON lines, or, by default, is summed up for people. The work is daemon/offline.c's; here is what
 * is done with its results.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/offline.h"
#include "inventory/inventory.h"
#include "ui-cli/options.h"
#include "ui-cli/read_json.h"
#include "ui-cli/read_summary.h"
#include "ui-cli/verb.h"

enum output { OUTPUT_TEXT, OUTPUT_JSON };

struct reading {
	const struct command *command;
	struct engine *engine;
	struct read_workloads workloads;
	struct read_json *json;       /* -o json */
	struct read_summary *summary; /* otherwise */
	unsigned complaints;
};

static void on_error(void *arg, const char *text)
{
	struct reading *r = arg;

	r->complaints++;
	command_failed(r->command, "%s", text);
}

static void on_flow(void *arg, const struct flow_rec *f, const struct names_end end[2])
{
	struct reading *r = arg;

	if (r->json)
		read_json_flow(r->json, f);
	else
		read_summary_flow(r->summary, engine_names(r->engine), f, end);
}

static void on_attempts(void *arg, const struct flow_attempts *a, const struct names_end *dst)
{
	struct reading *r = arg;

	(void)dst;
	if (r->json)
		read_json_attempts(r->json, a);
	else
		read_summary_attempts(r->summary, a);
}

/* One workload of --inventory. */
static void on_workload(void *arg, const struct workload *w)
{
	struct reading *r = arg;
	struct read_workloads *all = &r->workloads;

	if (all->n == all->cap) {
		size_t cap = all->cap ? all->cap * 2 : 64;
		struct workload *grown = realloc(all->w, cap * sizeof(*grown));

		if (!grown)
			return;
		all->w = grown;
		all->cap = cap;
	}
	all->w[all->n++] = *w;
	engine_workload(r->engine, w, w->end_ns != 0, 0);
}

static int open_store(const struct command *c, struct store **store, const char *state)
{
	const struct store_options so = {.no_sync = true};
	int rc = store_open(store, state, STORE_WRITE, &so);

	if (rc == -EBUSY)
		return command_failed(c, "%s: another weir is writing there; read into a directory of its own", state);
	if (rc)
		return command_failed(c, "%s: the store cannot be opened: %s", state,
				      rc == -EPROTO ? "written by a newer weir" : strerror(-rc));
	return VERB_DONE;
}

/* The workers run already; everything else is opened here. */
static int process(struct reading *r, struct offline *o, struct store *store, const char *inventory, bool json)
{
	const struct engine_options eo = {.on_flow = on_flow, .on_attempts = on_attempts, .arg = r};
	char error[INVENTORY_ERROR_STRLEN] = "";
	int rc = engine_new(&r->engine, store, &eo);

	if (!rc && inventory) {
		rc = inventory_read_file(inventory, on_workload, r, error);
		if (rc)
			return command_failed(r->command, "%s", error[0] ? error : strerror(-rc));
	}
	if (!rc)
		rc = json ? read_json_new(&r->json, inventory ? &r->workloads : NULL) : read_summary_new(&r->summary);
	if (rc)
		return command_failed(r->command, "out of memory");
	rc = offline_pump(o, r->engine, on_error, r);
	if (rc && rc != -EIO)
		command_failed(r->command, "the store did not take everything: %s", strerror(-rc));
	return rc ? VERB_FAILED : VERB_DONE;
}

static int finish(struct reading *r, const struct operands *files, const char *state)
{
	const struct coverage_rec *ifaces;
	struct engine_stats stats;
	size_t n;

	if (r->json)
		return read_json_flush(r->json) ? command_failed(r->command, "writing the output failed: %s",
								 strerror(errno))
						: VERB_DONE;
	if (!r->summary)
		return VERB_DONE;
	n = engine_ifaces(r->engine, &ifaces);
	engine_stats(r->engine, &stats);
	read_summary_print(r->summary, engine_names(r->engine), ifaces, n, &stats, files->v[0], (size_t)files->n,
			   state);
	return VERB_DONE;
}

static int run(const struct command *c, const struct operands *files, const struct offline_settings *os,
	       const char *state,
	       const char *inventory, bool json)
{
	struct reading r = {.command = c};
	struct offline *o = NULL;
	struct store *store = NULL;
	int status, rc = offline_start(&o, os);

	if (rc)
		return command_failed(c, "the workers cannot be started: %s", strerror(-rc));
	status = state ? open_store(c, &store, state) : VERB_DONE;
	if (status == VERB_DONE) {
		int printed;

		status = process(&r, o, store, inventory, json);
		printed = finish(&r, files, state);
		if (status == VERB_DONE)
			status = printed;
	}
	offline_free(o);
	read_json_free(r.json);
	read_summary_free(r.summary);
	engine_free(r.engine);
	store_close(store);
	free(r.workloads.w);
	return status;
}

int verb_read(int argc, char **argv)
{
	static const char *const outputs[] = {"text", "json", NULL};
	const char *state = NULL, *inventory = NULL;
	uint64_t workers = 0, table_size = 0;
	bool inside = false;
	int output = OUTPUT_TEXT;
	const struct option_spec options[] = {
		{OPTION_KIND_TEXT, 0, "state", "DIR", "keep what was read in the store there", &state, NULL},
		{OPTION_KIND_TEXT, 0, "inventory", "FILE",
		 "docker inspect JSON, or lines \"IP NAME [GROUP]\"",
		 &inventory, NULL},
		OPTION_OUTPUT(&output, outputs),
		{OPTION_KIND_NUMBER, 0, "workers", "N", "processes that read [one a core, up to 4]",
		 &workers, NULL},
		{OPTION_KIND_NUMBER, 0, "table-size", "N", "flows followed at a time [1048576]", &table_size, NULL},
		{OPTION_KIND_FLAG, 0, "look-inside", NULL, "look into VXLAN, Geneve, GRE and IP-in-IP", &inside, NULL},
		OPTION_END,
	};
	const struct command c = {
		.verb = "read",
		.usage = "FILE... [--state DIR] [--inventory FILE] [-o json]",
		.about = "Reads capture files (pcap, pcapng; - is standard input) through the same\n"
			 "decoding, flow table, classification and store as live traffic, with the\n"
			 "packets' own time as the clock. Without --state the result is summed up and\n"
			 "forgotten; with it, map, flows, who, learn and the others answer from it. -o\n"
			 "json prints one flow a line. A file that cannot be read to its end is told\n"
			 "of (exit 1); what came before counts.\n",
		.options = options,
		.examples = "  weir read web.pcap\n"
			    "  docker inspect $(docker ps -q) > names.json\n"
			    "  weir read web.pcap --inventory names.json --state /tmp/web\n"
			    "  weir map --state /tmp/web\n"
			    "  tcpdump -w - -i eth0 | weir read - -o json\n",
		.min_operands = 1,
		.max_operands = -1,
	};
	struct offline_settings os;
	struct operands files;
	int status;

	if (!options_parse(&c, argc, argv, &files, &status))
		return status;
	if (workers > OFFLINE_WORKERS_MAX)
		return command_misused(&c, "--workers: at most %d", OFFLINE_WORKERS_MAX);
	if (table_size && (table_size < 1024 || table_size > 1 << 26))
		return command_misused(&c, "--table-size: 1024 to %d", 1 << 26);
	os = (struct offline_settings){files.v, (size_t)files.n, (unsigned)workers, (uint32_t)table_size, inside};
	return run(&c, &files, &os, state, inventory, output == OUTPUT_JSON);
}
