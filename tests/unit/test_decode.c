/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * capture/decode: one small TCP packet in every wrapping it may come in, tunnels, fragments, extension headers, and the
 * ways in which a packet can lie. Every frame is also decoded cut at every length: never beyond its bounds (the
 * sanitizer build sees to that: each cut is a heap block of its own size) and never OK without its ports.
 */
#include "config.h"

#include "capture/decode.h"
#include "common/flow.h"
#include "tests/tap.h"

struct frame {
	uint8_t b[2048];
	size_t len;
};

static void put(struct frame *f, const void *data, size_t len)
{
	memcpy(f->b + f->len, data, len);
	f->len += len;
}

static void put_hex(struct frame *f, const char *hex)
{
	unsigned v;
	int n;

	for (; sscanf(hex, " %2x%n", &v, &n) == 1; hex += n)
		f->b[f->len++] = (uint8_t)v;
}

/* IPv4 10.0.0.1 -> 10.0.0.2 around len bytes of proto, flags and offset as given. */
static void put_ip4(struct frame *f, uint8_t proto, uint16_t frag, size_t len)
{
	uint16_t total = (uint16_t)(20 + len);
	uint8_t h[20] = {0x45, 0, (uint8_t)(total >> 8), (uint8_t)total, 0x12, 0x34,
			 (uint8_t)(frag >> 8), (uint8_t)frag,
			 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};

	put(f, h, sizeof(h));
}

static void put_ip6(struct frame *f, uint8_t next, size_t len)
{
	uint8_t h[40] = {0x60, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len, next, 64};

	h[8] = h[24] = 0xfd;
	h[23] = 1;
	h[39] = 2;
	put(f, h, sizeof(h));
}

#define TCP_HEX "c0 00 00 50  00 00 00 07  00 00 00 00  50 18 01 00 00 00 00 00"
#define HELLO_HEX "68 65 6c 6c 6f"
#define TCP_TOTAL 25

static void put_tcp(struct frame *f)
{
	put_hex(f, TCP_HEX HELLO_HEX);
}

static void put_packet4(struct frame *f)
{
	put_ip4(f, 6, 0, TCP_TOTAL);
	put_tcp(f);
}

static enum decode_result decode_cut(struct packet *p, enum link_type link, const struct frame *f, size_t caplen,
				     size_t wirelen, unsigned inside)
{
	uint8_t *copy = malloc(caplen ? caplen : 1);
	enum decode_result r;
	struct packet q;
	bool unreachable;

	memcpy(copy, f->b, caplen);
	r = decode_frame(p, link, copy, caplen, wirelen, inside);
	if (r == DECODE_OK) {
		CHECK(p->ip_len <= caplen);
		CHECK(p->payload_cap == 0 || p->payload_off + p->payload_cap <= p->ip_len);
		CHECK(p->payload_cap <= p->payload_len);
		decode_quoted(p, &q, &unreachable);
	}
	free(copy);
	return r;
}

/* Decodes the whole frame into p, and every shorter piece of it, as snapped (wire length kept) and as cut. */
static enum decode_result decode_all(struct packet *p, enum link_type link, const struct frame *f, unsigned inside)
{
	struct packet scratch;

	for (size_t n = 0; n < f->len; n++) {
		decode_cut(&scratch, link, f, n, f->len, inside);
		decode_cut(&scratch, link, f, n, n, inside);
	}
	decode_cut(&scratch, link, f, f->len, f->len, inside);
	return decode_frame(p, link, f->b, f->len, f->len, inside); /* what p points at stays */
}

static void check_tcp(const struct packet *p, int version)
{
	char a[ADDR_STRLEN];

	CHECK_STR(addr_format(&p->addr[0], a), version == 4 ? "10.0.0.1" : "fd00::1");
	CHECK_STR(addr_format(&p->addr[1], a), version == 4 ? "10.0.0.2" : "fd00::2");
	CHECK_EQ(p->proto, 6);
	CHECK_EQ(p->port[0], 49152);
	CHECK_EQ(p->port[1], 80);
	CHECK_EQ(p->tcp_flags, 0x18);
	CHECK_EQ(p->tcp_seq, 7);
	CHECK_EQ(p->payload_len, 5);
	CHECK_EQ(p->payload_cap, 5);
	CHECK_EQ(p->payload_off, (version == 4 ? 20 : 40) + 20);
}

static void test_links(void)
{
	static const struct {
		enum link_type link;
		uint16_t vlan;
		const char *name, *head;
	} cases[] = {
		{LINK_ETHERNET, 0, "ethernet", "02 00 00 00 00 01 02 00 00 00 00 02 08 00"},
		{LINK_ETHERNET, 7, "802.1Q", "02 00 00 00 00 01 02 00 00 00 00 02 81 00 60 07 08 00"},
		{LINK_ETHERNET, 7, "QinQ", "02 00 00 00 00 01 02 00 00 00 00 02 88 a8 00 64 81 00 00 07 08 00"},
		{LINK_ETHERNET, 0, "LLC SNAP", "02 00 00 00 00 01 02 00 00 00 00 02 00 35 aa aa 03 00 00 00 08 00"},
		{LINK_ETHERNET, 0, "MPLS", "02 00 00 00 00 01 02 00 00 00 00 02 88 47 00 01 00 40 00 02 01 40"},
		{LINK_ETHERNET, 0, "PPPoE", "02 00 00 00 00 01 02 00 00 00 00 02 88 64 11 00 00 01 00 2f 00 21"},
		{LINK_SLL, 0, "cooked", "00 00 00 01 00 06 02 00 00 00 00 01 00 00 08 00"},
		{LINK_SLL2, 0, "cooked v2", "08 00 00 00 00 00 00 02 00 01 00 06 02 00 00 00 00 01 00 00"},
		{LINK_RAW, 0, "raw", ""},
		{LINK_NULL, 0, "loopback", "02 00 00 00"},
		{LINK_PPP, 0, "PPP", "00 21"},
		{LINK_PPP, 0, "PPP compressed", "21"},
		{LINK_PPP, 0, "PPP in HDLC", "ff 03 00 21"},
		{LINK_CHDLC, 0, "Cisco HDLC", "0f 00 08 00"},
		{LINK_FRAME_RELAY, 0, "frame relay", "18 41 03 cc"},
		{LINK_80211, 0, "802.11 data", "08 01 00 00 02 00 00 00 00 01 02 00 00 00 00 02 02 00 00 00 00 03 00 00"
					       "aa aa 03 00 00 00 08 00"},
		{LINK_80211, 0, "802.11 QoS", "88 01 00 00 02 00 00 00 00 01 02 00 00 00 00 02 02 00 00 00 00 03 00 00"
					      "00 00 aa aa 03 00 00 00 08 00"},
		{LINK_RADIOTAP, 0, "radiotap", "00 00 08 00 00 00 00 00 08 01 00 00 02 00 00 00 00 01 02 00 00 00 00 02"
					       "02 00 00 00 00 03 00 00 aa aa 03 00 00 00 08 00"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame f = {.len = 0};
		struct packet p;
		unsigned long before = tap_failures;

		put_hex(&f, cases[i].head);
		put_packet4(&f);
		CHECK_EQ(decode_all(&p, cases[i].link, &f, 0), DECODE_OK);
		check_tcp(&p, 4);
		CHECK_EQ(p.vlan, cases[i].vlan);
		if (tap_failures != before)
			fprintf(stderr, "  in case %s\n", cases[i].name);
	}
}

static void test_not_ip(void)
{
	static const struct {
		enum link_type link;
		const char *hex;
	} cases[] = {
		{LINK_ETHERNET, "ff ff ff ff ff ff 02 00 00 00 00 02 08 06 00 01 08 00 06 04 00 01"}, /* ARP */
		{LINK_ETHERNET, "01 80 c2 00 00 00 02 00 00 00 00 02 00 26 42 42 03 00 00 00"}, /* spanning tree */
		{LINK_80211, "80 00 00 00 ff ff ff ff ff ff 02 00 00 00 00 02 02 00 00 00 00 02 00 00"}, /* beacon */
		{LINK_80211, "08 41 00 00 02 00 00 00 00 01 02 00 00 00 00 02 02 00 00 00 00 03 00 00"
			     "aa aa 03"}, /* WEP */
		{LINK_PPP, "c0 21 01 01 00 04"}, /* LCP */
		{LINK_SLL, "00 00 00 01 00 06 02 00 00 00 00 01 00 00 08 06 00 01"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame f = {.len = 0};
		struct packet p;

		put_hex(&f, cases[i].hex);
		CHECK_EQ(decode_all(&p, cases[i].link, &f, 0), DECODE_NOT_IP);
	}
}

static void test_ip6_headers(void)
{
	struct frame f = {.len = 0};
	struct packet p;

	put_ip6(&f, 6, TCP_TOTAL);
	put_tcp(&f);
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	check_tcp(&p, 6);

	/* Hop-by-hop, routing, destination options, then TCP. */
	f.len = 0;
	put_ip6(&f, 0, 8 + 16 + 8 + TCP_TOTAL);
	put_hex(&f, "2b 00 01 04 00 00 00 00  3c 01 04 00 00 00 00 00 00 00 00 00 00 00 00 00"
		    "06 00 01 04 00 00 00 00");
	put_tcp(&f);
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK_EQ(p.port[1], 80);
	CHECK_EQ(p.l4_off, 40 + 32);

	/* First fragment, later fragment, atomic fragment. */
	f.len = 0;
	put_ip6(&f, 44, 8 + TCP_TOTAL);
	put_hex(&f, "06 00 00 01 00 00 12 34");
	put_tcp(&f);
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK_EQ(p.fragment, FRAGMENT_FIRST);
	CHECK_EQ(p.fragment_id, 0x1234);
	CHECK_EQ(p.port[1], 80);
	f.b[43] = 0;
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK_EQ(p.fragment, FRAGMENT_NONE);
	f.b[43] = 0x08;
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK_EQ(p.fragment, FRAGMENT_LATER);
	CHECK_EQ(p.proto, 6);
	CHECK_EQ(p.port[1], 0);

	/* A chain of headers that does not end. */
	f.len = 0;
	put_ip6(&f, 0, 40 * 8);
	for (unsigned i = 0; i < 40; i++)
		put_hex(&f, "3c 00 01 04 00 00 00 00");
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_MALFORMED);
}

static void test_fragments4(void)
{
	struct frame f = {.len = 0};
	struct packet p;

	put_ip4(&f, 6, 0x2000, TCP_TOTAL);
	put_tcp(&f);
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK_EQ(p.fragment, FRAGMENT_FIRST);
	CHECK_EQ(p.port[0], 49152);
	CHECK_EQ(p.fragment_id, 0x1234);
	f.b[6] = 0;
	f.b[7] = 3;
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK_EQ(p.fragment, FRAGMENT_LATER);
	CHECK_EQ(p.port[0], 0);
	/* "Do not fragment" alone is no fragment. */
	f.b[6] = 0x40;
	f.b[7] = 0;
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK_EQ(p.fragment, FRAGMENT_NONE);
}

static void test_lies(void)
{
	struct frame f = {.len = 0};
	struct packet p;

	put_packet4(&f);
	f.b[3] = 200; /* total length beyond the wire */
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_MALFORMED);
	/* ... but not beyond it when the capture was snapped */
	CHECK_EQ(decode_cut(&p, LINK_RAW, &f, f.len, 200, 0), DECODE_OK);
	CHECK_EQ(p.payload_len, 160);
	CHECK_EQ(p.payload_cap, 5);
	f.b[3] = 19; /* shorter than its own header */
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_MALFORMED);
	f.b[3] = 0; /* segmentation offload: more than the field can say */
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	check_tcp(&p, 4);
	f.b[3] = 45;
	f.b[0] = 0x44; /* header of 16 bytes */
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_MALFORMED);
	f.b[0] = 0x4f; /* of 60, which are not there */
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_MALFORMED);
	f.b[0] = 0x45;
	f.b[20 + 12] = 0xf0; /* TCP header of 60: no payload then */
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK_EQ(p.payload_len, 0);
	/* Padding behind the packet is not payload. */
	f.b[20 + 12] = 0x50;
	put_hex(&f, "00 00 00 00 00 00");
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK_EQ(p.payload_len, 5);
	/* Snapped behind the ports and flags: enough. */
	CHECK_EQ(decode_cut(&p, LINK_RAW, &f, 34, f.len, 0), DECODE_OK);
	CHECK_EQ(p.port[1], 80);
	CHECK_EQ(p.payload_cap, 0);
	CHECK_EQ(p.payload_len, 5);
	/* Behind the ports: enough for the flow. Before them: not. */
	CHECK_EQ(decode_cut(&p, LINK_RAW, &f, 24, f.len, 0), DECODE_OK);
	CHECK_EQ(p.port[1], 80);
	CHECK_EQ(p.tcp_flags | p.payload_cap, 0);
	CHECK_EQ(decode_cut(&p, LINK_RAW, &f, 23, f.len, 0), DECODE_MALFORMED);
}

/* No whole transport header, by the packet's own word: seen all the same, with what is there. */
static void test_headless(void)
{
	static const uint8_t protocols[] = {6, 17, 132, 1};
	struct frame f = {.len = 0};
	struct packet p;

	put_packet4(&f);
	f.b[6] = 0x20; /* a first fragment has the ports that the later ones need */
	for (unsigned i = 0; i < 8 * sizeof(protocols); i++) {
		bool icmp = i >= 24, ports = !icmp && i % 8 >= 4;

		f.b[9] = protocols[i / 8];
		f.b[3] = (uint8_t)(20 + i % 8);
		/* ICMP is known by its type; without one it is nothing. */
		CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), i == 24 ? DECODE_MALFORMED : DECODE_OK);
		CHECK_EQ(p.fragment, FRAGMENT_FIRST);
		CHECK_EQ(p.port[0], ports ? 49152 : 0);
		CHECK_EQ(p.port[1], ports ? 80 : 0);
		CHECK_EQ(p.icmp_type, icmp && i > 24 ? 0xc0 : 0);
		CHECK_EQ(p.tcp_flags | p.payload_cap, 0);
	}
}

static void test_tunnels(void)
{
	static const struct {
		const char *name, *head; /* behind the outer IPv4 header */
		uint8_t proto, tunnel;
		uint32_t id;
		unsigned inside;
	} cases[] = {
		{"IPIP", "", 4, FLOW_TUNNEL_IPIP, 0, DECODE_INSIDE_IPIP},
		{"GRE", "00 00 08 00", 47, FLOW_TUNNEL_GRE, 0, DECODE_INSIDE_OTHERS},
		{"GRE with checksum, key, sequence", "b0 00 08 00 00 00 00 00 00 00 01 02 00 00 00 09", 47,
		 FLOW_TUNNEL_GRE, 0x102, DECODE_INSIDE_OTHERS},
		{"GRE bridged", "20 00 65 58 00 00 00 05 02 00 00 00 00 01 02 00 00 00 00 02 08 00", 47,
		 FLOW_TUNNEL_GRE, 5, DECODE_INSIDE_OTHERS},
		{"ERSPAN II", "10 00 88 be 00 00 00 01 10 01 00 00 00 00 00 00"
		 "02 00 00 00 00 01 02 00 00 00 00 02 08 00", 47,
		 FLOW_TUNNEL_GRE, 0, DECODE_INSIDE_OTHERS},
		{"VXLAN", "c0 01 12 b5 00 4b 00 00 08 00 00 00 00 00 2a 00"
		 "02 00 00 00 00 01 02 00 00 00 00 02 08 00", 17,
		 FLOW_TUNNEL_VXLAN, 42, DECODE_INSIDE_OTHERS},
		{"Geneve with options", "c0 01 17 c1 00 4f 00 00 01 00 65 58 00 00 2a 00 01 02 03 00"
		 "02 00 00 00 00 01 02 00 00 00 00 02 08 00", 17, FLOW_TUNNEL_GENEVE, 42, DECODE_INSIDE_OTHERS},
		{"Geneve of IP", "c0 01 17 c1 00 3d 00 00 00 00 08 00 00 00 07 00", 17, FLOW_TUNNEL_GENEVE, 7,
		 DECODE_INSIDE_OTHERS},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame f = {.len = 0}, head = {.len = 0};
		struct packet p;
		unsigned long before = tap_failures;

		put_hex(&head, cases[i].head);
		put_ip4(&f, cases[i].proto, 0, head.len + 20 + TCP_TOTAL);
		f.b[15] = 9; /* the outer sender is another one */
		put(&f, head.b, head.len);
		put_packet4(&f);
		CHECK_EQ(decode_all(&p, LINK_RAW, &f, cases[i].inside), DECODE_OK);
		check_tcp(&p, 4);
		CHECK_EQ(p.tunnel, cases[i].tunnel);
		CHECK_EQ(p.tunnel_id, cases[i].id);
		/* Not told to: the tunnel's own packet. */
		CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
		CHECK_EQ(p.proto, cases[i].proto);
		CHECK_EQ(p.tunnel, FLOW_TUNNEL_NONE);
		/* What is inside is no packet: again the tunnel's own. */
		f.b[f.len - TCP_TOTAL - 20] = 0x10;
		CHECK_EQ(decode_all(&p, LINK_RAW, &f, cases[i].inside), DECODE_OK);
		CHECK_EQ(p.proto, cases[i].proto);
		if (tap_failures != before)
			fprintf(stderr, "  in case %s\n", cases[i].name);
	}
}

/* IPIP in IPIP in ...: ends, and gives the packet at the depth where patience ended. */
static void test_tunnel_depth(void)
{
	struct frame f = {.len = 0};
	struct packet p;

	for (unsigned i = 0; i < 40; i++)
		put_ip4(&f, 4, 0, (39 - i) * 20);
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, DECODE_INSIDE_IPIP), DECODE_OK);
	CHECK_EQ(p.proto, 4);
	CHECK_EQ(p.tunnel, FLOW_TUNNEL_IPIP);
}

static void test_icmp(void)
{
	struct frame f = {.len = 0};
	struct packet p, q;
	bool unreachable;

	put_ip4(&f, 1, 0, 8);
	put_hex(&f, "00 00 00 00 be ef 00 01");
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK_EQ(p.icmp_type, 0);
	CHECK_EQ(p.icmp_id, 0xbeef);
	CHECK_EQ(decode_icmp_request(p.proto, p.icmp_type), 8);
	CHECK(!decode_quoted(&p, &q, &unreachable));

	f.len = 0;
	put_ip4(&f, 1, 0, 8 + 28);
	put_hex(&f, "03 0d 00 00 00 00 00 00");
	put_ip4(&f, 17, 0, 100); /* quoted, cut behind the ports */
	put_hex(&f, "c0 00 00 35 00 64 00 00");
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK(decode_icmp_is_error(p.proto, p.icmp_type));
	CHECK(decode_quoted(&p, &q, &unreachable));
	CHECK(unreachable);
	CHECK_EQ(q.proto, 17);
	CHECK_EQ(q.port[0], 49152);
	CHECK_EQ(q.port[1], 53);
	CHECK_EQ(q.addr[1].b[15], 2);
	f.b[21] = 4; /* fragmentation needed: no refusal */
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK(decode_quoted(&p, &q, &unreachable));
	CHECK(!unreachable);

	f.len = 0;
	put_ip6(&f, 58, 8 + 40 + 8);
	put_hex(&f, "01 04 00 00 00 00 00 00");
	put_ip6(&f, 17, 100);
	put_hex(&f, "c0 00 00 35 00 64 00 00");
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK(decode_quoted(&p, &q, &unreachable));
	CHECK(unreachable);
	CHECK_EQ(q.port[1], 53);
}

static void test_sctp(void)
{
	struct frame f = {.len = 0};
	struct packet p;

	put_ip4(&f, 132, 0, 16);
	put_hex(&f, "0b 59 0b 59 00 00 00 00 00 00 00 00 01 00 00 04");
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK_EQ(p.port[0], 2905);
	CHECK_EQ(p.tcp_flags, TCP_SYN);
	f.b[32] = 2;
	CHECK_EQ(decode_all(&p, LINK_RAW, &f, 0), DECODE_OK);
	CHECK_EQ(p.tcp_flags, TCP_SYN | TCP_ACK);
}

/* An extension header that claims to reach beyond what was captured, with a tunnel behind it (found by fuzzing). */
static void test_snapped_extension(void)
{
	struct frame f = {.len = 0};
	struct packet p;

	put_ip6(&f, 0, 8 + 2040);
	put_hex(&f, "2f fe 00 00 00 00 00 00");
	CHECK_EQ(decode_cut(&p, LINK_RAW, &f, f.len, 40 + 8 + 2040, 3), DECODE_OK);
	CHECK_EQ(p.proto, 47);
}

/* Random bytes, and good frames with random damage: no check but the sanitizer's and decode_cut's own. */
static void test_random(void)
{
	uint64_t seed = tap_seed();

	for (unsigned i = 0; i < 200000; i++) {
		struct frame f = {.len = 0};
		struct packet p;

		if (i & 1)
			put_hex(&f, "02 00 00 00 00 01 02 00 00 00 00 02 81 00 60 07 08 00");
		put_ip4(&f, (uint8_t)(i & 2 ? 17 : tap_random(&seed)), 0, 60);
		put_hex(&f, "c0 01 12 b5 00 3f 00 00 08 00 00 00 00 00 2a 00"
			    "02 00 00 00 00 01 02 00 00 00 00 02 08 00");
		put_packet4(&f);
		for (unsigned n = (unsigned)(tap_random(&seed) % 6); n; n--)
			f.b[tap_random(&seed) % f.len] = (uint8_t)tap_random(&seed);
		decode_cut(&p, (enum link_type)(tap_random(&seed) % LINK_MAX_), &f, tap_random(&seed) % (f.len + 1),
			   f.len, (unsigned)tap_random(&seed) & 3);
	}
}

int main(void)
{
	test_links();
	test_not_ip();
	test_ip6_headers();
	test_fragments4();
	test_lies();
	test_headless();
	test_tunnels();
	test_tunnel_depth();
	test_icmp();
	test_sctp();
	test_snapped_extension();
	test_random();
	return tap_done();
}
