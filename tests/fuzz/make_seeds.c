/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Builds the seed corpora of the fuzz targets that read packets: make_seeds OUT [CAPTURE...] writes OUT/decode, file,
 * flow, dns, classify and sample. From each capture: the file itself when it is small, its first frames one by one and
 * as a sequence, its DNS messages, and what its first conversation said. Without captures there are still the seeds
 * made here: the same few packets in every link type's frame, each of which must decode, or this program fails.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "capture/source.h"
#include "tests/fuzz/seed_dir.h"
#include "tests/unit/pcap_build.h"

#define FILE_MAX 16384
#define FLOW_MAX_BYTES 8192
#define FRAMES_MAX 12  /* of a capture, one by one */
#define TALK_MAX 40    /* of a capture, for what its first conversation says */
#define SAMPLE_LEN 60  /* what the kernel's log is asked for */

static void write_seed(const char *kind, const void *data, size_t len)
{
	if (seed_dir_write(kind, data, len) < 0)
		exit(1);
}

struct frames {
	struct buf flow, talk;
	uint8_t link;
	unsigned n, good;
	uint64_t last_ns;
	struct packet first; /* of the conversation that is followed; proto 0: none yet */
};

/* fuzz_classify's way of writing a conversation down. */
static void add_talk(struct frames *fr, const struct packet *p)
{
	const uint8_t *payload = p->ip + p->payload_off;
	bool client = true;
	uint8_t head[3];

	if ((p->proto != 6 && p->proto != 17) || p->payload_cap == 0 || p->payload_cap > 1460)
		return;
	if (!fr->first.proto) {
		fr->first = *p;
		buf_addc(&fr->talk, (char)((addr_is_v4(&p->addr[0]) ? 0 : 1) | (p->proto == 17 ? 2 : 0) | 4));
		buf_addc(&fr->talk, (char)(p->port[1] >> 8));
		buf_addc(&fr->talk, (char)p->port[1]);
	} else if (addr_equal(&p->addr[0], &fr->first.addr[1]) && addr_equal(&p->addr[1], &fr->first.addr[0]) &&
		   p->port[0] == fr->first.port[1] && p->port[1] == fr->first.port[0]) {
		client = false;
	} else if (!addr_equal(&p->addr[0], &fr->first.addr[0]) || p->port[0] != fr->first.port[0] ||
		   p->proto != fr->first.proto) {
		return;
	}
	if (fr->talk.len > FLOW_MAX_BYTES)
		return;
	head[0] = client;
	head[1] = (uint8_t)(p->payload_cap >> 8);
	head[2] = (uint8_t)p->payload_cap;
	buf_add(&fr->talk, head, sizeof(head));
	buf_add(&fr->talk, payload, p->payload_cap);
}

static bool is_dns(uint16_t port)
{
	return port == 53 || port == 5353 || port == 5355;
}

static void add_packet(struct frames *fr, const struct packet *p)
{
	fr->good++;
	if (p->proto == 17 && p->payload_cap && (is_dns(p->port[0]) || is_dns(p->port[1])))
		write_seed("dns", p->ip + p->payload_off, p->payload_cap);
	if (fr->n <= 4)
		write_seed("sample", p->ip, p->ip_len < SAMPLE_LEN ? p->ip_len : SAMPLE_LEN);
	add_talk(fr, p);
}

/* fuzz_decode's and fuzz_flow's ways of writing frames down. */
static void add_frame(struct frames *fr, const uint8_t *data, uint32_t caplen, uint64_t us)
{
	uint8_t head[3] = {(uint8_t)(caplen >> 8), (uint8_t)caplen, 0};
	struct buf one = BUF_INIT;

	while (head[2] < 31 && us >> (head[2] + 1))
		head[2]++;
	if (fr->flow.len + caplen < FLOW_MAX_BYTES) {
		buf_add(&fr->flow, head, 3);
		buf_add(&fr->flow, data, caplen);
	}
	buf_add(&one, &fr->link, 1);
	buf_addc(&one, 7); /* every tunnel */
	buf_addc(&one, 0);
	buf_add(&one, data, caplen);
	write_seed("decode", one.data, one.len);
	buf_fini(&one);
}

static void on_frame(void *arg, const uint8_t *data, uint32_t caplen, uint32_t wirelen, uint64_t time_ns)
{
	struct frames *fr = arg;
	uint64_t us = time_ns > fr->last_ns ? (time_ns - fr->last_ns) / 1000 : 0;
	struct packet p;

	if (fr->n++ >= TALK_MAX || caplen > 4096)
		return;
	fr->last_ns = time_ns;
	if (fr->n <= FRAMES_MAX)
		add_frame(fr, data, caplen, us);
	if (decode_frame(&p, (enum link_type)fr->link, data, caplen, wirelen, 7) == DECODE_OK)
		add_packet(fr, &p);
}

/* How many of its first packets carry IP. */
static unsigned add_capture(const char *path)
{
	char error[SOURCE_ERROR_STRLEN];
	struct frames fr = {.flow = BUF_INIT, .talk = BUF_INIT};
	struct source *s;
	FILE *f = fopen(path, "rb");
	char chunk[FILE_MAX + 1];
	size_t n = f ? fread(chunk, 1, sizeof(chunk), f) : 0;

	if (f)
		fclose(f);
	if (n > 0 && n <= FILE_MAX)
		write_seed("file", chunk, n);
	if (source_open_file(&s, path, -1, error) != 0)
		return 0;
	fr.link = (uint8_t)source_link(s);
	buf_addc(&fr.flow, 7);
	buf_add(&fr.flow, &fr.link, 1);
	source_read(s, TALK_MAX, on_frame, &fr, error);
	source_close(s);
	write_seed("flow", fr.flow.data, fr.flow.len);
	if (fr.talk.len)
		write_seed("classify", fr.talk.data, fr.talk.len);
	buf_fini(&fr.flow);
	buf_fini(&fr.talk);
	return fr.good;
}

/* ---- our own ----------------------------------------------------------------------------------------------------- */

/* By link type: its number in a capture file, and a header that says IPv4 follows. */
#define LLC_IPV4 "\xaa\xaa\x03\0\0\0\x08\0"
#define DATA_80211 "\x08\0\0\0\2\2\2\2\2\2\4\4\4\4\4\4\6\6\6\6\6\6\0\0" LLC_IPV4
static const struct {
	uint32_t number;
	const char *head;
	size_t len;
} links[LINK_MAX_] = {
	[LINK_ETHERNET] = {1, "\2\2\2\2\2\2\4\4\4\4\4\4\x81\0\0\5\x08\0", 18},
	[LINK_SLL] = {113, "\0\0\0\1\0\6\2\2\2\2\2\2\0\0\x08\0", 16},
	[LINK_SLL2] = {276, "\x08\0\0\0\0\0\0\3\0\1\0\6\2\2\2\2\2\2\0\0", 20},
	[LINK_RAW] = {101, "", 0},
	[LINK_NULL] = {0, "\2\0\0\0", 4},
	[LINK_PPP] = {9, "\xff\3\0\x21", 4},
	[LINK_CHDLC] = {104, "\x0f\0\x08\0", 4},
	[LINK_FRAME_RELAY] = {107, "\x18\x41\3\xcc", 4},
	[LINK_80211] = {105, DATA_80211, 32},
	[LINK_RADIOTAP] = {127, "\0\0\x08\0\0\0\0\0" DATA_80211, 40},
};

/* A question and its answer, with a compressed name, an alias, A and AAAA. */
static const char dns_answer[] =
	"\x12\x34\x81\x80\0\1\0\3\0\0\0\0\3www\7example\3com\0\0\1\0\1"
	"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\6\3web\xc0\x10\xc0\x2d\0\1\0\1\0\0\0\x3c\0\4\x5d\xb8\xd8\x22"
	"\xc0\x2d\0\x1c\0\1\0\0\0\x3c\0\x10\x26\x06\x28\0\2\x20\0\1\2\x48\x18\x93\x25\xc8\x19\x46";
static const char http_request[] = "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8\r\n\r\n";
static const char http_reply[] = "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\n"
				 "Content-Length: 4\r\n\r\nabcd";

/* One datagram from 10.0.0.1:sport to 10.0.0.2:dport; its length. */
static size_t datagram(uint8_t *out, uint16_t sport, uint16_t dport, const void *payload, size_t len)
{
	size_t at = build_ip(out, 1, 2, 17, 7, 0, 8 + len);
	const uint8_t udp[8] = {(uint8_t)(sport >> 8), (uint8_t)sport, (uint8_t)(dport >> 8), (uint8_t)dport,
				(uint8_t)((8 + len) >> 8), (uint8_t)(8 + len)};

	memcpy(out + at, udp, sizeof(udp));
	memcpy(out + at + sizeof(udp), payload, len);
	return at + sizeof(udp) + len;
}

/* Tunnels: each head, then the inner packet, inside a datagram to port (0: IP in IP by protocol). */
static void build_tunnels(struct build *f)
{
	static const struct {
		uint16_t port;
		uint8_t proto;
		const char *head;
		size_t len;
	} tunnels[] = {
		{4789, 17, "\x08\0\0\0\0\0\7\0\2\2\2\2\2\2\4\4\4\4\4\4\x08\0", 22}, /* VXLAN */
		{6081, 17, "\0\0\x65\x58\0\0\7\0\2\2\2\2\2\2\4\4\4\4\4\4\x08\0", 22}, /* Geneve */
		{2152, 17, "\x30\xff\0\x40\0\0\0\7", 8},                              /* GTP-U */
		{37008, 17, "\1\0\0\1\1\2\2\2\2\2\2\4\4\4\4\4\4\x08\0", 19},           /* TZSP */
		{0, 4, "", 0},                                                        /* IPIP */
		{0, 47, "\x20\0\x08\0\0\0\0\7", 8},                                   /* GRE with a key */
	};
	uint8_t inner[512], outer[1024];
	size_t len = datagram(inner, 40000, 53, dns_answer, sizeof(dns_answer) - 1);

	for (size_t i = 0; i < sizeof(tunnels) / sizeof(tunnels[0]); i++) {
		uint8_t body[600];
		size_t n = tunnels[i].len, at;

		memcpy(body, tunnels[i].head, n);
		memcpy(body + n, inner, len);
		n += len;
		if (tunnels[i].port) {
			n = datagram(outer, tunnels[i].port, tunnels[i].port, body, n);
		} else {
			at = build_ip(outer, 3, 4, tunnels[i].proto, 8, 0, n);
			memcpy(outer + at, body, n);
			n += at;
		}
		build_frame(f, 20 + i, outer, n, n);
	}
}

/* A little of everything; the error quotes the datagram before it. */
static void build_all(struct build *f)
{
	uint8_t p[1024];
	size_t len;

	build_tcp(f, 0, 1, 40000, 2, 80, 0x02, 0);
	build_tcp(f, 1, 2, 80, 1, 40000, 0x12, 0);
	build_tcp(f, 2, 1, 40000, 2, 80, 0x18, 30);
	build_udp(f, 3, 1, 40000, 2, 53, 9, 0x2000, 64);
	build_udp(f, 3, 1, 40000, 2, 53, 9, 9, 64);
	len = datagram(p, 53, 40000, dns_answer, sizeof(dns_answer) - 1);
	build_frame(f, 4, p, len, len);
	build_icmp(f, 5, 2, 1, 3, 3, 0, p, 28);
	build_icmp(f, 6, 2, 1, 8, 0, 5, "ping", 4);
	build_tcp(f, 7, 2, 80, 1, 40000, 0x11, 0);
	build_tunnels(f);
}

/* The packets of raw (a file with link type RAW), each behind the head of that link type. */
static void wrap(struct build *f, const struct build *raw, enum link_type link)
{
	const uint8_t *p = (const uint8_t *)raw->b.data + 24, *end = (const uint8_t *)raw->b.data + raw->b.len;
	uint64_t ms = 0;

	build_init(f, links[link].number);
	while (p < end) {
		uint32_t len = p[8] | (uint32_t)p[9] << 8;
		uint8_t frame[2048];

		memcpy(frame, links[link].head, links[link].len);
		memcpy(frame + links[link].len, p + 16, len);
		build_frame(f, ms++, frame, links[link].len + len, links[link].len + len);
		p += 16 + len;
	}
}

/* False when a frame of ours does not decode: then the seeds are not what they are for. */
static bool add_own(enum link_type link, const struct build *raw)
{
	char path[] = "/tmp/weir-seed-XXXXXX";
	struct build f;
	int fd = mkstemp(path);
	unsigned good = 0;

	wrap(&f, raw, link);
	if (fd >= 0 && write(fd, f.b.data, f.b.len) == (ssize_t)f.b.len)
		good = add_capture(path);
	if (fd >= 0)
		close(fd);
	unlink(path);
	if (good != raw->packets)
		fprintf(stderr, "link type %u: %u of %llu packets decode\n", link, good, (unsigned long long)raw->packets);
	buf_fini(&f.b);
	return good == raw->packets;
}

/* A page is asked for and given; a name is. */
static void add_own_talk(void)
{
	struct buf b = BUF_INIT;

	buf_add(&b, "\4\0\x50\1\0", 5);
	buf_addc(&b, sizeof(http_request) - 1);
	buf_add(&b, http_request, sizeof(http_request) - 1);
	buf_add(&b, "\0\0", 2);
	buf_addc(&b, sizeof(http_reply) - 1);
	buf_add(&b, http_reply, sizeof(http_reply) - 1);
	write_seed("classify", b.data, b.len);
	buf_clear(&b);
	buf_add(&b, "\2\0\x35\0\0", 5);
	buf_addc(&b, (char)(sizeof(dns_answer) - 1));
	buf_add(&b, dns_answer, sizeof(dns_answer) - 1);
	write_seed("classify", b.data, b.len);
	buf_fini(&b);
}

int main(int argc, char **argv)
{
	static const char *const kinds[] = {"decode", "file", "flow", "dns", "classify", "sample"};
	struct build raw;
	bool good = true;

	if (argc < 2) {
		fprintf(stderr, "usage: make_seeds OUT [CAPTURE...]\n");
		return 2;
	}
	if (seed_dir_open(argv[1], kinds, sizeof(kinds) / sizeof(kinds[0])) < 0)
		return 1;
	build_init(&raw, links[LINK_RAW].number);
	build_all(&raw);
	for (unsigned link = 0; link < LINK_MAX_; link++)
		good &= add_own((enum link_type)link, &raw);
	buf_fini(&raw.b);
	add_own_talk();
	for (int i = 2; i < argc; i++)
		add_capture(argv[i]);
	return good ? 0 : 1;
}
