/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the passenger sits in a datagram of GTP-U, CAPWAP or TZSP: the layouts of the specifications, what is no tunnel
 * though the port says so, and that no datagram, however damaged, leads outside of itself.
 */
#include "config.h"

#include "capture/decode.h"
#include "common/flow.h"
#include "tests/tap.h"

#define GTP 2152
#define CAPWAP 5247
#define TZSP 37008
#define UDP_OFF 28 /* IPv4 and UDP headers */

/* Reads "32 ff 00" as bytes. */
static size_t bytes_of(uint8_t *out, const char *hex)
{
	size_t n = 0;
	int used;
	unsigned v;

	for (; sscanf(hex, "%2x%n", &v, &used) == 1; hex += used)
		out[n++] = (uint8_t)v;
	return n;
}

/* The offset from the payload's start, or -1. */
static long place(uint16_t port, const uint8_t *payload, size_t len, bool *ethernet, uint8_t *kind, uint32_t *id)
{
	uint8_t *ip = calloc(1, UDP_OFF + len); /* its own block, so that one byte too far is seen */
	struct packet p = {.ip = ip, .ip_len = (uint32_t)(UDP_OFF + len), .proto = 17, .port = {4000, port}};
	size_t off = 0;
	bool found;

	memcpy(ip + UDP_OFF, payload, len);
	p.payload_off = UDP_OFF;
	p.payload_len = p.payload_cap = (uint32_t)len;
	found = decode_mobile(&p, &off, ethernet, kind, id);
	free(ip);
	return found ? (long)off - UDP_OFF : -1;
}

static void test_layouts(void)
{
	static const char wifi[] =
		"08 02 00 00 01 02 03 04 05 06 01 02 03 04 05 06 01 02 03 04 05 06 00 00 aa aa 03 00 00 00 "
		"08 00 45";
	static const struct {
		uint16_t port;
		const char *hex;
		long off;
		uint8_t kind;
		bool ethernet;
		uint32_t id;
	} v[] = {
		{GTP, "30 ff 00 01 00 00 00 07 45", 8, FLOW_TUNNEL_GTP, false, 7},
		{GTP, "32 ff 00 05 00 00 01 00 12 34 00 00 45", 12, FLOW_TUNNEL_GTP, false, 256},
		{GTP, "34 ff 00 09 00 00 00 01 00 00 00 85 01 10 00 00 45", 16, FLOW_TUNNEL_GTP, false, 1},
		{GTP, "30 01 00 01 00 00 00 07 45", -1, 0, false, 0},          /* echo request */
		{GTP, "50 ff 00 01 00 00 00 07 45", -1, 0, false, 0},          /* version 2 */
		{GTP, "34 ff 00 09 00 00 00 01 00 00 00 85 00", -1, 0, false, 0}, /* an extension of no length */
		{GTP, "30 ff 00 00 00 00 00 07", -1, 0, false, 0},             /* nobody in it */
		{CAPWAP, "00 10 00 00 00 00 00 00", 8 + 32, FLOW_TUNNEL_CAPWAP, false, 0},
		{CAPWAP, "01 10 00 00 00 00 00 00", -1, 0, false, 0}, /* DTLS */
		{CAPWAP, "00 10 00 80 00 00 00 00", -1, 0, false, 0}, /* a fragment */
		{TZSP, "01 00 00 01 00 0a 01 33 01 ff", 9, FLOW_TUNNEL_TZSP, true, 0},
		{TZSP, "01 00 00 01 0a ff 33", -1, 0, false, 0},
		{53, "30 ff 00 01 00 00 00 07 45", -1, 0, false, 0},
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		uint8_t data[128], kind = 0;
		size_t n = bytes_of(data, v[i].hex);
		bool ethernet = false;
		uint32_t id = 0;
		long off;

		if (v[i].port == CAPWAP)
			n += bytes_of(data + n, wifi);
		off = place(v[i].port, data, n, &ethernet, &kind, &id);
		CHECK_EQ(off, v[i].off);
		if (off < 0)
			continue;
		CHECK_EQ(kind, v[i].kind);
		CHECK_EQ(ethernet, v[i].ethernet);
		CHECK_EQ(id, v[i].id);
	}
}

static void test_damaged(void)
{
	static const uint16_t ports[] = {GTP, CAPWAP, TZSP};
	uint64_t seed = tap_seed();

	for (unsigned round = 0; round < 200000; round++) {
		uint8_t data[64], kind;
		size_t n = tap_random(&seed) % (sizeof(data) + 1);
		bool ethernet;
		uint32_t id;
		long off;

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)(tap_random(&seed) & (round & 1 ? 0xff : 7));
		data[0] = round & 2 ? 0x34 : 1;
		data[1] = round & 2 ? 0xff : 0;
		off = place(ports[round % 3], data, n, &ethernet, &kind, &id);
		if (off >= (long)n)
			CHECK(!"the passenger would sit outside");
	}
	CHECK(1);
}

int main(void)
{
	test_layouts();
	test_damaged();
	return tap_done();
}
