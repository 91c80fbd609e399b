/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inotify tells of a new file, but not when a namespace is mounted over it, which `ip netns add` does some
 * milliseconds later. So a new name is kept and tried every few milliseconds, for a while; then every second, should it
 * be a file left behind. The folder itself may not be there yet: then its parent is watched.
 */
#include "config.h"
#include "inventory/netns_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/timefmt.h"

#define SOON_MS 4
#define LATER_MS 1000
#define SOON_FOR_NS (2 * NS_PER_S)
#define PENDING_MAX 4096

struct pending {
	struct pending *next;
	uint64_t since_ns;
	char name[];
};

struct netns_dir {
	char path[PATH_MAX];
	netns_dir_fn *fn;
	void *arg;
	int inotify, timer, epoll;
	int wd, parent_wd; /* -1: not watched */
	struct pending *pending;
	unsigned n_pending;
};

int netns_dir_open(const struct netns_dir *d, const char *name)
{
	char path[PATH_MAX + NAME_MAX + 2];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", d->path, name);
	/* Anything may lie there: a FIFO must not block us, a terminal not become ours. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static void add_pending(struct netns_dir *d, const char *name)
{
	struct pending *p;

	if (name[0] == '.' || d->n_pending >= PENDING_MAX)
		return;
	for (p = d->pending; p; p = p->next)
		if (strcmp(p->name, name) == 0) {
			p->since_ns = time_mono_ns();
			return;
		}
	p = malloc(sizeof(*p) + strlen(name) + 1);
	if (!p)
		return;
	strcpy(p->name, name);
	p->since_ns = time_mono_ns();
	p->next = d->pending;
	d->pending = p;
	d->n_pending++;
}

static void try_pending(struct netns_dir *d)
{
	struct itimerspec t = {0};
	uint64_t now = time_mono_ns();
	long wait_ms = 0;

	for (struct pending **at = &d->pending, *p; (p = *at);) {
		int fd = netns_dir_open(d, p->name);
		bool done = (fd >= 0 || fd == -ENOENT) && (d->fn(d->arg, p->name, fd, p->since_ns) || fd < 0);

		if (fd >= 0)
			close(fd);
		if (done) {
			*at = p->next;
			free(p);
			d->n_pending--;
			continue;
		}
		if (now - p->since_ns < SOON_FOR_NS)
			wait_ms = SOON_MS;
		else if (wait_ms == 0)
			wait_ms = LATER_MS;
		at = &p->next;
	}
	t.it_value.tv_sec = wait_ms / 1000;
	t.it_value.tv_nsec = wait_ms % 1000 * 1000000;
	(void)timerfd_settime(d->timer, 0, &t, NULL);
}

static void list(struct netns_dir *d)
{
	DIR *dir = opendir(d->path);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		add_pending(d, e->d_name);
	if (dir)
		closedir(dir);
}

/* Watches the folder, or its parent until there is one. */
static void watch_folder(struct netns_dir *d)
{
	char parent[PATH_MAX], *slash;

	if (d->wd >= 0)
		return;
	d->wd = inotify_add_watch(d->inotify, d->path, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
	if (d->wd >= 0) {
		if (d->parent_wd >= 0)
			(void)inotify_rm_watch(d->inotify, d->parent_wd);
		d->parent_wd = -1;
		list(d);
	} else if (d->parent_wd < 0) {
		strcpy(parent, d->path);
		slash = strrchr(parent, '/');
		if (slash && slash != parent) {
			*slash = '\0';
			d->parent_wd = inotify_add_watch(d->inotify, parent, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
		}
	}
}

static int read_notices(struct netns_dir *d)
{
	union {
		char room[16384];
		struct inotify_event align;
	} in;

	for (;;) {
		ssize_t n = read(d->inotify, in.room, sizeof(in.room));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 || errno == EAGAIN ? 0 : -errno;
		for (const char *p = in.room; p < in.room + n;) {
			const struct inotify_event *e = (const void *)p;

			if (e->mask & IN_Q_OVERFLOW)
				list(d);
			else if (e->mask & IN_IGNORED)
				d->wd = e->wd == d->wd ? -1 : d->wd;
			else if (e->wd == d->wd && e->len)
				add_pending(d, e->name);
			p += sizeof(*e) + e->len;
		}
	}
}

int netns_dir_dispatch(struct netns_dir *d)
{
	uint64_t ticks;
	int r = read_notices(d);

	if (r < 0)
		return r;
	if (read(d->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		return -errno;
	watch_folder(d);
	if (d->pending)
		try_pending(d);
	return 0;
}

int netns_dir_new(struct netns_dir **out, const char *path, netns_dir_fn *fn, void *arg)
{
	struct netns_dir *d;
	struct epoll_event e = {.events = EPOLLIN};
	int r = 0;

	if (strlen(path) >= sizeof(d->path))
		return -ENAMETOOLONG;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	strcpy(d->path, path);
	d->fn = fn;
	d->arg = arg;
	d->wd = d->parent_wd = -1;
	d->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	d->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (d->inotify < 0 || d->timer < 0 || d->epoll < 0 ||
	    epoll_ctl(d->epoll, EPOLL_CTL_ADD, d->inotify, &e) < 0 || epoll_ctl(d->epoll, EPOLL_CTL_ADD, d->timer, &e) < 0)
		r = -errno;
	if (r < 0) {
		netns_dir_free(d);
		return r;
	}
	*out = d;
	return 0;
}

void netns_dir_free(struct netns_dir *d)
{
	if (!d)
		return;
	for (struct pending *p = d->pending, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	if (d->inotify >= 0)
		close(d->inotify);
	if (d->timer >= 0)
		close(d->timer);
	if (d->epoll >= 0)
		close(d->epoll);
	free(d);
}

int netns_dir_fd(const struct netns_dir *d)
{
	return d->epoll;
}
