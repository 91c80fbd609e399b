/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A container runtime's API played by a test, in the test's own thread, so that every order of replies and events can
 * be had at will: too late, twice, malformed, endless, none. It answers what the test's function says, as HTTP over a
 * Unix socket, and counts what it was asked. One at a time.
 */
#ifndef WEIR_TESTS_UNIT_FAKE_ENGINE_H
#define WEIR_TESTS_UNIT_FAKE_ENGINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define NET "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define IMAGE "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
#define FAKE_CONNS 64

/* Fills body and returns the HTTP status; 0: no answer for now; -1: raw bytes, then hang up. */
typedef int answer_fn(const char *path, struct buf *body);

struct fake_engine {
	const char *path; /* of the socket */
	int listener;
	answer_fn *answer;
	void (*full)(void); /* called while a connection takes no more: the client, in the same thread, is to read */
	int conn[FAKE_CONNS];
	char in[FAKE_CONNS][2048];
	size_t len[FAKE_CONNS];
	int stream; /* the connection with the events, or -1 */
	int held;   /* the one that still waits for its answer, or -1 */
	unsigned asked_inspect, asked_network, streams;
	char since[64]; /* of the last question for events */
};
extern struct fake_engine engine;

/* What engine_good tells of: one container, A, on a network where B is, too. */
struct fake_world {
	bool running_a, gone_a, list_a, hold_inspect, macvlan;
	const char *started_a, *finished_a, *address_a, *name_a;
};
extern struct fake_world world;

int engine_good(const char *path, struct buf *body); /* answers of an engine in good order */
/* All as new; path must outlive it. Exits when the socket cannot be made. */
void engine_up(const char *path, answer_fn *answer, void (*full)(void));
void engine_listen(void); /* again, after engine_down; nothing is forgotten */
void engine_hang_up(int i);
void engine_down(void);
void engine_reply(int i, const char *path); /* as if that connection had asked for path just now */
void engine_serve(void);                    /* takes what has come, answers, returns at once */
void engine_chunk(const char *data, size_t len); /* raw, on the stream of events */
void engine_event(const char *type, const char *action, const char *id, uint64_t time_ns, const char *attributes);

#endif
