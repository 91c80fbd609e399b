/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses, prefixes and ports as plain values. One 16-byte form serves both IP versions: an IPv4 address is kept as
 * IPv4-mapped IPv6 (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2), so that keys sort, hash and compare alike everywhere.
 */
#ifndef WEIR_COMMON_ADDR_H
#define WEIR_COMMON_ADDR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ADDR_STRLEN 46   /* longest text form with its NUL (INET6_ADDRSTRLEN) */
#define PREFIX_STRLEN 50 /* the same with "/128" */

struct addr {
	uint8_t b[16]; /* network order */
};

/* A range of addresses; len counts bits of the 16-byte form, so an IPv4 /24 has len 96 + 24. */
struct prefix {
	struct addr addr;
	uint8_t len;
};

extern const struct addr addr_any; /* all zero: "no address" */

struct addr addr_from_v4(const void *be32); /* 4 bytes, network order */
struct addr addr_from_v6(const void *b16);  /* 16 bytes, network order */
static inline bool addr_is_v4(const struct addr *a)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}
static inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}
static inline int addr_cmp(const struct addr *a, const struct addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}
bool addr_is_zero(const struct addr *a);      /* all-zero, or 0.0.0.0 */
bool addr_is_loopback(const struct addr *a);  /* 127/8, ::1 */
bool addr_is_multicast(const struct addr *a); /* 224/4, ff00::/8, 255.255.255.255 */
bool addr_is_linklocal(const struct addr *a); /* 169.254/16, fe80::/10 */

/* Text to address, either version. 0, or -EINVAL with *out untouched. */
int addr_parse(struct addr *out, const char *text);
/* Is that host of a request an address and no name: "10.0.3.7", "10.0.3.7:80", "fd00::2", "[fd00::2]",
 * "[fd00::2]:80"? */
bool addr_is_literal(const char *host);
/* Address to text in buf (ADDR_STRLEN bytes); returns buf. IPv6 in RFC 5952 form. */
const char *addr_format(const struct addr *a, char buf[ADDR_STRLEN]);

/* "10.0.0.0/8", "fd00::/64" or a bare address. 0, or -EINVAL (also for host bits set) with *out untouched. */
int prefix_parse(struct prefix *out, const char *text);
const char *prefix_format(const struct prefix *p, char buf[PREFIX_STRLEN]);
/* An IPv6 range contains no IPv4 address, not even ::/0: IPv4-mapped form is how addresses are kept, not what
 * they are. */
bool prefix_contains(const struct prefix *p, const struct addr *a);

#endif
