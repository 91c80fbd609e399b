/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growable run of bytes: text being built, or a record being encoded. Allocation failure is remembered (buf_failed)
 * instead of being returned from every call; whoever uses the result asks once.
 */
#ifndef WEIR_COMMON_BUF_H
#define WEIR_COMMON_BUF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
	char *data; /* NUL behind the last byte once anything was added; NULL before */
	size_t len, cap;
	bool failed;
};

#define BUF_INIT {NULL, 0, 0, false}

void buf_init(struct buf *b);
void buf_fini(struct buf *b); /* frees; b may be used again */
void buf_clear(struct buf *b); /* length 0, memory kept */
bool buf_failed(const struct buf *b);
/* buf_add where memory has to grow, or cannot. */
void buf_add_grow(struct buf *b, const void *data, size_t len);
/* Records are encoded a few bytes at a time, millions of them a second: there is room nearly always. */
static inline void buf_add(struct buf *b, const void *data, size_t len)
{
	if (b->failed || len >= b->cap - b->len) {
		buf_add_grow(b, data, len);
		return;
	}
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}
void buf_adds(struct buf *b, const char *text);
void buf_addc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The text, the caller's to free; "" never NULL unless memory ran out. b is empty afterwards. */
char *buf_take(struct buf *b);

#endif
