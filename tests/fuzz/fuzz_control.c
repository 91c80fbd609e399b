/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target: orders over the control socket, from somebody who may connect to it. Input: how the enforcer will answer
 * (one byte), then what the client writes. Both are the real ones, as is the engine's handling of the orders and its
 * store; only the enforcer at the other end of the channel is played here. Every line gets exactly one line of JSON
 * back.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "common/log.h"
#include "common/wire.h"
#include "daemon/control.h"
#include "daemon/engine_role.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/store_help.h"

#define RUNS_PER_STORE 100
#define ROUNDS_MAX 400

static struct engine_role role;
static struct channel *enforcer;
static struct sockaddr_un where = {.sun_family = AF_UNIX};

static void open_all(void)
{
	const struct control_events ev = {engine_orders_take, &role};
	const struct store_options so = {.no_sync = true};
	const struct engine_options eo = {.live = true};
	char *dir = help_dir();
	int pair[2], here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	memset(&role, 0, sizeof(role));
	log_init(NULL, LOG_LEVEL_ERR);
	FUZZ_MUST(here >= 0 && chdir(dir) == 0);
	FUZZ_MUST(store_open(&role.store, ".", STORE_WRITE, &so) == 0);
	FUZZ_MUST(engine_new(&role.engine, role.store, &eo) == 0);
	FUZZ_MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	FUZZ_MUST(channel_new(&role.parent, pair[0], 64u << 20) == 0 && channel_new(&enforcer, pair[1], 64u << 20) == 0);
	FUZZ_MUST(loop_new(&role.loop) == 0 && control_open(&role.control, role.loop, &ev) == 0);
	FUZZ_MUST(settings_init(&role.s) == 0);
	role.ready = role.settled = true;
	snprintf(where.sun_path, sizeof(where.sun_path), "%.90s/" CONTROL_SOCKET, dir);
	FUZZ_MUST(fchdir(here) == 0); /* where the fuzzer writes what it found */
	close(here);
	free(dir);
}

static void close_all(void)
{
	char *dir = strdup(where.sun_path);

	FUZZ_MUST(dir);
	*strrchr(dir, '/') = '\0';
	control_close(role.control);
	loop_free(role.loop);
	engine_orders_fini(&role);
	engine_free(role.engine);
	store_close(role.store);
	channel_free(role.parent);
	channel_free(enforcer);
	settings_fini(&role.s);
	help_remove(dir);
	role.store = NULL;
}

/* The enforcer: what it is asked must be well formed; done, or refused. */
static void play_enforcer(bool does_it)
{
	struct body_done done = {.rc = does_it ? 0 : -EPERM, .error = "as the fuzzer wants it"};
	struct wire_reader r;
	struct msg m;

	while (channel_recv(enforcer, &m) == 1) {
		if (m.type == IPC_APPLY) {
			struct body_apply a;

			FUZZ_MUST(body_apply_decode(&a, m.data, m.len) == 0);
			done.token = a.token;
			body_apply_fini(&a);
		} else {
			FUZZ_MUST(m.type == IPC_CONFIRM || m.type == IPC_REMOVE || m.type == IPC_ADOPT);
			wire_reader_init(&r, m.data, m.len);
			done.token = wire_get_u64(&r);
		}
		engine_orders_done(&role, &done);
	}
}

/* Takes replies off the front of b; how many. */
static unsigned take_replies(struct buf *b)
{
	unsigned n = 0;
	char *end;

	while (b->len && (end = memchr(b->data, '\n', b->len))) {
		size_t len = (size_t)(end - b->data) + 1;
		json_error_t error;
		json_t *o = json_loadb(b->data, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);

		FUZZ_MUST(json_is_object(o) && json_integer_value(json_object_get(o, "schema")) == 1);
		FUZZ_MUST(json_is_boolean(json_object_get(o, "ok")));
		FUZZ_MUST(json_is_true(json_object_get(o, "ok")) || json_is_string(json_object_get(o, "error")));
		json_decref(o);
		memmove(b->data, b->data + len, b->len - len);
		b->len -= len;
		n++;
	}
	return n;
}

static unsigned run_client(int sock, bool does_it, const char *text, size_t len)
{
	struct buf replies = BUF_INIT;
	char chunk[65536];
	unsigned got = 0, quiet = 0;
	size_t sent = 0;
	ssize_t n;

	for (unsigned i = 0; i < ROUNDS_MAX && quiet < 4; i++, quiet++) {
		n = sent < len ? send(sock, text + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
		if (n > 0) {
			sent += (size_t)n;
			quiet = 0;
		}
		loop_step(role.loop, 0);
		play_enforcer(does_it);
		n = recv(sock, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n > 0) {
			buf_add(&replies, chunk, (size_t)n);
			quiet = 0;
		}
		got += take_replies(&replies);
	}
	FUZZ_MUST(replies.len == 0); /* no half replies */
	buf_fini(&replies);
	return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = {data, size};
	bool does_it = !(fuzz_u8(&in) & 1);
	unsigned lines = 0, replies;
	static unsigned runs;
	int sock;

	if (!role.store)
		open_all();
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FUZZ_MUST(sock >= 0 && connect(sock, (struct sockaddr *)&where, sizeof(where)) == 0);
	for (size_t i = 0; i < in.left; i++)
		lines += in.p[i] == '\n';
	replies = run_client(sock, does_it, (const char *)in.p, in.left);
	FUZZ_MUST(replies <= lines && (replies == lines || lines > ROUNDS_MAX / 4));
	close(sock);
	for (unsigned i = 0; i < 3; i++)
		loop_step(role.loop, 0);
	FUZZ_MUST(role.order.kind == ORDER_NONE);
	if (++runs % RUNS_PER_STORE == 0)
		close_all();
	return 0;
}
