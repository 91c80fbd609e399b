/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inventory's news in the parent: kept (a fresh engine is told everything again), handed to the engine, and
 * turned into what must happen at once: a capture worker attaches to a new bridge, a new container's address joins
 * its group in the kernel before anybody else has heard of it.
 */
#include "config.h"
#include "daemon/enforcer_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/coverage.h"
#include "common/log.h"
#include "common/timefmt.h"
#include "common/wire.h"

#define RETRY_NS (2 * NS_PER_S)

static void tell_workload(struct enforcer *e, const struct enforcer_workload *k)
{
	struct buf b = BUF_INIT;

	wire_put_u8(&b, k->ended);
	wire_put_u64(&b, k->bound_ns);
	workload_encode(&b, &k->w);
	enforcer_tell(e, IPC_WORKLOAD, &b);
	buf_fini(&b);
}

static void tell_u32(struct enforcer *e, enum msg_type type, uint32_t v)
{
	struct buf b = BUF_INIT;

	wire_put_u32(&b, v);
	enforcer_tell(e, type, &b);
	buf_fini(&b);
}

static void tell_link(struct enforcer *e, const struct body_link *l)
{
	struct buf b = BUF_INIT;

	body_link_encode(&b, l);
	enforcer_tell(e, IPC_LINK, &b);
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

static struct enforcer_link *find_link(struct enforcer *e, uint32_t ifindex)
{
	for (size_t i = 0; i < e->n_links; i++)
		if (e->links[i].link.ifindex == ifindex)
			return &e->links[i];
	return NULL;
}

static void attach(struct enforcer *e, struct enforcer_link *l, unsigned worker)
{
	struct buf b = BUF_INIT;

	if (!e->capture[worker].channel || e->stopping)
		return;
	body_link_encode(&b, &l->link);
	if (!buf_failed(&b) && channel_send(e->capture[worker].channel, IPC_ATTACH, b.data, b.len) == 0)
		l->tried |= 1u << worker;
	buf_fini(&b);
}

void enforcer_attach_all(struct enforcer *e, unsigned worker)
{
	for (size_t i = 0; i < e->n_links; i++)
		attach(e, &e->links[i], worker);
}

static void link_up(void *arg, const struct inventory_link *l)
{
	struct enforcer *e = arg;
	struct enforcer_link *known = find_link(e, l->ifindex);
	bool fresh = !known;

	if (fresh) {
		if (e->n_links == ENFORCER_LINKS_MAX) {
			enforcer_notice(e, true, "%s is not captured: weir follows at most %d interfaces", l->name,
					ENFORCER_LINKS_MAX);
			return;
		}
		known = &e->links[e->n_links++];
		memset(known, 0, sizeof(*known));
	}
	known->link.ifindex = l->ifindex;
	snprintf(known->link.name, sizeof(known->link.name), "%s", l->name);
	known->link.bridge = l->bridge;
	/* Workers share a bridge through one fanout group; the number must be the same in all and nobody else's. */
	known->link.fanout = e->n_capture > 1 ? (uint16_t)((getpid() * 31 + (int)l->ifindex) | 1) : 0;
	known->link.n_addrs = l->n_addrs;
	memcpy(known->link.addrs, l->addrs, sizeof(known->link.addrs));
	tell_link(e, &known->link);
	for (unsigned i = 0; fresh && i < e->n_capture; i++)
		attach(e, known, i);
	if (l->bridge)
		enforcer_bridge_up(e, &known->link);
}

static void tell_coverage(struct enforcer *e, const struct coverage_rec *c)
{
	struct buf b = BUF_INIT;

	coverage_encode(&b, c);
	enforcer_tell(e, IPC_COVERAGE, &b);
	buf_fini(&b);
}

static bool gap_told_lately(const struct enforcer_link *l)
{
	return l->gap_told_mono_ns && time_mono_ns() - l->gap_told_mono_ns < ENFORCER_KEEP_GAPS_NS;
}

/* Nothing was captured there from gap_since_ns until now, by that worker. */
static void tell_gap(struct enforcer *e, struct enforcer_link *l, unsigned worker)
{
	struct coverage_rec c = {0};

	if (!l->gap_since_ns[worker])
		return;
	c.start_ns = l->gap_since_ns[worker];
	c.end_ns = time_now_ns();
	c.iface = l->link.ifindex;
	memcpy(c.iface_name, l->link.name, sizeof(l->link.name));
	c.gap = 1;
	l->gap_since_ns[worker] = 0;
	if (gap_told_lately(l))
		coverage_merge(&l->gap_told, &c);
	else
		l->gap_told = c;
	l->gap_told_mono_ns = time_mono_ns();
	tell_coverage(e, &c);
}

/* One that lasts is told of while it does: it may last for ever, and answers must say so meanwhile. */
static void tell_lasting_gaps(struct enforcer *e, struct enforcer_link *l)
{
	uint64_t now = time_now_ns();

	for (unsigned w = 0; w < e->n_capture; w++) {
		if (!l->gap_since_ns[w] || now - l->gap_since_ns[w] < COVERAGE_INTERVAL_NS)
			continue;
		tell_gap(e, l, w);
		l->gap_since_ns[w] = now;
	}
}

static void link_down(void *arg, uint32_t ifindex)
{
	struct enforcer *e = arg;
	struct enforcer_link *l = find_link(e, ifindex);
	struct buf b = BUF_INIT;

	if (!l)
		return;
	wire_put_u32(&b, ifindex);
	/* A worker notices the end a moment earlier than we do: that is no gap. */
	for (unsigned i = 0; i < e->n_capture; i++)
		if (l->gap_since_ns[i] && time_now_ns() - l->gap_since_ns[i] > RETRY_NS)
			tell_gap(e, l, i);
	for (unsigned i = 0; i < e->n_capture && !buf_failed(&b); i++)
		if (e->capture[i].channel)
			channel_send(e->capture[i].channel, IPC_DETACH, b.data, b.len);
	buf_fini(&b);
	*l = e->links[--e->n_links];
	tell_u32(e, IPC_LINK_GONE, ifindex);
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
		enforcer_notice(e, true,
				"connection tracking cannot be read (%s): connections older than weir have no direction, "
					 "published ports are not told of", strerror(-rc));
}

int enforcer_inventory_open(struct enforcer *e)
{
	const struct settings *s = e->s;
	const char *sockets[SETTINGS_TEXTS_MAX + 1] = {NULL};
	struct inventory_settings is = {0};
	const struct inventory_events ev = {workload_up, workload_down, enforcer_soon, link_up, link_down, host_addrs, notice,
					  unnamed, e};
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
	uint64_t now = time_mono_ns();

	if (e->inv && !e->settled && e->recalled && inventory_settled(e->inv)) {
		inventory_recall_apply(e->inv);
		e->settled = true;
		tell_settled(e);
		enforcer_policy_settled(e);
	}
	enforcer_runtimes_tick(e);
	forget_ended(e);
	enforcer_soon_tick(e);
	/* An interface that was down, or not yet there for us, is tried again as long as the inventory has it. */
	for (size_t i = 0; i < e->n_links; i++) {
		struct enforcer_link *l = &e->links[i];

		if (now < l->retry_mono_ns)
			continue;
		l->retry_mono_ns = now + RETRY_NS;
		for (unsigned w = 0; w < e->n_capture; w++)
			if (!((l->attached | l->tried) & 1u << w))
				attach(e, l, w);
		tell_lasting_gaps(e, l);
	}
}

void enforcer_replay(struct enforcer *e)
{
	struct buf b = BUF_INIT;

	tell_host(e);
	for (size_t i = 0; i < e->n_links; i++) {
		tell_link(e, &e->links[i].link);
		if (gap_told_lately(&e->links[i])) /* twice is no harm: the ledger joins what it has already */
			tell_coverage(e, &e->links[i].gap_told);
	}
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

void enforcer_capture_said(struct enforcer *e, unsigned worker, const struct msg *m)
{
	struct enforcer_link *l;
	struct wire_reader r;
	struct buf b = BUF_INIT;
	char text[256];

	if (m->type == IPC_READY) {
		e->capture[worker].ready = true;
		enforcer_report_roles(e);
		return;
	}
	if (m->type == IPC_STATS) { /* the engine decodes it and checks it there */
		buf_add(&b, m->data, m->len < 64 ? m->len : 64);
		enforcer_tell(e, IPC_STATS, &b);
		buf_fini(&b);
		return;
	}
	wire_reader_init(&r, m->data, m->len);
	l = find_link(e, wire_get_u32(&r));
	if (!l || !wire_ok(&r))
		return;
	l->tried &= ~(1u << worker);
	if (m->type == IPC_ATTACHED) {
		l->attached |= 1u << worker;
		l->refused = false;
		tell_gap(e, l, worker);
	} else if (m->type == IPC_GONE) {
		l->attached &= ~(1u << worker);
		if (!l->gap_since_ns[worker])
			l->gap_since_ns[worker] = time_now_ns();
	} else if (m->type == IPC_REFUSED) {
		wire_get_str(&r, text, sizeof(text));
		for (char *p = text; *p; p++) /* from a process that reads packets: nothing for a terminal to obey */
			*p = *p >= 0x20 && *p < 0x7f ? *p : '?';
		if (!l->refused)
			enforcer_notice(e, true, "cannot capture on %s: %s", l->link.name, text);
		l->refused = true;
		if (!l->gap_since_ns[worker])
			l->gap_since_ns[worker] = time_now_ns();
	}
}

void enforcer_capture_lost(struct enforcer *e, unsigned worker)
{
	for (size_t i = 0; i < e->n_links; i++) {
		struct enforcer_link *l = &e->links[i];

		/* What it held since it last wrote its flows through died with it. */
		if (l->attached & 1u << worker)
			l->gap_since_ns[worker] = time_now_ns() - e->s->write_through_ns;
		l->attached &= ~(1u << worker);
		l->tried &= ~(1u << worker);
	}
}
