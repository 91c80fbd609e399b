/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hashing for in-memory tables whose keys come from hostile packets: keyed by a secret, so that nobody can aim at one
 * bucket. Not for the disk (the key changes with every process) except hash_fixed.
 */
#ifndef WEIR_COMMON_HASH_H
#define WEIR_COMMON_HASH_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct hash_secret {
	uint64_t k[2];
};

/* Fills s from getrandom(2). */
void hash_secret_init(struct hash_secret *s);

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 wide;
	wide p = (wide)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/* len bytes in 8-byte steps; a multiply-and-fold a step. */
static inline uint64_t hash_bytes(const struct hash_secret *s, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = s->k[0] ^ (len * 0x9e3779b97f4a7c15ull), w;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, 8);
		h = hash_mix(h ^ w, s->k[1] | 1);
	}
	if (len) {
		w = 0;
		memcpy(&w, p, len);
		h = hash_mix(h ^ w, s->k[1] | 1);
	}
	return hash_mix(h, 0xd6e8feb86659fd93ull);
}

/* The same with a fixed key: stable for ever, for identifiers that are stored. Not for tables. */
static inline uint64_t hash_fixed(const void *data, size_t len)
{
	static const struct hash_secret fixed = {{0x243f6a8885a308d3ull, 0x13198a2e03707344ull}};

	return hash_bytes(&fixed, data, len);
}

#endif
