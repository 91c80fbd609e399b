/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How flows leave the table: because they are over, idle, cut, still going but due for a report, or because a
 * newcomer needs the place. A newcomer, which nobody has answered yet, takes the place only of a flow in the same
 * position or of one that is over, never of an established one; to be sure that there are such, embryonic flows may
 * fill half the table, and established ones all but a sixteenth. Under that pressure an unanswered attempt of a few
 * packets is folded into a count (capture/attempts) instead of being recorded by itself.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "capture/worker_private.h"
#include "common/proto.h"
#include "common/timefmt.h"

#define FOLD_PKTS_MAX 3      /* more packets than that are a record of their own */
#define ROOM_STEPS 256       /* places looked at for a newcomer */
#define IDLEST_OF 64         /* established flows compared when one of them must go */
#define SWEEP_PERIOD_NS NS_PER_S /* the whole table is looked at this often */
#define SWEEP_PERIOD_FILE_NS (10 * NS_PER_S) /* the same in a file's time, of which minutes pass in a second of ours */
#define ONE_WAY_STEADY 4     /* packets after which one-way UDP counts as a stream, not as an attempt */

static struct iface *iface_of(struct worker *w, const struct flow *f)
{
	unsigned i = (f->iface[0] ? f->iface[0] : f->iface[1]) & ~IFACE_OWN;

	return i ? &w->ifaces[i - 1] : w->current;
}

static void make_record(struct worker *w, struct flow *f, enum flow_reason reason, struct flow_rec *rec)
{
	memset(rec, 0, sizeof(*rec));
	for (unsigned i = 0; i < 2; i++) {
		rec->addr[i] = f->key.addr[i];
		rec->port[i] = f->key.port[i];
		rec->pkts[i] = f->pkts[i];
		rec->bytes[i] = f->bytes[i];
		rec->payload[i] = f->payload[i];
		rec->tcp_flags[i] = f->key.proto == PROTO_TCP ? f->tcp_flags[i] : 0;
	}
	rec->start_ns = f->start_ns;
	rec->end_ns = f->last_ns;
	rec->proto = f->key.proto;
	rec->icmp_code = f->icmp_code;
	rec->vlan = f->key.vlan;
	rec->tunnel = f->key.tunnel;
	rec->tunnel_id = f->key.tunnel_id;
	rec->direction = f->direction;
	rec->state = f->state;
	rec->reason = (uint8_t)reason;
	rec->iface = iface_of(w, f)->index;
	rec->id = flow_id(rec);
	rec->conv_id = f->conv_id ? f->conv_id : rec->id;
	inspect_report(w, f, rec, reason != FLOW_REASON_ACTIVE && reason != FLOW_REASON_CUT);
}

void report_flow(struct worker *w, struct flow *f, enum flow_reason reason)
{
	struct flow_rec rec;

	make_record(w, f, reason, &rec);
	if (w->sink.flow(w->sink.arg, &rec) != 0) {
		/* A flow that goes on will be told again; only what is told for the last time can be lost. */
		if (reason == FLOW_REASON_ACTIVE)
			return;
		w->stats.lost_ring++;
		iface_of(w, f)->cover.lost_ring++;
	} else {
		w->stats.flows_reported++;
		f->flags |= FLOW_REPORTED;
	}
	f->flags &= (uint8_t)~FLOW_DIRTY;
	if (reason == FLOW_REASON_CUT) {
		f->conv_id = rec.conv_id;
		f->flags |= FLOW_CUT;
	}
}

static bool foldable(const struct flow *f)
{
	return (f->state == FLOW_STATE_NEW || f->state == FLOW_STATE_MID) && f->pkts[1] == 0 &&
	       f->pkts[0] <= FOLD_PKTS_MAX && !(f->flags & (FLOW_REPORTED | FLOW_CUT)) && f->conv_id == 0;
}

static void count_folded(struct worker *w, struct iface *i)
{
	w->stats.folded++;
	i->cover.folded++;
}

void report_end(struct worker *w, struct flow *f, enum flow_reason reason)
{
	bool squeezed = reason == FLOW_REASON_EVICTED ||
			(w->pressure && (reason == FLOW_REASON_IDLE || reason == FLOW_REASON_EOF));

	if (squeezed && foldable(f)) {
		struct iface *i = iface_of(w, f);

		attempts_add(w->attempts, &f->key.addr[1], f->key.port[1], f->key.proto, i->index, &f->key.addr[0],
			     proto_has_ports(f->key.proto) ? f->key.port[0] : 0, f->start_ns, f->last_ns, f->bytes[0]);
		count_folded(w, i);
	} else if (!(f->flags & FLOW_CUT)) {
		if (reason == FLOW_REASON_EVICTED) {
			w->stats.evicted++;
			iface_of(w, f)->cover.evicted++;
		}
		report_flow(w, f, reason);
	}
	inspect_forget(w, f);
	flow_table_remove(&w->table, f);
}

void report_fold_packet(struct worker *w, const struct flow_key *k, uint32_t wirelen, uint64_t time_ns)
{
	attempts_add(w->attempts, &k->addr[1], k->port[1], k->proto, w->current->index, &k->addr[0],
		     proto_has_ports(k->proto) ? k->port[0] : 0, time_ns, time_ns, wirelen);
	count_folded(w, w->current);
}

bool report_make_room(struct worker *w)
{
	for (unsigned n = 0; n < ROOM_STEPS; n++) {
		struct flow *f;

		if (w->evict_hand >= w->table.high)
			w->evict_hand = 0;
		f = flow_table_at(&w->table, w->evict_hand++);
		flow_table_fetch_removal(&w->table, w->evict_hand + 8); /* a flood comes here for every packet */
		if (!f)
			continue;
		if (f->class == FLOW_CLASS_EMBRYONIC) {
			w->pressure = true;
			w->pressure_ns = w->now_ns;
			report_end(w, f, FLOW_REASON_EVICTED);
			return true;
		}
		if (f->class == FLOW_CLASS_CLOSED) {
			report_end(w, f, FLOW_REASON_CLOSED);
			/* That helps a full table, but not one with too many embryonic flows. */
			if (w->table.count[FLOW_CLASS_EMBRYONIC] < w->embryonic_max)
				return true;
		}
	}
	return false;
}

void report_established(struct worker *w, struct flow *f)
{
	struct flow *idlest = NULL;

	if (f->class == FLOW_CLASS_ESTABLISHED)
		return;
	flow_table_set_class(&w->table, f, FLOW_CLASS_ESTABLISHED);
	if (w->table.count[FLOW_CLASS_ESTABLISHED] <= w->established_max)
		return;
	for (unsigned n = 0, seen = 0; n < ROOM_STEPS && seen < IDLEST_OF; n++) {
		struct flow *o;

		if (w->evict_hand >= w->table.high)
			w->evict_hand = 0;
		o = flow_table_at(&w->table, w->evict_hand++);
		if (!o || o == f || o->class != FLOW_CLASS_ESTABLISHED)
			continue;
		seen++;
		if (!idlest || o->last_ns < idlest->last_ns)
			idlest = o;
	}
	if (idlest)
		report_end(w, idlest, FLOW_REASON_EVICTED);
}

static uint64_t timeout_of(const struct worker *w, const struct flow *f)
{
	if (f->class == FLOW_CLASS_CLOSED)
		return w->set.closed_timeout_ns;
	if (f->key.proto == PROTO_TCP || f->key.proto == PROTO_SCTP)
		return f->class == FLOW_CLASS_ESTABLISHED ? w->set.established_timeout_ns : w->set.embryonic_timeout_ns;
	return f->class == FLOW_CLASS_ESTABLISHED || f->pkts[0] >= ONE_WAY_STEADY ? w->set.udp_timeout_ns
										    : w->set.embryonic_timeout_ns;
}

/* Whether idle flows are ended now. A capture file's flows are kept whole while there is room for them. */
static bool idle_ends(const struct worker *w)
{
	return !w->set.offline || w->pressure || w->table.used > w->table.size / 8 * 7;
}

static void sweep_flow(struct worker *w, struct flow *f, uint8_t epoch, bool idle)
{
	uint64_t age = w->now_ns > f->last_ns ? w->now_ns - f->last_ns : 0;

	if ((idle || f->class == FLOW_CLASS_CLOSED) && age >= timeout_of(w, f)) {
		report_end(w, f, f->class == FLOW_CLASS_CLOSED ? FLOW_REASON_CLOSED : FLOW_REASON_IDLE);
	} else if (w->set.active_timeout_ns && !(f->flags & FLOW_CUT) && w->now_ns > f->start_ns &&
		   w->now_ns - f->start_ns >= w->set.active_timeout_ns) {
		report_flow(w, f, FLOW_REASON_CUT);
	} else if (w->set.write_through_ns && f->epoch != epoch && (f->flags & FLOW_DIRTY) && !(f->flags & FLOW_CUT)) {
		report_flow(w, f, FLOW_REASON_ACTIVE);
		f->epoch = epoch;
	}
}

void report_sweep(struct worker *w, uint32_t max_steps)
{
	uint64_t dt = w->now_ns > w->sweep_ns ? w->now_ns - w->sweep_ns : 0, steps;
	uint8_t epoch = worker_epoch(w);
	uint64_t period = w->set.offline ? SWEEP_PERIOD_FILE_NS : SWEEP_PERIOD_NS;
	bool idle = idle_ends(w);

	if (w->set.write_through_ns && w->set.write_through_ns / 4 < period)
		period = w->set.write_through_ns / 4;
	if (period == 0)
		period = 1;
	steps = dt >= period ? w->table.high : w->table.high * dt / period;
	if (steps == 0)
		return;
	if (steps > max_steps)
		steps = max_steps;
	w->sweep_ns = w->now_ns;
	for (uint64_t i = 0; i < steps; i++) {
		struct flow *f;

		if (w->sweep_hand >= w->table.high)
			w->sweep_hand = 0;
		f = flow_table_at(&w->table, w->sweep_hand++);
		if (f)
			sweep_flow(w, f, epoch, idle);
	}
	/* The pressure is off when nothing had to go for a whole interval and there is room again. */
	if (w->pressure && w->now_ns >= w->pressure_ns + COVERAGE_INTERVAL_NS &&
	    w->table.count[FLOW_CLASS_EMBRYONIC] < w->embryonic_max / 4 * 3)
		w->pressure = false;
}

static bool cover_changed(const struct coverage_rec *c)
{
	return c->received || c->lost_kernel || c->lost_interface || c->lost_ring || c->evicted || c->folded ||
	       c->not_ip || c->malformed;
}

/* Tells the growth since the last time; live also that nothing grew, since to have watched in vain is coverage too. */
static void cover_iface(struct worker *w, struct iface *i, uint64_t until_ns)
{
	struct coverage_rec *c = &i->cover;
	uint64_t received = 0, dropped = 0, by_interface = 0;

	if (i->source && !w->set.offline) {
		source_loss(i->source, &received, &dropped, &by_interface);
		c->lost_kernel += dropped;
		c->lost_interface += by_interface;
		w->stats.lost_kernel += dropped;
	}
	if (!cover_changed(c) && (w->set.offline || c->start_ns == 0))
		return;
	if (c->start_ns == 0) /* of a file whose packets have been told of: something came out at its end */
		c->start_ns = until_ns;
	c->end_ns = until_ns > c->start_ns ? until_ns : c->start_ns;
	if (w->sink.coverage(w->sink.arg, c) != 0)
		return; /* it goes on growing and is told next time */
	c->received = c->lost_kernel = c->lost_interface = c->lost_ring = 0;
	c->evicted = c->folded = c->not_ip = c->malformed = 0;
	c->start_ns = w->set.offline ? 0 : c->end_ns;
}

void report_coverage(struct worker *w, bool all)
{
	uint64_t interval = w->now_ns / COVERAGE_INTERVAL_NS;

	if (!all && interval <= w->interval)
		return;
	attempts_flush(w->attempts, all ? ATTEMPTS_FLUSH_ALL : w->now_ns);
	for (size_t n = 0; n < w->n_ifaces; n++)
		if (w->ifaces[n].used)
			cover_iface(w, &w->ifaces[n], all ? w->now_ns : interval * COVERAGE_INTERVAL_NS);
	w->interval = interval;
}

void report_attempts(void *arg, const struct flow_attempts *a)
{
	struct worker *w = arg;

	if (w->sink.attempts(w->sink.arg, a) == 0)
		return;
	w->stats.lost_ring++;
	for (size_t n = 0; n < w->n_ifaces; n++)
		if (w->ifaces[n].used && w->ifaces[n].index == a->iface)
			w->ifaces[n].cover.lost_ring++;
}
