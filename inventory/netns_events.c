/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One socket for the notices of all namespaces (NETLINK_LISTEN_ALL_NSID): see netns_events.h. It is one socket because
 * only then the end of a namespace's id and what the next owner of the same id says come in order.
 */
#include "config.h"
#include "inventory/netns_events.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "inventory/rtnl.h"

#define EVENT_BUFFER (8u << 20)

struct netns_events {
	struct nl *socket;
};

int netns_events_new(struct netns_events **out, bool *deaf)
{
	static const unsigned groups[] = {RTNLGRP_NSID, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR};
	struct netns_events *e = malloc(sizeof(*e));
	int on = 1, r;

	if (!e)
		return -ENOMEM;
	r = nl_open(&e->socket, NETLINK_ROUTE);
	if (r < 0) {
		free(e);
		return r;
	}
	nl_set_rcvbuf(e->socket, EVENT_BUFFER);
	*deaf = setsockopt(nl_fd(e->socket), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) < 0;
	for (size_t i = 0; r == 0 && i < sizeof(groups) / sizeof(groups[0]); i++)
		r = nl_join(e->socket, groups[i]);
	if (r < 0)
		netns_events_free(e);
	else
		*out = e;
	return r;
}

void netns_events_free(struct netns_events *e)
{
	if (!e)
		return;
	nl_close(e->socket);
	free(e);
}

int netns_events_fd(const struct netns_events *e)
{
	return nl_fd(e->socket);
}

int netns_events_read(struct netns_events *e, nl_nsid_fn *fn, void *arg)
{
	return nl_events_nsid(e->socket, fn, arg);
}
