/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keys. LMDB compares keys as bytes, so a number is written most significant byte first: then byte order is number
 * order and a range of times is a range of keys. Writers return the place behind what they wrote.
 */
#ifndef WEIR_STORE_KEY_H
#define WEIR_STORE_KEY_H
#include <stdint.h>
#include <string.h>

#include "common/addr.h"

#define KEY_MAX 511 /* bytes; LMDB's own limit in its usual build */

static inline uint8_t *key_put_u8(uint8_t *p, uint8_t v)
{
	*p = v;
	return p + 1;
}

static inline uint8_t *key_put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static inline uint8_t *key_put_u32(uint8_t *p, uint32_t v)
{
	uint32_t be = __builtin_bswap32(v);

	if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		be = v;
	memcpy(p, &be, 4);
	return p + 4;
}

static inline uint8_t *key_put_u64(uint8_t *p, uint64_t v)
{
	uint64_t be = __builtin_bswap64(v);

	if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		be = v;
	memcpy(p, &be, 8);
	return p + 8;
}

static inline uint8_t *key_put_addr(uint8_t *p, const struct addr *a)
{
	memcpy(p, a->b, sizeof(a->b));
	return p + sizeof(a->b);
}

static inline uint8_t *key_put_bytes(uint8_t *p, const void *data, size_t len)
{
	memcpy(p, data, len);
	return p + len;
}

static inline uint16_t key_get_u16(const void *data)
{
	const uint8_t *p = data;

	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t key_get_u32(const void *data)
{
	const uint8_t *p = data;

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t key_get_u64(const void *data)
{
	const uint8_t *p = data;

	return (uint64_t)key_get_u32(p) << 32 | key_get_u32(p + 4);
}

/* a - b and a + b that stop at the ends of time instead of wrapping. */
static inline uint64_t key_time_before(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static inline uint64_t key_time_after(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
