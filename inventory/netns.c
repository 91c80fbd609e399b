/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A named network namespace may live for 50 ms, so it must be known before it has an address: its file is noticed by
 * inotify, the namespace gets an id from us at once (RTM_NEWNSID), and from then on the kernel sends us its notices too
 * (NETLINK_LISTEN_ALL_NSID). It is never entered: lists are asked for by id, notices bring the rest, RTM_DELNSID its end.
 * A list of links waits for the kernel's global lock, which is held for long while namespaces come and go, so short lives
 * must do without one. No descriptor is kept, since that would keep the namespace itself alive. Where we may not hear other
 * namespaces' notices (that takes CAP_NET_BROADCAST) we ask instead: a young one a hundred times a second, an old one twice.
 *
 * The folder is the whole machine's, and what is in it need not concern this host: our own namespace, a container's under a
 * second name, another laboratory's with the same addresses. So a namespace becomes a workload when it has an
 * address and a link leads from ours to it, directly or through another such namespace.
 */
#include "config.h"
#include "inventory/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "inventory/names.h"
#include "inventory/netns_dir.h"
#include "inventory/netns_inside.h"
#include "inventory/rtnl.h"

#define EVENT_BUFFER (8u << 20)
#define POLL_YOUNG_MS 10
#define POLL_MS 500
#define YOUNG_NS (3 * NS_PER_S)
/* How long a list of links can wait: until then most are known to be attached anyway, or gone. */
#define LINKS_AFTER_NS (100 * NS_PER_MS)
/* A namespace that a runtime made is left to it for so long: it knows a better name than an UUID. */
#define RUNTIME_FIRST_NS (2 * NS_PER_S)

struct ns {
	struct ns *next;
	char name[128];
	int32_t nsid;
	uint64_t inode, start_ns;
	struct inside inside;
	bool attached; /* for good: a workload that loses its link has still been one */
	/* Monotonic: when it was found, when last looked into, when its links are to be listed (0: they need not). */
	uint64_t seen_ns, asked_ns, links_due_ns;
	uint64_t told; /* workload id, 0: none */
};

struct netns {
	struct table *table;
	const struct links *links;
	struct netns_dir *dir;
	struct nl *events, *query;
	struct ns *list;
	uint64_t own_inode;
	int epoll, poll_timer;
	bool deaf; /* no notices of others: they must be asked */
	bool told_denied, started;
	_Alignas(struct nlmsghdr) char in[65536];
};

/* ---- telling --------------------------------------------------------------------------------------------------- */

static bool attached(const struct netns *n, struct ns *s)
{
	if (!s->attached)
		s->attached = links_reach(n->links, s->nsid);
	for (const struct ns *other = n->list; other && !s->attached; other = other->next)
		for (unsigned i = 0; i < s->inside.n_peers && other->attached; i++)
			s->attached |= other->nsid == s->inside.peers[i];
	return s->attached;
}

static void tell_gone(struct netns *n, struct ns *s)
{
	table_down(n->table, s->told, time_now_ns(), -1);
	s->told = 0;
}

/* "cni-UUID" and "netns-UUID" are containerd's and Podman's. */
static bool runtime_made(const char *name)
{
	const char *uuid = strncmp(name, "cni-", 4) == 0 ? name + 4 : strncmp(name, "netns-", 6) == 0 ? name + 6 : "";

	return strlen(uuid) == 36 && strspn(uuid, "0123456789abcdef-") == 36;
}

static bool left_to_runtime(const struct ns *s, uint64_t now)
{
	return !s->told && runtime_made(s->name) && now - s->seen_ns < RUNTIME_FIRST_NS;
}

static int tell(struct netns *n, struct ns *s, bool at_once)
{
	struct workload *w;
	int r = 0;

	if (!attached(n, s) || (!at_once && left_to_runtime(s, time_mono_ns())))
		return 0;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	inside_addrs(&s->inside, w);
	w->kind = WORKLOAD_NETNS;
	name_copy(w->name, sizeof(w->name), s->name);
	snprintf(w->runtime, sizeof(w->runtime), "netns");
	snprintf(w->runtime_id, sizeof(w->runtime_id), "net:[%llu]", (unsigned long long)s->inode);
	w->start_ns = s->start_ns;
	w->exit_code = -1;
	w->id = workload_id_of(w->runtime, w->runtime_id, w->start_ns);
	if (table_owned(n->table, w->addrs, w->n_addrs)) {
		tell_gone(n, s); /* a container's own namespace: the container has told its name */
	} else if (s->told || w->n_addrs) {
		/* Seen first with the address: it cannot be older than the namespace. */
		r = table_up(n->table, w, s->told ? time_now_ns() : s->start_ns);
		s->told = w->id;
	}
	free(w);
	return r;
}

/* A namespace may be attached through one further down the list: until nothing changes. */
static int tell_all(struct netns *n)
{
	bool changed = true;
	int r = 0;

	while (changed) {
		changed = false;
		for (struct ns *s = n->list; s; s = s->next)
			if (!s->attached && attached(n, s))
				changed = true;
	}
	for (struct ns *s = n->list; s && r == 0; s = s->next)
		r = tell(n, s, false);
	return r;
}

static void list_addrs(struct netns *n, struct ns *s)
{
	s->asked_ns = time_mono_ns();
	inside_list_addrs(&s->inside, n->query, s->nsid);
}

static void list_links(struct netns *n, struct ns *s)
{
	s->links_due_ns = 0;
	inside_list_links(&s->inside, n->query, s->nsid);
}

static void list_links_later(struct ns *s)
{
	if (!s->links_due_ns)
		s->links_due_ns = time_mono_ns() + LINKS_AFTER_NS;
}

/* ---- coming and going ------------------------------------------------------------------------------------------ */

static struct ns *find(struct netns *n, int32_t nsid)
{
	struct ns *s = n->list;

	while (s && s->nsid != nsid)
		s = s->next;
	return s;
}

static void remove_ns(struct netns *n, struct ns *s)
{
	struct ns **at = &n->list;

	while (*at != s)
		at = &(*at)->next;
	if (!s->told) /* it had an address, and nobody has spoken for it */
		(void)tell(n, s, true);
	*at = s->next;
	tell_gone(n, s);
	free(s);
}

static void denied(struct netns *n, const char *what, int error)
{
	if (!n->told_denied)
		table_notice(n->table, true, "named network namespaces: %s: %s", what, strerror(-error));
	n->told_denied = true;
}

/* netns_dir's callback: a file of that name has been opened. True: it is dealt with, false: it is no namespace yet. */
static bool on_file(void *arg, const char *name, int fd)
{
	struct netns *n = arg;
	struct statfs fs;
	struct stat st;
	struct ns *s;
	int nsid;

	/* `ip netns add` makes a plain file first, and mounts the namespace over it some milliseconds later. */
	if (fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC || fstat(fd, &st) < 0)
		return false;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET || st.st_ino == n->own_inode)
		return true;
	nsid = rtnl_nsid(n->query, fd);
	if (nsid < 0) {
		denied(n, "cannot be told apart (CAP_NET_ADMIN is needed)", nsid);
		return true;
	}
	s = find(n, nsid);
	if (s && s->inode == st.st_ino)
		return true; /* a second name */
	if (s)
		remove_ns(n, s); /* its id was free again */
	s = calloc(1, sizeof(*s));
	if (!s)
		return true;
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->nsid = nsid;
	s->inode = st.st_ino;
	s->start_ns = (uint64_t)st.st_ctim.tv_sec * NS_PER_S + (uint64_t)st.st_ctim.tv_nsec;
	s->seen_ns = time_mono_ns();
	s->next = n->list;
	n->list = s;
	if (n->started)
		list_links_later(s);
	else
		list_links(n, s);
	list_addrs(n, s);
	return true;
}

/* The notice may be about an earlier owner of the id: look who has it now. */
static bool still_there(struct netns *n, const struct ns *s)
{
	struct stat st;
	int fd = netns_dir_open(n->dir, s->name), nsid = -1;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && st.st_ino == s->inode)
		nsid = rtnl_nsid(n->query, fd);
	close(fd);
	return nsid == s->nsid;
}

static void on_own_notice(struct netns *n, const struct nlmsghdr *h)
{
	struct ns *s = h->nlmsg_type == RTM_DELNSID ? find(n, rtnl_parse_nsid(h)) : NULL;

	if (s && !still_there(n, s))
		remove_ns(n, s);
}

static void on_inner_notice(struct netns *n, int32_t nsid, const struct nlmsghdr *h)
{
	struct ns *s = find(n, nsid);

	if (s && inside_notice(&s->inside, h) && !s->attached)
		list_links_later(s);
}

static int32_t nsid_of(struct msghdr *m)
{
	int32_t nsid = NSID_NONE;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID)
			memcpy(&nsid, CMSG_DATA(c), sizeof(nsid));
	return nsid;
}

/* As nl_events, with the namespace that each notice comes from. */
static int read_notices(struct netns *n)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	bool lost = false;

	for (;;) {
		struct iovec iov = {n->in, sizeof(n->in)};
		struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
				   .msg_controllen = sizeof(control)};
		ssize_t got = recvmsg(nl_fd(n->events), &m, MSG_DONTWAIT);
		int32_t nsid;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == ENOBUFS) {
			lost = true;
			continue;
		}
		if (got <= 0)
			return lost ? -ENOBUFS : errno == EAGAIN ? 0 : -errno;
		nsid = nsid_of(&m);
		for (const struct nlmsghdr *h = (const void *)n->in; NLMSG_OK(h, (size_t)got); h = NLMSG_NEXT(h, got))
			if (nsid == NSID_NONE)
				on_own_notice(n, h);
			else
				on_inner_notice(n, nsid, h);
	}
}

/* What notices do not bring is asked for when its time has come; then the time for the next is set. */
static void ask_what_is_due(struct netns *n, bool lost)
{
	uint64_t now = time_mono_ns(), next_ns = UINT64_MAX, at;
	struct itimerspec t = {0};

	for (struct ns *s = n->list; s; s = s->next) {
		bool young = now - s->seen_ns < YOUNG_NS;

		at = s->asked_ns + (young ? POLL_YOUNG_MS : POLL_MS) * NS_PER_MS;
		if (lost || (n->deaf && now >= at)) {
			list_addrs(n, s);
			if (!young)
				list_links_later(s);
		}
		if (lost || (s->links_due_ns && now >= s->links_due_ns))
			list_links(n, s);
		if (n->deaf && at < next_ns)
			next_ns = now >= at ? now + POLL_YOUNG_MS * NS_PER_MS : at;
		if (s->links_due_ns && s->links_due_ns < next_ns)
			next_ns = s->links_due_ns;
		if (left_to_runtime(s, now) && s->seen_ns + RUNTIME_FIRST_NS < next_ns)
			next_ns = s->seen_ns + RUNTIME_FIRST_NS;
	}
	if (next_ns == UINT64_MAX)
		return;
	at = next_ns > now ? next_ns - now : 1;
	t.it_value.tv_sec = (time_t)(at / NS_PER_S);
	t.it_value.tv_nsec = (long)(at % NS_PER_S);
	(void)timerfd_settime(n->poll_timer, 0, &t, NULL);
}

int netns_dispatch(struct netns *n)
{
	uint64_t ticks;
	int r;

	if (read(n->poll_timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		return -errno;
	/* Names first: what a new namespace then tells is expected. */
	r = netns_dir_dispatch(n->dir);
	if (r < 0)
		return r;
	r = read_notices(n);
	if (r < 0 && r != -ENOBUFS)
		return r;
	for (struct ns *s = n->list, *next; s && r == -ENOBUFS; s = next) {
		next = s->next;
		if (!still_there(n, s))
			remove_ns(n, s);
	}
	/* What is known now is told before anything that may have to wait. */
	if (tell_all(n) < 0)
		return -ENOMEM;
	ask_what_is_due(n, r == -ENOBUFS);
	return tell_all(n);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static int open_events(struct netns *n)
{
	static const unsigned groups[] = {RTNLGRP_NSID, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR};
	int on = 1, r = nl_open(&n->events, NETLINK_ROUTE);

	if (r < 0)
		return r;
	nl_set_rcvbuf(n->events, EVENT_BUFFER);
	if (setsockopt(nl_fd(n->events), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) < 0) {
		n->deaf = true;
		table_notice(n->table, false, "named network namespaces: a change of address is seen up to %d ms late "
			     "(at once with CAP_NET_BROADCAST)", POLL_MS);
	}
	for (size_t i = 0; r == 0 && i < sizeof(groups) / sizeof(groups[0]); i++)
		r = nl_join(n->events, groups[i]);
	return r;
}

static int watch(struct netns *n, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(n->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int netns_new(struct netns **out, const char *dir, const struct links *links, struct table *table)
{
	struct netns *n = calloc(1, sizeof(*n));
	struct stat st;
	int r;

	if (!n)
		return -ENOMEM;
	n->table = table;
	n->links = links;
	n->epoll = epoll_create1(EPOLL_CLOEXEC);
	n->poll_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r = n->epoll < 0 || n->poll_timer < 0 ? -errno : 0;
	if (r == 0 && stat("/proc/self/ns/net", &st) == 0)
		n->own_inode = st.st_ino;
	if (r == 0)
		r = rtnl_open(&n->query);
	if (r == 0)
		r = open_events(n);
	if (r == 0)
		r = netns_dir_new(&n->dir, dir, on_file, n);
	if (r == 0)
		r = watch(n, netns_dir_fd(n->dir));
	if (r == 0)
		r = watch(n, nl_fd(n->events));
	if (r == 0)
		r = watch(n, n->poll_timer);
	if (r < 0) {
		netns_free(n);
		return r;
	}
	*out = n;
	return 0;
}

int netns_start(struct netns *n)
{
	int r = netns_dispatch(n);

	n->started = true;
	return r;
}

void netns_free(struct netns *n)
{
	if (!n)
		return;
	for (struct ns *s = n->list, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	netns_dir_free(n->dir);
	nl_close(n->events);
	nl_close(n->query);
	if (n->epoll >= 0)
		close(n->epoll);
	if (n->poll_timer >= 0)
		close(n->poll_timer);
	free(n);
}

int netns_fd(const struct netns *n)
{
	return n->epoll;
}
