/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Attempts that nobody answered, folded: under pressure a flood or a scan is told as one record per destination
 * address, port, protocol, interface and interval, with an exact count, an estimate of how many sources there were,
 * and a few of them by name. Bounded itself: when it is full, an older record is handed out early and counting starts
 * anew.
 */
#ifndef WEIR_CAPTURE_ATTEMPTS_H
#define WEIR_CAPTURE_ATTEMPTS_H
#include <stdint.h>

#include "common/flow.h"

struct attempts;
typedef void (*attempts_emit_fn)(void *arg, const struct flow_attempts *a);

/* size: records at a time (a place costs 168 bytes once used, and 128 more when it has to estimate sources). emit gets
 * every record when it is done with. */
int attempts_new(struct attempts **out, uint32_t size, attempts_emit_fn emit, void *arg);
void attempts_free(struct attempts *a); /* hands out nothing: attempts_flush first */
/* Folds one conversation: its first and last packet, bytes, and who tried. */
void attempts_add(struct attempts *a, const struct addr *dst, uint16_t port, uint8_t proto, uint32_t iface,
		  const struct addr *src, uint16_t src_port, uint64_t start_ns, uint64_t end_ns, uint64_t bytes);
/* Hands out what belongs to intervals that ended before now_ns (ATTEMPTS_FLUSH_ALL: everything). */
#define ATTEMPTS_FLUSH_ALL UINT64_MAX
void attempts_flush(struct attempts *a, uint64_t now_ns);

#endif
