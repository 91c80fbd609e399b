/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The connection to one runtime. The event stream is opened before the list is asked for, and asks for the last few
 * seconds as well, so that nothing falls between the two. A runtime may be installed later, restarted, upgraded, or
 * replaced by something that answers nonsense: every failure leads to the same place, a new attempt from the beginning
 * after a pause that grows; what was known stays named meanwhile, and the next list corrects it.
 */
#include "config.h"
#include "inventory/docker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <jansson.h>

#include "common/timefmt.h"
#include "inventory/docker_http.h"
#include "inventory/docker_lives.h"
#include "inventory/inspect.h"

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 2000
#define LIST_MAX (64u << 20)
#define VERSION_MAX (1u << 20)
/* How far back the first event stream asks. */
#define LOOK_BACK_NS (5 * NS_PER_S)

struct docker {
	char path[108];
	bool expected;
	struct table *table;
	struct http *http;
	struct lives *lives;
	int epoll, timer;
	unsigned retry_ms;
	char name[16], version[48];
	uint64_t last_event_ns;
	bool reached, listed; /* reached: told as such */
	bool settled;
	bool absent;    /* there is no socket */
	uint64_t since_ns; /* when it was reached, or lost */
	int told_error; /* the problem told last, 0: none */
};

static void start(struct docker *d);

static void retry_later(struct docker *d)
{
	struct itimerspec t = {.it_value = {d->retry_ms / 1000, d->retry_ms % 1000 * 1000000l}};

	(void)timerfd_settime(d->timer, 0, &t, NULL);
	d->retry_ms = d->retry_ms * 2 < RETRY_MAX_MS ? d->retry_ms * 2 : RETRY_MAX_MS;
}

/* A person's view of what is wrong, and what to do. */
static void tell_problem(struct docker *d, int error, long status)
{
	const char *advice = error == -EACCES || error == -EPERM ? "; let weir's user join the socket's group (docker)" :
			     error == -EPROTO || error == -EFBIG || status ? "; is this a container runtime's socket?" :
									     "; it is tried again until it answers";
	char text[64] = "";

	if (status)
		snprintf(text, sizeof(text), "HTTP status %ld", status);
	table_notice(d->table, true, "%s %s: %s%s%s", d->path, d->reached ? "lost" : "cannot be used",
		     status ? text : strerror(-error), advice,
		     d->reached ? "; containers that start meanwhile have no name yet" : "");
}

static void fail(struct docker *d, int error, long status)
{
	bool absent = error == -ENOENT || error == -ENOTDIR;
	int what = status ? (int)status : error;

	http_reset(d->http);
	lives_forget_requests(d->lives);
	/* Absence of a runtime nobody asked for is no news. Neither is the second attempt that fails in the same way, nor
	 * that a socket is gone (or refuses) after the connection was lost. */
	if (d->reached || ((!absent || d->expected) && what != d->told_error)) {
		if (d->reached || d->told_error == 0 || (!absent && error != -ECONNREFUSED))
			tell_problem(d, error, status);
		d->told_error = what;
	}
	if (d->reached || !d->since_ns)
		d->since_ns = time_now_ns();
	d->absent = absent;
	d->reached = d->listed = false;
	d->settled = true; /* nothing to wait for */
	retry_later(d);
}

static void on_list(void *arg, long status, int error, const char *body, size_t len)
{
	struct docker *d = arg;
	int n = status == 200 ? lives_list(d->lives, body, len) : -EINVAL;

	if (n < 0) {
		fail(d, error ? error : -EPROTO, status == 200 ? 0 : status);
		return;
	}
	if (!d->reached)
		d->since_ns = time_now_ns();
	d->listed = true;
	d->reached = true;
	d->absent = false;
	d->told_error = 0;
	d->retry_ms = RETRY_MIN_MS;
	lives_ask_unseen(d->lives);
	table_notice(d->table, false, "%s %s at %s: %d running container%s", d->name, d->version, d->path, n,
		     n == 1 ? "" : "s");
}

static void on_events_open(void *arg, long status)
{
	struct docker *d = arg;

	if (status != 200)
		return; /* its end tells */
	lives_list_begin(d->lives);
	if (http_get(d->http, "/containers/json", LIST_MAX, on_list, d) < 0)
		fail(d, -ENOMEM, 0);
}

static void on_event(void *arg, const char *text, size_t len)
{
	struct docker *d = arg;
	uint64_t t = lives_event(d->lives, text, len);

	/* An event far in the future would hide all others after a reconnect. */
	if (t > d->last_event_ns && t < time_now_ns() + 60 * NS_PER_S)
		d->last_event_ns = t;
}

static void on_events_end(void *arg, long status, int error, const char *body, size_t len)
{
	(void)body;
	(void)len;
	fail(arg, error ? error : -ECONNRESET, status == 200 ? 0 : status);
}

static void open_events(struct docker *d)
{
	struct http_stream s = {.opened = on_events_open, .object = on_event, .done = on_events_end, .arg = d};
	unsigned long long since = d->last_event_ns ? d->last_event_ns + 1 : time_now_ns() - LOOK_BACK_NS;
	char path[256];

	/* filters={"type":["container","network"]} */
	snprintf(path, sizeof(path),
		 "/events?since=%llu.%09llu"
		 "&filters=%%7B%%22type%%22%%3A%%5B%%22container%%22%%2C%%22network%%22%%5D%%7D",
		 since / NS_PER_S, since % NS_PER_S);
	if (http_open_stream(d->http, path, &s) < 0)
		fail(d, -ENOMEM, 0);
}

/* Podman says so among its components; everything else that speaks this API is taken for Docker. */
static void read_version(struct docker *d, const json_t *o)
{
	const json_t *c;
	char name[64];
	size_t i;

	snprintf(d->name, sizeof(d->name), "docker");
	inspect_text(d->version, sizeof(d->version), o, "Version");
	json_array_foreach(json_object_get(o, "Components"), i, c) {
		inspect_text(name, sizeof(name), c, "Name");
		if (strncasecmp(name, "podman", 6) == 0)
			snprintf(d->name, sizeof(d->name), "podman");
	}
	lives_set_runtime(d->lives, d->name);
}

static void on_version(void *arg, long status, int error, const char *body, size_t len)
{
	struct docker *d = arg;
	char text[INVENTORY_ERROR_STRLEN];
	json_t *o = status == 200 ? inspect_load(body, len, text) : NULL;

	if (json_is_object(o)) {
		read_version(d, o);
		open_events(d);
	} else {
		fail(d, error ? error : -EPROTO, status == 200 ? 0 : status);
	}
	json_decref(o);
}

static void start(struct docker *d)
{
	if (access(d->path, F_OK) < 0)
		fail(d, -errno, 0);
	else if (http_get(d->http, "/version", VERSION_MAX, on_version, d) < 0)
		fail(d, -ENOMEM, 0);
}

static int watch(struct docker *d, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int docker_new(struct docker **out, const char *socket_path, bool expected, struct table *table)
{
	struct docker *d;
	int r;

	if (strlen(socket_path) >= sizeof(d->path))
		return -ENAMETOOLONG;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	strcpy(d->path, socket_path);
	d->expected = expected;
	d->table = table;
	d->retry_ms = RETRY_MIN_MS;
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	d->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (d->epoll < 0 || d->timer < 0) {
		r = -errno;
		goto fail;
	}
	r = http_new(&d->http, socket_path);
	if (r < 0)
		goto fail;
	r = lives_new(&d->lives, d->http, table);
	if (r < 0)
		goto fail;
	r = watch(d, d->timer);
	if (r == 0)
		r = watch(d, http_fd(d->http));
	if (r < 0)
		goto fail;
	lives_set_runtime(d->lives, "docker");
	start(d);
	*out = d;
	return 0;
fail:
	docker_free(d);
	return r;
}

void docker_free(struct docker *d)
{
	if (!d)
		return;
	if (d->http)
		http_reset(d->http);
	lives_free(d->lives);
	http_free(d->http);
	if (d->epoll >= 0)
		close(d->epoll);
	if (d->timer >= 0)
		close(d->timer);
	free(d);
}

int docker_fd(const struct docker *d)
{
	return d->epoll;
}

int docker_dispatch(struct docker *d)
{
	uint64_t ticks;
	int r;

	if (read(d->timer, &ticks, sizeof(ticks)) == sizeof(ticks))
		start(d);
	r = http_dispatch(d->http);
	if (d->listed && http_pending(d->http) == 0)
		d->settled = true;
	return r;
}

bool docker_settled(const struct docker *d)
{
	return d->settled;
}

int docker_recall(struct docker *d, const struct workload *w)
{
	if (!d->name[0]) { /* it is taken for what it was */
		snprintf(d->name, sizeof(d->name), "%s", w->runtime);
		lives_set_runtime(d->lives, d->name);
	}
	return lives_recall(d->lives, w);
}

void docker_recalled_drop(struct docker *d, bool (*gone)(void *arg, const struct workload *w), void *arg)
{
	if (!d->reached)
		lives_recalled_drop(d->lives, gone, arg);
}

void docker_on_unknown(struct docker *d, bool (*fn)(void *arg, const struct workload *w), void *arg)
{
	lives_on_unknown(d->lives, fn, arg);
}

bool docker_expected(const struct docker *d)
{
	return d->expected;
}

void docker_state(const struct docker *d, struct inventory_runtime *out)
{
	size_t recalled;

	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", d->name);
	snprintf(out->version, sizeof(out->version), "%s", d->version);
	snprintf(out->path, sizeof(out->path), "%s", d->path);
	out->reached = d->reached;
	out->absent = d->absent;
	out->since_ns = d->since_ns;
	out->workloads = (uint32_t)lives_count(d->lives, &recalled);
	out->recalled = (uint32_t)recalled;
}
