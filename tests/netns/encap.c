/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One end of a tunnel for which the kernel here has no device: puts the packets of one conversation into Geneve, GRE or
 * IPIP and sends them, so that they cross a bridge as a tunnel's would. The other end does the same with the other
 * half.
 *
 *	encap geneve|gre|ipip REMOTE ID client|server COUNT
 *
 * Inside, 192.168.77.1 port 40000 (the client) and 192.168.77.2 port 7777 send each other COUNT datagrams.
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_GENEVE 6081
#define TEXT "in a tunnel"

static size_t put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
	return 2;
}

/* RFC 1071 */
static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* IPv4 and UDP, without a UDP checksum (RFC 768 allows it). */
static size_t inner(uint8_t *out, bool client)
{
	const uint8_t a[4] = {192, 168, 77, 1}, b[4] = {192, 168, 77, 2};
	size_t text = sizeof(TEXT) - 1, len = 28 + text;

	memset(out, 0, 28);
	out[0] = 0x45;
	put16(out + 2, (unsigned)len);
	out[8] = 64;
	out[9] = 17;
	memcpy(out + 12, client ? a : b, 4);
	memcpy(out + 16, client ? b : a, 4);
	put16(out + 10, checksum(out, 20));
	put16(out + 20, client ? 40000 : 7777);
	put16(out + 22, client ? 7777 : 40000);
	put16(out + 24, (unsigned)(8 + text));
	memcpy(out + 28, TEXT, text);
	return len;
}

/* What lies between the outer and the inner IP header. Geneve (RFC 8926) carries Ethernet, GRE (RFC 2890, with a key)
 * IP. */
static size_t head(uint8_t *out, const char *kind, unsigned id, bool client)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	size_t n = 0;

	if (strcmp(kind, "geneve") == 0) {
		n += put16(out + n, 0); /* no options */
		n += put16(out + n, 0x6558);
		n += put16(out + n, id >> 8);
		n += put16(out + n, id << 8 & 0xffff);
		memcpy(out + n, client ? macs : macs + 6, 6);
		memcpy(out + n + 6, client ? macs + 6 : macs, 6);
		n += 12;
		n += put16(out + n, 0x0800);
	} else if (strcmp(kind, "gre") == 0) {
		n += put16(out + n, 0x2000);
		n += put16(out + n, 0x0800);
		n += put16(out + n, id >> 16);
		n += put16(out + n, id & 0xffff);
	}
	return n;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	uint8_t packet[256];
	bool client;
	size_t len;
	int fd;

	if (argc != 6 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: encap geneve|gre|ipip REMOTE ID client|server COUNT\n");
		return 2;
	}
	client = strcmp(argv[4], "client") == 0;
	len = head(packet, argv[1], (unsigned)strtoul(argv[3], NULL, 10), client);
	len += inner(packet + len, client);
	if (strcmp(argv[1], "geneve") == 0) {
		to.sin_port = htons(PORT_GENEVE);
		fd = socket(AF_INET, SOCK_DGRAM, 0);
	} else {
		fd = socket(AF_INET, SOCK_RAW, strcmp(argv[1], "gre") == 0 ? IPPROTO_GRE : IPPROTO_IPIP);
	}
	for (long i = strtol(argv[5], NULL, 10); i > 0; i--)
		if (sendto(fd, packet, len, 0, (struct sockaddr *)(void *)&to, sizeof(to)) < 0 &&
		    sendto(fd, packet, len, 0, (struct sockaddr *)(void *)&to, sizeof(to)) < 0) {
			perror("encap");
			return 1;
		}
	close(fd);
	return 0;
}
