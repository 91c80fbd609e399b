/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The identifier is "1:" and the base64 of a SHA-1 over seed, ordered ends, protocol and ports. What is hashed never
 * exceeds 40 bytes, so that one block of SHA-1 does, and no library is needed. ICMP has no ports: type and its
 * answer's type take their place (so that request and reply hash alike), or type and code for a message that has no
 * answer, whose ends are not ordered then.
 */
#include "config.h"

#include "capture/community_id.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "common/proto.h"

#define SHA1_LEN 20
#define SHA1_BLOCK 64
#define MESSAGE_MAX 40 /* seed, two IPv6 addresses, protocol, padding, ports */

static uint32_t rotl(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

/* SHA-1 (RFC 3174) of a message that fits into one block with its length. */
static void sha1_short(uint8_t out[SHA1_LEN], const uint8_t *msg, size_t len)
{
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
	uint8_t block[SHA1_BLOCK] = {0};

	memcpy(block, msg, len);
	block[len] = 0x80;
	block[SHA1_BLOCK - 2] = (uint8_t)(len * 8 >> 8);
	block[SHA1_BLOCK - 1] = (uint8_t)(len * 8);
	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
		       (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (unsigned i = 16; i < 80; i++)
		w[i] = rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (unsigned i = 0; i < 80; i++) {
		uint32_t f, k, t;

		if (i < 20)
			f = (b & c) | (~b & d), k = 0x5a827999;
		else if (i < 40)
			f = b ^ c ^ d, k = 0x6ed9eba1;
		else if (i < 60)
			f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
		else
			f = b ^ c ^ d, k = 0xca62c1d6;
		t = rotl(a, 5) + f + e + k + w[i];
		e = d, d = c, c = rotl(b, 30), b = a, a = t;
	}
	h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
	for (unsigned i = 0; i < SHA1_LEN; i++)
		out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(char *out, const uint8_t *data, size_t len)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
			     (left > 2 ? data[i + 2] : 0);

		*out++ = digit[v >> 18];
		*out++ = digit[v >> 12 & 63];
		*out++ = left > 1 ? digit[v >> 6 & 63] : '=';
		*out++ = left > 2 ? digit[v & 63] : '=';
	}
	*out = '\0';
}

/* The type that answers type, or -1 for a message that has no answer. */
static int icmp_counterpart(uint8_t proto, uint16_t type)
{
	static const uint8_t v4[][2] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}, {10, 9}};
	static const uint8_t v6[][2] = {{128, 129}, {133, 134}, {135, 136}, {130, 131}, {139, 140}, {144, 145}};
	const uint8_t(*pair)[2] = proto == PROTO_ICMP ? v4 : v6;
	size_t n = proto == PROTO_ICMP ? sizeof(v4) / sizeof(*v4) : sizeof(v6) / sizeof(*v6);

	for (size_t i = 0; i < n; i++) {
		if (pair[i][0] == type)
			return pair[i][1];
		if (pair[i][1] == type)
			return pair[i][0];
	}
	return -1;
}

/* Whether end 1 goes first: the smaller address, or port where addresses are equal. */
static bool ends_swapped(const struct flow_rec *f, const uint16_t port[2])
{
	int order = addr_cmp(&f->addr[0], &f->addr[1]);

	return order > 0 || (order == 0 && port[0] > port[1]);
}

int community_id(const struct flow_rec *f, char *out)
{
	uint8_t msg[MESSAGE_MAX] = {0, 0}, digest[SHA1_LEN]; /* the seed comes first: 0 */
	bool v4 = addr_is_v4(&f->addr[0]), one_way = false, swap;
	size_t skip = v4 ? 12 : 0, alen = 16 - skip, len = 2;
	uint16_t port[2] = {f->port[0], f->port[1]};

	if (v4 != addr_is_v4(&f->addr[1]))
		return -EOPNOTSUPP;
	if (proto_is_icmp(f->proto)) {
		int answer = icmp_counterpart(f->proto, f->port[1]);

		one_way = answer < 0;
		port[0] = f->port[1];
		port[1] = one_way ? f->icmp_code : (uint16_t)answer;
	}
	swap = !one_way && ends_swapped(f, port);
	for (unsigned i = 0; i < 2; i++, len += alen)
		memcpy(msg + len, f->addr[i ^ swap].b + skip, alen);
	msg[len++] = f->proto;
	msg[len++] = 0;
	if (proto_has_ports(f->proto) || proto_is_icmp(f->proto)) {
		for (unsigned i = 0; i < 2; i++) {
			msg[len++] = (uint8_t)(port[i ^ swap] >> 8);
			msg[len++] = (uint8_t)port[i ^ swap];
		}
	}
	sha1_short(digest, msg, len);
	memcpy(out, "1:", 2);
	base64(out + 2, digest, sizeof(digest));
	return 0;
}
