/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inventory's news in the parent: kept (a fresh engine is told everything again), handed to the engine, and
 * turned into what must happen at once: a new container's address joins its group in the kernel before anybody else has
 * heard of it. Of interfaces to watch: enforcer_links.c.
 */
#include "config.h"
#include "daemon/enforcer_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/timefmt.h"
#include "common/wire.h"

static void tell_workload(struct enforcer *e, const struct enforcer_workload *k)
{
	struct buf b = BUF_INIT;

	wire_put_u8(&b, k->ended);
	wire_put_u64(&b, k->bound_ns);
	workload_encode(&b, &k->w);
	enforcer_tell(e, IPC_WORKLOAD, &b);
	buf_fini(&b);
}

static void tell_host(struct enforcer *e)
{
	struct buf b = BUF_INIT;

	wire_put_u32(&b, (uint32_t)e->n_host);
	for (size_t i = 0; i < e->n_host; i++)
		wire_put_addr(&b, &e->host[i]);
	enforcer_tell(e, IPC_HOST, &b);
	buf_fini(&b);
}

static void tell_settled(struct enforcer *e)
{
	struct buf b = BUF_INIT;

	wire_put_u64(&b, e->started_ns);
	wire_put_u8(&b, e->engine.restarts > 0);
	enforcer_tell(e, IPC_SETTLED, &b);
	buf_fini(&b);
}

static struct enforcer_workload **find_workload(struct enforcer *e, uint64_t id)
{
	struct enforcer_workload **k = &e->workloads;

	while (*k && (*k)->w.id != id)
		k = &(*k)->next;
	return k;
}

static void workload_up(void *arg, const struct workload *w)
{
	struct enforcer *e = arg;
	struct enforcer_workload **slot = find_workload(e, w->id), *k = *slot;

	enforcer_member_up(e, w, k && !k->ended ? &k->w : NULL);
	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k)
			return;
		*slot = k;
	}
	k->w = *w;
	k->ended = false;
	k->bound_ns = inventory_bound_ns(e->inv);
	enforcer_soon_came(e, w);
	tell_workload(e, k);
}

static void workload_down(void *arg, const struct workload *w)
{
	struct enforcer *e = arg;
	struct enforcer_workload *k = *find_workload(e, w->id);

	if (!k)
		return;
	/* The runtime's last word may come without addresses; they were what we know. */
	k->w.end_ns = w->end_ns ? w->end_ns : time_now_ns();
	k->w.exit_code = w->exit_code;
	k->ended = true;
	k->ended_mono_ns = time_mono_ns();
	enforcer_member_down(e, &k->w);
	tell_workload(e, k);
}

static void forget_ended(struct enforcer *e)
{
	struct enforcer_workload **k = &e->workloads;
	uint64_t now = time_mono_ns();

	while (*k) {
		struct enforcer_workload *old = *k;

		if (!old->ended || now - old->ended_mono_ns < ENFORCER_KEEP_ENDED_NS) {
			k = &old->next;
			continue;
		}
		*k = old->next;
		free(old);
	}
}

static void host_addrs(void *arg, const struct addr *addrs, size_t n)
{
	struct enforcer *e = arg;
	struct addr *copy = n ? malloc(n * sizeof(*copy)) : NULL;

	if (n && !copy)
		return;
	if (n)
		memcpy(copy, addrs, n * sizeof(*copy));
	free(e->host);
	e->host = copy;
	e->n_host = n;
	tell_host(e);
}

static void notice(void *arg, bool problem, const char *text)
{
	enforcer_notice(arg, problem, "%s", text);
}

static void unnamed(void *arg, const struct inventory_unnamed *u)
{
	struct enforcer *e = arg;
	struct buf b = BUF_INIT;

	body_unnamed_encode(&b, u);
	enforcer_tell(e, IPC_UNNAMED, &b);
	buf_fini(&b);
}

static void dispatch(struct enforcer *e)
{
	int rc = inventory_dispatch(e->inv);

	if (rc)
		log_err("following the host's changes failed: %s", strerror(-rc));
}

/* What the inventory has not told of by now, it does not know: flows wait for that word. */
void enforcer_inventory_second(struct enforcer *e)
{
	uint64_t now = time_now_ns();
	struct buf b = BUF_INIT;

	if (!e->inv)
		return;
	dispatch(e);
	wire_put_u64(&b, now);
	enforcer_tell(e, IPC_INVENTORY, &b);
	buf_fini(&b);
}

static void on_inventory(void *arg, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	dispatch(arg);
}

static void on_conntrack(void *arg, int fd, uint32_t events)
{
	struct enforcer *e = arg;

	(void)fd;
	(void)events;
	conntrack_dispatch(e->conntrack);
}

void enforcer_ask(struct enforcer *e, const struct msg *m)
{
	struct conntrack_origin o;
	struct body_origin answer = {0};
	struct body_ask a;
	struct buf b = BUF_INIT;

	if (body_ask_decode(&a, m->data, m->len))
		return;
	answer.token = a.token;
	if (e->conntrack && conntrack_lookup(e->conntrack, a.proto, a.addr, a.port, &o) == 0) {
		answer.known = true;
		answer.first_began = o.client_is_first;
		answer.client = o.client;
		answer.client_port = o.client_port;
		answer.orig_addr = o.orig_addr;
		answer.orig_port = o.orig_port;
		answer.server = o.server;
		answer.server_port = o.server_port;
	}
	body_origin_encode(&b, &answer);
	enforcer_tell(e, IPC_ORIGIN, &b);
	buf_fini(&b);
}

/* Without it, flows whose beginning nobody saw stay without direction: no reason to stop. */
static void open_conntrack(struct enforcer *e)
{
	int rc = e->has_admin ? conntrack_open(&e->conntrack, 0) : -EPERM;

	if (!rc)
		rc = loop_io_add(e->loop, conntrack_fd(e->conntrack), EPOLLIN, on_conntrack, e);
	if (rc && e->has_admin)
		enforcer_notice(
			e, true,
			"connection tracking cannot be read (%s): connections older than weir have no direction, "
			"published ports are not told of",
			strerror(-rc));
}

int enforcer_inventory_open(struct enforcer *e)
{
	const struct settings *s = e->s;
	const char *sockets[SETTINGS_TEXTS_MAX + 1] = {NULL};
	struct inventory_settings is = {0};
	const struct inventory_events ev = {workload_up, workload_down, enforcer_soon, enforcer_link_up,
					  enforcer_link_down, host_addrs, notice, unnamed, e};
	int rc;

	for (size_t i = 0; s->runtimes[i]; i++)
		sockets[i] = strncmp(s->runtimes[i], "unix://", 7) == 0 ? s->runtimes[i] + 7 : s->runtimes[i];
	is.runtime_sockets = s->runtimes_set ? sockets : NULL;
	is.netns_dir = s->netns;
	is.name_templates = s->names[0] ? (const char *const *)s->names : NULL;
	is.bridges = s->bridges[0] ? (const char *const *)s->bridges : NULL;
	rc = inventory_open(&e->inv, &is, &ev);
	if (!rc)
		rc = loop_io_add(e->loop, inventory_fd(e->inv), EPOLLIN, on_inventory, e);
	if (!rc)
		open_conntrack(e);
	return rc;
}

void enforcer_inventory_close(struct enforcer *e)
{
	if (e->inv)
		inventory_close(e->inv);
	if (e->conntrack)
		conntrack_close(e->conntrack);
	while (e->workloads) {
		struct enforcer_workload *next = e->workloads->next;

		free(e->workloads);
		e->workloads = next;
	}
	enforcer_soon_close(e);
	free(e->host);
}

void enforcer_inventory_tick(struct enforcer *e)
{
	if (e->inv && !e->settled && e->recalled && inventory_settled(e->inv)) {
		inventory_recall_apply(e->inv);
		e->settled = true;
		tell_settled(e);
		enforcer_policy_settled(e);
	}
	enforcer_runtimes_tick(e);
	forget_ended(e);
	enforcer_soon_tick(e);
	enforcer_links_tick(e);
}

void enforcer_replay(struct enforcer *e)
{
	struct buf b = BUF_INIT;

	tell_host(e);
	enforcer_links_replay(e);
	for (const struct enforcer_workload *k = e->workloads; k; k = k->next)
		tell_workload(e, k);
	for (size_t i = 0; i < e->n_notices; i++) {
		buf_clear(&b);
		wire_put_u64(&b, e->notices[i].when_ns);
		wire_put_u8(&b, e->notices[i].problem);
		wire_put_str(&b, e->notices[i].text);
		enforcer_tell(e, IPC_NOTICE, &b);
	}
	buf_clear(&b);
	wire_put_u64(&b, e->nft ? nft_generation(e->nft) : 0);
	enforcer_tell(e, IPC_KERNEL, &b);
	buf_fini(&b);
	enforcer_runtimes_tell(e);
	if (e->settled)
		tell_settled(e);
}
