/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The event loop that every role runs: descriptors (epoll), timers and signals, each with a function to call. One
 * thread, no locks; a callback may add and remove anything, itself included.
 */
#ifndef WEIR_DAEMON_LOOP_H
#define WEIR_DAEMON_LOOP_H
#include <stdint.h>
#include <sys/epoll.h>

struct loop;
typedef void loop_fn(void *arg);
typedef void loop_io_fn(void *arg, int fd, uint32_t events);

int loop_new(struct loop **out);
void loop_free(struct loop *l); /* closes none of the descriptors it watched */

/* Watches fd (level-triggered). 0; -EEXIST when it is watched already; other negative errno. */
int loop_io_add(struct loop *l, int fd, uint32_t events, loop_io_fn *fn, void *arg);
int loop_io_set(struct loop *l, int fd, uint32_t events);
void loop_io_del(struct loop *l, int fd); /* before the descriptor is closed; unknown ones are ignored */

/* Calls fn every every_ns of monotonic time. A late call is made once, not caught up. 0 or -ENOSPC (at most 16). */
int loop_timer_add(struct loop *l, uint64_t every_ns, loop_fn *fn, void *arg);

/* Takes the signal out of its normal way and calls fn for it. 0 or negative errno. */
int loop_signal_add(struct loop *l, int signo, loop_fn *fn, void *arg);

/* Runs until loop_stop. 0, or negative errno when epoll itself fails. */
int loop_run(struct loop *l);
/* One round: waits at most timeout_ms (-1: until something happens) and calls what is due. */
int loop_step(struct loop *l, int timeout_ms);
void loop_stop(struct loop *l);

#endif
