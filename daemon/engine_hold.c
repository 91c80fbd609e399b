/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flows that wait: for the name of an end (the runtime tells of a container a moment after its first packet), or for the
 * kernel's word on who began. They wait a fixed time, in the order they came, so that one queue serves; when it
 * is full, the oldest waits no longer. A record waits as the bytes it came in, which are small.
 */
#include "config.h"
#include "daemon/engine.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/engine_impl.h"

#define HELD_MAX 65536u

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

void hold_add(struct engine *e, const void *data, size_t len, uint64_t due_ns)
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
	while (e->held && (everything || e->held->due_ns <= now_ns))
		release_first(e);
}

/* Whether the flow is the conversation that n tells of: 1 as capture has its ends, -1 the other way round, 0 not. */
static int same_conversation(const struct flow_rec *f, const struct engine_nat *n)
{
	if (f->proto != n->proto)
		return 0;
	for (unsigned i = 0; i < 2; i++)
		if (addr_equal(&f->addr[i], &n->addr[0]) && addr_equal(&f->addr[!i], &n->addr[1]) &&
		    f->port[i] == n->port[0] && f->port[!i] == n->port[1])
			return i ? -1 : 1;
	return 0;
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

void engine_nat(struct engine *e, const struct engine_nat *n, uint64_t now_ns)
{
	(void)now_ns;
	for (struct held **h = &e->held; *h; h = &(*h)->next) {
		struct held *old = *h, *fresh;
		struct buf b = BUF_INIT;
		struct flow_rec f;

		if (flow_decode(&f, old->data, old->len) || !same_conversation(&f, n))
			continue;
		if (f.direction == FLOW_DIR_UNKNOWN) {
			f.direction = FLOW_DIR_CONNTRACK;
			if (!addr_equal(&f.addr[0], &n->client) || f.port[0] != n->client_port)
				turn(&f);
		}
		if (!addr_is_zero(&n->orig_addr)) {
			f.nat_addr = n->orig_addr;
			f.nat_port = n->orig_port;
		}
		flow_encode(&b, &f);
		fresh = buf_failed(&b) ? NULL : malloc(sizeof(*fresh) + b.len);
		if (fresh) {
			fresh->next = old->next;
			fresh->due_ns = old->due_ns;
			fresh->len = b.len;
			memcpy(fresh->data, b.data, b.len);
			if (e->held_end == &old->next)
				e->held_end = &fresh->next;
			*h = fresh;
			free(old);
		}
		buf_fini(&b);
	}
}
