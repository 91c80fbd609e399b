/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Questions to rtnetlink and the reading of its answers: see rtnl.h. */
#include "config.h"
#include "inventory/rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "common/timefmt.h"

#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif
#define DUMP_TRIES 8
/* Not again what has taken so long: whoever changes thousands of addresses without pause would keep us at it. */
#define DUMP_AGAIN_NS (50 * NS_PER_MS)

int rtnl_open(struct nl **out)
{
	struct nl *s;
	int on = 1, r = nl_open(&s, NETLINK_ROUTE);

	if (r < 0)
		return r;
	/* Without it the kernel ignores what a dump is asked about and tells of our own namespace instead. */
	if (setsockopt(nl_fd(s), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0) {
		r = -errno;
		nl_close(s);
		return r;
	}
	*out = s;
	return 0;
}

int rtnl_parse_link(struct rtnl_link *out, const struct nlmsghdr *h)
{
	const struct ifinfomsg *i = nl_body(h, sizeof(*i));
	const struct nlattr *tb[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];
	struct rtnl_link l = {.peer_nsid = NSID_NONE};
	char kind[16];

	/* Bridges tell about their ports in messages of the same type with a family of their own. */
	if ((h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK) || !i || i->ifi_family != AF_UNSPEC)
		return -EINVAL;
	nl_attrs(tb, IFLA_MAX, h, sizeof(*i));
	l.ifindex = (uint32_t)i->ifi_index;
	l.up = i->ifi_flags & IFF_UP;
	l.master = nl_attr_u32(tb[IFLA_MASTER]);
	l.peer = nl_attr_u32(tb[IFLA_LINK]);
	if (tb[IFLA_LINK_NETNSID])
		l.peer_nsid = (int32_t)nl_attr_u32(tb[IFLA_LINK_NETNSID]);
	nl_attr_str(tb[IFLA_IFNAME], l.name, sizeof(l.name));
	if (tb[IFLA_LINKINFO]) {
		nl_attrs_nested(info, IFLA_INFO_MAX, tb[IFLA_LINKINFO]);
		nl_attr_str(info[IFLA_INFO_KIND], kind, sizeof(kind));
		l.kind = strcmp(kind, "bridge") == 0 ? RTNL_BRIDGE : strcmp(kind, "veth") == 0 ? RTNL_VETH : RTNL_OTHER;
	}
	*out = l;
	return 0;
}

int rtnl_parse_addr(struct rtnl_addr *out, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *i = nl_body(h, sizeof(*i));
	const struct nlattr *tb[IFA_MAX + 1], *a;

	if ((h->nlmsg_type != RTM_NEWADDR && h->nlmsg_type != RTM_DELADDR) || !i)
		return -EINVAL;
	nl_attrs(tb, IFA_MAX, h, sizeof(*i));
	/* On a point-to-point link IFA_ADDRESS is the other end's. */
	a = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	if (i->ifa_family == AF_INET && nl_attr_len(a) == 4)
		out->addr = addr_from_v4(nl_attr_data(a));
	else if (i->ifa_family == AF_INET6 && nl_attr_len(a) == 16)
		out->addr = addr_from_v6(nl_attr_data(a));
	else
		return -EINVAL;
	out->len = (uint8_t)(i->ifa_prefixlen + (i->ifa_family == AF_INET ? 96 : 0));
	out->ifindex = i->ifa_index;
	return 0;
}

/* A dump that the kernel says may not fit together is asked for again, a few times. */
static int dump(struct nl *s, struct nl_msg *m, nl_fn *fn, void (*again)(void *arg), void *arg)
{
	uint64_t until_ns = time_mono_ns() + DUMP_AGAIN_NS;
	int r = nl_dump(s, m, fn, arg);

	for (int i = 1; r == -EINTR && i < DUMP_TRIES && time_mono_ns() < until_ns; i++) {
		again(arg);
		r = nl_dump(s, m, fn, arg);
	}
	/* It changes all the time: take what there is, the changes come as notices. */
	return r == -EINTR ? 0 : r;
}

int rtnl_dump_links(struct nl *s, int32_t nsid, nl_fn *fn, void (*again)(void *arg), void *arg)
{
	struct nl_msg m;
	int r = -ENOMEM;

	if (!nl_msg_init(&m, RTM_GETLINK, 0, sizeof(struct ifinfomsg)))
		goto out;
	if (nsid != NSID_NONE)
		nl_put_u32(&m, IFLA_TARGET_NETNSID, (uint32_t)nsid);
	r = dump(s, &m, fn, again, arg);
out:
	nl_msg_fini(&m);
	return r;
}

static int dump_family(struct nl *s, uint8_t family, int32_t nsid, nl_fn *fn, void *arg)
{
	struct ifaddrmsg *i;
	struct nl_msg m;
	int r = -ENOMEM;

	i = nl_msg_init(&m, RTM_GETADDR, 0, sizeof(*i));
	if (!i)
		goto out;
	i->ifa_family = family;
	if (nsid != NSID_NONE)
		nl_put_u32(&m, IFA_TARGET_NETNSID, (uint32_t)nsid);
	r = nl_dump(s, &m, fn, arg);
out:
	nl_msg_fini(&m);
	return r;
}

int rtnl_dump_addrs(struct nl *s, int32_t nsid, nl_fn *fn, void (*again)(void *arg), void *arg)
{
	uint64_t until_ns = time_mono_ns() + DUMP_AGAIN_NS;
	int r = -EINTR;

	/* Each family for itself: a dump of AF_UNSPEC waits for the kernel's global lock, these two no longer do. */
	for (int i = 0; r == -EINTR && i < DUMP_TRIES && (i == 0 || time_mono_ns() < until_ns); i++) {
		if (i)
			again(arg);
		r = dump_family(s, AF_INET, nsid, fn, arg);
		if (r == 0)
			r = dump_family(s, AF_INET6, nsid, fn, arg);
	}
	return r == -EINTR ? 0 : r;
}

static int take_link(void *arg, const struct nlmsghdr *h)
{
	(void)rtnl_parse_link(arg, h);
	return 0;
}

int rtnl_get_link(struct nl *s, uint32_t ifindex, struct rtnl_link *out)
{
	struct rtnl_link l = {0};
	struct ifinfomsg *i;
	struct nl_msg m;
	int r = -ENOMEM;

	i = nl_msg_init(&m, RTM_GETLINK, 0, sizeof(*i));
	if (!i)
		goto out;
	i->ifi_index = (int)ifindex;
	r = nl_request(s, &m, take_link, &l);
	if (r == 0 && l.ifindex == 0)
		r = -ENODEV;
	if (r == 0)
		*out = l;
out:
	nl_msg_fini(&m);
	return r;
}

int32_t rtnl_parse_nsid(const struct nlmsghdr *h)
{
	const struct nlattr *tb[NETNSA_MAX + 1];

	if ((h->nlmsg_type != RTM_NEWNSID && h->nlmsg_type != RTM_DELNSID) || !nl_body(h, sizeof(struct rtgenmsg)))
		return NSID_NONE;
	nl_attrs(tb, NETNSA_MAX, h, sizeof(struct rtgenmsg));
	return tb[NETNSA_NSID] ? (int32_t)nl_attr_u32(tb[NETNSA_NSID]) : NSID_NONE;
}

static int take_nsid(void *arg, const struct nlmsghdr *h)
{
	*(int32_t *)arg = rtnl_parse_nsid(h);
	return 0;
}

static int nsid_request(struct nl *s, uint16_t type, int fd, int32_t *nsid)
{
	struct nl_msg m;
	int r = -ENOMEM;

	if (!nl_msg_init(&m, type, 0, sizeof(struct rtgenmsg)))
		goto out;
	nl_put_u32(&m, NETNSA_FD, (uint32_t)fd);
	if (type == RTM_NEWNSID)
		nl_put_u32(&m, NETNSA_NSID, (uint32_t)NSID_NONE); /* any that is free */
	r = nl_request(s, &m, nsid ? take_nsid : NULL, nsid);
out:
	nl_msg_fini(&m);
	return r;
}

int rtnl_nsid(struct nl *s, int fd)
{
	int32_t nsid = NSID_NONE;
	int r = nsid_request(s, RTM_GETNSID, fd, &nsid);

	if (r < 0 || nsid != NSID_NONE)
		return r < 0 ? r : nsid;
	r = nsid_request(s, RTM_NEWNSID, fd, NULL);
	if (r < 0 && r != -EEXIST)
		return r;
	r = nsid_request(s, RTM_GETNSID, fd, &nsid);
	if (r == 0 && nsid == NSID_NONE)
		r = -ENOENT;
	return r < 0 ? r : nsid;
}
