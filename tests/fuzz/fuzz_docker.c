/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target: a container runtime that answers whatever it likes. Input: replies, each introduced by "\n%%" and a
 * letter that says how it is given; the first needs no introduction. A reply goes to the next request, whatever that
 * asks for; events go down the event stream once there is one.
 *   2  200, with its length     c  200, in chunks      h  200, and hangs up half way     4, 5  404, 500
 *   r  byte for byte, head and all      n  not at all      e  an event
 * The client is the real one, curl and all; only the other end of the socket is played here. Whatever workload it tells
 * of must be one that the store can take, and none may end that has not begun.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "inventory/inventory.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/store_help.h"

#define CONNS 64
#define REPLIES_MAX 64
#define ROUNDS_MAX 400

struct reply {
	char how;
	const char *text;
	size_t len;
	bool given;
};

static struct {
	struct sockaddr_un where;
	int listener;
	struct reply reply[REPLIES_MAX];
	size_t n;
	int conn[CONNS];
	char in[CONNS][1024];
	size_t len[CONNS];
	int stream; /* the connection with the events, or -1 */
} engine;
static struct inventory *inv;
static unsigned alive;

/* ---- the engine -------------------------------------------------------------------------------------------------- */

static void engine_open(void)
{
	char *dir = help_dir();

	engine.where.sun_family = AF_UNIX;
	snprintf(engine.where.sun_path, sizeof(engine.where.sun_path), "%.90s/sock", dir);
	engine.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	FUZZ_MUST(engine.listener >= 0);
	FUZZ_MUST(bind(engine.listener, (struct sockaddr *)&engine.where, sizeof(engine.where)) == 0);
	FUZZ_MUST(listen(engine.listener, CONNS) == 0);
	free(dir);
}

static void hang_up(int i)
{
	close(engine.conn[i]);
	engine.conn[i] = -1;
	engine.len[i] = 0;
	if (engine.stream == i)
		engine.stream = -1;
}

static void take_apart(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *end = p + size;
	char how = '2';

	engine.n = 0;
	while (engine.n < REPLIES_MAX) {
		const char *next = memmem(p, (size_t)(end - p), "\n%%", 3);

		engine.reply[engine.n++] = (struct reply){how, p, (size_t)((next ? next : end) - p), false};
		if (!next || end - next < 4)
			break;
		how = next[3];
		p = next + 4;
	}
}

static struct reply *next_reply(bool event)
{
	for (size_t i = 0; i < engine.n; i++)
		if (!engine.reply[i].given && (engine.reply[i].how == 'e') == event) {
			engine.reply[i].given = true;
			return &engine.reply[i];
		}
	return NULL;
}

static void put(int i, const void *data, size_t len)
{
	if (len)
		(void)!send(engine.conn[i], data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void put_chunk(int i, const char *text, size_t len)
{
	char size[24];

	put(i, size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", len));
	put(i, text, len);
	put(i, "\r\n", 2);
}

static void answer(int i, bool events)
{
	const struct reply *r = next_reply(false);
	struct buf head = BUF_INIT;
	char how = r ? r->how : 'n';

	if (events && (how == '2' || how == 'c')) {
		engine.stream = i;
		how = 'c';
	}
	if (how == 'c') {
		static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

		put(i, chunked, sizeof(chunked) - 1);
		if (r->len)
			put_chunk(i, r->text, r->len);
		if (!events)
			put_chunk(i, "", 0);
	} else if (how == 'r') {
		put(i, r->text, r->len);
		hang_up(i);
	} else if (how != 'n') {
		buf_printf(&head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n", how == '4' ? 404 : how == '5' ? 500 : 200, r->len);
		put(i, head.data, head.len);
		put(i, r->text, how == 'h' ? r->len / 2 : r->len);
		if (how == 'h')
			hang_up(i);
	}
	buf_fini(&head);
}

/* Whether anything moved. */
static bool serve(void)
{
	bool moved = false;
	int fd;

	while ((fd = accept4(engine.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		int i = 0;

		while (i < CONNS && engine.conn[i] >= 0)
			i++;
		if (i == CONNS)
			close(fd);
		else
			engine.conn[i] = fd;
		moved = true;
	}
	for (int i = 0; i < CONNS; i++) {
		ssize_t n;

		if (engine.conn[i] < 0)
			continue;
		n = recv(engine.conn[i], engine.in[i] + engine.len[i], sizeof(engine.in[i]) - engine.len[i] - 1, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			hang_up(i);
			continue;
		}
		if (n < 0)
			continue;
		moved = true;
		engine.len[i] += (size_t)n;
		engine.in[i][engine.len[i]] = '\0';
		if (!strstr(engine.in[i], "\r\n\r\n"))
			continue;
		engine.len[i] = 0;
		answer(i, strncmp(engine.in[i], "GET /events", 11) == 0);
	}
	return moved;
}

static bool send_event(void)
{
	const struct reply *r = engine.stream >= 0 ? next_reply(true) : NULL;

	if (r)
		put_chunk(engine.stream, r->text, r->len);
	return r != NULL;
}

/* ---- what the client tells --------------------------------------------------------------------------------------- */

static void check(const struct workload *w)
{
	static struct workload back;
	struct buf b = BUF_INIT;

	FUZZ_MUST(w->n_addrs <= WORKLOAD_ADDRS_MAX && w->runtime_id[0]);
	workload_encode(&b, w);
	FUZZ_MUST(!buf_failed(&b) && workload_decode(&back, b.data, b.len) == 0);
	FUZZ_MUST(strcmp(back.name, w->name) == 0 && strcmp(back.labels, w->labels) == 0);
	buf_fini(&b);
}

static struct {
	uint64_t id[256];
} known;

static void on_up(void *arg, const struct workload *w)
{
	(void)arg;
	check(w);
	FUZZ_MUST(w->id && w->group[0]);
	for (unsigned i = 0; i < alive; i++)
		if (known.id[i] == w->id)
			return;
	if (alive < 256)
		known.id[alive++] = w->id;
}

static void on_down(void *arg, const struct workload *w)
{
	unsigned i = 0;

	(void)arg;
	check(w);
	while (i < alive && known.id[i] != w->id)
		i++;
	FUZZ_MUST(i < alive || alive == 256);
	if (i < alive)
		known.id[i] = known.id[--alive];
	FUZZ_MUST(w->end_ns);
}

/* It has no life yet, by contract, and is nothing to be kept: all else holds as for those that have one. */
static void on_soon(void *arg, const struct workload *w)
{
	static struct workload lives;

	(void)arg;
	FUZZ_MUST(!w->id && !w->start_ns && !w->end_ns);
	lives = *w;
	lives.id = 1;
	check(&lives);
}

static void on_notice(void *arg, bool problem, const char *text)
{
	(void)arg;
	(void)problem;
	FUZZ_MUST(text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *sockets[] = {engine.where.sun_path, NULL};
	const struct inventory_settings s = {.runtime_sockets = sockets, .no_kernel = true};
	const struct inventory_events ev = {.workload_up = on_up, .workload_down = on_down, .workload_soon = on_soon,
					    .notice = on_notice};
	unsigned quiet = 0;

	if (!engine.where.sun_family)
		engine_open();
	for (int i = 0; i < CONNS; i++)
		engine.conn[i] = -1;
	engine.stream = -1;
	alive = 0;
	take_apart(data, size);
	FUZZ_MUST(inventory_open(&inv, &s, &ev) == 0);
	for (unsigned i = 0; i < ROUNDS_MAX && quiet < 3; i++) {
		struct pollfd p = {inventory_fd(inv), POLLIN, 0};
		bool moved = serve();

		moved |= poll(&p, 1, quiet == 2 ? 1 : 0) > 0;
		FUZZ_MUST(inventory_dispatch(inv) == 0);
		quiet = moved || (quiet && send_event()) ? 0 : quiet + 1;
	}
	inventory_close(inv);
	for (int i = 0; i < CONNS; i++)
		if (engine.conn[i] >= 0)
			hang_up(i);
	return 0;
}
