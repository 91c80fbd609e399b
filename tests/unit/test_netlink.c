/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * netlink/nl_events: a round ends although the kernel never stops talking, and what was dropped is told once the queue
 * has been empty. In a network namespace of our own, where each notice that is read causes the next one: whoever reads
 * until there is nothing left never returns.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink/nl.h"
#include "tests/tap.h"

#define LOOPBACK 1
#define MANY 20000

static struct nl *changer, *events;

/* Adds or takes away 10.9.x.y, which is one notice. */
static int change(bool add, unsigned i)
{
	uint32_t addr_be = htonl(0x0a090000u + (i & 0xffff));
	struct nl_msg m;
	struct ifaddrmsg *a = nl_msg_init(&m, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE : 0, sizeof(*a));
	int rc = -ENOMEM;

	if (a) {
		a->ifa_family = AF_INET;
		a->ifa_prefixlen = 32;
		a->ifa_index = LOOPBACK;
		nl_put(&m, IFA_LOCAL, &addr_be, sizeof(addr_be));
		rc = nl_request(changer, &m, NULL, NULL);
	}
	nl_msg_fini(&m);
	return rc;
}

struct count {
	unsigned notices;
	bool more; /* each notice causes the next */
	int stop_at, stop_with;
	int32_t nsid;
};

static int on_nsid(void *arg, int32_t nsid, const struct nlmsghdr *h)
{
	struct count *c = arg;

	(void)h;
	c->nsid = nsid;
	if (++c->notices == (unsigned)c->stop_at)
		return c->stop_with;
	if (c->notices >= MANY)
		return -ELOOP; /* it does not end */
	return c->more ? change(c->notices % 2 == 0, 1) : 0;
}

static int on_plain(void *arg, const struct nlmsghdr *h)
{
	return on_nsid(arg, NL_NSID_OWN, h);
}

static void a_round_ends(void)
{
	struct count c = {.more = true}, rest = {0};

	CHECK_EQ(change(true, 1), 0);
	CHECK_EQ(nl_events(events, on_plain, &c), 0);
	CHECK(c.notices >= 1 && c.notices < 10);
	CHECK_EQ(nl_events(events, on_plain, &rest), 0); /* what was left is not lost */
	CHECK(rest.notices >= 1);
	CHECK_EQ(nl_events(events, on_plain, &rest), 0);
}

static void all_that_had_happened(void)
{
	struct count c = {0};

	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(change(true, 100 + i), 0);
	CHECK_EQ(nl_events(events, on_plain, &c), 0);
	CHECK_EQ(c.notices, 200);
	CHECK_EQ(nl_events(events, NULL, NULL), 0);
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(change(false, 100 + i), 0);
	CHECK_EQ(nl_events(events, NULL, NULL), 0);
}

static void what_fn_returns(void)
{
	struct count c = {.stop_at = 2, .stop_with = -EBADMSG}, rest = {0};

	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(change(true, 700 + i), 0);
	CHECK_EQ(nl_events(events, on_plain, &c), -EBADMSG);
	CHECK_EQ(c.notices, 2);
	CHECK_EQ(nl_events(events, on_plain, &rest), 0);
	CHECK_EQ(rest.notices, 3);
}

/* Told once, after all that was queued; and what happens from then on is told again. */
static void overflow(void)
{
	struct count c = {0}, after = {0};
	unsigned i;

	nl_set_rcvbuf(events, 4096);
	for (i = 0; i < 200; i++)
		CHECK_EQ(change(true, 1000 + i), 0);
	CHECK_EQ(nl_events(events, on_plain, &c), -ENOBUFS);
	CHECK(c.notices > 0 && c.notices < 200);
	CHECK_EQ(change(true, 2000), 0);
	CHECK_EQ(nl_events(events, on_plain, &after), 0);
	CHECK_EQ(after.notices, 1);
}

/* Full again as fast as it is read: each loss is told all the same, in rounds that end. */
static int flood(void *arg, const struct nlmsghdr *h)
{
	struct count *c = arg;

	(void)h;
	if (++c->notices >= MANY)
		return -ELOOP;
	for (unsigned i = 0; i < 40; i++)
		(void)change((c->notices + i) % 2, 3000 + i);
	return 0;
}

static void overflow_without_end(void)
{
	struct count c = {0}, after = {0};
	unsigned told = 0;

	CHECK_EQ(change(true, 2500), 0);
	for (unsigned i = 0; i < 10; i++)
		told += nl_events(events, flood, &c) == -ENOBUFS;
	CHECK(told >= 2);
	CHECK(c.notices < MANY);
	while (nl_events(events, NULL, NULL) == -ENOBUFS)
		;
	CHECK_EQ(change(true, 2600), 0);
	CHECK_EQ(nl_events(events, on_plain, &after), 0);
	CHECK_EQ(after.notices, 1);
}

/* fn gives up while a loss is not told yet: the next round tells it. */
static void loss_is_kept(void)
{
	struct count c = {.stop_at = 1, .stop_with = -EBADMSG};

	for (unsigned i = 0; i < 200; i++)
		(void)change(true, 4000 + i);
	CHECK_EQ(nl_events(events, on_plain, &c), -EBADMSG);
	CHECK_EQ(nl_events(events, NULL, NULL), -ENOBUFS);
	CHECK_EQ(nl_events(events, NULL, NULL), 0);
}

/* Only what another namespace says comes with its id. */
static void own_has_no_id(void)
{
	struct count c = {.nsid = 77};
	int on = 1;

	if (setsockopt(nl_fd(events), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) < 0)
		return;
	CHECK_EQ(change(true, 5000), 0);
	CHECK_EQ(nl_events_nsid(events, on_nsid, &c), 0);
	CHECK(c.notices == 1 && c.nsid == NL_NSID_OWN);
}

int main(void)
{
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return tap_skip("may not make a network namespace");
	CHECK(nl_open(&changer, NETLINK_ROUTE) == 0 && nl_open(&events, NETLINK_ROUTE) == 0);
	CHECK_EQ(nl_join(events, RTNLGRP_IPV4_IFADDR), 0);
	if (change(true, 9) < 0)
		return tap_skip("may not change addresses in it");
	CHECK_EQ(nl_events(events, NULL, NULL), 0);
	a_round_ends();
	all_that_had_happened();
	what_fn_returns();
	overflow();
	overflow_without_end();
	loss_is_kept();
	own_has_no_id();
	nl_close(events);
	nl_close(changer);
	return tap_done();
}
