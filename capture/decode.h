/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One frame into plain values. Bounds-checked, allocation-free, no state: what needs memory of other packets
 * (fragments) is only marked here. Lengths that packets claim are compared with what was captured and never followed
 * beyond it; checksums are not looked at, since frames on a veth have unfinished ones.
 */
#ifndef WEIR_CAPTURE_DECODE_H
#define WEIR_CAPTURE_DECODE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

/* How a frame begins. capture/source maps pcap's DLT_ numbers to these. */
enum link_type {
	LINK_ETHERNET,
	LINK_SLL,        /* Linux cooked, 16 bytes */
	LINK_SLL2,       /* Linux cooked v2, 20 bytes */
	LINK_RAW,        /* IPv4 or IPv6, by the version nibble */
	LINK_NULL,       /* BSD loopback: 4 bytes of address family in somebody's byte order */
	LINK_PPP,        /* with or without HDLC framing */
	LINK_CHDLC,      /* Cisco HDLC; also PPP_SERIAL, which is either */
	LINK_FRAME_RELAY,
	LINK_80211,
	LINK_RADIOTAP,
	LINK_MAX_
};

enum decode_result {
	DECODE_OK,
	DECODE_NOT_IP,    /* ARP, spanning tree, management frames, ...: no IP in it */
	DECODE_MALFORMED, /* cut short before the ports, or contradicts itself */
};

/* Tunnels to look into; IPIP stands for IPv4 and IPv6 directly inside IP (protocols 4 and 41). */
enum {
	DECODE_INSIDE_IPIP = 1,
	DECODE_INSIDE_OTHERS = 2, /* VXLAN, Geneve, GRE */
	DECODE_INSIDE_MOBILE = 4, /* GTP-U, CAPWAP, TZSP: from mobile and wireless networks, in capture files only */
};

enum packet_fragment {
	FRAGMENT_NONE,
	FRAGMENT_FIRST, /* has the transport header; more follow */
	FRAGMENT_LATER, /* has none: ports 0 until capture/frag tells */
};

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct packet {
	struct addr addr[2]; /* sender, receiver */
	uint16_t port[2];    /* sender's, receiver's; 0 where there are none (also when TCP's header is cut short). Never
			      * set for ICMP */
	uint8_t proto;
	uint8_t icmp_type, icmp_code;
	uint8_t tcp_flags;
	uint8_t fragment;    /* enum packet_fragment */
	uint8_t tunnel;      /* enum flow_tunnel: what was taken off */
	uint16_t vlan;       /* innermost VLAN id, 0 for none */
	uint16_t icmp_id;    /* echo identifier */
	uint32_t tunnel_id;  /* VNI or GRE key */
	uint32_t tcp_seq;
	uint32_t fragment_id;
	const uint8_t *ip;   /* the IP header, borrowed from the frame */
	uint32_t ip_len;     /* bytes captured from there */
	uint32_t l4_off;     /* transport header, counted from ip */
	uint32_t payload_off, payload_len; /* above the transport header, as claimed; may reach beyond ip_len */
	uint32_t payload_cap;              /* of these captured */
};

/* frame: caplen bytes of wirelen. inside: DECODE_INSIDE_ bits. *out is whole for DECODE_OK only. */
enum decode_result decode_frame(struct packet *out, enum link_type link, const uint8_t *frame, size_t caplen,
				size_t wirelen, unsigned inside);
/* The same from an IP header on; wirelen: bytes from there on the wire. *out's link fields (vlan) are kept. */
enum decode_result decode_ip(struct packet *out, const uint8_t *ip, size_t caplen, size_t wirelen, unsigned inside);

/*
 * The packet that an ICMP error quotes: its ends, ports and protocol as it was sent. True when p is an error (ICMP 3,
 * 4, 5, 11, 12; ICMPv6 1 to 4) and quotes enough; *unreachable: it says no for good (not "fragmentation needed" or
 * the like).
 */
bool decode_quoted(const struct packet *p, struct packet *quoted, bool *unreachable);
/* ICMP type that a reply of this type answers ("echo reply" -> "echo request"); itself for others. */
uint8_t decode_icmp_request(uint8_t proto, uint8_t type);
bool decode_icmp_is_error(uint8_t proto, uint8_t type);

/* Where a datagram of GTP-U, CAPWAP or TZSP has its passenger: an offset from p->ip, a frame of Ethernet or an IP
 * packet. False when it is none of them. For capture/decode's own files. */
bool decode_mobile(const struct packet *p, size_t *off, bool *ethernet, uint8_t *kind, uint32_t *id);
/* Link header only: where IP begins, and the VLAN. For capture/decode's own files. */
enum decode_result decode_link(size_t *ip_off, uint16_t *vlan, enum link_type link, const uint8_t *frame,
			       size_t caplen);

#endif
