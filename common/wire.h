/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one byte encoding of weir: records in the store and messages between its processes. Big-endian fixed-width
 * integers, LEB128 varints, length-prefixed strings. Reading is bounds-checked and never trusts a length: after any
 * failure every further read yields zero and wire_ok is false, so that a decoder is straight-line code with one check.
 */
#ifndef WEIR_COMMON_WIRE_H
#define WEIR_COMMON_WIRE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/buf.h"

/* Writing appends to a struct buf. */
void wire_put_u8(struct buf *b, uint8_t v);
void wire_put_u16(struct buf *b, uint16_t v);
void wire_put_u32(struct buf *b, uint32_t v);
void wire_put_u64(struct buf *b, uint64_t v);
void wire_put_var(struct buf *b, uint64_t v); /* 1 to 10 bytes */
void wire_put_bytes(struct buf *b, const void *data, size_t len); /* varint length, then the bytes */
void wire_put_str(struct buf *b, const char *s); /* NULL is written as "" */
void wire_put_addr(struct buf *b, const struct addr *a); /* 5 bytes for IPv4, 17 for IPv6 */

struct wire_reader {
	const uint8_t *p, *end; /* borrowed */
	bool ok;
};

void wire_reader_init(struct wire_reader *r, const void *data, size_t len);
/* The byte that every record begins with. 0; -EPROTO for a version that is not within [oldest, newest], -EBADMSG when
 * there is no byte at all. *version (may be NULL) is which it is. */
int wire_get_version(struct wire_reader *r, uint8_t oldest, uint8_t newest, uint8_t *version);
bool wire_ok(const struct wire_reader *r);
size_t wire_left(const struct wire_reader *r);
uint8_t wire_get_u8(struct wire_reader *r);
uint16_t wire_get_u16(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
uint64_t wire_get_var(struct wire_reader *r);
/* Borrowed from the reader's buffer; NULL and *len 0 on failure. */
const void *wire_get_bytes(struct wire_reader *r, size_t *len);
/* Copies into out (NUL-terminated); a string longer than size - 1 is cut there, which is no failure. */
void wire_get_str(struct wire_reader *r, char *out, size_t size);
struct addr wire_get_addr(struct wire_reader *r);

#endif
