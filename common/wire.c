/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The byte encoding: see wire.h. */
#include "config.h"
#include "common/wire.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

void wire_put_u8(struct buf *b, uint8_t v)
{
	buf_add(b, &v, 1);
}

void wire_put_u16(struct buf *b, uint16_t v)
{
	v = htobe16(v);
	buf_add(b, &v, sizeof(v));
}

void wire_put_u32(struct buf *b, uint32_t v)
{
	v = htobe32(v);
	buf_add(b, &v, sizeof(v));
}

void wire_put_u64(struct buf *b, uint64_t v)
{
	v = htobe64(v);
	buf_add(b, &v, sizeof(v));
}

void wire_put_var(struct buf *b, uint64_t v)
{
	uint8_t out[10];
	unsigned n = 0;

	while (v >= 0x80) {
		out[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	buf_add(b, out, n);
}

void wire_put_bytes(struct buf *b, const void *data, size_t len)
{
	wire_put_var(b, len);
	buf_add(b, data, len);
}

void wire_put_str(struct buf *b, const char *s)
{
	wire_put_bytes(b, s ? s : "", s ? strlen(s) : 0);
}

void wire_put_addr(struct buf *b, const struct addr *a)
{
	bool v4 = addr_is_v4(a);

	wire_put_u8(b, v4 ? 4 : 6);
	buf_add(b, v4 ? a->b + 12 : a->b, v4 ? 4 : 16);
}

void wire_reader_init(struct wire_reader *r, const void *data, size_t len)
{
	r->p = data;
	r->end = r->p ? r->p + len : NULL;
	r->ok = true;
}

int wire_get_version(struct wire_reader *r, uint8_t oldest, uint8_t newest, uint8_t *version)
{
	uint8_t v = wire_get_u8(r);

	if (!wire_ok(r))
		return -EBADMSG;
	if (v < oldest || v > newest)
		return -EPROTO;
	if (version)
		*version = v;
	return 0;
}

bool wire_ok(const struct wire_reader *r)
{
	return r->ok;
}

size_t wire_left(const struct wire_reader *r)
{
	return r->ok ? (size_t)(r->end - r->p) : 0;
}

/* The next len bytes, or NULL and the reader marked as failed. */
static const uint8_t *take(struct wire_reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (!r->ok || len > (size_t)(r->end - r->p)) {
		r->ok = false;
		return NULL;
	}
	r->p += len;
	return p;
}

uint8_t wire_get_u8(struct wire_reader *r)
{
	const uint8_t *p = take(r, 1);

	return p ? *p : 0;
}

uint16_t wire_get_u16(struct wire_reader *r)
{
	const uint8_t *p = take(r, 2);
	uint16_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

uint32_t wire_get_u32(struct wire_reader *r)
{
	const uint8_t *p = take(r, 4);
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

uint64_t wire_get_u64(struct wire_reader *r)
{
	const uint8_t *p = take(r, 8);
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

uint64_t wire_get_var(struct wire_reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		const uint8_t *p = take(r, 1);

		if (!p)
			return 0;
		v |= (uint64_t)(*p & 0x7f) << shift;
		if (!(*p & 0x80))
			return v;
	}
	r->ok = false;
	return 0;
}

const void *wire_get_bytes(struct wire_reader *r, size_t *len)
{
	uint64_t n = wire_get_var(r);
	const uint8_t *p = r->ok && n <= SIZE_MAX ? take(r, (size_t)n) : NULL;

	*len = p ? (size_t)n : 0;
	return p;
}

void wire_get_str(struct wire_reader *r, char *out, size_t size)
{
	size_t len;
	const void *p = wire_get_bytes(r, &len);

	if (len > size - 1)
		len = size - 1;
	if (p)
		memcpy(out, p, len);
	out[len] = '\0';
}

struct addr wire_get_addr(struct wire_reader *r)
{
	uint8_t family = wire_get_u8(r);
	const uint8_t *p;

	if (family != 4 && family != 6) {
		r->ok = false;
		return addr_any;
	}
	p = take(r, family == 4 ? 4 : 16);
	if (!p)
		return addr_any;
	return family == 4 ? addr_from_v4(p) : addr_from_v6(p);
}
