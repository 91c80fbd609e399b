/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which of the host's interfaces lead outside: see routes.h. A workload's own veth and one that is the host's way out
 * look the same but for the routes. What counts as leading outside is a route to everywhere (of length 0, or the halves
 * of it that are set to win over the default) that the host's own packets may take, whatever its metric and however
 * many there are:
 *
 *	- in the tables that every host looks in, main and default;
 *	- in another one, if a rule sends packets there that have the interface's own address, or any (several uplinks
 *	  with a table each), or if the interface is in a VRF. Not where the rule is about others' packets: a namespace
 *	  that some containers' traffic is sent through (a VPN, a proxy) is a workload itself.
 *
 * A route to some network only, through a gateway or without one, does not: behind it may be containers that the
 * namespace routes for. One link too many costs a few questions to conntrack, one too few is a blind spot.
 *
 * The answer is right when it is given. Notices about routes are not followed one by one, since the kernel does not
 * tell of all that go (an interface that goes down takes its own along, a replaced one is not named): they say when to
 * ask again.
 */
#include "config.h"
#include "inventory/routes.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "inventory/rtnl.h"
#include "netlink/nl.h"

#define EVENT_BUFFER (1u << 20)
#define TABLES_MAX 64
#define DUMP_TRIES 8

struct routes {
	struct nl *events, *query;
	void (*changed)(void *arg, uint32_t ifindex);
	void *arg;
};

struct route {
	uint8_t family, dst_len, type;
	uint32_t table, oif; /* oif 0: several, or a next hop that is an object of its own */
	bool gateway;
	const struct nlattr *multipath;
};

/* ---- reading --------------------------------------------------------------------------------------------------- */

static bool parse(struct route *out, const struct nlmsghdr *h)
{
	const struct rtmsg *m = nl_body(h, sizeof(*m));
	const struct nlattr *tb[RTA_MAX + 1];

	if ((h->nlmsg_type != RTM_NEWROUTE && h->nlmsg_type != RTM_DELROUTE) || !m || m->rtm_flags & RTM_F_CLONED ||
	    (m->rtm_family != AF_INET && m->rtm_family != AF_INET6))
		return false;
	nl_attrs(tb, RTA_MAX, h, sizeof(*m));
	*out = (struct route){m->rtm_family, m->rtm_dst_len, m->rtm_type, m->rtm_table, nl_attr_u32(tb[RTA_OIF]),
			      tb[RTA_GATEWAY] || tb[RTA_VIA], tb[RTA_MULTIPATH]};
	if (tb[RTA_TABLE])
		out->table = nl_attr_u32(tb[RTA_TABLE]);
	return true;
}

/* Also what is set beside the default to win over it: 0.0.0.0/1 and 128.0.0.0/1, ::/1, 8000::/1, 2000::/3. */
static bool everywhere(const struct route *t)
{
	return t->dst_len <= (t->family == AF_INET ? 1 : 3);
}

/* Calls fn for each next hop of a multipath route. */
static void each_hop(const struct nlattr *multipath, void (*fn)(void *arg, uint32_t ifindex, bool gateway), void *arg)
{
	const char *at = nl_attr_data(multipath);
	size_t left = nl_attr_len(multipath);

	while (left >= sizeof(struct rtnexthop)) {
		const struct rtnexthop *hop = (const void *)at;
		size_t step = RTNH_ALIGN(hop->rtnh_len);

		if (hop->rtnh_len < sizeof(*hop) || hop->rtnh_len > left)
			return;
		/* What follows a next hop's head is its gateway, most of all. */
		fn(arg, (uint32_t)hop->rtnh_ifindex, hop->rtnh_len > sizeof(*hop));
		if (step > left)
			return;
		at += step;
		left -= step;
	}
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

struct question {
	const struct routes_link *link;
	struct routes_via via;
	uint32_t table[TABLES_MAX]; /* with a route to everywhere through the link */
	unsigned n_tables;
	bool by_rule; /* a rule sends to one of them what is the link's own */
};

static bool usual_table(uint32_t table)
{
	return table == RT_TABLE_MAIN || table == RT_TABLE_DEFAULT;
}

static void take_hop(void *arg, uint32_t ifindex, bool gateway)
{
	struct question *q = arg;

	if (ifindex == q->link->ifindex && gateway)
		q->via.router = true;
}

static int take_route(void *arg, const struct nlmsghdr *h)
{
	struct question *q = arg;
	struct route t;

	/* The kernel has picked those of the link, also where a next hop is an object that is not told here. */
	if (!parse(&t, h) || (t.oif && t.oif != q->link->ifindex) || t.table == RT_TABLE_LOCAL)
		return 0;
	if (t.multipath)
		each_hop(t.multipath, take_hop, q);
	else if (t.gateway || !t.oif)
		q->via.router = true;
	if (!everywhere(&t) || t.type != RTN_UNICAST)
		return 0;
	if (usual_table(t.table) || q->link->in_vrf)
		q->via.outside = true;
	else if (q->n_tables < TABLES_MAX)
		q->table[q->n_tables++] = t.table;
	return 0;
}

/* Does a rule's source prefix hold one of the link's own addresses? */
static bool own_source(const struct question *q, const struct fib_rule_hdr *m, const struct nlattr *src)
{
	struct prefix p = {.len = m->src_len};

	if (!m->src_len)
		return true;
	if (m->family == AF_INET && nl_attr_len(src) == 4) {
		p.addr = addr_from_v4(nl_attr_data(src));
		p.len = (uint8_t)(p.len + 96);
	} else if (m->family == AF_INET6 && nl_attr_len(src) == 16) {
		p.addr = addr_from_v6(nl_attr_data(src));
	} else {
		return false;
	}
	for (size_t i = 0; i < q->link->n_addrs; i++)
		if (prefix_contains(&p, &q->link->addrs[i]))
			return true;
	return false;
}

static int take_rule(void *arg, const struct nlmsghdr *h)
{
	/* Each of them makes a rule one for some packets only. A mark that is excluded (a tunnel's own) does not. */
	static const uint16_t narrow[] = {FRA_IIFNAME,  FRA_OIFNAME,     FRA_UID_RANGE,
					  FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE};
	const struct fib_rule_hdr *m = nl_body(h, sizeof(*m));
	const struct nlattr *tb[FRA_MAX + 1];
	struct question *q = arg;
	uint32_t table;

	if (h->nlmsg_type != RTM_NEWRULE || !m || m->action != FR_ACT_TO_TBL || m->dst_len || m->tos)
		return 0;
	nl_attrs(tb, FRA_MAX, h, sizeof(*m));
	for (size_t i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++)
		if (tb[narrow[i]])
			return 0;
	if (nl_attr_u32(tb[FRA_FWMARK]) && !(m->flags & FIB_RULE_INVERT))
		return 0;
	if (m->src_len && m->flags & FIB_RULE_INVERT)
		return 0;
	table = tb[FRA_TABLE] ? nl_attr_u32(tb[FRA_TABLE]) : m->table;
	for (unsigned i = 0; i < q->n_tables; i++)
		if (q->table[i] == table && own_source(q, m, tb[FRA_SRC]))
			q->by_rule = true;
	return 0;
}

static int dump_routes(struct nl *s, struct question *q, uint8_t family)
{
	struct rtmsg *t;
	struct nl_msg m;
	int r = -ENOMEM;

	t = nl_msg_init(&m, RTM_GETROUTE, 0, sizeof(*t));
	if (!t)
		goto out;
	t->rtm_family = family;
	nl_put_u32(&m, RTA_OIF, q->link->ifindex);
	r = nl_dump(s, &m, take_route, q);
out:
	nl_msg_fini(&m);
	return r;
}

static int dump_rules(struct nl *s, struct question *q, uint8_t family)
{
	struct fib_rule_hdr *t;
	struct nl_msg m;
	int r = -ENOMEM;

	t = nl_msg_init(&m, RTM_GETRULE, 0, sizeof(*t));
	if (!t)
		goto out;
	t->family = family;
	r = nl_dump(s, &m, take_rule, q);
out:
	nl_msg_fini(&m);
	return r;
}

static int ask_family(struct routes *r, struct question *q, uint8_t family)
{
	int rc;

	q->n_tables = 0;
	rc = dump_routes(r->query, q, family);
	if (rc == 0 && q->n_tables && !q->via.outside)
		rc = dump_rules(r->query, q, family);
	if (q->by_rule)
		q->via.outside = true;
	/* No such protocol here, or no such tables; and no routes through an interface that is gone. */
	return rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP || rc == -ENODEV || rc == -ENOENT ? 0 : rc;
}

int routes_ask(struct routes *r, struct routes_via *out, const struct routes_link *l)
{
	struct question q;
	int rc = -EINTR;

	/* A dump that the kernel says may not fit together is asked for again, a few times. */
	for (int i = 0; rc == -EINTR && i < DUMP_TRIES; i++) {
		q = (struct question){.link = l};
		rc = ask_family(r, &q, AF_INET);
		if (rc == 0)
			rc = ask_family(r, &q, AF_INET6);
	}
	if (rc == 0 || rc == -EINTR) /* it changes all the time: there will be a notice */
		*out = q.via;
	return rc == -EINTR ? 0 : rc;
}

/* ---- notices --------------------------------------------------------------------------------------------------- */

static void hop_changed(void *arg, uint32_t ifindex, bool gateway)
{
	struct routes *r = arg;

	(void)gateway;
	r->changed(r->arg, ifindex);
}

static int on_notice(void *arg, const struct nlmsghdr *h)
{
	struct routes *r = arg;
	struct route t;

	if (!parse(&t, h)) {
		/* A rule, or a next hop that routes refer to. */
		if (h->nlmsg_type == RTM_NEWRULE || h->nlmsg_type == RTM_DELRULE || h->nlmsg_type == RTM_NEWNEXTHOP ||
		    h->nlmsg_type == RTM_DELNEXTHOP)
			r->changed(r->arg, 0);
		return 0;
	}
	/* One to everywhere that goes may uncover another, and one that replaces does not say whose place it takes. */
	if (everywhere(&t))
		r->changed(r->arg, 0);
	else if (t.multipath)
		each_hop(t.multipath, hop_changed, r);
	else if (t.oif && t.gateway)
		r->changed(r->arg, t.oif);
	return 0;
}

int routes_dispatch(struct routes *r, void (*changed)(void *arg, uint32_t ifindex), void *arg)
{
	int rc;

	r->changed = changed;
	r->arg = arg;
	rc = nl_events(r->events, on_notice, r);
	if (rc != -ENOBUFS)
		return rc;
	changed(arg, 0);
	return 0;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

int routes_new(struct routes **out)
{
	static const unsigned groups[] = {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE};
	struct routes *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	rc = rtnl_open(&r->query);
	if (rc == 0)
		rc = nl_open(&r->events, NETLINK_ROUTE);
	if (rc == 0)
		nl_set_rcvbuf(r->events, EVENT_BUFFER);
	for (size_t i = 0; rc == 0 && i < sizeof(groups) / sizeof(groups[0]); i++)
		rc = nl_join(r->events, groups[i]);
	if (rc < 0) {
		routes_free(r);
		return rc;
	}
	(void)nl_join(r->events, RTNLGRP_NEXTHOP); /* not before Linux 5.3 */
	*out = r;
	return 0;
}

void routes_free(struct routes *r)
{
	if (!r)
		return;
	nl_close(r->events);
	nl_close(r->query);
	free(r);
}

int routes_fd(const struct routes *r)
{
	return nl_fd(r->events);
}
