/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Coverage: what capture saw on one interface in one interval, and what it is known to have missed. Loss is data: an
 * answer over an interval in which any of the lost counters is not zero must say so.
 */
#ifndef WEIR_COMMON_COVERAGE_H
#define WEIR_COMMON_COVERAGE_H
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

#define COVERAGE_INTERVAL_NS (10 * 1000000000ull) /* intervals are aligned to this */

struct coverage_rec {
	uint64_t start_ns, end_ns; /* the part of the interval that is told of */
	uint32_t iface;
	char iface_name[32];       /* interface name, or base name of the capture file */
	uint64_t received;         /* packets handed to weir */
	uint64_t lost_kernel;      /* dropped by the kernel: ring full (tpacket_stats_v3.tp_drops) */
	uint64_t lost_interface;   /* dropped by the interface itself (pcap ps_ifdrop) */
	uint64_t lost_ring;        /* records that found the ring to the engine full */
	uint64_t lost_store;       /* records the store could not take */
	uint64_t evicted;          /* flows written before their time, since the table needed the place */
	uint64_t folded;           /* unanswered attempts folded instead of recorded one by one */
	uint64_t not_ip;           /* frames that carry no IP (ARP, STP, ...): counted, not kept */
	uint64_t malformed;        /* packets that are cut or contradict themselves */
	uint8_t gap;               /* 1: not watched for part of the interval, or what was seen then was not kept */
};

bool coverage_complete(const struct coverage_rec *c); /* nothing lost, no gap */
void coverage_merge(struct coverage_rec *sum, const struct coverage_rec *more);
void coverage_encode(struct buf *b, const struct coverage_rec *c);
int coverage_decode(struct coverage_rec *out, const void *data, size_t len); /* 0, -EPROTO, -EBADMSG */

#endif
