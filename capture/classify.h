/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Classification: what application a flow carries, by nDPI. The only part of weir that knows nDPI; one struct classify
 * per worker, since a detection module is not for sharing. State for a flow is allocated at its first payload and is
 * freed at the verdict; what was learned is copied out as plain values.
 */
#ifndef WEIR_CAPTURE_CLASSIFY_H
#define WEIR_CAPTURE_CLASSIFY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/community_id.h"
#include "common/flow.h"

struct classify;      /* one detection module with its caches and name automata */
struct classify_flow; /* state of one flow in inspection */

int classify_new(struct classify **out);
void classify_free(struct classify *c);

/* State for a flow, or NULL when memory is short. */
struct classify_flow *classify_flow_new(struct classify *c);
void classify_flow_free(struct classify *c, struct classify_flow *f);

/* Says that the flow's SYN was seen (before its first payload, and so before there was a state). */
void classify_flow_syn(struct classify_flow *f);

/* nDPI compares texts at the end of a packet with longer ones: so many bytes behind it must be there to be read,
 * whatever they say. */
#define CLASSIFY_SLACK 64

/* One packet of the flow: ip points at the IP header (version 4 or 6), len bytes captured from there, CLASSIFY_SLACK
 * more to be read; from_client: sent by the end that is end 0 of the record; time_ms: packet time. True when more
 * packets can no longer change the verdict. Give it every packet from the first payload on until then: those without
 * payload cost next to nothing, but count towards the number after which nDPI's own reader gives up. */
bool classify_packet(struct classify *c, struct classify_flow *f, const uint8_t *ip, size_t len, bool from_client,
		     uint64_t time_ms);

/*
 * The verdict so far into out: app_master, app_proto, app, category, confidence, risk; attributes are appended to
 * attrs (names of DNS come before the type, code and addresses that answer them). At the end of a flow that never
 * came to a verdict, giveup lets nDPI guess by port and address (f may be NULL: a flow that carried no payload; out's
 * ends, ports and protocol must be filled).
 */
void classify_verdict(struct classify *c, struct classify_flow *f, bool giveup, struct flow_rec *out,
		      struct buf *attrs);

/* nDPI's name of risk bit n (0 to 63) and its severity ("Low", "Medium", "High", ...); NULL for none such. */
const char *classify_risk_name(unsigned n);
const char *classify_risk_severity(unsigned n);
const char *classify_library_version(void);

#endif
