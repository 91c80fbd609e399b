/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flows that wait: for the name of an end (the runtime tells of a container a moment after its first packet), or for
 * the kernel's word on who began. They wait a fixed time, and on while the inventory has not read what happened
 * until then, in the order they came, so that one queue serves; when it is full, the oldest waits no longer. A record
 * waits as the bytes it came in, which are small.
 */
#include "config.h"
#include "daemon/engine.h"

#include <stdlib.h>
#include <string.h>

#include "common/proto.h"
#include "common/timefmt.h"
#include "daemon/engine_impl.h"
#include "store/flows.h"

#define HELD_MAX 65536u
/* How much longer than its time a flow waits for an inventory that does not get on: a machine under such load that it
 * falls behind by seconds is where short lives would lose their names. */
#define SILENT_NS (8 * NS_PER_S)
#define ASKS_MAX 5000u   /* questions to conntrack between two releases (about a second) */
#define ASKS_CHEAP 1000u /* of which for flows that most likely have nothing to tell */

static bool complete(struct engine *e, struct flow_rec *f, const struct engine_origin *o);

/* o: what conntrack said of it; NULL: nothing, or nobody asked. */
static void write_bytes(struct engine *e, const void *data, size_t len, const struct engine_origin *o)
{
	struct names_end end[2];
	struct flow_rec f;

	if (flow_decode(&f, data, len))
		return;
	if (o && !complete(e, &f, o)) {
		e->stats.joined++;
		return;
	}
	engine_find_ends(e, &f, end);
	engine_write(e, &f, end);
}

static struct held **bucket_of(struct engine *e, uint64_t token)
{
	return &e->by_token[token & (HELD_BUCKETS - 1)]; /* they are counted up, so they spread */
}

static void await(struct engine *e, struct held *h, uint64_t token)
{
	struct held **b = bucket_of(e, token);

	h->token = token;
	h->same = NULL;
	h->same_at = NULL;
	if (!token)
		return;
	h->same = *b;
	h->same_at = b;
	if (h->same)
		h->same->same_at = &h->same;
	*b = h;
}

static void await_no_more(struct held *h)
{
	if (!h->same_at)
		return;
	*h->same_at = h->same;
	if (h->same)
		h->same->same_at = h->same_at;
	h->same_at = NULL;
}

static void unlink_held(struct engine *e, struct held *h)
{
	await_no_more(h);
	*h->at = h->next;
	if (h->next)
		h->next->at = h->at;
	else
		e->held_end = h->at;
	e->stats.held--;
	free(h->origin);
	free(h);
}

static void release_first(struct engine *e)
{
	struct held *h = e->held;

	write_bytes(e, h->data, h->len, h->origin);
	unlink_held(e, h);
}

void hold_add(struct engine *e, const void *data, size_t len, uint64_t due_ns, uint64_t token)
{
	struct held *h;

	if (e->stats.held >= HELD_MAX)
		release_first(e);
	h = malloc(sizeof(*h) + len);
	if (!h) {
		write_bytes(e, data, len, NULL);
		return;
	}
	h->next = NULL;
	h->origin = NULL;
	h->due_ns = due_ns;
	h->len = len;
	await(e, h, token);
	memcpy(h->data, data, len);
	h->at = e->held_end;
	*e->held_end = h;
	e->held_end = &h->next;
	e->stats.held++;
}

void hold_free(struct engine *e)
{
	while (e->held) {
		struct held *next = e->held->next;

		free(e->held->origin);
		free(e->held);
		e->held = next;
	}
	e->held_end = &e->held;
	memset(e->by_token, 0, sizeof(e->by_token));
}

/* Whether the inventory has got as far as when this flow came, or will not be waited for any longer. */
static bool inventory_past(const struct engine *e, const struct held *h, uint64_t now_ns)
{
	return !e->inventory_ns || e->inventory_ns + e->o.grace_ns >= h->due_ns || now_ns >= h->due_ns + SILENT_NS;
}

void engine_release(struct engine *e, uint64_t now_ns, bool everything)
{
	e->asks = 0;
	while (e->held && (everything || (e->held->due_ns <= now_ns && inventory_past(e, e->held, now_ns))))
		release_first(e);
}

static void turn(struct flow_rec *f)
{
	struct flow_rec was = *f;

	for (unsigned i = 0; i < 2; i++) {
		f->addr[i] = was.addr[!i];
		f->port[i] = was.port[!i];
		f->tcp_flags[i] = was.tcp_flags[!i];
		f->pkts[i] = was.pkts[!i];
		f->bytes[i] = was.bytes[!i];
		f->payload[i] = was.payload[!i];
	}
}

static bool same_end(const struct flow_rec *a, unsigned i, const struct flow_rec *b, unsigned k)
{
	return a->port[i] == b->port[k] && addr_equal(&a->addr[i], &b->addr[k]);
}

bool hold_inherit(struct flow_rec *f, const struct flow_rec *last)
{
	bool changed = false;

	if (addr_is_zero(&f->nat_addr)) {
		f->nat_addr = last->nat_addr;
		f->nat_port = last->nat_port;
	}
	if (last->direction == FLOW_DIR_UNKNOWN)
		return false;
	if (f->direction == FLOW_DIR_UNKNOWN)
		f->direction = last->direction;
	/* One end may have been found to be another than was seen, or the record turned; hardly ever both of an end. */
	if (!same_end(f, 0, last, 0) && !same_end(f, 1, last, 1) &&
	    (same_end(f, 0, last, 1) || same_end(f, 1, last, 0))) {
		turn(f);
		changed = true;
	}
	for (unsigned i = 0; i < 2; i++) {
		changed |= !same_end(f, i, last, i);
		f->addr[i] = last->addr[i];
		f->port[i] = last->port[i];
	}
	return changed;
}

/* An echo's identifier is its port to conntrack. */
static bool is_echo(const struct flow_rec *f)
{
	return proto_is_icmp(f->proto) && f->port[0] && (f->port[1] == (f->proto == PROTO_ICMP ? 8 : 128));
}

bool hold_wants_origin(struct engine *e, const struct flow_rec *f, const struct names_end end[2])
{
	bool workload[2] = {end[0].workload != 0, end[1].workload != 0};
	bool host = end[0].group == NAMES_HOST || end[1].group == NAMES_HOST;
	bool none = !workload[0] && !workload[1];
	/* A published port is mostly used from outside, and what is masqueraded leaves as the host's: where the way out
	 * is captured, both are told of there once more. Between workloads, and between strangers, it can be, so that
	 * is asked while it is cheap. */
	unsigned most = f->direction == FLOW_DIR_UNKNOWN || workload[0] != workload[1] || (none && host) ? ASKS_MAX
													 : ASKS_CHEAP;
	struct flow_rec last;

	if (!e->o.ask || !(proto_has_ports(f->proto) || (none && is_echo(f))) || e->asks >= most)
		return false;
	e->asks++;
	return !engine_txn(e) || store_flow_get(e->txn, f->start_ns, f->id, &last) != 0;
}

/*
 * The real ends of a translated conversation. A workload's own link shows it too, if that is captured: always, unless
 * the links were named by a person, who may have left it out.
 */
static bool seen_at(const struct engine *e, const struct flow_rec *f, const struct addr *a)
{
	struct names_end end;

	names_find(e->names, a, f->start_ns, &end);
	return end.workload && (!e->o.links_named || names_on_link(e->names, a, f->iface));
}

/* Neither a workload's nor the host's. */
static bool is_stranger(const struct engine *e, const struct flow_rec *f, const struct addr *a)
{
	struct names_end end;

	names_find(e->names, a, f->start_ns, &end);
	return !end.workload && end.group == NAMES_WORLD;
}

static bool differs(const struct flow_rec *f, unsigned i, const struct addr *a, uint16_t port)
{
	return !addr_equal(a, &f->addr[i]) || (proto_has_ports(f->proto) && port != f->port[i]);
}

static void replace_end(struct flow_rec *f, unsigned i, const struct addr *a, uint16_t port)
{
	f->addr[i] = *a;
	if (proto_has_ports(f->proto))
		f->port[i] = port;
}

/*
 * Writes into the record what became known. A connection that the kernel translated is seen once on the client's side,
 * with the address that was asked for, and once on the server's side, perhaps with another client. One of the two is
 * kept: where the server is a workload and was reached through DNAT, the one at the server; else the one at the client.
 * Either way it gets the real ends, unless both are strangers to whom the host is but a router: then each side stays
 * what it was on the wire. False: it is the other one, and a workload's own link shows the one to keep.
 */
static bool complete(struct engine *e, struct flow_rec *f, const struct engine_origin *o)
{
	const struct addr client = addr_is_zero(&o->client) ? f->addr[!o->first_began] : o->client;
	bool dnat = !addr_is_zero(&o->orig_addr), before_dnat, behind_snat, at_server;

	if (f->direction == FLOW_DIR_UNKNOWN)
		f->direction = FLOW_DIR_CONNTRACK;
	if (!o->first_began && !proto_has_ports(f->proto))
		return true; /* a reply: it cannot be turned */
	if (!o->first_began)
		turn(f);
	before_dnat = dnat && differs(f, 1, &o->server, o->server_port);
	behind_snat = !addr_is_zero(&o->client) && differs(f, 0, &o->client, o->client_port);
	if ((before_dnat || behind_snat) && is_stranger(e, f, &client) && is_stranger(e, f, dnat ? &o->server : &f->addr[1]))
		return true;
	at_server = dnat && seen_at(e, f, &o->server);
	if (before_dnat && at_server)
		return false;
	if (behind_snat && !at_server && seen_at(e, f, &o->client))
		return false;
	if (before_dnat)
		replace_end(f, 1, &o->server, o->server_port);
	if (behind_snat)
		replace_end(f, 0, &o->client, o->client_port);
	if (dnat) {
		f->nat_addr = o->orig_addr;
		f->nat_port = o->orig_port;
	}
	return true;
}

/* Whether an end of it may still get a name, on which depends what becomes of it. */
static bool may_be_named(const struct engine *e, const struct flow_rec *f, const struct engine_origin *o)
{
	const struct addr *const addr[] = {&f->addr[0], &f->addr[1], &o->client, &o->server};

	for (unsigned i = 0; i < (o->known ? 4 : 2); i++) {
		struct names_end end;

		if (addr_is_zero(addr[i]))
			continue;
		names_find(e->names, addr[i], f->start_ns, &end);
		if (end.late)
			return true;
	}
	return false;
}

void engine_origin(struct engine *e, uint64_t token, const struct engine_origin *o)
{
	struct held *h = token ? *bucket_of(e, token) : NULL;
	struct flow_rec f;

	while (h && h->token != token)
		h = h->same;
	if (!h || flow_decode(&f, h->data, h->len))
		return; /* it did not wait so long */
	e->stats.asked++;
	await_no_more(h);
	h->token = 0;
	if (o->known) {
		h->origin = malloc(sizeof(*h->origin));
		if (h->origin)
			*h->origin = *o;
	}
	if (may_be_named(e, &f, o))
		return; /* it goes on waiting */
	write_bytes(e, h->data, h->len, h->origin);
	unlink_held(e, h);
}
