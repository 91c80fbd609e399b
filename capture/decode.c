/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every byte here was chosen by whoever sent the packet. Three lengths compete: what was captured, what was on the
 * wire, and what the headers claim. A claim beyond the wire is a contradiction (the packet is counted as malformed);
 * a capture shorter than the claim is a snapped packet, which is fine as long as the ports are there. A total length
 * of zero is a segmentation-offload frame larger than the field can say (Linux BIG TCP): then the wire length stands
 * in.
 */
#include "config.h"
#include "capture/decode.h"

#include <string.h>

#include "common/flow.h"
#include "common/proto.h"

#define TUNNEL_DEPTH 4
#define IP6_HEADERS_MAX 12
#define PROTO_IPIP 4
#define PROTO_IP6IP 41
#define PORT_VXLAN 4789
#define PORT_VXLAN_LINUX 8472 /* what Linux used before IANA's number, and flannel still does */
#define PORT_GENEVE 6081
#define ETH_IPV4 0x0800
#define ETH_IPV6 0x86dd
#define ETH_BRIDGED 0x6558 /* transparent Ethernet bridging */
#define ETH_ERSPAN 0x88be

static enum decode_result decode_ip_at(struct packet *out, const uint8_t *ip, size_t caplen, size_t wirelen,
				       unsigned inside, unsigned depth);

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | be24(p + 1);
}

bool decode_icmp_is_error(uint8_t proto, uint8_t type)
{
	if (proto == PROTO_ICMP)
		return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	return proto == PROTO_ICMP6 && type >= 1 && type <= 4;
}

/* RFC 792, 950, 1256; RFC 4443, 2710, 4861, 4620, 3122. */
uint8_t decode_icmp_request(uint8_t proto, uint8_t type)
{
	static const uint8_t v4[][2] = {{0, 8}, {9, 10}, {14, 13}, {16, 15}, {18, 17}};
	static const uint8_t v6[][2] = {{129, 128}, {131, 130}, {134, 133}, {136, 135}, {140, 139}, {142, 141}};
	const uint8_t(*t)[2] = proto == PROTO_ICMP ? v4 : v6;
	size_t n = proto == PROTO_ICMP ? sizeof(v4) / sizeof(v4[0]) : sizeof(v6) / sizeof(v6[0]);

	for (size_t i = 0; i < n; i++)
		if (t[i][0] == type)
			return t[i][1];
	return type;
}

static bool icmp_has_id(uint8_t proto, uint8_t type)
{
	if (proto == PROTO_ICMP)
		return type == 0 || type == 8 || (type >= 13 && type <= 18);
	return type == 128 || type == 129;
}

/* What nDPI and the flow need of SCTP: its association chunks, told as the TCP flag that means the same (RFC 9260). */
static uint8_t sctp_flags(uint8_t chunk)
{
	switch (chunk) {
	case 1: /* INIT */
		return TCP_SYN;
	case 2: /* INIT ACK */
		return TCP_SYN | TCP_ACK;
	case 6: /* ABORT */
		return TCP_RST;
	case 7: /* SHUTDOWN */
	case 8: /* SHUTDOWN ACK */
		return TCP_FIN;
	default:
		return TCP_ACK;
	}
}

/*
 * No whole transport header: a first fragment of a few bytes (RFC 1858), a capture snapped behind the ports, or a
 * packet that ends where its header should begin. It went from one host to another and must not go unseen: its ports
 * are taken where they are, and are 0 where the packet itself has none. Only ports that were not captured are missed.
 */
static enum decode_result headless(struct packet *p, size_t cap, size_t len)
{
	const uint8_t *h = p->ip + p->l4_off;

	if (proto_is_icmp(p->proto)) {
		if (cap == 0)
			return DECODE_MALFORMED;
		p->icmp_type = h[0];
		p->icmp_code = cap > 1 ? h[1] : 0;
	} else if (cap >= 4) {
		p->port[0] = be16(h);
		p->port[1] = be16(h + 2);
	} else if (len >= 4) {
		return DECODE_MALFORMED;
	}
	p->payload_off = p->l4_off;
	return DECODE_OK;
}

/* The transport header at off from p->ip; cap bytes of it are captured, len claimed. */
static enum decode_result transport(struct packet *p, size_t cap, size_t len)
{
	const uint8_t *h = p->ip + p->l4_off;
	size_t head = 0;

	switch (p->proto) {
	case PROTO_TCP:
		if (cap < 14 || len < 20)
			return headless(p, cap, len);
		p->tcp_flags = h[13];
		p->tcp_seq = be32(h + 4);
		head = (size_t)(h[12] >> 4) * 4;
		if (head < 20 || head > len)
			head = len; /* nonsense: no payload then */
		break;
	case PROTO_UDP:
		if (cap < 8)
			return headless(p, cap, len);
		head = 8;
		if (be16(h + 4) >= 8 && be16(h + 4) < len)
			len = be16(h + 4);
		break;
	case PROTO_SCTP:
		if (cap < 12)
			return headless(p, cap, len);
		head = 12;
		if (cap > 12)
			p->tcp_flags = sctp_flags(h[12]);
		break;
	case PROTO_ICMP:
	case PROTO_ICMP6:
		if (cap < 4)
			return headless(p, cap, len);
		p->icmp_type = h[0];
		p->icmp_code = h[1];
		if (cap >= 6 && icmp_has_id(p->proto, h[0]))
			p->icmp_id = be16(h + 4);
		head = 8 < len ? 8 : len;
		break;
	default:
		break;
	}
	if (proto_has_ports(p->proto)) {
		p->port[0] = be16(h);
		p->port[1] = be16(h + 2);
	}
	p->payload_off = (uint32_t)(p->l4_off + head);
	p->payload_len = (uint32_t)(len - head);
	p->payload_cap = (uint32_t)(cap > head ? cap - head : 0);
	if (p->payload_cap > p->payload_len)
		p->payload_cap = p->payload_len;
	return DECODE_OK;
}

/* Replaces *out by what the tunnel carries, when that decodes; else the tunnel's own packet stays. */
static void look_inside(struct packet *out, bool ethernet, size_t off, enum flow_tunnel kind, uint32_t id, size_t end,
			unsigned inside, unsigned depth)
{
	const uint8_t *data = out->ip + off;
	size_t cap = out->ip_len > off ? out->ip_len - off : 0;
	size_t wire = end > off ? end - off : 0;
	struct packet in = {0};
	uint16_t vlan = 0;
	size_t ip_off = 0;

	if (depth >= TUNNEL_DEPTH || cap == 0)
		return;
	if (cap > wire)
		cap = wire;
	if (ethernet && decode_link(&ip_off, &vlan, LINK_ETHERNET, data, cap) != DECODE_OK)
		return;
	in.vlan = out->vlan ? out->vlan : vlan;
	if (ip_off >= cap ||
	    decode_ip_at(&in, data + ip_off, cap - ip_off, wire - ip_off, inside, depth + 1) != DECODE_OK)
		return;
	in.tunnel = (uint8_t)kind;
	in.tunnel_id = id;
	*out = in;
}

/* RFC 2784, 2890; with ERSPAN, which is Ethernet in GRE behind a header of its own in its type II. */
static void look_inside_gre(struct packet *out, size_t end, unsigned inside, unsigned depth)
{
	const uint8_t *h = out->ip + out->l4_off;
	size_t cap = out->ip_len > out->l4_off ? out->ip_len - out->l4_off : 0, head = 4;
	uint16_t flags, type;
	uint32_t key = 0;

	if (cap < 4)
		return;
	flags = be16(h);
	type = be16(h + 2);
	if (flags & 0x4007) /* routing, or a version other than 0 */
		return;
	if (flags & 0x8000)
		head += 4;
	if (flags & 0x2000) {
		if (head + 4 > cap)
			return;
		key = be32(h + head);
		head += 4;
	}
	if (flags & 0x1000)
		head += 4;
	if (type == ETH_ERSPAN && (flags & 0x1000))
		head += 8;
	if (type == ETH_IPV4 || type == ETH_IPV6)
		look_inside(out, false, out->l4_off + head, FLOW_TUNNEL_GRE, key, end, inside, depth);
	else if (type == ETH_BRIDGED || type == ETH_ERSPAN)
		look_inside(out, true, out->l4_off + head, FLOW_TUNNEL_GRE, key, end, inside, depth);
}

/* RFC 7348, RFC 8926: both eight bytes behind the UDP header, Geneve with options. */
static void look_inside_udp(struct packet *out, size_t end, unsigned inside, unsigned depth)
{
	const uint8_t *h = out->ip + out->payload_off;
	uint16_t type;
	size_t head;

	if (out->payload_cap < 8)
		return;
	if (out->port[1] == PORT_VXLAN || out->port[1] == PORT_VXLAN_LINUX) {
		if (h[0] & 0x08)
			look_inside(out, true, out->payload_off + 8, FLOW_TUNNEL_VXLAN, be24(h + 4), end, inside,
				    depth);
	} else if (out->port[1] == PORT_GENEVE && h[0] >> 6 == 0) {
		head = 8 + (size_t)(h[0] & 0x3f) * 4;
		type = be16(h + 2);
		if (type == ETH_BRIDGED || type == ETH_IPV4 || type == ETH_IPV6)
			look_inside(out, type == ETH_BRIDGED, out->payload_off + head, FLOW_TUNNEL_GENEVE, be24(h + 4),
				    end, inside, depth);
	}
}

static void tunnels(struct packet *out, size_t end, unsigned inside, unsigned depth)
{
	bool ethernet;
	uint8_t kind;
	uint32_t id;
	size_t off;

	if (out->proto == PROTO_IPIP || out->proto == PROTO_IP6IP) {
		if (inside & DECODE_INSIDE_IPIP)
			look_inside(out, false, out->l4_off, FLOW_TUNNEL_IPIP, 0, end, inside, depth);
	} else if ((inside & DECODE_INSIDE_MOBILE) && out->proto == PROTO_UDP &&
		   decode_mobile(out, &off, &ethernet, &kind, &id)) {
		look_inside(out, ethernet, off, (enum flow_tunnel)kind, id, end, inside, depth);
	} else if (!(inside & DECODE_INSIDE_OTHERS)) {
		return;
	} else if (out->proto == PROTO_GRE) {
		look_inside_gre(out, end, inside, depth);
	} else if (out->proto == PROTO_UDP) {
		look_inside_udp(out, end, inside, depth);
	}
}

/* Walks extension headers (RFC 8200) from *off on; len: bytes that may be looked at. The upper protocol goes to p. */
static enum decode_result ip6_walk(struct packet *p, uint8_t next, size_t *off, const uint8_t *ip, size_t len)
{
	for (unsigned i = 0; i < IP6_HEADERS_MAX; i++) {
		const uint8_t *h = ip + *off;

		/* Hop-by-hop, routing, fragment, destination, mobility, HIP, shim6. */
		if (next != 0 && next != 43 && next != 44 && next != 60 && next != 135 && next != 139 && next != 140) {
			p->proto = next;
			return DECODE_OK;
		}
		if (*off + 8 > len)
			return DECODE_MALFORMED;
		if (next == 44) {
			bool more = h[3] & 1;

			/* An "atomic" fragment is the whole packet (RFC 6946). */
			if (be16(h + 2) & 0xfff8)
				p->fragment = FRAGMENT_LATER;
			else if (more)
				p->fragment = FRAGMENT_FIRST;
			p->fragment_id = be32(h + 4);
			next = h[0];
			*off += 8;
			if (p->fragment == FRAGMENT_LATER) {
				p->proto = next;
				return DECODE_OK;
			}
			continue;
		}
		next = h[0];
		*off += ((size_t)h[1] + 1) * 8;
	}
	return DECODE_MALFORMED;
}

static enum decode_result ip4(struct packet *p, size_t *end, const uint8_t *ip, size_t caplen, size_t wirelen)
{
	size_t head, total;
	uint16_t frag;

	if (caplen < 20)
		return DECODE_MALFORMED;
	head = (size_t)(ip[0] & 15) * 4;
	total = be16(ip + 2);
	if (total == 0)
		total = wirelen;
	if (head < 20 || head > caplen || total < head || total > wirelen)
		return DECODE_MALFORMED;
	frag = be16(ip + 6);
	if (frag & 0x3fff) {
		p->fragment = frag & 0x1fff ? FRAGMENT_LATER : FRAGMENT_FIRST;
		p->fragment_id = be16(ip + 4);
	}
	p->proto = ip[9];
	p->addr[0] = addr_from_v4(ip + 12);
	p->addr[1] = addr_from_v4(ip + 16);
	p->l4_off = (uint32_t)head;
	*end = total;
	return DECODE_OK;
}

static enum decode_result ip6(struct packet *p, size_t *end, const uint8_t *ip, size_t caplen, size_t wirelen)
{
	size_t total, off = 40;

	if (caplen < 40)
		return DECODE_MALFORMED;
	total = 40 + (size_t)be16(ip + 4);
	if (total == 40) /* a jumbogram, a BIG TCP frame, or nothing at all */
		total = wirelen;
	if (total > wirelen)
		return DECODE_MALFORMED;
	p->addr[0] = addr_from_v6(ip + 8);
	p->addr[1] = addr_from_v6(ip + 24);
	*end = total;
	if (ip6_walk(p, ip[6], &off, ip, caplen < total ? caplen : total) != DECODE_OK || off > total)
		return DECODE_MALFORMED;
	p->l4_off = (uint32_t)off;
	return DECODE_OK;
}

static enum decode_result decode_ip_at(struct packet *p, const uint8_t *ip, size_t caplen, size_t wirelen,
				       unsigned inside, unsigned depth)
{
	enum decode_result r;
	size_t end = 0, cap;

	if (caplen < 1)
		return DECODE_MALFORMED;
	if (ip[0] >> 4 == 4)
		r = ip4(p, &end, ip, caplen, wirelen);
	else if (ip[0] >> 4 == 6)
		r = ip6(p, &end, ip, caplen, wirelen);
	else
		return DECODE_MALFORMED;
	if (r != DECODE_OK)
		return r;
	p->ip = ip;
	p->ip_len = (uint32_t)(caplen < end ? caplen : end);
	if (p->fragment == FRAGMENT_LATER) {
		p->payload_off = p->l4_off;
		return DECODE_OK;
	}
	cap = p->ip_len > p->l4_off ? p->ip_len - p->l4_off : 0;
	r = transport(p, cap, end - p->l4_off);
	/* The first of several fragments of a tunnel's packet has no whole packet in it. */
	if (r == DECODE_OK && inside && p->fragment == FRAGMENT_NONE)
		tunnels(p, end, inside, depth);
	return r;
}

enum decode_result decode_ip(struct packet *out, const uint8_t *ip, size_t caplen, size_t wirelen, unsigned inside)
{
	return decode_ip_at(out, ip, caplen, wirelen, inside, 0);
}

enum decode_result decode_frame(struct packet *out, enum link_type link, const uint8_t *frame, size_t caplen,
				size_t wirelen, unsigned inside)
{
	enum decode_result r;
	size_t off = 0;
	uint16_t vlan = 0;

	memset(out, 0, sizeof(*out));
	r = decode_link(&off, &vlan, link, frame, caplen);
	if (r != DECODE_OK)
		return r;
	out->vlan = vlan;
	return decode_ip_at(out, frame + off, caplen - off, wirelen - off, inside, 0);
}

bool decode_quoted(const struct packet *p, struct packet *quoted, bool *unreachable)
{
	struct packet q = {0};
	size_t off, len;
	const uint8_t *ip;

	if (!proto_is_icmp(p->proto) || !decode_icmp_is_error(p->proto, p->icmp_type) || p->payload_cap < 1)
		return false;
	ip = p->ip + p->payload_off;
	len = p->payload_cap;
	if (ip[0] >> 4 == 4 && len >= 20 && (ip[0] & 15) >= 5) {
		off = (size_t)(ip[0] & 15) * 4;
		q.proto = ip[9];
		q.addr[0] = addr_from_v4(ip + 12);
		q.addr[1] = addr_from_v4(ip + 16);
		if (be16(ip + 6) & 0x1fff)
			return false;
	} else if (ip[0] >> 4 == 6 && len >= 40) {
		off = 40;
		q.addr[0] = addr_from_v6(ip + 8);
		q.addr[1] = addr_from_v6(ip + 24);
		if (ip6_walk(&q, ip[6], &off, ip, len) != DECODE_OK || q.fragment == FRAGMENT_LATER)
			return false;
	} else {
		return false;
	}
	if (off + 4 > len)
		return false;
	if (proto_has_ports(q.proto)) {
		q.port[0] = be16(ip + off);
		q.port[1] = be16(ip + off + 2);
	} else if (proto_is_icmp(q.proto)) {
		q.icmp_type = ip[off];
		if (off + 6 <= len && icmp_has_id(q.proto, q.icmp_type))
			q.icmp_id = be16(ip + off + 4);
	}
	q.vlan = p->vlan;
	q.tunnel = p->tunnel;
	q.tunnel_id = p->tunnel_id;
	*unreachable = p->proto == PROTO_ICMP ? p->icmp_type == 3 && p->icmp_code != 4 : p->icmp_type == 1;
	*quoted = q;
	return true;
}
