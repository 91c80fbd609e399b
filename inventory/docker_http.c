/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The runtime may be slow, silent, gone or malicious, and the process that asks it also keeps the kernel's rules up to
 * date, so no request may ever wait. curl's multi interface does the transfers, driven by an epoll descriptor of our
 * own that nests in the caller's. Replies are collected whole, with a bound; callbacks run after curl has returned,
 * since inside of curl's own callbacks no new request may be started.
 */
#include "config.h"
#include "inventory/docker_http.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <curl/curl.h>

#include "common/buf.h"

/* Enough for many containers that start at once (Docker answers an inspect only when the start is done). */
#define ACTIVE_MAX 64
/* Of these, how many may be such that wait for something. */
#define ACTIVE_SLOW_MAX 48
#define GET_TIMEOUT_S 30
#define CONNECT_TIMEOUT_S 5
/* One event carries all labels of its container; Docker itself sets no limit. */
#define STREAM_OBJECT_MAX (4u << 20)

struct request {
	struct request *next;
	struct http *http;
	CURL *easy; /* NULL while it waits for its turn */
	char *path;
	struct buf body;
	size_t max;
	bool streaming, slow, told_open, too_big;
	struct http_stream stream;
	http_done_fn *done;
	void *arg;
	/* Where the stream's framing stands in body. */
	size_t scanned;
	unsigned depth;
	bool in_string, escaped;
};

struct http {
	char path[108];
	CURLM *multi;
	int epoll, timer;
	unsigned active, active_slow;
	unsigned long resets;     /* so that a loop notices that a callback has dropped its request */
	struct request *requests; /* in order of asking */
	size_t pending;
};

/* ---- curl's callbacks ------------------------------------------------------------------------------------------ */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
	struct http *h = user;
	struct epoll_event e = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u),
				.data.fd = fd};

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		(void)epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if (epoll_ctl(h->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) < 0 && errno == EEXIST)
		(void)epoll_ctl(h->epoll, EPOLL_CTL_MOD, fd, &e);
	curl_multi_assign(h->multi, fd, h);
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *user)
{
	struct http *h = user;
	struct itimerspec t = {0};

	(void)multi;
	if (ms >= 0) { /* 0 would disarm */
		t.it_value.tv_sec = ms / 1000;
		t.it_value.tv_nsec = ms % 1000 * 1000000 + (ms == 0);
	}
	(void)timerfd_settime(h->timer, 0, &t, NULL);
	return 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
	struct request *q = user;

	n *= size;
	if (q->body.len + n > q->max + (q->streaming ? 65536 : 0)) {
		q->too_big = true;
		return 0; /* ends the transfer */
	}
	buf_add(&q->body, data, n);
	return buf_failed(&q->body) ? 0 : n;
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

int http_new(struct http **out, const char *socket_path)
{
	struct http *h;
	struct epoll_event e = {.events = EPOLLIN};
	int r = -ENOMEM;

	if (strlen(socket_path) >= sizeof(h->path))
		return -ENAMETOOLONG;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	strcpy(h->path, socket_path);
	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	h->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	e.data.fd = h->timer;
	if (h->epoll < 0 || h->timer < 0 || epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->timer, &e) < 0) {
		r = -errno;
		goto fail;
	}
	if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
		goto fail;
	h->multi = curl_multi_init();
	if (!h->multi) {
		curl_global_cleanup();
		goto fail;
	}
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)ACTIVE_MAX);
	*out = h;
	return 0;
fail:
	if (h->epoll >= 0)
		close(h->epoll);
	if (h->timer >= 0)
		close(h->timer);
	free(h);
	return r;
}

static void request_stop(struct request *q)
{
	if (!q->easy)
		return;
	curl_multi_remove_handle(q->http->multi, q->easy);
	curl_easy_cleanup(q->easy);
	q->easy = NULL;
	q->http->active--;
	q->http->active_slow -= q->slow;
}

static void request_free(struct request *q)
{
	request_stop(q);
	buf_fini(&q->body);
	free(q->path);
	free(q);
}

void http_reset(struct http *h)
{
	struct request *q;

	h->resets++;
	while ((q = h->requests)) {
		h->requests = q->next;
		request_free(q);
	}
	h->pending = 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	http_reset(h);
	curl_multi_cleanup(h->multi);
	curl_global_cleanup();
	close(h->epoll);
	close(h->timer);
	free(h);
}

int http_fd(const struct http *h)
{
	return h->epoll;
}

size_t http_pending(const struct http *h)
{
	return h->pending;
}

/* 0 or -ENOMEM. */
static int request_start(struct request *q)
{
	struct http *h = q->http;
	char url[1024];

	q->easy = curl_easy_init();
	if (!q->easy)
		return -ENOMEM;
	snprintf(url, sizeof(url), "http://localhost%s", q->path);
	curl_easy_setopt(q->easy, CURLOPT_URL, url);
	curl_easy_setopt(q->easy, CURLOPT_UNIX_SOCKET_PATH, h->path);
	/* No proxy from the environment, no redirect, nothing but HTTP: the peer does not choose where we go. */
	curl_easy_setopt(q->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(q->easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(q->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(q->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(q->easy, CURLOPT_PRIVATE, q);
	curl_easy_setopt(q->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(q->easy, CURLOPT_WRITEDATA, q);
	curl_easy_setopt(q->easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	if (!q->streaming)
		curl_easy_setopt(q->easy, CURLOPT_TIMEOUT, (long)GET_TIMEOUT_S);
	if (curl_multi_add_handle(h->multi, q->easy) != CURLM_OK) {
		curl_easy_cleanup(q->easy);
		q->easy = NULL;
		return -ENOMEM;
	}
	h->active++;
	h->active_slow += q->slow;
	return 0;
}

static void start_waiting(struct http *h)
{
	for (struct request *q = h->requests; q && h->active < ACTIVE_MAX; q = q->next)
		if (!q->easy && (!q->slow || h->active_slow < ACTIVE_SLOW_MAX) && request_start(q) < 0)
			break; /* tried again at the next dispatch */
}

static int request_add(struct http *h, const char *path, const struct request *like)
{
	struct request *q = malloc(sizeof(*q)), **end = &h->requests;

	if (!q)
		return -ENOMEM;
	*q = *like;
	q->http = h;
	q->next = NULL;
	q->path = strdup(path);
	if (!q->path) {
		free(q);
		return -ENOMEM;
	}
	while (*end)
		end = &(*end)->next;
	*end = q;
	h->pending += !q->streaming;
	start_waiting(h);
	return 0;
}

int http_get(struct http *h, const char *path, size_t max, http_done_fn *done, void *arg)
{
	struct request like = {.max = max, .done = done, .arg = arg};

	return request_add(h, path, &like);
}

int http_get_slow(struct http *h, const char *path, size_t max, http_done_fn *done, void *arg)
{
	struct request like = {.max = max, .slow = true, .done = done, .arg = arg};

	return request_add(h, path, &like);
}

int http_open_stream(struct http *h, const char *path, const struct http_stream *s)
{
	struct request like = {.max = STREAM_OBJECT_MAX, .streaming = true, .stream = *s, .done = s->done, .arg = s->arg};

	return request_add(h, path, &like);
}

/* ---- what has come --------------------------------------------------------------------------------------------- */

static int error_of(const struct request *q, CURLcode code)
{
	long os_errno = 0;

	if (q->too_big)
		return -EFBIG;
	curl_easy_getinfo(q->easy, CURLINFO_OS_ERRNO, &os_errno);
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return os_errno ? -(int)os_errno : -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL: /* an answer in something else than HTTP/1 */
		return -EPROTO;
	default:
		return -ECONNRESET;
	}
}

static void unlink_request(struct http *h, struct request *q)
{
	struct request **at = &h->requests;

	while (*at && *at != q)
		at = &(*at)->next;
	if (*at)
		*at = q->next;
	h->pending -= !q->streaming;
}

/* Tells the objects that are complete. False if a callback dropped the request. */
static bool stream_objects(struct request *q)
{
	struct http *h = q->http;
	unsigned long resets = h->resets;
	size_t start = 0;

	for (; q->scanned < q->body.len; q->scanned++) {
		char c = q->body.data[q->scanned];

		if (q->in_string) {
			if (!q->escaped && c == '"')
				q->in_string = false;
			q->escaped = c == '\\' && !q->escaped;
			continue;
		}
		if (c == '"')
			q->in_string = q->depth > 0;
		else if (c == '{' && q->depth++ == 0)
			start = q->scanned;
		else if (c == '}' && q->depth > 0 && --q->depth == 0) {
			q->stream.object(q->arg, q->body.data + start, q->scanned + 1 - start);
			if (h->resets != resets)
				return false;
			start = q->scanned + 1;
		}
	}
	if (q->depth == 0)
		start = q->body.len; /* white space, or rubbish between objects */
	memmove(q->body.data, q->body.data + start, q->body.len - start);
	q->body.len -= start;
	q->scanned -= start;
	return true;
}

/* False if a callback dropped everything. */
static bool serve_stream(struct request *q)
{
	unsigned long resets = q->http->resets;
	long status = 0;

	if (!q->easy)
		return true;
	curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
	if (!q->told_open && status) {
		q->told_open = true;
		q->stream.opened(q->arg, status);
		if (q->http->resets != resets)
			return false;
	}
	return !q->body.len || status != 200 || stream_objects(q);
}

static void finish(struct request *q, CURLcode code)
{
	struct http *h = q->http;
	long status = 0;
	int error = 0;

	if (q->streaming && !serve_stream(q))
		return;
	curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK) {
		error = error_of(q, code);
		status = 0;
	}
	unlink_request(h, q);
	request_stop(q);
	q->done(q->arg, status, error, q->body.data ? q->body.data : "", q->body.len);
	request_free(q);
}

int http_dispatch(struct http *h)
{
	struct epoll_event ready[16];
	CURLMsg *m;
	int n, running, left;
	unsigned long resets = h->resets;

	n = epoll_wait(h->epoll, ready, 16, 0);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		uint64_t ticks;

		if (ready[i].data.fd == h->timer) {
			if (read(h->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
				return -errno;
			curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
			continue;
		}
		curl_multi_socket_action(h->multi, ready[i].data.fd,
					 (ready[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
						 (ready[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
						 (ready[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0),
					 &running);
	}
	for (struct request *q = h->requests; q && h->resets == resets; q = h->resets == resets ? q->next : NULL)
		if (q->streaming && !serve_stream(q))
			break;
	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct request *q = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &q);
		finish(q, m->data.result);
	}
	start_waiting(h);
	return 0;
}
