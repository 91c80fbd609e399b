/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One kind of datagram makes nDPI before 4.6 read through a null pointer: a certificate over DTLS and IPv4 whose
 * subject it has in its list (FortiGate's, say). It notes what it found under the server's address and port, and takes
 * the port from a TCP header that is not there. It does so for IPv4 only; so it is shown such a datagram as one of
 * IPv6, between the same addresses mapped (RFC 4291, 2.5.5.2), and nothing of the certificate is lost.
 */
#include "config.h"

#include <string.h>

#include "capture/classify_impl.h"

#define RECORD_HEADER 13 /* DTLS: RFC 6347, 4.1 */
#define HANDSHAKE 22
#define CERTIFICATE 11
#define IPV6_HEADER 40
#define UDP_HEADER 8
#define UDP 17

/* Each record has one handshake message, or the first of several. */
static bool has_certificate(const uint8_t *p, size_t len)
{
	while (len > RECORD_HEADER && p[0] == HANDSHAKE && p[1] == 0xfe) {
		size_t record = RECORD_HEADER + (size_t)(p[11] << 8 | p[12]);

		if (record > len)
			return false;
		if (record > RECORD_HEADER && p[RECORD_HEADER] == CERTIFICATE)
			return true;
		p += record;
		len -= record;
	}
	return false;
}

bool classify_dtls_unsafe(const uint8_t *ip, const uint8_t *udp, size_t len)
{
	return !COMPAT_DTLS_SUBJECT_SAFE && ip[0] >> 4 == 4 && len > UDP_HEADER &&
	       has_certificate(udp + UDP_HEADER, len - UDP_HEADER);
}

size_t classify_dtls_as_ipv6(uint8_t out[CLASSIFY_DTLS_MAX + CLASSIFY_SLACK], const uint8_t *ip, const uint8_t *udp,
			     size_t len)
{
	if (len > CLASSIFY_DTLS_MAX - IPV6_HEADER)
		return 0;
	memset(out, 0, IPV6_HEADER);
	out[0] = 0x60;
	out[4] = (uint8_t)(len >> 8);
	out[5] = (uint8_t)len;
	out[6] = UDP;
	out[7] = ip[8];
	for (unsigned end = 0; end < 2; end++) {
		uint8_t *addr = out + 8 + 16 * end;

		addr[10] = addr[11] = 0xff;
		memcpy(addr + 12, ip + 12 + 4 * end, 4);
	}
	memcpy(out + IPV6_HEADER, udp, len);
	memset(out + IPV6_HEADER + len, 0, CLASSIFY_SLACK);
	return IPV6_HEADER + len;
}
