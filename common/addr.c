/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Addresses: see addr.h. Text conversion is the C library's; the mapped form is made and taken apart here only. */
#include "config.h"
#include "common/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const struct addr addr_any;

struct addr addr_from_v4(const void *be32)
{
	struct addr a = {{0}};

	a.b[10] = a.b[11] = 0xff;
	memcpy(a.b + 12, be32, 4);
	return a;
}

struct addr addr_from_v6(const void *b16)
{
	struct addr a;

	memcpy(a.b, b16, 16);
	return a;
}

bool addr_is_zero(const struct addr *a)
{
	static const uint8_t zero[4];

	return addr_equal(a, &addr_any) || (addr_is_v4(a) && memcmp(a->b + 12, zero, 4) == 0);
}

bool addr_is_loopback(const struct addr *a)
{
	static const struct addr one = {{[15] = 1}};

	return addr_is_v4(a) ? a->b[12] == 127 : addr_equal(a, &one);
}

bool addr_is_multicast(const struct addr *a)
{
	if (addr_is_v4(a))
		return (a->b[12] & 0xf0) == 0xe0 || memcmp(a->b + 12, "\xff\xff\xff\xff", 4) == 0;
	return a->b[0] == 0xff;
}

bool addr_is_linklocal(const struct addr *a)
{
	if (addr_is_v4(a))
		return a->b[12] == 169 && a->b[13] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

int addr_parse(struct addr *out, const char *text)
{
	uint8_t b[16];

	if (inet_pton(AF_INET, text, b) == 1)
		*out = addr_from_v4(b);
	else if (inet_pton(AF_INET6, text, b) == 1)
		*out = addr_from_v6(b);
	else
		return -EINVAL;
	return 0;
}

bool addr_is_literal(const char *host)
{
	bool brackets = *host == '[';
	const char *end = brackets ? strchr(host, ']') : strchr(host, ':');
	size_t len;
	char text[ADDR_STRLEN];
	struct addr a;

	if (brackets && (!end || (end[1] && end[1] != ':')))
		return false;
	if (!brackets && end && strchr(end + 1, ':')) /* IPv6 by itself, where a port has no place */
		end = NULL;
	host += brackets;
	len = end ? (size_t)(end - host) : strlen(host);
	if (len >= sizeof(text))
		return false;
	memcpy(text, host, len);
	text[len] = '\0';
	return addr_parse(&a, text) == 0;
}

const char *addr_format(const struct addr *a, char buf[ADDR_STRLEN])
{
	if (addr_is_v4(a))
		inet_ntop(AF_INET, a->b + 12, buf, ADDR_STRLEN);
	else
		inet_ntop(AF_INET6, a->b, buf, ADDR_STRLEN);
	return buf;
}

/* True when no bit of a beyond the first len is set. */
static bool host_bits_clear(const struct addr *a, unsigned len)
{
	for (unsigned i = len; i < 128; i++)
		if (a->b[i / 8] & (0x80 >> (i % 8)))
			return false;
	return true;
}

int prefix_parse(struct prefix *out, const char *text)
{
	char buf[PREFIX_STRLEN];
	struct prefix p;
	unsigned long len, max;
	char *slash, *end;

	if (strlen(text) >= sizeof(buf))
		return -EINVAL;
	strcpy(buf, text);
	slash = strchr(buf, '/');
	if (slash)
		*slash++ = '\0';
	if (addr_parse(&p.addr, buf) < 0)
		return -EINVAL;
	max = addr_is_v4(&p.addr) ? 32 : 128;
	len = max;
	if (slash) {
		if (*slash < '0' || *slash > '9')
			return -EINVAL;
		len = strtoul(slash, &end, 10);
		if (*end || len > max)
			return -EINVAL;
	}
	p.len = (uint8_t)(len + (128 - max));
	if (!host_bits_clear(&p.addr, p.len))
		return -EINVAL;
	*out = p;
	return 0;
}

const char *prefix_format(const struct prefix *p, char buf[PREFIX_STRLEN])
{
	bool v4 = addr_is_v4(&p->addr);
	size_t n;

	addr_format(&p->addr, buf);
	if (p->len < 128) {
		n = strlen(buf);
		snprintf(buf + n, PREFIX_STRLEN - n, "/%u", v4 ? p->len - 96u : p->len);
	}
	return buf;
}

bool prefix_contains(const struct prefix *p, const struct addr *a)
{
	unsigned bytes = p->len / 8, bits = p->len % 8;

	if (addr_is_v4(a) && !(p->len >= 96 && addr_is_v4(&p->addr)))
		return false;
	if (memcmp(p->addr.b, a->b, bytes))
		return false;
	return bits == 0 || ((p->addr.b[bytes] ^ a->b[bytes]) & (0xff00 >> bits) & 0xff) == 0;
}
