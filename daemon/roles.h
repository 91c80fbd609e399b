/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's child processes: this very program executed again with a role, joined by one channel, with nothing
 * inherited but the descriptors that the role is given. A child that dies is started again, ever more slowly if it dies
 * at once.
 */
#ifndef WEIR_DAEMON_ROLES_H
#define WEIR_DAEMON_ROLES_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/msg.h"

/* Where a child finds what it was given. */
#define ROLE_FD_CHANNEL 3
#define ROLE_FD_FIRST 4 /* capture: memfd and eventfd of its ring; engine: the state directory */
#define ROLE_FDS_MAX 2

struct role {
	char name[24];    /* "engine", "capture-0" */
	bool raw;         /* gets CAP_NET_RAW */
	bool ready;       /* said so: confined and at work */
	bool stopping;    /* was told to end */
	pid_t pid;        /* 0: not running */
	struct channel *channel; /* NULL when not running */
	uint64_t started_ns, started_mono_ns;
	uint64_t again_mono_ns; /* when to start it again */
	uint64_t backoff_ns;
	unsigned restarts;
};

/* Starts the process; fds are duplicated into ROLE_FD_FIRST and on. 0 or negative errno. */
int role_start(struct role *r, const int *fds, unsigned n_fds);
/* It died or was reaped: closes the channel and sets when to start it again. */
void role_ended(struct role *r);
/* Ends it the hard way: for one that talks nonsense or hangs. It is reaped as usual. */
void role_kill(struct role *r);

/* Exit status of an engine that starting again would not help (the store is another's, or of a newer weir). */
#define ENGINE_EXIT_HOPELESS 78

/* What `weir run --role NAME` does in the child; returns an exit status. */
int role_main(const char *name);

/* The roles' own mains: capture_role.c, engine_role.c. */
int capture_role(unsigned worker);
int engine_role(void);

#endif
