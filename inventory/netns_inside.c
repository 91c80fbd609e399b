/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of another network namespace, asked for by its id and kept up by its notices. The notices number other
 * namespaces as that one does, the lists as we do; so where its links lead is only ever taken from a list.
 */
#include "config.h"
#include "inventory/netns_inside.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/inspect.h"
#include "inventory/links.h"

static void put_addr(struct inside *in, const struct rtnl_addr *a)
{
	for (unsigned i = 0; i < in->n_addrs; i++)
		if (in->addrs[i].ifindex == a->ifindex && addr_equal(&in->addrs[i].addr, &a->addr))
			return;
	if (in->n_addrs < INSIDE_ADDRS_MAX)
		in->addrs[in->n_addrs++] = *a;
}

static void drop_addr(struct inside *in, const struct rtnl_addr *a)
{
	for (unsigned i = in->n_addrs; i-- > 0;)
		if (in->addrs[i].ifindex == a->ifindex && addr_equal(&in->addrs[i].addr, &a->addr))
			memmove(&in->addrs[i], &in->addrs[i + 1], (--in->n_addrs - i) * sizeof(in->addrs[0]));
}

static bool inner_bridge(const struct inside *in, uint32_t ifindex)
{
	for (unsigned i = 0; i < in->n_bridges; i++)
		if (in->bridges[i] == ifindex)
			return true;
	return false;
}

static void note_bridge(struct inside *in, const struct rtnl_link *k)
{
	if (k->kind == RTNL_BRIDGE && links_runtime_bridge(k->name) && !inner_bridge(in, k->ifindex) &&
	    in->n_bridges < INSIDE_BRIDGES_MAX)
		in->bridges[in->n_bridges++] = k->ifindex;
}

static int on_addr(void *arg, const struct nlmsghdr *h)
{
	struct rtnl_addr a;

	if (rtnl_parse_addr(&a, h) == 0)
		put_addr(arg, &a);
	return 0;
}

static int on_link(void *arg, const struct nlmsghdr *h)
{
	struct inside *in = arg;
	struct rtnl_link k;

	if (rtnl_parse_link(&k, h) < 0)
		return 0;
	if (k.peer_nsid != NSID_NONE && in->n_peers < INSIDE_PEERS_MAX)
		in->peers[in->n_peers++] = k.peer_nsid;
	note_bridge(in, &k);
	return 0;
}

static void start_again(void *arg)
{
	memset(arg, 0, sizeof(struct inside));
}

void inside_list_addrs(struct inside *in, struct nl *query, int32_t nsid)
{
	struct inside *seen = calloc(1, sizeof(*seen));

	if (seen && rtnl_dump_addrs(query, nsid, on_addr, start_again, seen) == 0) {
		memcpy(in->addrs, seen->addrs, sizeof(in->addrs));
		in->n_addrs = seen->n_addrs;
	}
	free(seen);
}

bool inside_list_links(struct inside *in, struct nl *query, int32_t nsid)
{
	struct inside *seen = calloc(1, sizeof(*seen));
	bool known = seen && rtnl_dump_links(query, nsid, on_link, start_again, seen) == 0;

	if (known)
		inside_take_links(in, seen);
	free(seen);
	return known;
}

void inside_take_links(struct inside *in, const struct inside *listed)
{
	memcpy(in->peers, listed->peers, sizeof(in->peers));
	memcpy(in->bridges, listed->bridges, sizeof(in->bridges));
	in->n_peers = listed->n_peers;
	in->n_bridges = listed->n_bridges;
}

bool inside_notice(struct inside *in, const struct nlmsghdr *h)
{
	struct rtnl_addr a;
	struct rtnl_link k;

	if (rtnl_parse_addr(&a, h) == 0) {
		if (h->nlmsg_type == RTM_NEWADDR)
			put_addr(in, &a);
		else
			drop_addr(in, &a);
		return false;
	}
	if (rtnl_parse_link(&k, h) < 0)
		return false;
	note_bridge(in, &k); /* its addresses may be told before the list */
	return true;
}

void inside_addrs(const struct inside *in, struct workload *w)
{
	/* Link-local addresses come last, and none without another: they are there before it is known whose this is. */
	for (int local = 0; local < 2 && (!local || w->n_addrs); local++)
		for (unsigned i = 0; i < in->n_addrs; i++)
			if (addr_is_linklocal(&in->addrs[i].addr) == (local == 1) && !inner_bridge(in, in->addrs[i].ifindex))
				workload_add_addr(w, &in->addrs[i].addr);
}
