/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The event loop: see loop.h. Handlers are found by descriptor number; each registration carries a serial number that
 * comes back with the event, so that an event for a descriptor that was closed and reused within one round of epoll
 * never reaches the new owner.
 */
#include "config.h"
#include "daemon/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/timefmt.h"

#define LOOP_TIMERS_MAX 16
#define LOOP_EVENTS 64

struct loop_handler {
	loop_io_fn *fn;
	void *arg;
	uint32_t serial; /* 0: not watched */
};

struct loop_timer {
	uint64_t every_ns, next_ns;
	loop_fn *fn;
	void *arg;
};

struct loop {
	int epoll_fd, signal_fd;
	bool stopped;
	uint32_t serial;
	struct loop_handler *handlers; /* by descriptor */
	int n_handlers;
	struct loop_timer timers[LOOP_TIMERS_MAX];
	unsigned n_timers;
	sigset_t signals;
	struct {
		loop_fn *fn;
		void *arg;
	} on_signal[NSIG];
};

int loop_new(struct loop **out)
{
	struct loop *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return -ENOMEM;
	l->signal_fd = -1;
	sigemptyset(&l->signals);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0) {
		rc = -errno;
		free(l);
		return rc;
	}
	*out = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	if (l->signal_fd >= 0)
		close(l->signal_fd);
	close(l->epoll_fd);
	free(l->handlers);
	free(l);
}

static int room_for(struct loop *l, int fd)
{
	int n = l->n_handlers ? l->n_handlers : 32;
	struct loop_handler *grown;

	if (fd < l->n_handlers)
		return 0;
	while (n <= fd)
		n *= 2;
	grown = realloc(l->handlers, (size_t)n * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + l->n_handlers, 0, (size_t)(n - l->n_handlers) * sizeof(*grown));
	l->handlers = grown;
	l->n_handlers = n;
	return 0;
}

static uint64_t event_key(const struct loop *l, int fd)
{
	return (uint64_t)l->handlers[fd].serial << 32 | (uint32_t)fd;
}

int loop_io_add(struct loop *l, int fd, uint32_t events, loop_io_fn *fn, void *arg)
{
	struct epoll_event ev = {.events = events};
	int rc;

	if (fd < 0)
		return -EBADF;
	rc = room_for(l, fd);
	if (rc)
		return rc;
	if (l->handlers[fd].serial)
		return -EEXIST;
	if (++l->serial == 0)
		l->serial = 1;
	l->handlers[fd] = (struct loop_handler){fn, arg, l->serial};
	ev.data.u64 = event_key(l, fd);
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		rc = -errno;
		l->handlers[fd].serial = 0;
	}
	return rc;
}

int loop_io_set(struct loop *l, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events};

	if (fd < 0 || fd >= l->n_handlers || !l->handlers[fd].serial)
		return -ENOENT;
	ev.data.u64 = event_key(l, fd);
	return epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &ev) < 0 ? -errno : 0;
}

void loop_io_del(struct loop *l, int fd)
{
	if (fd < 0 || fd >= l->n_handlers || !l->handlers[fd].serial)
		return;
	l->handlers[fd].serial = 0;
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

int loop_timer_add(struct loop *l, uint64_t every_ns, loop_fn *fn, void *arg)
{
	if (l->n_timers == LOOP_TIMERS_MAX)
		return -ENOSPC;
	l->timers[l->n_timers++] = (struct loop_timer){every_ns, time_mono_ns() + every_ns, fn, arg};
	return 0;
}

static void on_signal_fd(void *arg, int fd, uint32_t events)
{
	struct loop *l = arg;
	struct signalfd_siginfo info;

	(void)events;
	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo < NSIG && l->on_signal[info.ssi_signo].fn)
			l->on_signal[info.ssi_signo].fn(l->on_signal[info.ssi_signo].arg);
}

int loop_signal_add(struct loop *l, int signo, loop_fn *fn, void *arg)
{
	int fd;

	if (signo <= 0 || signo >= NSIG)
		return -EINVAL;
	sigaddset(&l->signals, signo);
	if (sigprocmask(SIG_BLOCK, &l->signals, NULL) < 0)
		return -errno;
	fd = signalfd(l->signal_fd, &l->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	l->on_signal[signo].fn = fn;
	l->on_signal[signo].arg = arg;
	if (l->signal_fd >= 0)
		return 0;
	l->signal_fd = fd;
	return loop_io_add(l, fd, EPOLLIN, on_signal_fd, l);
}

/* Milliseconds until the next timer, rounded up; never more than max (-1: no limit). */
static int wait_ms(const struct loop *l, int max)
{
	uint64_t now = time_mono_ns(), ms;
	int wait = max;

	for (unsigned i = 0; i < l->n_timers; i++) {
		ms = l->timers[i].next_ns > now ? (l->timers[i].next_ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;
		if (wait < 0 || ms < (uint64_t)wait)
			wait = (int)(ms > 60000 ? 60000 : ms);
	}
	return wait;
}

static void run_timers(struct loop *l)
{
	uint64_t now = time_mono_ns();

	for (unsigned i = 0; i < l->n_timers && !l->stopped; i++) {
		struct loop_timer *t = &l->timers[i];

		if (t->next_ns > now)
			continue;
		t->next_ns += t->every_ns;
		if (t->next_ns <= now)
			t->next_ns = now + t->every_ns;
		t->fn(t->arg);
	}
}

int loop_step(struct loop *l, int timeout_ms)
{
	struct epoll_event ev[LOOP_EVENTS];
	int n = epoll_wait(l->epoll_fd, ev, LOOP_EVENTS, wait_ms(l, timeout_ms));

	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n && !l->stopped; i++) {
		int fd = (int)(uint32_t)ev[i].data.u64;
		struct loop_handler h = l->handlers[fd];

		if (h.serial && h.serial == (uint32_t)(ev[i].data.u64 >> 32))
			h.fn(h.arg, fd, ev[i].events);
	}
	run_timers(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int rc = 0;

	l->stopped = false;
	while (!l->stopped && rc == 0)
		rc = loop_step(l, -1);
	return rc;
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
}
