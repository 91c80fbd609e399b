/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Later fragments of a datagram have no ports; this table remembers, for a short while, what the first one said.
 * Fragments that arrive before their first are counted here and given to the flow when the first one comes. Fixed in
 * size; the oldest of a set gives way.
 */
#ifndef WEIR_CAPTURE_FRAG_H
#define WEIR_CAPTURE_FRAG_H
#include <stdbool.h>
#include <stdint.h>

#include "capture/decode.h"

struct frag_table;

/* What came before the first fragment. */
struct frag_early {
	uint32_t pkts;
	uint64_t bytes;
};

int frag_new(struct frag_table **out);
void frag_free(struct frag_table *t);
/* Remembers p, a first fragment; *early: what had been waiting for it. */
void frag_first(struct frag_table *t, const struct packet *p, uint64_t now_ns, struct frag_early *early);
/* p, a later fragment of wirelen bytes: fills in its ports and ICMP fields. False when the first one has not been seen:
 * then it has been noted as early. */
bool frag_later(struct frag_table *t, struct packet *p, uint64_t now_ns, uint32_t wirelen);
/* Forgets everything; what still waits becomes an orphan. */
void frag_forget(struct frag_table *t);
/* Fragments that never met their first one, since the start. */
uint64_t frag_orphans(const struct frag_table *t);

#endif
