/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Capture files through the pipeline: as many workers as asked for, each a process of its own that can open nothing
 * once it has its files, since hostile bytes are read there; the engine runs in the caller. Packet time is the clock.
 */
#ifndef WEIR_DAEMON_OFFLINE_H
#define WEIR_DAEMON_OFFLINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/engine.h"

#define OFFLINE_WORKERS_MAX 16

struct offline_settings {
	char *const *paths; /* "-": standard input */
	size_t n_paths;
	unsigned workers;   /* 0: one a core, up to 4, but one for less than 64 MiB; one only when a path cannot be
	                     read by several (a pipe) */
	uint32_t table_size; /* 0: default */
	bool look_inside;
};

struct offline;

/* Starts the workers. To be called before anything is open that they should not have. 0 or negative errno. */
int offline_start(struct offline **out, const struct offline_settings *s);
/*
 * Takes what they report into the engine until all have said everything; commits in between. error is called with
 * each complaint (a file that cannot be read, a worker that died); what was read before it is kept. 0; -EIO when there
 * was a complaint; other negative errno when the store failed (then the rest is read all the same, and lost).
 */
int offline_pump(struct offline *o, struct engine *e, void (*error)(void *arg, const char *text), void *arg);
void offline_free(struct offline *o); /* ends workers that still run */

#endif
