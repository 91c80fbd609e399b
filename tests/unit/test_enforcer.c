/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parent against children that were taken over: what a capture worker says without end costs a bounded number of
 * messages to the engine, a message of the engine that makes no sense is said and counting goes on, and nobody's turn
 * is taken from the others. Children are the other ends of socket pairs.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/timefmt.h"
#include "common/wire.h"
#include "daemon/enforcer_impl.h"
#include "store/history.h"
#include "tests/tap.h"

#define LINK 7u

static struct settings settings;

/* With one worker, capturing on nothing yet; what it tells the engine comes out of *engine, the worker of *worker. */
static struct enforcer *enforcer(struct channel **engine, struct channel **worker)
{
	struct enforcer *e = calloc(1, sizeof(*e));
	int pair[2];

	CHECK(e != NULL);
	e->s = &settings;
	e->n_capture = 1;
	CHECK_EQ(loop_new(&e->loop), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(channel_new(&e->engine.channel, pair[0], 64 << 20), 0);
	CHECK_EQ(channel_new(engine, pair[1], 1 << 20), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(channel_new(&e->capture[0].channel, pair[0], 1 << 20), 0);
	CHECK_EQ(channel_new(worker, pair[1], 1 << 20), 0);
	CHECK_EQ(loop_io_add(e->loop, channel_fd(e->engine.channel), EPOLLIN, NULL, NULL), 0);
	return e;
}

static void enforcer_end(struct enforcer *e, struct channel *engine, struct channel *worker)
{
	channel_free(engine);
	channel_free(worker);
	channel_free(e->engine.channel);
	channel_free(e->capture[0].channel);
	for (size_t i = 0; i < e->n_notices; i++)
		free(e->notices[i].text);
	loop_free(e->loop);
	free(e);
}

/* How many messages of that type have come there; of all types for IPC_NONE. */
static unsigned come(struct enforcer *e, struct channel *c, enum msg_type type)
{
	unsigned n = 0;
	struct msg m;

	do {
		while (channel_recv(c, &m) == 1)
			n += type == IPC_NONE || m.type == type;
	} while (channel_pending(e->engine.channel) && channel_flush(e->engine.channel) == 0);
	return n;
}

static void say(struct enforcer *e, enum msg_type type, uint32_t v, const char *text)
{
	struct buf b = BUF_INIT;
	struct msg m = {.type = type};

	wire_put_u32(&b, v);
	if (text)
		wire_put_str(&b, text);
	m.data = (const uint8_t *)b.data;
	m.len = b.len;
	enforcer_capture_said(e, 0, &m);
	buf_fini(&b);
}

static void test_capture_talks(void)
{
	const struct inventory_link link = {.ifindex = LINK, .name = "br0", .bridge = true};
	struct channel *engine, *worker;
	struct enforcer *e = enforcer(&engine, &worker);

	enforcer_link_up(e, &link);
	CHECK_EQ(come(e, engine, IPC_LINK), 1);
	CHECK_EQ(come(e, worker, IPC_ATTACH), 1);
	say(e, IPC_ATTACHED, LINK, NULL);
	CHECK_EQ(come(e, engine, IPC_WATCHED), 1);
	/* Asked once, it has answered; nothing more of that kind is believed. */
	for (unsigned i = 0; i < 1000; i++) {
		say(e, IPC_REFUSED, LINK, "why not");
		say(e, IPC_ATTACHED, LINK, NULL);
	}
	CHECK_EQ(come(e, engine, IPC_NONE), 0);
	CHECK_EQ(e->n_notices, 0);
	CHECK_EQ(e->links[0].attached, 1);
	/* Gone is gone once, until it has attached again because it was asked to. */
	for (unsigned i = 0; i < 1000; i++) {
		say(e, IPC_GONE, LINK, NULL);
		say(e, IPC_ATTACHED, LINK, NULL);
	}
	CHECK_EQ(come(e, engine, IPC_NONE), 1);
	CHECK_EQ(e->links[0].attached, 0);
	enforcer_links_tick(e);
	CHECK_EQ(come(e, worker, IPC_ATTACH), 1);
	say(e, IPC_REFUSED, LINK, "because \x1b[2J");
	CHECK_EQ(e->n_notices, 1);
	CHECK(strstr(e->notices[0].text, "because ?[2J") != NULL);
	(void)come(e, engine, IPC_NONE);
	/* Its figures: handed on as often as an honest one tells them. */
	for (unsigned i = 0; i < 1000; i++)
		say(e, IPC_STATS, 0, NULL);
	CHECK(come(e, engine, IPC_STATS) <= 2);
	/* That it is ready: once. */
	for (unsigned i = 0; i < 100; i++)
		say(e, IPC_READY, 0, NULL);
	CHECK_EQ(come(e, engine, IPC_ROLES), 1);
	/* Nonsense. */
	say(e, IPC_ATTACHED, 99, NULL);
	say(e, IPC_APPLY, LINK, NULL);
	CHECK_EQ(come(e, engine, IPC_NONE), 0);
	enforcer_end(e, engine, worker);
}

static void seed_with(struct enforcer *e, uint64_t read_ns, uint32_t claimed, unsigned given, bool cut)
{
	struct counter_rec c = {.set = 1, .key_len = 4, .packets = 5};
	struct buf b = BUF_INIT, one = BUF_INIT;
	struct msg m = {.type = IPC_COUNTERS};

	counter_encode(&one, &c);
	wire_put_u64(&b, read_ns);
	wire_put_u32(&b, claimed);
	for (unsigned i = 0; i < given; i++)
		wire_put_bytes(&b, one.data, cut ? one.len - 1 : one.len);
	m.data = (const uint8_t *)b.data;
	m.len = b.len;
	CHECK(enforcer_counters(e, &m));
	buf_fini(&one);
	buf_fini(&b);
}

static void test_counters(void)
{
	static const struct {
		uint32_t claimed, given;
		bool cut, good;
	} cases[] = {{0, 0, false, true}, {3, 3, false, true}, {4, 3, false, false}, {3, 3, true, false},
		     {UINT32_MAX, 1, false, false}};
	struct channel *engine, *worker;
	struct enforcer *e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		e = enforcer(&engine, &worker);
		seed_with(e, 1, cases[i].claimed, cases[i].given, cases[i].cut);
		CHECK(e->counters_known && e->counters_seeded); /* they are read on */
		CHECK_EQ(e->n_notices, !cases[i].good);         /* and it is said */
		CHECK_EQ(come(e, engine, IPC_COUNTER), !cases[i].good); /* the store forgets what it has */
		enforcer_end(e, engine, worker);
	}
	/* Not even the numbers in front. */
	e = enforcer(&engine, &worker);
	CHECK(enforcer_counters(e, &(const struct msg){.type = IPC_COUNTERS, .data = (const uint8_t *)"", .len = 0}));
	CHECK(e->counters_known);
	CHECK_EQ(e->n_notices, 1);
	CHECK(!enforcer_counters(e, &(const struct msg){.type = IPC_ASK}));
	enforcer_end(e, engine, worker);
}

/* A message in pieces of a byte each takes many rounds and nobody's time; one that is longer than any honest one is
 * refused at its first piece. */
static void test_pieces(void)
{
	struct {
		uint16_t type;
		uint8_t first, n_fds;
		uint32_t total;
		uint8_t byte;
	} __attribute__((packed)) piece = {IPC_STATS, 1, 0, 4000, 'x'};
	unsigned rounds = 0, sent = 0;
	struct channel *c;
	struct msg m;
	int pair[2], rc = 0, size = 4 << 20;

	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	CHECK_EQ(channel_new(&c, pair[0], 1 << 20), 0);
	channel_set_body_max(c, 4096);
	while (rc == 0 && rounds < 100000) {
		while (sent < 4000 && send(pair[1], &piece, sizeof(piece), MSG_NOSIGNAL) == (ssize_t)sizeof(piece)) {
			sent++;
			piece.first = 0;
		}
		rc = channel_recv(c, &m);
		rounds++;
	}
	CHECK_EQ(rc, 1);
	CHECK_EQ(m.len, 4000);
	CHECK(rounds >= 4000 / 256);
	piece.first = 1;
	piece.total = 4097;
	CHECK(send(pair[1], &piece, sizeof(piece), MSG_NOSIGNAL) > 0);
	CHECK_EQ(channel_recv(c, &m), -EBADMSG);
	close(pair[1]);
	channel_free(c);
}

int main(void)
{
	log_init(NULL, LOG_LEVEL_ERR);
	test_capture_talks();
	test_counters();
	test_pieces();
	return tap_done();
}
