/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which interfaces to capture on changes with every container: bridges come with networks, veths with containers. The
 * kernel's notices are applied to a copy of its table, and after each round the copy is compared with what was told.
 * Should notices get lost (ENOBUFS) the copy is thrown away and listed anew; whoever listens sees only the difference.
 *
 * A bridge shows every frame between its ports once, so it stands for all of them. A veth on no bridge, whose other
 * end is in another namespace, is a workload's own link; it is told a moment late, since most veths join a bridge just
 * after they have come up. One that leads outside is none: links_outside.c.
 */
#include "config.h"
#include "inventory/links.h"

#include <errno.h>
#include <fnmatch.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "inventory/links_impl.h"

#define EVENT_BUFFER (4u << 20)
#define VETH_GRACE_MS 10
/* A route that went may be back in a moment: who renews an address takes it away and sets it anew. */
#define RETURN_GRACE_MS 1000

/* ---- the copy -------------------------------------------------------------------------------------------------- */

struct link **links_slot(struct links *l, uint32_t ifindex)
{
	struct link **at = &l->bucket[ifindex % BUCKETS];

	while (*at && (*at)->k.ifindex != ifindex)
		at = &(*at)->next;
	return at;
}

struct link *links_after(const struct links *l, const struct link *k)
{
	unsigned i = k ? k->k.ifindex % BUCKETS + 1 : 0;

	if (k && k->next)
		return k->next;
	while (i < BUCKETS && !l->bucket[i])
		i++;
	return i < BUCKETS ? l->bucket[i] : NULL;
}

static void note(struct links *l, struct ended *e, int32_t nsid)
{
	if (ended_add(e, nsid) < 0)
		l->again = true;
}

static int put_link(struct links *l, const struct rtnl_link *k)
{
	struct link **at = links_slot(l, k->ifindex);

	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return -ENOMEM;
		(*at)->k.peer_nsid = NSID_NONE;
	}
	if (k->peer_nsid != (*at)->k.peer_nsid && !(*at)->peer_ended)
		note(l, &l->lately, (*at)->k.peer_nsid);
	if (k->up != (*at)->k.up || k->master != (*at)->k.master)
		(*at)->asked = false; /* its routes went and came unsaid */
	(*at)->k = *k;
	(*at)->stale = false;
	(*at)->peer_ended = ended_has(&l->ahead, k->peer_nsid);
	return 0;
}

static void remove_addr_at(struct links *l, size_t i)
{
	l->addrs[i] = l->addrs[--l->n_addrs];
}

static int put_addr(struct links *l, const struct rtnl_addr *a)
{
	for (size_t i = 0; i < l->n_addrs; i++)
		if (l->addrs[i].ifindex == a->ifindex && addr_equal(&l->addrs[i].addr, &a->addr))
			return 0;
	if (l->n_addrs == l->cap_addrs) {
		size_t cap = l->cap_addrs ? 2 * l->cap_addrs : 32;
		struct rtnl_addr *grown = realloc(l->addrs, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		l->addrs = grown;
		l->cap_addrs = cap;
	}
	l->addrs[l->n_addrs++] = *a;
	links_routes_changed(l, a->ifindex);
	return 0;
}

static void drop_addr(struct links *l, const struct rtnl_addr *a)
{
	for (size_t i = l->n_addrs; i-- > 0;) {
		if (l->addrs[i].ifindex == a->ifindex && addr_equal(&l->addrs[i].addr, &a->addr)) {
			remove_addr_at(l, i);
			links_routes_changed(l, a->ifindex);
		}
	}
}

static void remove_link(struct links *l, uint32_t ifindex)
{
	struct link **at = links_slot(l, ifindex), *k = *at;

	if (!k)
		return;
	if (!k->peer_ended)
		note(l, &l->lately, k->k.peer_nsid);
	/* The kernel tells nothing about a veth whose other end has moved to another namespace. */
	if (k->k.kind == RTNL_VETH && k->k.peer_nsid == NSID_NONE)
		l->recheck = k->k.peer;
	*at = k->next;
	if (k->told)
		l->ev->link_down(l->ev->arg, ifindex);
	free(k);
	for (size_t i = l->n_addrs; i-- > 0;)
		if (l->addrs[i].ifindex == ifindex)
			remove_addr_at(l, i);
}

static void peer_ended(struct links *l, int32_t nsid)
{
	for (struct link *k = links_after(l, NULL); k; k = links_after(l, k)) {
		if (k->k.peer_nsid != nsid || k->peer_ended)
			continue;
		k->peer_ended = true;
		note(l, &l->lately, nsid);
	}
}

/* ---- what is worth capturing ------------------------------------------------------------------------------------ */

static bool wanted_by_pattern(const struct links *l, const char *name)
{
	for (size_t i = 0; l->patterns[i]; i++)
		if (fnmatch(l->patterns[i], name, 0) == 0)
			return true;
	return false;
}

static bool on_bridge(struct links *l, const struct link *k)
{
	const struct link *master = k->k.master ? *links_slot(l, k->k.master) : NULL;

	return master && master->k.kind == RTNL_BRIDGE;
}

static bool wanted(struct links *l, const struct link *k)
{
	if (!k->k.up || (k->k.kind != RTNL_BRIDGE && k->k.kind != RTNL_VETH))
		return false;
	if (l->patterns)
		return wanted_by_pattern(l, k->k.name);
	if (k->k.kind == RTNL_BRIDGE)
		return k->had_veth || links_runtime_bridge(k->k.name);
	return k->k.peer_nsid != NSID_NONE && !on_bridge(l, k);
}

/* ---- telling --------------------------------------------------------------------------------------------------- */

static void fill(const struct links *l, const struct link *k, struct inventory_link *out)
{
	memset(out, 0, sizeof(*out));
	out->ifindex = k->k.ifindex;
	memcpy(out->name, k->k.name, sizeof(out->name));
	out->bridge = k->k.kind == RTNL_BRIDGE;
	out->router = k->via.outside || k->via.router;
	/* Should the room run out, the addresses that people use are in. */
	for (int local = 0; local < 2; local++)
		for (size_t i = 0; i < l->n_addrs && out->n_addrs < sizeof(out->addrs) / sizeof(out->addrs[0]); i++)
			if (l->addrs[i].ifindex == out->ifindex && addr_is_linklocal(&l->addrs[i].addr) == (local == 1)) {
				out->lens[out->n_addrs] = l->addrs[i].len;
				out->addrs[out->n_addrs++] = l->addrs[i].addr;
			}
}

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static void tell_host_addrs(struct links *l)
{
	struct addr *all = malloc((l->n_addrs ? l->n_addrs : 1) * sizeof(*all));
	size_t n = 0;

	if (!all)
		return;
	for (size_t i = 0; i < l->n_addrs; i++)
		if (!addr_is_loopback(&l->addrs[i].addr))
			all[n++] = l->addrs[i].addr;
	qsort(all, n, sizeof(*all), addr_order);
	if (l->told_any_addrs && n == l->n_told_addrs && (n == 0 || memcmp(all, l->told_addrs, n * sizeof(*all)) == 0)) {
		free(all);
		return;
	}
	free(l->told_addrs);
	l->told_addrs = all;
	l->n_told_addrs = n;
	l->told_any_addrs = true;
	l->ev->host_addrs(l->ev->arg, all, n);
}

void links_wake(struct links *l, uint64_t at_ns)
{
	struct itimerspec t = {.it_value = {(time_t)(at_ns / NS_PER_S), (long)(at_ns % NS_PER_S)}};

	if (l->wake_ns && l->wake_ns <= at_ns)
		return;
	l->wake_ns = at_ns;
	(void)timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

/* Has it been wanted long enough? If not, it is looked at again soon. */
static bool settled(struct links *l, struct link *k)
{
	uint64_t grace_ns = (k->outside_told ? RETURN_GRACE_MS : VETH_GRACE_MS) * NS_PER_MS, now = time_mono_ns();

	if (k->k.kind == RTNL_BRIDGE || k->told)
		return true;
	if (!k->wanted_ns)
		k->wanted_ns = now;
	if (now - k->wanted_ns >= grace_ns)
		return true;
	links_wake(l, k->wanted_ns + grace_ns);
	return false;
}

static void tell(struct links *l, struct link *k, bool want)
{
	struct inventory_link now;
	char text[80];

	if (want)
		fill(l, k, &now);
	if (want && (!k->told || memcmp(&now, &k->told_as, sizeof(now)) != 0)) {
		k->told_as = now;
		if (k->outside_told) {
			snprintf(text, sizeof(text), "%s has no default route any more: it is captured on", k->k.name);
			l->ev->notice(l->ev->arg, false, text);
			k->outside_told = false;
		}
		l->ev->link_up(l->ev->arg, &now);
	} else if (!want && k->told) {
		l->ev->link_down(l->ev->arg, k->k.ifindex);
	}
	k->told = want;
}

static void tell_changes(struct links *l)
{
	for (const struct link *k = links_after(l, NULL); k; k = links_after(l, k))
		if (k->k.kind == RTNL_VETH && on_bridge(l, k))
			(*links_slot(l, k->k.master))->had_veth = true;
	for (struct link *k = links_after(l, NULL); k; k = links_after(l, k)) {
		/* Of most veths this need not be known: they are on a bridge a moment later. */
		bool want = wanted(l, k) && !((k->told || k->outside_told) && links_lead_outside(l, k));

		if (!want)
			k->wanted_ns = 0;
		else if (!settled(l, k))
			continue;
		tell(l, k, want && !links_lead_outside(l, k));
	}
	tell_host_addrs(l);
}

/* ---- listing and notices ---------------------------------------------------------------------------------------- */

static int on_message(void *arg, const struct nlmsghdr *h)
{
	struct links *l = arg;
	struct rtnl_link k;
	struct rtnl_addr a;

	if (rtnl_parse_link(&k, h) == 0) {
		if (h->nlmsg_type == RTM_DELLINK)
			remove_link(l, k.ifindex);
		else
			return put_link(l, &k);
	} else if (rtnl_parse_addr(&a, h) == 0) {
		if (h->nlmsg_type == RTM_DELADDR)
			drop_addr(l, &a);
		else
			return put_addr(l, &a);
	} else if (h->nlmsg_type == RTM_DELNSID && rtnl_parse_nsid(h) != NSID_NONE) {
		if (!ended_take(&l->ahead, rtnl_parse_nsid(h))) {
			peer_ended(l, rtnl_parse_nsid(h));
			note(l, &l->read, rtnl_parse_nsid(h));
		}
	}
	if (l->recheck) {
		uint32_t ifindex = l->recheck;
		const struct link *at = *links_slot(l, ifindex);

		l->recheck = 0;
		/* It asks for the kernel's global lock: not for an index that is another namespace's. */
		if (at && at->k.kind == RTNL_VETH && rtnl_get_link(l->query, ifindex, &k) == 0)
			return put_link(l, &k);
	}
	return 0;
}

static void mark_stale(void *arg)
{
	struct links *l = arg;

	for (struct link *k = links_after(l, NULL); k; k = links_after(l, k))
		k->stale = true;
}

static void forget_addrs(void *arg)
{
	((struct links *)arg)->n_addrs = 0;
}

static int list(struct links *l)
{
	int r;

	mark_stale(l);
	r = rtnl_dump_links(l->query, NSID_NONE, on_message, mark_stale, l);
	if (r < 0)
		return r;
	for (struct link *k = links_after(l, NULL), *next; k; k = next) {
		next = links_after(l, k);
		if (k->stale)
			remove_link(l, k->k.ifindex);
	}
	l->recheck = 0;
	forget_addrs(l);
	r = rtnl_dump_addrs(l->query, NSID_NONE, on_message, forget_addrs, l);
	if (r == 0)
		tell_changes(l);
	return r;
}

int links_new(struct links **out, const struct inventory_events *ev, const char *const *bridges)
{
	struct links *l = calloc(1, sizeof(*l));
	struct epoll_event e = {.events = EPOLLIN};
	int r;

	if (!l)
		return -ENOMEM;
	l->epoll = l->timer = -1;
	l->ev = ev;
	l->patterns = bridges;
	r = rtnl_open(&l->query);
	if (r == 0)
		r = nl_open(&l->events, NETLINK_ROUTE);
	if (r == 0)
		r = routes_new(&l->routes);
	if (r < 0)
		goto fail;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->epoll < 0 || l->timer < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &e) < 0 ||
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, routes_fd(l->routes), &e) < 0 ||
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, nl_fd(l->events), &e) < 0) {
		r = -errno;
		goto fail;
	}
	nl_set_rcvbuf(l->events, EVENT_BUFFER);
	r = nl_join(l->events, RTNLGRP_LINK);
	if (r == 0)
		r = nl_join(l->events, RTNLGRP_NSID);
	if (r == 0)
		r = nl_join(l->events, RTNLGRP_IPV4_IFADDR);
	if (r == 0)
		r = nl_join(l->events, RTNLGRP_IPV6_IFADDR);
	if (r < 0)
		goto fail;
	*out = l;
	return 0;
fail:
	links_free(l);
	return r;
}

int links_start(struct links *l)
{
	return list(l);
}

void links_free(struct links *l)
{
	if (!l)
		return;
	for (struct link *k = links_after(l, NULL), *next; k; k = next) {
		next = links_after(l, k);
		free(k);
	}
	nl_close(l->events);
	nl_close(l->query);
	routes_free(l->routes);
	if (l->epoll >= 0)
		close(l->epoll);
	if (l->timer >= 0)
		close(l->timer);
	ended_clear(&l->lately);
	ended_clear(&l->before);
	ended_clear(&l->read);
	ended_clear(&l->ahead);
	free(l->addrs);
	free(l->told_addrs);
	free(l);
}

int links_fd(const struct links *l)
{
	return l->epoll;
}

/*
 * Should notices have been lost, the list says the truth of links and ids alike: the kernel tells of no id that is not
 * the living namespace's behind that link. What was queued before it is read after it, once more: an end of an id is
 * then followed by the link that leads to its next owner, as it was when they happened.
 */
int links_dispatch(struct links *l)
{
	uint64_t ticks;
	int r, routes;

	ended_clear(&l->before);
	l->before = l->lately;
	l->lately = (struct ended){0};
	ended_clear(&l->read);
	if (read(l->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		return -errno;
	if (time_mono_ns() >= l->wake_ns)
		l->wake_ns = 0;
	routes = routes_dispatch(l->routes, links_routes_changed, l);
	r = nl_events(l->events, on_message, l);
	ended_clear(&l->ahead); /* all of it has been read */
	l->listed = l->again || r < 0;
	if (l->listed) {
		l->again = false;
		r = list(l);
		l->again |= r < 0; /* next time */
	} else {
		tell_changes(l);
	}
	return r < 0 ? r : routes;
}

bool links_reach(const struct links *l, int32_t nsid, bool lately)
{
	if (lately && (ended_has(&l->lately, nsid) || ended_has(&l->before, nsid)))
		return true;
	for (const struct link *k = links_after(l, NULL); k; k = links_after(l, k))
		if (k->k.peer_nsid == nsid && !k->peer_ended)
			return true;
	return false;
}

void links_each_peer(const struct links *l, void (*fn)(void *arg, int32_t nsid), void *arg)
{
	for (const struct link *k = links_after(l, NULL); k; k = links_after(l, k))
		if (k->k.peer_nsid != NSID_NONE)
			fn(arg, k->k.peer_nsid);
}

void links_nsid_ended(struct links *l, int32_t nsid)
{
	/* Newer than what was read, the copy may show the next owner's links; our own notice is still to come. */
	if (ended_take(&l->read, nsid) || l->listed)
		return;
	peer_ended(l, nsid);
	note(l, &l->ahead, nsid);
}
