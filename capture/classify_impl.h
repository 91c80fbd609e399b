/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of classify share and nobody else sees: the state of a flow in inspection.
 */
#ifndef WEIR_CAPTURE_CLASSIFY_IMPL_H
#define WEIR_CAPTURE_CLASSIFY_IMPL_H
#include "capture/classify.h"
#include "capture/classify_compat.h"
#include "common/buf.h"

struct classify_flow {
	struct classify_flow *next; /* in the list of free ones */
	struct compat_proto proto;  /* what nDPI said last */
	uint32_t packets;           /* given to it */
	uint8_t l4;
	bool syn;                   /* its SYN was seen and is still to be shown to nDPI */
	bool inspected;             /* nDPI has seen a packet of it */
	bool final;                 /* nDPI has said its last word */
	bool names;                 /* carries DNS: its messages are read here, too */
	uint16_t dns_queries, dns_responses;
	struct buf dns;             /* attributes of the DNS messages, in their order */
	struct ndpi_flow_struct ndpi;
};

/* Adds what the payload of this DNS packet tells to f->dns. */
void classify_dns_packet(struct classify_flow *f, const uint8_t *payload, size_t len);

/* classify_dtls.c: whether nDPI must not be shown this datagram as it is (len: of the UDP datagram with its header, all
 * of it captured), and how it may be: out gets an IPv6 packet, CLASSIFY_SLACK bytes behind it; its length, or 0 when
 * there is no room: then not at all. */
#define CLASSIFY_DTLS_MAX 4096
bool classify_dtls_unsafe(const uint8_t *ip, const uint8_t *udp, size_t len);
size_t classify_dtls_as_ipv6(uint8_t out[CLASSIFY_DTLS_MAX + CLASSIFY_SLACK], const uint8_t *ip, const uint8_t *udp,
			     size_t len);

/* Appends all that was learned of the flow to attrs. */
void classify_attrs(const struct classify_flow *f, struct buf *attrs);

#endif
