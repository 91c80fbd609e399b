/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A table of a million flows does not fit any cache, and a processor that waits for memory does nothing else. So a
 * packet, once decoded, waits here for a few others: when it comes in, its part of the index is asked for; half way,
 * its flow; and when it leaves, both are there. The bytes that inspection may want are copied where the source's
 * buffer will not wait. Order is kept.
 */
#include "config.h"

#include <string.h>

#include "capture/worker_private.h"
#include "common/proto.h"

#define HALF_WAY (PENDING_MAX / 2)

static struct pending *nth(struct worker *w, unsigned n)
{
	return &w->pending[(w->pending_first + n) % PENDING_MAX];
}

static void leave(struct worker *w)
{
	struct pending *n = nth(w, 0);

	w->pending_first = (w->pending_first + 1) % PENDING_MAX;
	w->n_pending--;
	track_packet(w, n);
}

void packet_batch_flush(struct worker *w)
{
	while (w->n_pending)
		leave(w);
}

void packet_batch_take(struct worker *w, const struct packet *p, uint32_t wirelen, uint64_t time_ns)
{
	bool keep = !w->frames_stay && p->payload_cap && (p->proto == PROTO_TCP || p->proto == PROTO_UDP);
	struct pending *n;

	if (keep && p->ip_len > PENDING_BYTES)
		packet_batch_flush(w);
	n = nth(w, w->n_pending++);
	n->packet = *p;
	n->wirelen = wirelen;
	n->own = w->frame_own;
	n->time_ns = time_ns;
	if (p->fragment != FRAGMENT_LATER) {
		track_key(&n->key, p);
		n->hash = flow_table_hash(&w->table, &n->key);
		flow_table_fetch_index(&w->table, n->hash);
	}
	if (keep && p->ip_len > PENDING_BYTES) {
		leave(w); /* the only one: its bytes are still where they were */
		return;
	}
	if (keep) {
		memcpy(n->data, p->ip, p->ip_len);
		n->packet.ip = n->data;
	}
	if (w->n_pending > HALF_WAY && nth(w, w->n_pending - 1 - HALF_WAY)->packet.fragment != FRAGMENT_LATER)
		flow_table_fetch_flow(&w->table, nth(w, w->n_pending - 1 - HALF_WAY)->hash);
	if (w->n_pending == PENDING_MAX)
		leave(w);
}
