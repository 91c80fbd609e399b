/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The answer to `weir status`: what daemon/control.h promises, put together from what the engine knows and was told. */
#include "config.h"
#include "daemon/engine_role.h"

#include <stdio.h>
#include <string.h>

#include "common/timefmt.h"
#include "store/history.h"

static void set_number(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v));
}

static void set_time(json_t *o, const char *key, uint64_t ns)
{
	char text[TIME_STRLEN];

	if (ns)
		json_object_set_new(o, key, json_string(time_format_utc(ns, text)));
}

/* Names of the capabilities that weir can have; others by number. */
static json_t *caps(uint64_t bits)
{
	json_t *list = json_array();
	char text[16];

	for (unsigned i = 0; i < 64; i++) {
		if (!(bits >> i & 1))
			continue;
		snprintf(text, sizeof(text), "cap_%u", i);
		json_array_append_new(list, json_string(i == 12 ? "cap_net_admin" : i == 13 ? "cap_net_raw" : text));
	}
	return list;
}

static json_t *roles(const struct engine_role *r, uint64_t now)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_roles; i++) {
		const struct body_role *p = &r->roles[i];
		json_t *o = json_object();

		json_object_set_new(o, "role", json_string(p->name));
		set_number(o, "pid", (uint64_t)p->pid);
		json_object_set_new(o, "user", json_string(p->user));
		json_object_set_new(o, "capabilities", caps(p->caps_effective));
		json_object_set_new(o, "capabilities_held", caps(p->caps_permitted));
		json_object_set_new(o, "seccomp", json_string(p->seccomp == 2 ? "filter" : p->seccomp ? "strict"
							      : "none"));
		json_object_set_new(o, "no_new_privs", json_boolean(p->no_new_privs));
		set_number(o, "uptime_s", p->pid && now > p->started_ns ? (now - p->started_ns) / NS_PER_S : 0);
		set_number(o, "restarts", p->restarts);
		set_number(o, "rss_bytes", p->rss_bytes);
		json_array_append_new(list, o);
	}
	return list;
}

static bool is_attached(const struct engine_role *r, uint32_t ifindex)
{
	for (size_t i = 0; i < r->n_links; i++)
		if (r->links[i].ifindex == ifindex)
			return r->watched[i];
	return false;
}

static json_t *interface(const struct engine_role *r, const struct coverage_rec *c)
{
	json_t *o = json_object();

	json_object_set_new(o, "name", json_string(c->iface_name));
	set_number(o, "ifindex", c->iface);
	json_object_set_new(o, "attached", json_boolean(is_attached(r, c->iface)));
	set_number(o, "received", c->received);
	set_number(o, "lost_kernel", c->lost_kernel);
	set_number(o, "lost_interface", c->lost_interface);
	set_number(o, "lost_ring", c->lost_ring);
	set_number(o, "lost_store", c->lost_store);
	set_number(o, "evicted", c->evicted);
	set_number(o, "folded", c->folded);
	set_number(o, "not_ip", c->not_ip);
	set_number(o, "malformed", c->malformed);
	json_object_set_new(o, "complete", json_boolean(coverage_complete(c)));
	return o;
}

static json_t *interfaces(const struct engine_role *r)
{
	const struct coverage_rec *c;
	size_t n = engine_ifaces(r->engine, &c);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (c[i].iface_name[0])
			json_array_append_new(list, interface(r, &c[i]));
	for (size_t i = 0; i < r->n_links; i++) { /* known, and nothing told of yet */
		struct coverage_rec none = {.iface = r->links[i].ifindex};
		bool told = false;

		for (size_t k = 0; k < n; k++)
			told |= c[k].iface == none.iface && c[k].iface_name[0];
		if (told)
			continue;
		memcpy(none.iface_name, r->links[i].name, sizeof(r->links[i].name));
		json_array_append_new(list, interface(r, &none));
	}
	return list;
}

static json_t *capture(const struct engine_role *r)
{
	json_t *o = json_object();
	struct body_stats sum = {0};

	for (unsigned i = 0; i < SETTINGS_WORKERS_MAX; i++) {
		sum.packets += r->stats[i].packets;
		sum.bytes += r->stats[i].bytes;
		sum.flows_live += r->stats[i].flows_live;
		sum.table_size += r->stats[i].table_size;
		sum.dpi_live += r->stats[i].dpi_live;
	}
	set_number(o, "packets", sum.packets);
	set_number(o, "bytes", sum.bytes);
	set_number(o, "flows_live", sum.flows_live);
	set_number(o, "table_size", sum.table_size);
	set_number(o, "dpi_live", sum.dpi_live);
	return o;
}

static json_t *store(const struct engine_role *r)
{
	json_t *o = json_object();
	struct store_stats s;
	struct store_txn *t;

	if (store_begin(&t, r->store, false))
		return o;
	if (store_stats(t, &s) == 0) {
		set_number(o, "bytes_used", s.bytes_used);
		set_number(o, "bytes_file", s.bytes_file);
		set_number(o, "size_budget", s.size_budget);
		set_number(o, "flows", s.flows);
		set_number(o, "attempts", s.attempts);
		set_number(o, "workloads", s.workloads);
		set_number(o, "edges", s.edges);
		set_number(o, "verdicts", s.verdicts);
		set_time(o, "oldest_flow", s.oldest_flow_ns);
		set_time(o, "newest_flow", s.newest_flow_ns);
	}
	store_abort(t);
	return o;
}

static json_t *policy(const struct engine_role *r, uint64_t now)
{
	const struct ruleset *rs = engine_ruleset(r->engine);
	uint64_t stages[3] = {0};
	json_t *o = json_object(), *s = json_object();

	set_number(o, "generation", r->generation);
	set_number(o, "kernel_generation", r->kernel_generation);
	set_number(o, "refused", r->refused);
	if (!r->generation) {
		json_decref(s);
		return o;
	}
	json_object_set_new(o, "state", json_string(generation_state_name(r->generation_state)));
	set_time(o, "applied", r->applied_ns);
	if (r->why[0])
		json_object_set_new(o, "why", json_string(r->why));
	if (r->generation_state == GENERATION_ARMED) {
		set_time(o, "confirm_by", now + generation_left_ns(r)); /* as the wall clock stands now */
		set_number(o, "confirm_left_s", generation_left_ns(r) / NS_PER_S);
	}
	for (size_t i = 0; rs && i < rs->n_groups; i++)
		if (rs->groups[i].stage < 3)
			stages[rs->groups[i].stage]++;
	for (unsigned i = 0; i < 3; i++)
		set_number(s, stage_name(i), stages[i]);
	json_object_set_new(o, "stages", s);
	return o;
}

/* Those that answer or do not; but not one that nobody asked for and that was never there. */
static json_t *runtimes(const struct engine_role *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_runtimes; i++) {
		const struct body_runtime *t = &r->runtimes[i];
		json_t *o;

		if (!t->since_ns || (t->absent && !t->workloads)) /* yet to answer; nothing to know of */
			continue;
		o = json_object();
		json_object_set_new(o, "name", json_string(t->name[0] ? t->name : "runtime"));
		if (t->version[0])
			json_object_set_new(o, "version", json_string(t->version));
		json_object_set_new(o, "path", json_string(t->path));
		json_object_set_new(o, "reached", json_boolean(t->reached));
		set_time(o, "since", t->since_ns);
		set_number(o, "workloads", t->workloads);
		set_number(o, "recalled", t->recalled);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *inventory(const struct engine_role *r)
{
	json_t *o = json_object(), *list = json_array();

	set_number(o, "workloads", names_count(engine_names(r->engine)));
	set_number(o, "groups", names_groups(engine_names(r->engine)));
	set_number(o, "host_addresses", r->n_host);
	json_object_set_new(o, "settled", json_boolean(r->settled));
	json_object_set_new(o, "runtimes", runtimes(r));
	for (size_t i = 0; i < r->n_notices; i++) {
		json_t *n = json_object();

		set_time(n, "timestamp", r->notices[i].when_ns);
		json_object_set_new(n, "problem", json_boolean(r->notices[i].problem));
		json_object_set_new(n, "text", json_string(r->notices[i].text));
		json_array_append_new(list, n);
	}
	json_object_set_new(o, "notices", list);
	return o;
}

static json_t *unnamed_why(const struct engine_stats *s)
{
	json_t *o = json_object();

	for (unsigned i = FLOW_UNNAMED_NONE + 1; i < FLOW_UNNAMED_MAX_; i++)
		if (s->unnamed_why[i])
			set_number(o, flow_unnamed_name(i), s->unnamed_why[i]);
	return o;
}

json_t *engine_status(struct engine_role *r)
{
	uint64_t now = time_now_ns(), since = r->daemon_started_ns ? r->daemon_started_ns : r->started_ns;
	json_t *o = json_pack("{s:i,s:b,s:s}", "schema", 1, "ok", 1, "version",
			      PACKAGE_VERSION), *engine = json_object();
	json_t *coverage = json_object();
	struct engine_stats s;

	engine_commit(r->engine); /* the store is read below, and is asked about what was true a second ago otherwise */
	engine_stats(r->engine, &s);
	set_time(o, "started", since);
	set_number(o, "uptime_s", now > since ? (now - since) / NS_PER_S : 0);
	if (r->n_roles)
		json_object_set_new(o, "user", json_string(r->roles[0].user));
	json_object_set_new(o, "roles", roles(r, now));
	json_object_set_new(o, "interfaces", interfaces(r));
	json_object_set_new(o, "capture", capture(r));
	set_number(engine, "flows", s.flows);
	set_number(engine, "held", s.held);
	set_number(engine, "unnamed", s.unnamed);
	json_object_set_new(engine, "unnamed_why", unnamed_why(&s));
	set_number(engine, "edges_pending", s.edges_pending);
	set_number(engine, "commits", s.commits);
	set_number(engine, "commit_ms_max", s.commit_ns_max / NS_PER_MS);
	json_object_set_new(o, "engine", engine);
	json_object_set_new(o, "store", store(r));
	json_object_set_new(o, "policy", policy(r, now));
	json_object_set_new(o, "inventory", inventory(r));
	json_object_set_new(coverage, "complete", json_boolean(s.lost == 0 && s.gaps == 0));
	set_number(coverage, "lost", s.lost);
	set_number(coverage, "gaps", s.gaps);
	json_object_set_new(o, "coverage", coverage);
	return o;
}
