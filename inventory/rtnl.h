/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The few questions that inventory/ asks of rtnetlink, about our own network namespace or, by its id, another one. The
 * id (nsid) of a namespace is ours alone: each namespace numbers those it knows. Asking about another one by its id
 * needs CAP_NET_ADMIN there and no setns(2), which would need CAP_SYS_ADMIN.
 */
#ifndef WEIR_INVENTORY_RTNL_H
#define WEIR_INVENTORY_RTNL_H
#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "netlink/nl.h"

#define NSID_NONE NL_NSID_OWN /* our own namespace, as a target; no other namespace, as a peer's */

enum rtnl_kind { RTNL_OTHER, RTNL_BRIDGE, RTNL_VETH };

struct rtnl_link {
	uint32_t ifindex, master, peer; /* peer: IFLA_LINK, in the namespace peer_nsid */
	int32_t peer_nsid;
	uint8_t kind;
	bool up; /* administratively */
	char name[16];
};

struct rtnl_addr {
	uint32_t ifindex;
	struct addr addr;
	uint8_t len; /* of the network's prefix, of 128 bits */
};

int rtnl_open(struct nl **out); /* for questions; 0 or negative errno */
/* 0, or -EINVAL for a message that is none of that kind. */
int rtnl_parse_link(struct rtnl_link *out, const struct nlmsghdr *h);
int rtnl_parse_addr(struct rtnl_addr *out, const struct nlmsghdr *h);

/* Hands every RTM_NEWLINK (RTM_NEWADDR) of the namespace to fn. again is called before each attempt after the first:
 * the table changed meanwhile, what was collected is void. 0 or negative errno; fn's results other than 0 end it. */
int rtnl_dump_links(struct nl *s, int32_t nsid, nl_fn *fn, void (*again)(void *arg), void *arg);
int rtnl_dump_addrs(struct nl *s, int32_t nsid, nl_fn *fn, void (*again)(void *arg), void *arg);
int rtnl_get_link(struct nl *s, uint32_t ifindex, struct rtnl_link *out); /* -ENODEV */
/* The id of the namespace behind fd, given to it if it has none yet. Not negative, or negative errno. */
int rtnl_nsid(struct nl *s, int fd);
/* The nsid that an RTM_NEWNSID or RTM_DELNSID is about, or NSID_NONE. */
int32_t rtnl_parse_nsid(const struct nlmsghdr *h);

#endif
