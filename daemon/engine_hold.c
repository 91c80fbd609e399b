/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flows that wait: for the name of an end (the runtime tells of a container a moment after its first packet), or for
 * the kernel's word on who began. They wait a fixed time, in the order they came, so that one queue serves; when it
 * is full, the oldest waits no longer. A record waits as the bytes it came in, which are small.
 */
#include "config.h"
#include "daemon/engine.h"

#include <stdlib.h>
#include <string.h>

#include "common/proto.h"
#include "daemon/engine_impl.h"
#include "store/flows.h"

#define HELD_MAX 65536u
#define ASKS_MAX 5000u   /* questions to conntrack between two releases (about a second) */
#define ASKS_CHEAP 1000u /* of which for flows that most likely have nothing to tell */

static void write_bytes(struct engine *e, const void *data, size_t len)
{
	struct names_end end[2];
	struct flow_rec f;

	if (flow_decode(&f, data, len))
		return;
	engine_find_ends(e, &f, end);
	engine_write(e, &f, end);
}

static void release_first(struct engine *e)
{
	struct held *h = e->held;

	e->held = h->next;
	if (!e->held)
		e->held_end = &e->held;
	e->stats.held--;
	write_bytes(e, h->data, h->len);
	free(h);
}

void hold_add(struct engine *e, const void *data, size_t len, uint64_t due_ns, uint64_t token)
{
	struct held *h;

	if (e->stats.held >= HELD_MAX)
		release_first(e);
	h = malloc(sizeof(*h) + len);
	if (!h) {
		write_bytes(e, data, len);
		return;
	}
	h->next = NULL;
	h->due_ns = due_ns;
	h->token = token;
	h->len = len;
	memcpy(h->data, data, len);
	*e->held_end = h;
	e->held_end = &h->next;
	e->stats.held++;
}

void hold_free(struct engine *e)
{
	while (e->held) {
		struct held *next = e->held->next;

		free(e->held);
		e->held = next;
	}
	e->held_end = &e->held;
}

void engine_release(struct engine *e, uint64_t now_ns, bool everything)
{
	e->asks = 0;
	while (e->held && (everything || e->held->due_ns <= now_ns))
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

bool hold_inherit(struct flow_rec *f, const struct flow_rec *last)
{
	bool turned = false;

	if (f->direction == FLOW_DIR_UNKNOWN && last->direction != FLOW_DIR_UNKNOWN) {
		f->direction = last->direction;
		turned = !addr_equal(&f->addr[0], &last->addr[0]) || f->port[0] != last->port[0];
		if (turned)
			turn(f);
	}
	if (addr_is_zero(&f->nat_addr)) {
		f->nat_addr = last->nat_addr;
		f->nat_port = last->nat_port;
	}
	return turned;
}

bool hold_wants_origin(struct engine *e, const struct flow_rec *f, const struct names_end end[2])
{
	/* A published port is mostly used from outside; between workloads it can be, so that is asked while it is cheap. */
	bool outside = !end[0].workload != !end[1].workload;
	unsigned most = f->direction == FLOW_DIR_UNKNOWN || outside ? ASKS_MAX : ASKS_CHEAP;
	struct flow_rec last;

	if (!e->o.ask || !(end[0].workload || end[1].workload) || !proto_has_ports(f->proto) || e->asks >= most)
		return false;
	e->asks++;
	return !engine_txn(e) || store_flow_get(e->txn, f->start_ns, f->id, &last) != 0;
}

/* Writes the record with what became known. False: it is the view from before DNAT of a conversation whose other view, on
 * the server's own bridge, is kept. */
static bool complete(struct engine *e, struct flow_rec *f, const struct engine_origin *o)
{
	struct names_end server;

	if (f->direction == FLOW_DIR_UNKNOWN)
		f->direction = FLOW_DIR_CONNTRACK;
	if (!o->first_began)
		turn(f);
	if (addr_is_zero(&o->orig_addr))
		return true;
	if (!addr_equal(&o->server, &f->addr[1]) || o->server_port != f->port[1]) {
		names_find(e->names, &o->server, f->start_ns, &server);
		return server.workload == 0;
	}
	f->nat_addr = o->orig_addr;
	f->nat_port = o->orig_port;
	return true;
}

/* Replaces what is held by its completed form; it goes on waiting for the name of an end, if that is missing. */
static void rewrite(struct engine *e, struct held **slot, const struct flow_rec *f)
{
	struct held *old = *slot, *fresh;
	struct buf b = BUF_INIT;

	flow_encode(&b, f);
	fresh = buf_failed(&b) ? NULL : malloc(sizeof(*fresh) + b.len);
	if (fresh) {
		*fresh = *old;
		fresh->token = 0;
		fresh->len = b.len;
		memcpy(fresh->data, b.data, b.len);
		if (e->held_end == &old->next)
			e->held_end = &fresh->next;
		*slot = fresh;
		free(old);
	}
	buf_fini(&b);
}

static void unlink_held(struct engine *e, struct held **slot)
{
	struct held *old = *slot;

	*slot = old->next;
	if (e->held_end == &old->next)
		e->held_end = slot;
	e->stats.held--;
	free(old);
}

void engine_origin(struct engine *e, uint64_t token, const struct engine_origin *o)
{
	struct held **slot = &e->held;
	struct names_end end[2];
	struct flow_rec f;

	while (*slot && (*slot)->token != token)
		slot = &(*slot)->next;
	if (!*slot || flow_decode(&f, (*slot)->data, (*slot)->len))
		return; /* it did not wait so long */
	e->stats.asked++;
	if (o->known && !complete(e, &f, o)) {
		e->stats.joined++;
		unlink_held(e, slot);
		return;
	}
	engine_find_ends(e, &f, end);
	if (end[0].late || end[1].late) {
		rewrite(e, slot, &f);
		return;
	}
	engine_write(e, &f, end); /* attributes are still in what is held */
	unlink_held(e, slot);
}
