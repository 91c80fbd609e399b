/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parent tells the engine: workloads, links, addresses, verdicts, the answers to its questions and orders.
 * Each kind of message is decoded here and handed to whoever it concerns. Rings are engine_role.c's.
 */
#include "config.h"
#include "daemon/engine_role.h"

#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "common/wire.h"
#include "store/identity.h"

static void take_workload(struct engine_role *r, const struct msg *m)
{
	struct wire_reader rd;
	struct workload w;
	uint64_t bound_ns;
	bool ended;

	wire_reader_init(&rd, m->data, m->len);
	ended = wire_get_u8(&rd) != 0;
	bound_ns = wire_get_u64(&rd);
	if (wire_ok(&rd) && workload_decode(&w, rd.p, wire_left(&rd)) == 0)
		engine_workload(r->engine, &w, ended, bound_ns);
}

static void take_host(struct engine_role *r, const struct msg *m)
{
	struct wire_reader rd;
	struct addr *addrs;
	uint32_t n;

	wire_reader_init(&rd, m->data, m->len);
	n = wire_get_u32(&rd);
	if (!wire_ok(&rd) || n > wire_left(&rd))
		return;
	addrs = calloc(n ? n : 1, sizeof(*addrs));
	for (uint32_t i = 0; addrs && i < n; i++)
		addrs[i] = wire_get_addr(&rd);
	if (addrs && wire_ok(&rd)) {
		engine_host(r->engine, addrs, n, time_now_ns());
		r->n_host = n;
	}
	free(addrs);
}

static void take_link(struct engine_role *r, const struct msg *m)
{
	struct body_link l;
	size_t i = 0;

	if (body_link_decode(&l, m->data, m->len))
		return;
	while (i < r->n_links && r->links[i].ifindex != l.ifindex)
		i++;
	if (i == ENGINE_LINKS_MAX)
		return;
	r->links[i] = l;
	if (i == r->n_links) {
		r->watched[i] = false;
		r->n_links++;
	}
	names_network(engine_names(r->engine), l.ifindex, l.addrs, l.lens, l.router ? 0 : l.n_addrs);
}

static void take_link_gone(struct engine_role *r, uint32_t ifindex)
{
	names_network_gone(engine_names(r->engine), ifindex);
	for (size_t i = 0; i < r->n_links; i++) {
		if (r->links[i].ifindex == ifindex) {
			r->links[i] = r->links[--r->n_links];
			r->watched[i] = r->watched[r->n_links];
			return;
		}
	}
}

static void take_watched(struct engine_role *r, const struct msg *m)
{
	struct wire_reader rd;
	uint32_t ifindex;
	bool watched;

	wire_reader_init(&rd, m->data, m->len);
	ifindex = wire_get_u32(&rd);
	watched = wire_get_u8(&rd) != 0;
	for (size_t i = 0; wire_ok(&rd) && i < r->n_links; i++)
		if (r->links[i].ifindex == ifindex)
			r->watched[i] = watched;
}

/*
 * Nobody watched between the last sign of life of the daemon before and the start of this one. And when an engine dies,
 * what it took from the rings since its last commit (which is that sign of life) dies with it, and flows that waited
 * then for a name: as good as unwatched.
 */
static void take_settled(struct engine_role *r, uint64_t daemon_started_ns, bool again)
{
	uint64_t kept_ns = r->last_alive_ns, until_ns = again ? r->started_ns : daemon_started_ns;
	bool unwatched = r->last_alive_ns && r->last_alive_ns < daemon_started_ns;

	if (again)
		kept_ns = kept_ns > r->s.grace_ns ? kept_ns - r->s.grace_ns : daemon_started_ns;
	r->settled = true;
	r->daemon_started_ns = daemon_started_ns;
	engine_settled(r->engine, unwatched ? r->last_alive_ns : time_now_ns());
	if (again)
		engine_recall(r->engine, daemon_started_ns);
	for (size_t i = 0; kept_ns && kept_ns < until_ns && i < r->n_links; i++) {
		struct coverage_rec c = {.start_ns = kept_ns, .end_ns = until_ns, .gap = 1,
					 .iface = r->links[i].ifindex};

		memcpy(c.iface_name, r->links[i].name, sizeof(r->links[i].name));
		engine_coverage(r->engine, &c);
	}
	r->last_alive_ns = 0;
	engine_role_commit(r);
}

static void take_stats(struct engine_role *r, const struct msg *m)
{
	struct body_stats s;

	if (body_stats_decode(&s, m->data, m->len) == 0 && s.worker < SETTINGS_WORKERS_MAX)
		r->stats[s.worker] = s;
}

static void take_verdict(struct engine_role *r, const struct msg *m)
{
	struct verdict_rec v;

	if (verdict_decode(&v, m->data, m->len))
		return;
	r->refused += v.count;
	engine_verdict(r->engine, &v);
}

static void take_unnamed(struct engine_role *r, const struct msg *m)
{
	struct inventory_unnamed u;

	if (body_unnamed_decode(&u, m->data, m->len) == 0)
		engine_unnamed(r->engine, &u);
}

static void take_origin(struct engine_role *r, const struct msg *m)
{
	struct body_origin b;
	struct engine_origin o;

	if (body_origin_decode(&b, m->data, m->len))
		return;
	o = (struct engine_origin){b.known, b.first_began, b.client, b.orig_addr, b.server, b.client_port, b.orig_port,
				   b.server_port};
	engine_origin(r->engine, b.token, &o);
}

/* Messages whose body is a number first. */
static void take_number(struct engine_role *r, const struct msg *m)
{
	char text[512];
	struct wire_reader rd;
	uint64_t v;

	wire_reader_init(&rd, m->data, m->len);
	v = m->type == IPC_RING_END || m->type == IPC_LINK_GONE ? wire_get_u32(&rd) : wire_get_u64(&rd);
	if (!wire_ok(&rd))
		return;
	if (m->type == IPC_RING_END && v < SETTINGS_WORKERS_MAX) {
		engine_role_ring_end(r, (unsigned)v);
	} else if (m->type == IPC_LINK_GONE) {
		take_link_gone(r, (uint32_t)v);
	} else if (m->type == IPC_SETTLED) {
		take_settled(r, v, wire_get_u8(&rd) != 0 && wire_ok(&rd));
	} else if (m->type == IPC_INVENTORY) {
		engine_inventory(r->engine, v);
	} else if (m->type == IPC_EXPIRED) {
		engine_orders_expired(r, v);
	} else if (m->type == IPC_KERNEL) {
		r->kernel_generation = v;
	} else if (m->type == IPC_NOTICE) {
		bool problem = wire_get_u8(&rd) != 0;

		wire_get_str(&rd, text, sizeof(text));
		if (wire_ok(&rd))
			engine_role_notice(r, v, problem, text);
	}
}

void engine_news(struct engine_role *r, struct msg *m)
{
	struct coverage_rec c;
	struct body_done d;

	switch (m->type) {
	case IPC_RING:
		engine_role_ring(r, m);
		break;
	case IPC_WORKLOAD:
		take_workload(r, m);
		break;
	case IPC_HOST:
		take_host(r, m);
		break;
	case IPC_LINK:
		take_link(r, m);
		break;
	case IPC_WATCHED:
		take_watched(r, m);
		break;
	case IPC_ROLES:
		body_roles_decode(r->roles, &r->n_roles, m->data, m->len);
		break;
	case IPC_RUNTIMES:
		body_runtimes_decode(r->runtimes, &r->n_runtimes, m->data, m->len);
		break;
	case IPC_STATS:
		take_stats(r, m);
		break;
	case IPC_VERDICT:
		take_verdict(r, m);
		break;
	case IPC_ORIGIN:
		take_origin(r, m);
		break;
	case IPC_UNNAMED:
		take_unnamed(r, m);
		break;
	case IPC_COVERAGE:
		if (coverage_decode(&c, m->data, m->len) == 0)
			engine_role_coverage(r, &c);
		break;
	case IPC_DONE:
		if (body_done_decode(&d, m->data, m->len) == 0)
			engine_orders_done(r, &d);
		break;
	default:
		if (!engine_counters_news(r, m))
			take_number(r, m);
	}
}

static int recall(void *arg, const struct workload *w)
{
	struct buf b = BUF_INIT;

	if (w->end_ns || w->kind != WORKLOAD_CONTAINER || !w->n_addrs)
		return 0;
	workload_encode(&b, w);
	engine_role_send(arg, IPC_RECALL, &b);
	buf_fini(&b);
	return 0;
}

void engine_role_recall(struct engine_role *r)
{
	struct store_txn *t;

	if (store_begin(&t, r->store, false) == 0) {
		store_workload_walk(t, time_now_ns(), 0, recall, r);
		store_abort(t);
	}
	engine_role_send(r, IPC_RECALLED, NULL);
}
