/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A named network namespace may live for 50 ms, so it must be known before it has an address: its file is noticed
 * by inotify, the namespace gets an id from us at once (RTM_NEWNSID), and from then on the kernel sends us its
 * notices too (netns_events.c). It is never entered: lists are asked for by id, notices bring the rest, RTM_DELNSID
 * its end. A list of links waits for the kernel's global lock, so a thread asks for those (netns_lister.c). No
 * descriptor is kept, since that would keep the namespace itself alive. Where we may not hear other namespaces'
 * notices we ask instead: a young one a hundred times a second, an old one twice.
 *
 * Most namespaces have an id, and talk, before we have opened their file: a veth that leads there gives it one. So
 * whoever talks is kept, nameless, until a file is found to be that namespace; then it is known what it said so
 * far. Ids are used again at once, so a file is only matched when all notices up to then have been read. One that
 * ends without a name leaves its addresses and the reason (table_unnamed).
 *
 * The folder is the whole machine's, and what is in it need not concern this host: our own namespace, a container's
 * under a second name, another laboratory's with the same addresses. So a namespace becomes a workload when it has
 * an address and a link leads from ours to it, directly or through another such namespace.
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
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "inventory/netns_dir.h"
#include "inventory/netns_events.h"
#include "inventory/netns_impl.h"
#include "inventory/netns_lister.h"
#include "inventory/rtnl.h"

#define POLL_YOUNG_MS 10
#define POLL_MS 500
#define YOUNG_NS (3 * NS_PER_S)
/* How long after a namespace has begun to talk its file can be noticed: a round's time on a machine under load. */
#define FILE_LATE_NS NS_PER_S
/* How long a list of links can wait: until then most are known to be attached anyway, or gone. */
#define LINKS_AFTER_NS (100 * NS_PER_MS)

static void list_addrs(struct netns *n, struct ns *s)
{
	s->asked_ns = time_mono_ns();
	inside_list_addrs(&s->inside, n->query, s->nsid);
}

/* Before we are at work nobody waits, and everything that is there shall be told at once. */
static void list_links(struct netns *n, struct ns *s)
{
	const struct netns_question q = {s->nsid, s->inode, s->inside.bridges_told};

	s->links_due_ns = 0;
	if (!n->started || netns_lister_ask(n->lister, &q) < 0)
		(void)inside_list_links(&s->inside, n->query, s->nsid);
}

static void list_links_later(struct ns *s)
{
	if (!s->links_due_ns)
		s->links_due_ns = time_mono_ns() + LINKS_AFTER_NS;
}

/* ---- coming and going ------------------------------------------------------------------------------------------ */

static void remove_ns(struct netns *n, struct ns *s)
{
	if (!s->inode) {
		netns_tell_unnamed(n, s, true);
	} else if (!s->told) { /* it had an address, and nobody has spoken for it */
		s->attached |= links_reach(n->links, s->nsid, true);
		(void)netns_tell(n, s, true);
	}
	netns_tell_gone(n, s);
	netns_set_remove(&n->set, s);
}

static void denied(struct netns *n, const char *what, int error)
{
	if (!n->told_denied) {
		table_notice(n->table, true, "named network namespaces: %s: %s", what, strerror(-error));
		netns_tell_unknown(n, FLOW_UNNAMED_FAILED, time_now_ns(), UINT64_MAX);
	}
	n->told_denied = true;
}

/* Nameless until it gets its file. */
static struct ns *add_ns(struct netns *n, int32_t nsid, uint64_t start_ns)
{
	struct ns *s = netns_set_add(&n->set, nsid);

	if (!s)
		return NULL;
	s->start_ns = start_ns;
	s->seen_ns = time_mono_ns();
	return s;
}

/* Whoever is still nameless may have ended and begun again unnoticed. */
static void forget_nameless(struct netns *n)
{
	while (n->set.nameless)
		remove_ns(n, n->set.nameless);
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
	int32_t nsid = h->nlmsg_type == RTM_DELNSID ? rtnl_parse_nsid(h) : NSID_NONE;
	struct ns *s = netns_set_find(&n->set, nsid);

	if (nsid == NSID_NONE)
		return;
	if (s && !(s->inode && still_there(n, s)))
		remove_ns(n, s);
	links_nsid_ended(n->links, nsid);
}

/* It began after the round before; a file missed since may have been its own. */
static struct ns *add_nameless(struct netns *n, int32_t nsid)
{
	struct ns *s = add_ns(n, nsid, n->read_ns);

	if (s)
		s->file_missed = n->missed_ns > n->read_ns;
	return s;
}

static void on_inner_notice(struct netns *n, int32_t nsid, const struct nlmsghdr *h)
{
	struct ns *s = netns_set_find(&n->set, nsid);

	if (!s && n->set.n_nameless < NETNS_NAMELESS_MAX)
		s = add_nameless(n, nsid);
	if (s && inside_notice(&s->inside, h) && s->inode && !s->attached)
		list_links_later(s);
}

static int on_notice(void *arg, int32_t nsid, const struct nlmsghdr *h)
{
	if (nsid == NSID_NONE)
		on_own_notice(arg, h);
	else
		on_inner_notice(arg, nsid, h);
	return 0;
}

static int read_notices(struct netns *n)
{
	int r = netns_events_read(n->events, on_notice, n);

	if (r == -ENOBUFS) {
		n->lost = true;
		netns_tell_unknown(n, FLOW_UNNAMED_MISSED, n->read_ns, 0);
		forget_nameless(n);
	}
	return r == -ENOBUFS ? 0 : r;
}

/* A file noticed at since_ns (monotonic) is gone. Whoever began to talk since, or just before it was noticed, may have
 * been behind it. The nameless are newest first. */
static void missed_file(struct netns *n, uint64_t since_ns)
{
	n->missed_ns = time_now_ns();
	if (n->deaf)
		netns_tell_unknown(n, FLOW_UNNAMED_GONE, n->missed_ns - YOUNG_NS, 0);
	for (struct ns *s = n->set.nameless; s && s->seen_ns + FILE_LATE_NS >= since_ns; s = s->next)
		s->file_missed = true;
}

/* netns_dir's callback: a file of that name has been opened, or is gone (fd negative) and was no namespace until then.
 * True: it is dealt with, false: it is no namespace yet. */
static bool on_file(void *arg, const char *name, int fd, uint64_t since_ns)
{
	struct netns *n = arg;
	struct statfs fs;
	struct stat st;
	struct ns *s;
	int nsid;

	if (fd < 0) {
		missed_file(n, since_ns);
		return true;
	}
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
	/* The descriptor keeps it alive: once all notices are read, the id is its own and nobody's before it. */
	(void)read_notices(n);
	s = netns_set_find(&n->set, nsid);
	if (s && s->inode == st.st_ino)
		return true; /* a second name */
	if (s && s->inode) {
		remove_ns(n, s); /* its end must have been lost */
		s = NULL;
	}
	if (!s)
		s = add_ns(n, nsid, 0);
	if (!s)
		return true;
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->inode = st.st_ino;
	s->file_missed = false;
	netns_set_named(&n->set, s);
	s->start_ns = (uint64_t)st.st_ctim.tv_sec * NS_PER_S + (uint64_t)st.st_ctim.tv_nsec;
	if (n->started)
		list_links_later(s);
	else
		list_links(n, s);
	list_addrs(n, s);
	return true;
}

/* What notices do not bring is asked for when its time has come; then the time for the next is set. */
static void ask_what_is_due(struct netns *n, bool lost)
{
	uint64_t now = time_mono_ns(), next_ns = UINT64_MAX, at;
	struct itimerspec t = {0};

	for (struct ns *s = n->set.named; s; s = s->next) {
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
		if (s->tell_waits && s->told_for_ns < next_ns)
			next_ns = s->told_for_ns;
		if (netns_left_to_runtime(s, now) && s->seen_ns + NETNS_RUNTIME_FIRST_NS < next_ns)
			next_ns = s->seen_ns + NETNS_RUNTIME_FIRST_NS;
	}
	if (next_ns == UINT64_MAX)
		return;
	at = next_ns > now ? next_ns - now : 1;
	t.it_value.tv_sec = (time_t)(at / NS_PER_S);
	t.it_value.tv_nsec = (long)(at % NS_PER_S);
	(void)timerfd_settime(n->poll_timer, 0, &t, NULL);
}

/*
 * A list is fetched beside us, at some time between the question and the answer, while we read notices:
 *	- whose it is: an id may have ended, and mean another namespace, before the list was fetched. Only answers
 *	  that were there before this round's notices were read are taken: had it ended by then, we would know.
 *	- what is newer: a notice of this or a later round can be older than the list, but then it was, or will be,
 *	  followed by those of what the list shows. A notice read since the question can be newer than the list, and
 *	  no other follows it: it must not be forgotten for the list (inside_take_links), which is asked for again.
 */
static void take_lists(struct netns *n, unsigned ready)
{
	struct inside *listed = malloc(sizeof(*listed));
	struct netns_question q;

	while (listed && ready-- && netns_lister_take(n->lister, &q, listed)) {
		struct ns *s = netns_set_find(&n->set, q.nsid);

		if (s && s->inode == q.token && !inside_take_links(&s->inside, listed, q.told))
			list_links_later(s);
	}
	free(listed);
}

/* Since the last round a file came and went, and somebody young talks who has none: told now. The kernel may take
 * seconds to end it, and whoever writes down what it sent does not wait for that. */
static void tell_missed(struct netns *n)
{
	const struct ns *s = n->missed_ns > n->read_ns ? n->set.nameless : NULL;
	uint64_t now = time_mono_ns();

	for (; s && now - s->seen_ns < YOUNG_NS; s = s->next)
		netns_tell_unnamed(n, s, false);
}

int netns_dispatch(struct netns *n)
{
	uint64_t ticks, now = time_now_ns();
	unsigned ready;
	bool lost;
	int r;

	if (read(n->poll_timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		return -errno;
	ready = netns_lister_ready(n->lister);
	/* Names first: what a new namespace then tells is expected. */
	r = netns_dir_dispatch(n->dir);
	if (r == 0)
		r = read_notices(n);
	if (r < 0)
		return r;
	lost = n->lost;
	n->lost = false;
	for (struct ns *s = n->set.named, *next; s && lost; s = next) {
		next = s->next;
		if (!still_there(n, s))
			remove_ns(n, s);
	}
	tell_missed(n);
	n->read_ns = now;
	take_lists(n, ready);
	/* What is known now is told before anything that may have to wait. */
	if (netns_tell_all(n) < 0)
		return -ENOMEM;
	ask_what_is_due(n, lost);
	return netns_tell_all(n);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static int watch(struct netns *n, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(n->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int netns_new(struct netns **out, const char *dir, struct links *links, struct table *table)
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
		r = netns_events_new(&n->events, &n->deaf);
	if (r == 0)
		r = netns_lister_new(&n->lister);
	if (r == 0)
		r = netns_dir_new(&n->dir, dir, on_file, n);
	if (r == 0)
		r = watch(n, netns_dir_fd(n->dir));
	if (r == 0)
		r = watch(n, netns_events_fd(n->events));
	if (r == 0)
		r = watch(n, netns_lister_fd(n->lister));
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
	int r;

	if (n->deaf)
		table_notice(n->table, false, "named network namespaces: a change of address is seen up to %d ms late "
			     "(at once with CAP_NET_BROADCAST)", POLL_MS);
	r = netns_dispatch(n);

	n->started = true;
	return r;
}

void netns_free(struct netns *n)
{
	if (!n)
		return;
	while (n->set.named)
		netns_set_remove(&n->set, n->set.named);
	while (n->set.nameless)
		netns_set_remove(&n->set, n->set.nameless);
	netns_dir_free(n->dir);
	netns_events_free(n->events);
	netns_lister_free(n->lister);
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
