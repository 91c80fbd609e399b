/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Verdicts: what the ruleset says of a connection, and the record of what it did. A connection is decided once, at its
 * first packet; later packets belong to an established conversation and are never judged again.
 */
#ifndef WEIR_COMMON_VERDICT_H
#define WEIR_COMMON_VERDICT_H
#include <stdint.h>

#include "common/addr.h"
#include "common/buf.h"
#include "common/workload.h"

enum verdict_kind { VERDICT_NONE, VERDICT_ALLOW, VERDICT_WOULD_BLOCK, VERDICT_BLOCK };
enum stage { STAGE_OBSERVE, STAGE_DRY_RUN, STAGE_ENFORCE };

const char *verdict_name(unsigned v); /* "none", "allow", "would-block", "block" */
const char *stage_name(unsigned v);   /* "observe", "dry-run", "enforce" */
int stage_parse(uint8_t *out, const char *text); /* 0 or -EINVAL */

/*
 * Refusals of one kind between two addresses, to one service, in one interval. count is exact: it comes from the
 * kernel's own counters; a sample only adds detail.
 */
struct verdict_rec {
	uint64_t first_ns, last_ns; /* bounds of when it happened, as closely as known */
	uint8_t kind;      /* WOULD_BLOCK or BLOCK */
	uint8_t inbound;   /* 1: decided by the inbound list of the destination's group; 0: outbound of the source's */
	uint8_t proto;
	uint8_t sampled;   /* 1: a packet header was seen (NFLOG), src_port is from it */
	struct addr src, dst;
	uint16_t src_port, dst_port; /* ICMP: dst_port is the type */
	uint64_t workload[2];        /* of src and dst; 0: not a workload */
	char group[2][GROUP_STRLEN]; /* of src and dst */
	uint64_t generation;         /* of the ruleset that decided */
	uint64_t count;              /* packets refused: for TCP, each SYN and its retries */
	uint8_t away; /* 1: found counted when weir came back; first_ns is its last reading before, and nothing says
			 when in between it happened but last_ns for the last of them */
};
void verdict_encode(struct buf *b, const struct verdict_rec *v);
int verdict_decode(struct verdict_rec *out, const void *data, size_t len); /* 0, -EPROTO, -EBADMSG */

/* One of the kernel's counters of refusals as it was last read, so that what it counts unwatched can be told later.
 * What set and key mean is segment/nft_count.c's alone. */
#define COUNTER_KEY_MAX 48
struct counter_rec {
	uint8_t set, key_len;
	uint8_t key[COUNTER_KEY_MAX];
	uint64_t packets; /* 0: it is not there any more */
};
void counter_encode(struct buf *b, const struct counter_rec *c);
int counter_decode(struct counter_rec *out, const void *data, size_t len); /* 0, -EPROTO, -EBADMSG */

#endif
