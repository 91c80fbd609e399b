/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The interfaces that capture workers are to watch: the inventory names them, each worker says whether it does. In
 * between, and whenever a worker or an interface fails, nothing is seen there; such a time goes to the ledger as a gap,
 * and the engine is told which interfaces are watched, so that nobody takes for watched what is only known.
 */
#include "config.h"
#include "daemon/enforcer_impl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/coverage.h"
#include "common/timefmt.h"
#include "common/wire.h"

#define RETRY_NS (2 * NS_PER_S)
/* A new interface is without capture for the few milliseconds until a worker has attached: a gap only if it is long. */
#define LATE_NS NS_PER_S
/* A worker tells its figures once a second. */
#define STATS_NS (NS_PER_S / 2)

static bool is_watched(const struct enforcer *e, const struct enforcer_link *l)
{
	return l->attached == (1u << e->n_capture) - 1;
}

static void tell_link(struct enforcer *e, const struct body_link *l)
{
	struct buf b = BUF_INIT;

	body_link_encode(&b, l);
	enforcer_tell(e, IPC_LINK, &b);
	buf_fini(&b);
}

static void tell_watched(struct enforcer *e, const struct enforcer_link *l)
{
	struct buf b = BUF_INIT;

	wire_put_u32(&b, l->link.ifindex);
	wire_put_u8(&b, is_watched(e, l));
	enforcer_tell(e, IPC_WATCHED, &b);
	buf_fini(&b);
}

static void tell_coverage(struct enforcer *e, const struct coverage_rec *c)
{
	struct buf b = BUF_INIT;

	coverage_encode(&b, c);
	enforcer_tell(e, IPC_COVERAGE, &b);
	buf_fini(&b);
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
	if (!buf_failed(&b) && channel_send(e->capture[worker].channel, IPC_ATTACH, b.data, b.len) == 0) {
		l->tried |= 1u << worker;
		e->asked[worker]++;
	}
	buf_fini(&b);
}

void enforcer_attach_all(struct enforcer *e, unsigned worker)
{
	for (size_t i = 0; i < e->n_links; i++)
		attach(e, &e->links[i], worker);
}

void enforcer_link_up(void *arg, const struct inventory_link *l)
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
	known->link.router = l->router;
	known->link.n_addrs = l->n_addrs;
	memcpy(known->link.addrs, l->addrs, sizeof(known->link.addrs));
	memcpy(known->link.lens, l->lens, sizeof(known->link.lens));
	tell_link(e, &known->link);
	for (unsigned i = 0; fresh && i < e->n_capture; i++) {
		/* What was there at the start is watched from when it is watched; nobody has claimed more. */
		if (e->settled) {
			known->gap_since_ns[i] = time_now_ns();
			known->is_new |= 1u << i;
		}
		attach(e, known, i);
	}
	if (l->bridge)
		enforcer_bridge_up(e, &known->link);
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

void enforcer_link_down(void *arg, uint32_t ifindex)
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
	*l = e->links[--e->n_links];
	enforcer_tell(e, IPC_LINK_GONE, &b);
	buf_fini(&b);
}

void enforcer_links_tick(struct enforcer *e)
{
	uint64_t now = time_mono_ns();

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

void enforcer_links_replay(struct enforcer *e)
{
	for (size_t i = 0; i < e->n_links; i++) {
		struct enforcer_link *l = &e->links[i];

		tell_link(e, &l->link);
		tell_watched(e, l);
		if (gap_told_lately(l)) /* twice is no harm: the ledger joins what it has already */
			tell_coverage(e, &l->gap_told);
	}
}

static void attached(struct enforcer *e, struct enforcer_link *l, unsigned worker)
{
	uint64_t since_ns = l->gap_since_ns[worker];

	l->attached |= 1u << worker;
	l->refused = false;
	if (l->is_new & 1u << worker && since_ns && time_now_ns() - since_ns < LATE_NS)
		l->gap_since_ns[worker] = 0;
	l->is_new &= ~(1u << worker);
	tell_gap(e, l, worker);
	if (is_watched(e, l))
		tell_watched(e, l);
}

/* It will be, or is, without that worker from since_ns on. */
static void detached(struct enforcer *e, struct enforcer_link *l, unsigned worker, uint64_t since_ns)
{
	bool was = is_watched(e, l);

	l->attached &= ~(1u << worker);
	l->is_new &= ~(1u << worker);
	if (!l->gap_since_ns[worker])
		l->gap_since_ns[worker] = since_ns;
	if (was)
		tell_watched(e, l);
}

/* The engine decodes it and checks it there. */
static void hand_on_stats(struct enforcer *e, unsigned worker, const struct msg *m)
{
	uint64_t now = time_mono_ns();
	struct buf b = BUF_INIT;

	if (now - e->stats_mono_ns[worker] < STATS_NS)
		return;
	e->stats_mono_ns[worker] = now;
	buf_add(&b, m->data, m->len < 64 ? m->len : 64);
	enforcer_tell(e, IPC_STATS, &b);
	buf_fini(&b);
}

static void refused(struct enforcer *e, struct enforcer_link *l, unsigned worker, struct wire_reader *r)
{
	char text[256];

	wire_get_str(r, text, sizeof(text));
	for (char *p = text; *p; p++) /* from a process that reads packets: nothing for a terminal to obey */
		*p = *p >= 0x20 && *p < 0x7f ? *p : '?';
	if (!l->refused)
		enforcer_notice(e, true, "cannot capture on %s: %s", l->link.name, text);
	l->refused = true;
	detached(e, l, worker, time_now_ns());
}

/* About one interface: an answer, if one is awaited, or that one it captures on is gone. */
static void said_of_link(struct enforcer *e, unsigned worker, const struct msg *m)
{
	bool answer = m->type == IPC_ATTACHED || m->type == IPC_REFUSED;
	struct enforcer_link *l;
	struct wire_reader r;

	if (answer && !e->asked[worker])
		return;
	e->asked[worker] -= answer;
	wire_reader_init(&r, m->data, m->len);
	l = find_link(e, wire_get_u32(&r));
	if (!l || !wire_ok(&r))
		return;
	if (answer)
		l->tried &= ~(1u << worker);
	if (m->type == IPC_ATTACHED)
		attached(e, l, worker);
	else if (m->type == IPC_REFUSED)
		refused(e, l, worker, &r);
	else if (m->type == IPC_GONE && l->attached & 1u << worker)
		detached(e, l, worker, time_now_ns());
}

void enforcer_capture_said(struct enforcer *e, unsigned worker, const struct msg *m)
{
	if (m->type == IPC_READY && !e->capture[worker].ready) {
		e->capture[worker].ready = true;
		enforcer_report_roles(e);
	} else if (m->type == IPC_STATS) {
		hand_on_stats(e, worker, m);
	} else {
		said_of_link(e, worker, m);
	}
}

void enforcer_capture_lost(struct enforcer *e, unsigned worker)
{
	e->asked[worker] = 0;
	for (size_t i = 0; i < e->n_links; i++) {
		struct enforcer_link *l = &e->links[i];

		/* What it held since it last wrote its flows through died with it. */
		if (l->attached & 1u << worker)
			detached(e, l, worker, time_now_ns() - e->s->write_through_ns);
		l->tried &= ~(1u << worker);
	}
}
