/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A capture may come from an Ethernet bridge, from "any", from a PPP line or from a wireless card, and each puts
 * something else before the IP header. This file walks link headers, VLAN tags, MPLS and PPPoE, and says where IP
 * begins. Formats: https://www.tcpdump.org/linktypes.html, IEEE 802.1Q, RFC 3032, RFC 2516, RFC 1662, IEEE 802.11,
 * radiotap.org.
 */
#include "config.h"
#include "capture/decode.h"

#define ETH_IPV4 0x0800
#define ETH_IPV6 0x86dd
#define ETH_VLAN 0x8100
#define ETH_QINQ 0x88a8
#define ETH_QINQ_OLD 0x9100
#define ETH_MPLS 0x8847
#define ETH_MPLS_MULTI 0x8848
#define ETH_PPPOE 0x8864
#define PPP_IPV4 0x0021
#define PPP_IPV6 0x0057
#define TAGS_MAX 8 /* VLAN tags or MPLS labels: more than this is an attack on our patience */

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* IP behind something that does not say which version: the nibble must. */
static enum decode_result ip_at(size_t *ip_off, size_t off, const uint8_t *f, size_t n)
{
	if (off >= n)
		return DECODE_MALFORMED;
	*ip_off = off;
	return f[off] >> 4 == 4 || f[off] >> 4 == 6 ? DECODE_OK : DECODE_NOT_IP;
}

static enum decode_result mpls(size_t *ip_off, size_t off, const uint8_t *f, size_t n)
{
	for (unsigned i = 0; i < TAGS_MAX; i++, off += 4) {
		if (off + 4 > n)
			return DECODE_MALFORMED;
		if (f[off + 2] & 1) /* bottom of stack */
			return ip_at(ip_off, off + 4, f, n);
	}
	return DECODE_NOT_IP;
}

static enum decode_result ppp_protocol(size_t *ip_off, size_t off, const uint8_t *f, size_t n)
{
	uint16_t proto;

	if (off + 2 > n)
		return DECODE_MALFORMED;
	/* Protocol field compression: an odd first byte is all of it (RFC 1661 section 6.5). */
	proto = f[off] & 1 ? f[off] : be16(f + off);
	off += f[off] & 1 ? 1 : 2;
	return proto == PPP_IPV4 || proto == PPP_IPV6 ? ip_at(ip_off, off, f, n) : DECODE_NOT_IP;
}

/* From an EtherType on, off being what lies behind it. */
static enum decode_result ether_type(size_t *ip_off, uint16_t *vlan, uint16_t type, size_t off, const uint8_t *f,
				     size_t n)
{
	for (unsigned i = 0; i < TAGS_MAX; i++) {
		switch (type) {
		case ETH_IPV4:
		case ETH_IPV6:
			*ip_off = off;
			return off < n ? DECODE_OK : DECODE_MALFORMED;
		case ETH_VLAN:
		case ETH_QINQ:
		case ETH_QINQ_OLD:
			if (off + 4 > n)
				return DECODE_MALFORMED;
			*vlan = be16(f + off) & 0xfff; /* of stacked tags the innermost tells conversations apart */
			type = be16(f + off + 2);
			off += 4;
			break;
		case ETH_MPLS:
		case ETH_MPLS_MULTI:
			return mpls(ip_off, off, f, n);
		case ETH_PPPOE:
			return off + 6 > n ? DECODE_MALFORMED : ppp_protocol(ip_off, off + 6, f, n);
		default:
			return DECODE_NOT_IP;
		}
	}
	return DECODE_NOT_IP;
}

/* LLC with SNAP, behind an 802.3 length or an 802.11 header: AA AA 03, organisation, EtherType. */
static enum decode_result llc(size_t *ip_off, uint16_t *vlan, size_t off, const uint8_t *f, size_t n)
{
	if (off + 3 > n)
		return DECODE_MALFORMED;
	if (f[off] == 0x06 && f[off + 1] == 0x06) /* IP straight over LLC (RFC 948) */
		return ip_at(ip_off, off + 3, f, n);
	if (f[off] != 0xaa || f[off + 1] != 0xaa)
		return DECODE_NOT_IP;
	if (off + 8 > n)
		return DECODE_MALFORMED;
	return ether_type(ip_off, vlan, be16(f + off + 6), off + 8, f, n);
}

static enum decode_result ethernet(size_t *ip_off, uint16_t *vlan, const uint8_t *f, size_t n)
{
	uint16_t type;

	if (n < 14)
		return DECODE_MALFORMED;
	type = be16(f + 12);
	if (type == ETH_IPV4 || type == ETH_IPV6) {
		*ip_off = 14;
		return n > 14 ? DECODE_OK : DECODE_MALFORMED;
	}
	return type <= 1500 ? llc(ip_off, vlan, 14, f, n) : ether_type(ip_off, vlan, type, 14, f, n);
}

static enum decode_result ppp(size_t *ip_off, uint16_t *vlan, const uint8_t *f, size_t n)
{
	if (n < 4)
		return DECODE_MALFORMED;
	if (f[0] == 0xff && f[1] == 0x03) /* HDLC-like framing (RFC 1662) */
		return ppp_protocol(ip_off, 2, f, n);
	if (f[0] == 0x0f || f[0] == 0x8f) /* Cisco HDLC: unicast, multicast; then an EtherType */
		return ether_type(ip_off, vlan, be16(f + 2), 4, f, n);
	return ppp_protocol(ip_off, 0, f, n);
}

/* Q.922 address of two bytes, control 03, then the NLPID (RFC 2427). */
static enum decode_result frame_relay(size_t *ip_off, uint16_t *vlan, const uint8_t *f, size_t n)
{
	if (n < 4)
		return DECODE_MALFORMED;
	if (f[2] != 0x03) /* Cisco's encapsulation: an EtherType instead */
		return ether_type(ip_off, vlan, be16(f + 2), 4, f, n);
	if (f[3] == 0xcc || f[3] == 0x8e)
		return ip_at(ip_off, 4, f, n);
	if (n >= 10 && f[3] == 0x00 && f[4] == 0x80)
		return ether_type(ip_off, vlan, be16(f + 8), 10, f, n);
	return DECODE_NOT_IP;
}

static enum decode_result wireless(size_t *ip_off, uint16_t *vlan, size_t off, const uint8_t *f, size_t n)
{
	size_t head = 24;
	unsigned type, subtype, flags;

	if (off + head > n)
		return DECODE_MALFORMED;
	type = f[off] >> 2 & 3;
	subtype = f[off] >> 4;
	flags = f[off + 1];
	/* Data frames with a body (bit 2 of the subtype: none) that is not encrypted (bit 6 of the flags). */
	if (type != 2 || (subtype & 4) || (flags & 0x40))
		return DECODE_NOT_IP;
	if ((flags & 3) == 3)
		head += 6; /* a fourth address */
	if (subtype & 8)
		head += 2 + (flags & 0x80 ? 4 : 0); /* QoS control, HT control */
	return llc(ip_off, vlan, off + head, f, n);
}

static enum decode_result radiotap(size_t *ip_off, uint16_t *vlan, const uint8_t *f, size_t n)
{
	size_t len;

	if (n < 8)
		return DECODE_MALFORMED;
	len = (size_t)(f[2] | f[3] << 8);
	if (len < 8 || len > n)
		return DECODE_MALFORMED;
	return wireless(ip_off, vlan, len, f, n);
}

enum decode_result decode_link(size_t *ip_off, uint16_t *vlan, enum link_type link, const uint8_t *frame, size_t caplen)
{
	*vlan = 0;
	switch (link) {
	case LINK_ETHERNET:
		return ethernet(ip_off, vlan, frame, caplen);
	case LINK_SLL:
		return caplen < 16 ? DECODE_MALFORMED : ether_type(ip_off, vlan, be16(frame + 14), 16, frame, caplen);
	case LINK_SLL2:
		return caplen < 20 ? DECODE_MALFORMED : ether_type(ip_off, vlan, be16(frame), 20, frame, caplen);
	case LINK_RAW:
		return ip_at(ip_off, 0, frame, caplen);
	case LINK_NULL:
		return ip_at(ip_off, 4, frame, caplen);
	case LINK_PPP:
	case LINK_CHDLC:
		return ppp(ip_off, vlan, frame, caplen);
	case LINK_FRAME_RELAY:
		return frame_relay(ip_off, vlan, frame, caplen);
	case LINK_80211:
		return wireless(ip_off, vlan, 0, frame, caplen);
	case LINK_RADIOTAP:
		return radiotap(ip_off, vlan, frame, caplen);
	default:
		return DECODE_NOT_IP;
	}
}
