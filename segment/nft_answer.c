/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Answers to what is refused: see nft_answer.h. The answer is written as a packet of its own and put on the link the
 * refused one came by, addressed to its sender, as if the far end had said it. Thus it needs no route, crosses no hook,
 * and is there before the client's next datagram.
 */
#include "config.h"
#include "segment/nft_answer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>

#include "common/proto.h"

#define TTL 64
#define IP4_HEADER 20
#define IP6_HEADER 40
#define ICMP_HEADER 8
#define QUOTE 8             /* bytes behind the IP header that an error must quote (RFC 792) */
#define UNREACHABLE_4 3     /* ICMP type, code: communication administratively prohibited (RFC 1812) */
#define PROHIBITED_4 13
#define UNREACHABLE_6 1     /* ICMPv6 type, code: the same (RFC 4443) */
#define PROHIBITED_6 1
#define ICMP6_INFORMATIONAL 128 /* types below are errors */
#define TCP_HEADER 20       /* RFC 9293 */
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct nft_answerer {
	int fd;
};

int nft_answer_open(struct nft_answerer **out)
{
	struct nft_answerer *a = calloc(1, sizeof(*a));

	*out = NULL;
	if (!a)
		return -ENOMEM;
	/* Protocol 0: it only sends. */
	a->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0) {
		int rc = -errno;

		free(a);
		return rc;
	}
	*out = a;
	return 0;
}

void nft_answer_close(struct nft_answerer *a)
{
	if (!a)
		return;
	close(a->fd);
	free(a);
}

/* The Internet checksum (RFC 1071) over data, starting from sum. */
static uint32_t sum_add(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (len % 2)
		sum += (uint32_t)p[len - 1] << 8;
	return sum;
}

static void sum_put(uint8_t *at, uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum;
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

static bool is_icmp4_error(uint8_t type)
{
	return type != 0 && type != 8 && type != 13 && type != 14 && type != 17 && type != 18;
}

/*
 * A reset to the segment whose header is at in: the one its sender must believe (RFC 9293 section 3.5.2). sum: of the
 * pseudo-header without the length. The length, or -EPROTO.
 */
static int write_reset(uint8_t *out, const uint8_t *in, size_t len, uint32_t sum)
{
	uint32_t seq;

	if (len < TCP_HEADER || (in[13] & TCP_RST))
		return -EPROTO;
	memset(out, 0, TCP_HEADER);
	memcpy(out, in + 2, 2);
	memcpy(out + 2, in, 2);
	out[12] = TCP_HEADER / 4 << 4;
	if (in[13] & TCP_ACK) {
		memcpy(out + 4, in + 8, 4);
		out[13] = TCP_RST;
	} else {
		seq = ((uint32_t)in[4] << 24 | (uint32_t)in[5] << 16 | (uint32_t)in[6] << 8 | in[7]) +
		      !!(in[13] & TCP_SYN) + !!(in[13] & TCP_FIN);
		for (unsigned i = 0; i < 4; i++)
			out[8 + i] = (uint8_t)(seq >> (24 - 8 * i));
		out[13] = TCP_RST | TCP_ACK;
	}
	sum_put(out + 16, sum_add(sum + TCP_HEADER, out, TCP_HEADER));
	return TCP_HEADER;
}

static void write_header_v4(uint8_t *out, const uint8_t *in, uint8_t proto, size_t total)
{
	memset(out, 0, IP4_HEADER);
	out[0] = 0x45;
	out[1] = proto == PROTO_ICMP ? 0xc0 : 0; /* internetwork control, as the kernel's own errors */
	out[2] = (uint8_t)(total >> 8);
	out[3] = (uint8_t)total;
	out[8] = TTL;
	out[9] = proto;
	memcpy(out + 12, in + 16, 4);
	memcpy(out + 16, in + 12, 4);
	sum_put(out + 10, sum_add(0, out, IP4_HEADER));
}

static int write_v4(uint8_t *out, const uint8_t *in, size_t len)
{
	size_t header = (size_t)(in[0] & 0x0f) * 4, quote, total;
	uint8_t *icmp = out + IP4_HEADER;
	int rc;

	if (header < IP4_HEADER || len < header + QUOTE || header + QUOTE > NFT_ANSWER_MAX - IP4_HEADER - ICMP_HEADER)
		return -EPROTO;
	if (((in[6] & 0x1f) | in[7]) != 0 || (in[16] & 0xf0) == 0xe0 || in[16] == 255 || (in[12] & 0xf0) == 0xe0 ||
	    in[12] == 0)
		return -EPROTO; /* a later fragment; multicast, broadcast; a source nobody can be answered at */
	if (in[9] == PROTO_ICMP && is_icmp4_error(in[header]))
		return -EPROTO;
	if (in[9] == PROTO_TCP) {
		write_header_v4(out, in, PROTO_TCP, IP4_HEADER + TCP_HEADER);
		rc = write_reset(out + IP4_HEADER, in + header, len - header, sum_add(PROTO_TCP, out + 12, 8));
		return rc < 0 ? rc : IP4_HEADER + rc;
	}
	quote = header + QUOTE;
	total = IP4_HEADER + ICMP_HEADER + quote;
	write_header_v4(out, in, PROTO_ICMP, total);
	memset(icmp, 0, ICMP_HEADER);
	icmp[0] = UNREACHABLE_4;
	icmp[1] = PROHIBITED_4;
	memcpy(icmp + ICMP_HEADER, in, quote);
	sum_put(icmp + 2, sum_add(0, icmp, ICMP_HEADER + quote));
	return (int)total;
}

static int write_v6(uint8_t *out, const uint8_t *in, size_t len)
{
	uint8_t *icmp = out + IP6_HEADER;
	size_t quote = IP6_HEADER + QUOTE, body = ICMP_HEADER + quote;
	static const uint8_t unspecified[16];
	uint32_t sum;
	int rc;

	if (len < quote || IP6_HEADER + body > NFT_ANSWER_MAX || in[24] == 0xff || in[8] == 0xff ||
	    memcmp(in + 8, unspecified, 16) == 0)
		return -EPROTO;
	if (in[6] == PROTO_ICMP6 && in[IP6_HEADER] < ICMP6_INFORMATIONAL)
		return -EPROTO;
	memset(out, 0, IP6_HEADER + ICMP_HEADER);
	out[0] = 0x60;
	out[7] = TTL;
	memcpy(out + 8, in + 24, 16);
	memcpy(out + 24, in + 8, 16);
	if (in[6] == PROTO_TCP) {
		out[5] = TCP_HEADER;
		out[6] = PROTO_TCP;
		rc = write_reset(out + IP6_HEADER, in + IP6_HEADER, len - IP6_HEADER, sum_add(PROTO_TCP, out + 8, 32));
		return rc < 0 ? rc : IP6_HEADER + rc;
	}
	out[4] = (uint8_t)(body >> 8);
	out[5] = (uint8_t)body;
	out[6] = PROTO_ICMP6;
	icmp[0] = UNREACHABLE_6;
	icmp[1] = PROHIBITED_6;
	memcpy(icmp + ICMP_HEADER, in, quote);
	/* Pseudo-header: addresses, length, next header (RFC 8200 section 8.1). */
	sum = sum_add(0, out + 8, 32) + (uint32_t)body + PROTO_ICMP6;
	sum_put(icmp + 2, sum_add(sum, icmp, body));
	return (int)(IP6_HEADER + body);
}

int nft_answer_write(uint8_t *out, const uint8_t *packet, size_t len)
{
	if (len >= IP4_HEADER && packet[0] >> 4 == 4)
		return write_v4(out, packet, len);
	if (len >= IP6_HEADER && packet[0] >> 4 == 6)
		return write_v6(out, packet, len);
	return -EPROTO;
}

int nft_answer(struct nft_answerer *a, const struct nft_refused *r)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)r->ifindex};
	uint8_t out[NFT_ANSWER_MAX];
	int len;

	if (r->ifindex == 0 || r->sender_len == 0 || r->sender_len > sizeof(to.sll_addr))
		return -EPROTO;
	len = nft_answer_write(out, r->packet, r->len);
	if (len < 0)
		return len;
	to.sll_protocol = htons(out[0] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6);
	to.sll_halen = (unsigned char)r->sender_len;
	memcpy(to.sll_addr, r->sender, r->sender_len);
	return sendto(a->fd, out, (size_t)len, 0, (const struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}
