/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET over a Unix socket, any number at once, none of them ever waiting: the way to the container runtime. */
#ifndef WEIR_INVENTORY_DOCKER_HTTP_H
#define WEIR_INVENTORY_DOCKER_HTTP_H
#include <stddef.h>

struct http;
int http_new(struct http **out, const char *socket_path); /* 0 or negative errno; connects nowhere yet */
void http_free(struct http *h);                           /* no callback is called */
int http_fd(const struct http *h);                        /* readable: call http_dispatch */
int http_dispatch(struct http *h);                        /* calls the callbacks; they may start new requests */

/* status: HTTP's, or 0 with error (negative errno) when there was none. body is borrowed, NUL-terminated. */
typedef void http_done_fn(void *arg, long status, int error, const char *body, size_t len);
/* path is copied. A reply of more than max bytes is an error (-EFBIG). 0 or -ENOMEM. */
int http_get(struct http *h, const char *path, size_t max, http_done_fn *done, void *arg);
/* The same for what the other side may take its time to answer: such requests leave room for the others. */
int http_get_slow(struct http *h, const char *path, size_t max, http_done_fn *done, void *arg);

/* A reply without end: opened once its headers are there, object for each JSON object in it, done when it ends. */
struct http_stream {
	void (*opened)(void *arg, long status);
	void (*object)(void *arg, const char *text, size_t len);
	http_done_fn *done;
	void *arg;
};
int http_open_stream(struct http *h, const char *path, const struct http_stream *s);
/* Drops every request without calling back. Not from within a callback of another request's... see http_dispatch: safe
 * from any callback, since those run outside of the transfer library. */
void http_reset(struct http *h);
size_t http_pending(const struct http *h); /* GETs not yet answered, streams apart */

#endif
