/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target: what one conversation says, into nDPI and out of it. Input: how (IPv6, UDP, the SYN was seen, the
 * packets are cut), server port, then payloads, each as who sends it (one byte) and its length (two, big-endian). The
 * headers are made here, so that every byte of the input is one that nDPI's dissectors look at. nDPI comes without a
 * sanitizer's marks, so each packet ends where memory that cannot be read begins, but for CLASSIFY_SLACK. Checks what
 * was learned: it must be a record that can be stored, told apart into attributes, and printed.
 */
#include "config.h"

#include <string.h>
#include <sys/mman.h>

#include "capture/classify.h"
#include "tests/fuzz/fuzz.h"

#define V6 1
#define UDP 2
#define SYN 4
#define CUT 8
#define PACKETS_MAX 40
#define PAYLOAD_MAX 1460
#define GUARDED 65536

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* IP and TCP or UDP headers of a packet with that much payload; their length. */
static size_t headers(uint8_t *p, unsigned how, bool client, uint16_t port, uint32_t seq[2], size_t payload)
{
	size_t ip = how & V6 ? 40 : 20, l4 = how & UDP ? 8 : 20;
	uint8_t proto = how & UDP ? 17 : 6, *t = p + ip;

	memset(p, 0, ip + l4);
	if (how & V6) {
		p[0] = 0x60;
		put16(p + 4, l4 + payload);
		p[6] = proto;
		p[7] = 64;
		p[8] = p[24] = 0xfd;
		p[client ? 23 : 39] = 1;
		p[client ? 39 : 23] = 2;
	} else {
		p[0] = 0x45;
		put16(p + 2, ip + l4 + payload);
		p[8] = 64;
		p[9] = proto;
		p[12] = p[16] = 10;
		p[client ? 15 : 19] = 1;
		p[client ? 19 : 15] = 2;
	}
	put16(t + (client ? 0 : 2), 40000);
	put16(t + (client ? 2 : 0), port);
	if (how & UDP) {
		put16(t + 4, 8 + payload);
	} else {
		put16(t + 4, seq[!client] >> 16);
		put16(t + 6, seq[!client]);
		put16(t + 8, seq[client] >> 16);
		put16(t + 10, seq[client]);
		t[12] = 0x50;
		t[13] = 0x18;
		seq[!client] += (uint32_t)payload;
	}
	return ip + l4;
}

static void check(const struct flow_rec *f)
{
	char text[FLOW_ATTRS_MAX + 1];
	struct flow_rec back;
	struct buf b = BUF_INIT;

	FUZZ_MUST(f->app[0] && memchr(f->app, '\0', sizeof(f->app)) && memchr(f->category, '\0', sizeof(f->category)));
	for (unsigned type = FLOW_ATTR_SNI; type < FLOW_ATTR_MAX_; type++) {
		size_t cursor = 0, len;
		const uint8_t *p;

		while ((p = flow_attr_next(f, (enum flow_attr)type, &cursor, &len)))
			FUZZ_MUST(len > 0 && p >= f->attrs && p + len <= f->attrs + f->attrs_len);
		flow_attr_text(f, (enum flow_attr)type, text, sizeof(text));
		FUZZ_MUST(strlen(text) < sizeof(text));
	}
	flow_encode(&b, f);
	FUZZ_MUST(flow_decode(&back, b.data, b.len) == 0 && back.attrs_len == f->attrs_len);
	buf_fini(&b);
}

/* The end of a piece of memory behind which nothing can be read. */
static uint8_t *guarded_end(void)
{
	static uint8_t *p;

	if (!p) {
		p = mmap(NULL, 2 * GUARDED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		FUZZ_MUST(p != MAP_FAILED && mprotect(p + GUARDED, GUARDED, PROT_NONE) == 0);
	}
	return p + GUARDED;
}

static void run(struct classify *c, unsigned how, uint16_t port, struct fuzz_in *in)
{
	struct classify_flow *f = classify_flow_new(c);
	struct flow_rec rec = {.proto = how & UDP ? 17 : 6, .port = {40000, port}};
	uint32_t seq[2] = {1000, 5000};
	struct buf attrs = BUF_INIT;
	bool done = false;

	FUZZ_MUST(f);
	if ((how & (SYN | UDP)) == SYN)
		classify_flow_syn(f);
	for (unsigned i = 0; i < PACKETS_MAX && in->left && !done; i++) {
		bool client = fuzz_u8(in) & 1;
		size_t len = fuzz_u16(in) % (PAYLOAD_MAX + 1), head;
		const uint8_t *payload = fuzz_take(in, &len);
		uint8_t whole[60 + PAYLOAD_MAX], *exact;
		size_t kept = len;

		head = headers(whole, how, client, port, seq, len);
		if (how & CUT)
			kept = len / 2;
		exact = guarded_end() - CLASSIFY_SLACK - head - kept;
		memcpy(exact, whole, head);
		if (kept)
			memcpy(exact + head, payload, kept);
		done = classify_packet(c, f, exact, head + kept, client, 1700000000000 + 10 * i);
		memset(exact, 0xa5, head + kept); /* nothing of a packet may be looked at again */
	}
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t v4[4] = {10, 0, 0, (uint8_t)(1 + i)}, v6[16] = {[0] = 0xfd, [15] = (uint8_t)(1 + i)};

		rec.addr[i] = how & V6 ? addr_from_v6(v6) : addr_from_v4(v4);
	}
	classify_verdict(c, f, !done, &rec, &attrs);
	FUZZ_MUST(!buf_failed(&attrs) && attrs.len <= FLOW_ATTRS_MAX);
	rec.attrs = attrs.len ? (const uint8_t *)attrs.data : NULL;
	rec.attrs_len = (uint16_t)attrs.len;
	check(&rec);
	classify_flow_free(c, f);
	buf_fini(&attrs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct classify *c; /* kept, since nDPI takes long to set up */
	struct fuzz_in in = {data, size};
	unsigned how = fuzz_u8(&in);
	uint16_t port = fuzz_u16(&in);

	if (!c)
		FUZZ_MUST(classify_new(&c) == 0);
	run(c, how, port, &in);
	return 0;
}
