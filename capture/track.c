/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a packet means for its conversation: which flow it belongs to, who is the client, how far it has got, and when
 * one conversation ends and another begins on the same ends. The client is who sent the SYN, or received the SYN-ACK;
 * for protocols without such, who spoke first, if the conversation began under our eyes. Where that cannot be known
 * the direction is unknown, and the engine asks conntrack; an unknown direction never becomes a rule.
 */
#include "config.h"

#include <string.h>

#include "capture/worker_private.h"
#include "common/proto.h"
#include "common/timefmt.h"

/* A connectionless conversation first seen this soon after the interface was attached may be older than our sight. */
#define SETTLE_NS (30 * NS_PER_S)
#define PORT_PRIVILEGED 1024

void track_key(struct flow_key *k, const struct packet *p)
{
	memset(k, 0, sizeof(*k));
	k->addr[0] = p->addr[0];
	k->addr[1] = p->addr[1];
	if (proto_is_icmp(p->proto)) {
		k->port[0] = p->icmp_id;
		k->port[1] = decode_icmp_request(p->proto, p->icmp_type);
	} else {
		k->port[0] = p->port[0];
		k->port[1] = p->port[1];
	}
	k->vlan = p->vlan;
	k->proto = p->proto;
	k->tunnel = p->tunnel;
	/* A GTP-U tunnel has an identifier for each direction: it cannot be part of what both have in common. */
	k->tunnel_id = p->tunnel == FLOW_TUNNEL_GTP ? 0 : p->tunnel_id;
}

#define SWAP(type, a) do { type swap_ = (a)[0]; (a)[0] = (a)[1]; (a)[1] = swap_; } while (0)

static void swap_ends(struct flow *f)
{
	uint8_t payload = f->flags & (FLOW_PAYLOAD_0 | FLOW_PAYLOAD_1);

	SWAP(struct addr, f->key.addr);
	if (proto_has_ports(f->key.proto))
		SWAP(uint16_t, f->key.port);
	SWAP(uint64_t, f->bytes);
	SWAP(uint64_t, f->payload);
	SWAP(uint32_t, f->pkts);
	SWAP(uint16_t, f->iface);
	SWAP(uint8_t, f->tcp_flags);
	f->flags &= (uint8_t)~(FLOW_PAYLOAD_0 | FLOW_PAYLOAD_1);
	if (payload & FLOW_PAYLOAD_0)
		f->flags |= FLOW_PAYLOAD_1;
	if (payload & FLOW_PAYLOAD_1)
		f->flags |= FLOW_PAYLOAD_0;
}

/* A connectionless conversation: is who speaks first the client? */
static bool first_is_client(const struct worker *w, const struct packet *p, uint64_t time_ns)
{
	/* A header without ports says nothing about who serves whom. */
	if (p->proto == PROTO_UDP && !p->port[0] && !p->port[1])
		return false;
	/* A server's port speaking to a client's: we have come late. */
	if (p->proto == PROTO_UDP && p->port[0] < PORT_PRIVILEGED && p->port[1] >= PORT_PRIVILEGED)
		return false;
	return w->set.offline || time_ns >= w->current->attached_ns + SETTLE_NS;
}

/* Direction and first state of a new flow, whose end 0 is the sender. Returns which end sent, after a swap. */
static unsigned begin(const struct worker *w, struct flow *f, const struct packet *p, uint64_t time_ns)
{
	f->state = FLOW_STATE_NEW;
	f->direction = FLOW_DIR_UNKNOWN;
	if (p->proto == PROTO_TCP || p->proto == PROTO_SCTP) {
		if (p->tcp_flags & TCP_SYN)
			f->direction = FLOW_DIR_SYN;
		else
			f->state = FLOW_STATE_MID;
		if ((p->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
			swap_ends(f);
			return 1;
		}
	} else if (proto_is_icmp(p->proto)) {
		if (decode_icmp_request(p->proto, p->icmp_type) != p->icmp_type) {
			swap_ends(f);
			return 1;
		}
		if (!decode_icmp_is_error(p->proto, p->icmp_type))
			f->direction = FLOW_DIR_FIRST;
	} else if (first_is_client(w, p, time_ns)) {
		f->direction = FLOW_DIR_FIRST;
	}
	return 0;
}

static struct flow *flow_new(struct worker *w, const struct flow_key *k, uint64_t hash, const struct packet *p,
			     uint32_t wirelen, uint64_t time_ns, unsigned *dir)
{
	struct flow *f;

	if ((w->table.count[FLOW_CLASS_EMBRYONIC] >= w->embryonic_max || flow_table_full(&w->table)) &&
	    !report_make_room(w)) {
		report_fold_packet(w, k, wirelen, time_ns);
		return NULL;
	}
	f = flow_table_add(&w->table, k, hash);
	if (!f) {
		report_fold_packet(w, k, wirelen, time_ns);
		return NULL;
	}
	f->start_ns = f->last_ns = time_ns;
	f->epoch = worker_epoch(w);
	*dir = begin(w, f, p, time_ns);
	return f;
}

/* A RST ends a conversation; what it says depends on who sends it, when. */
static void tcp_reset(struct worker *w, struct flow *f, unsigned dir)
{
	if (f->state == FLOW_STATE_NEW && dir == 1)
		f->state = FLOW_STATE_REFUSED;
	else if (f->state == FLOW_STATE_ESTABLISHED || f->state == FLOW_STATE_HALF_OPEN)
		f->state = FLOW_STATE_RESET;
	flow_table_set_class(&w->table, f, FLOW_CLASS_CLOSED);
}

static void tcp_state(struct worker *w, struct flow *f, unsigned dir, uint8_t flags)
{
	bool syn_ack = (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);

	if (flags & TCP_RST) {
		tcp_reset(w, f, dir);
		return;
	}
	if (f->state != FLOW_STATE_RESET && (f->tcp_flags[0] & f->tcp_flags[1] & TCP_FIN)) {
		f->state = FLOW_STATE_CLOSED;
		if (f->class != FLOW_CLASS_CLOSED)
			flow_table_set_class(&w->table, f, FLOW_CLASS_CLOSED);
		return;
	}
	switch (f->state) {
	case FLOW_STATE_NEW:
	case FLOW_STATE_REFUSED: /* a second try on the same ends */
		if (dir == 1 && syn_ack) {
			f->state = FLOW_STATE_HALF_OPEN;
			if (f->class == FLOW_CLASS_CLOSED)
				flow_table_set_class(&w->table, f, FLOW_CLASS_EMBRYONIC);
		} else if (dir == 1) {
			f->state = FLOW_STATE_ESTABLISHED;
			report_established(w, f);
		}
		break;
	case FLOW_STATE_HALF_OPEN:
		if (dir == 0 && !(flags & TCP_SYN)) {
			f->state = FLOW_STATE_ESTABLISHED;
			report_established(w, f);
		}
		break;
	case FLOW_STATE_MID:
		if (f->pkts[0] && f->pkts[1]) {
			f->state = FLOW_STATE_ESTABLISHED;
			report_established(w, f);
		}
		break;
	default:
		break;
	}
}

/* The handshake corrects what the first packet made us believe. */
static void tcp_direction(struct flow *f, unsigned *dir, uint8_t flags)
{
	bool ack = flags & TCP_ACK;

	if (!(flags & TCP_SYN) || f->direction == FLOW_DIR_SYN)
		return;
	if ((ack && *dir == 0) || (!ack && *dir == 1)) {
		swap_ends(f);
		*dir ^= 1;
	}
	f->direction = FLOW_DIR_SYN;
	if (f->state == FLOW_STATE_MID)
		f->state = FLOW_STATE_NEW;
}

/* Two ends that send each other ICMP errors do not answer each other. */
static bool is_answer(const struct packet *p)
{
	return !proto_is_icmp(p->proto) || decode_icmp_request(p->proto, p->icmp_type) != p->icmp_type;
}

static void state(struct worker *w, struct flow *f, unsigned dir, const struct packet *p)
{
	if (p->proto == PROTO_TCP || p->proto == PROTO_SCTP) {
		if (p->fragment != FRAGMENT_LATER)
			tcp_state(w, f, dir, p->tcp_flags);
	} else if (dir == 1 && f->state != FLOW_STATE_ESTABLISHED && is_answer(p)) {
		f->state = FLOW_STATE_ESTABLISHED;
		report_established(w, f);
	}
}

/* The first packet behind the active timeout's cut opens the next record of the conversation. */
static void reopen(struct flow *f, uint64_t time_ns)
{
	f->start_ns = f->last_ns = time_ns;
	memset(f->bytes, 0, sizeof(f->bytes));
	memset(f->payload, 0, sizeof(f->payload));
	memset(f->pkts, 0, sizeof(f->pkts));
	f->flags &= (uint8_t)~(FLOW_CUT | FLOW_REPORTED);
}

static void update(struct worker *w, struct flow *f, unsigned dir, const struct pending *n,
		   const struct frag_early *early)
{
	const struct packet *p = &n->packet;
	uint64_t time_ns = n->time_ns;
	uint16_t here = (uint16_t)(1 + (w->current - w->ifaces)), seen = f->iface[dir];

	/* A packet that is routed from one bridge to another passes us twice; who saw that end first counts it. */
	if ((seen & ~IFACE_OWN) != here) {
		if (seen && !w->set.offline)
			return;
		f->iface[dir] = (uint16_t)(here | (n->own ? IFACE_OWN : 0));
	} else if (n->own && !(seen & IFACE_OWN)) {
		/* The host sends it back into the bridge it came from: a published port of that bridge's own container. That
		 * the host sent it is the kernel's word, not the frame's: no workload gets out of sight this way. */
		return;
	}
	if (f->flags & FLOW_CUT)
		reopen(f, time_ns);
	if (p->proto == PROTO_TCP || p->proto == PROTO_SCTP)
		tcp_direction(f, &dir, p->tcp_flags);
	f->pkts[dir] += 1 + early->pkts;
	f->bytes[dir] += n->wirelen + early->bytes;
	f->payload[dir] += p->payload_len;
	f->tcp_flags[dir] |= p->tcp_flags;
	if (time_ns > f->last_ns)
		f->last_ns = time_ns;
	f->flags |= FLOW_DIRTY;
	if (proto_is_icmp(p->proto) && f->pkts[0] + f->pkts[1] == 1)
		f->icmp_code = p->icmp_code;
	if (p->payload_cap && (p->proto == PROTO_TCP || p->proto == PROTO_UDP) && p->fragment != FRAGMENT_LATER &&
	    !(f->flags & (FLOW_HAS_APP | FLOW_NO_DPI)))
		inspect_packet(w, f, p, dir);
	state(w, f, dir, p);
	if (f->pkts[dir] >= UINT32_MAX / 2)
		report_flow(w, f, FLOW_REASON_CUT);
}

/* A new SYN on ends whose conversation is over is another conversation; behind a refusal it is the same client's next
 * try (some clients answer a RST by two more SYNs from the same port). */
static bool is_reuse(const struct flow *f, const struct packet *p, uint64_t time_ns)
{
	return p->proto == PROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
	       (f->state == FLOW_STATE_CLOSED || f->state == FLOW_STATE_RESET) && time_ns >= f->last_ns;
}

void track_packet(struct worker *w, struct pending *n)
{
	struct frag_early early = {0};
	struct packet *p = &n->packet;
	struct flow *f;
	unsigned dir = 0;

	if (p->fragment == FRAGMENT_LATER) {
		if (!frag_later(w->frags, p, n->time_ns, n->wirelen))
			return;
		track_key(&n->key, p);
		n->hash = flow_table_hash(&w->table, &n->key);
	} else if (p->fragment == FRAGMENT_FIRST) {
		frag_first(w->frags, p, n->time_ns, &early);
	}
	f = flow_table_find(&w->table, &n->key, n->hash, &dir);
	if (f && is_reuse(f, p, n->time_ns)) {
		report_end(w, f, FLOW_REASON_CLOSED);
		f = NULL;
	}
	if (!f)
		f = flow_new(w, &n->key, n->hash, p, n->wirelen, n->time_ns, &dir);
	if (f)
		update(w, f, dir, n, &early);
}

/* An ICMP error that says no for good, as the only answer to the packets it quotes. */
void track_icmp_error(struct worker *w, const struct packet *p)
{
	struct packet quoted;
	struct flow_key k;
	struct flow *f;
	bool unreachable;
	unsigned dir;

	if (!decode_quoted(p, &quoted, &unreachable) || !unreachable)
		return;
	track_key(&k, &quoted);
	f = flow_table_find(&w->table, &k, flow_table_hash(&w->table, &k), &dir);
	if (!f || dir != 0 || f->state != FLOW_STATE_NEW)
		return;
	f->state = FLOW_STATE_REFUSED;
	f->flags |= FLOW_DIRTY;
	flow_table_set_class(&w->table, f, FLOW_CLASS_CLOSED);
}
