/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inventory/netns_inside, netns_set and ended: a bridge that is told of, or told gone, while a list of links is under
 * way is not forgotten for the list, in whichever order the two were; and the two sets against naive models,
 * also with more in them than a machine has namespaces.
 */
#include "config.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "inventory/ended.h"
#include "inventory/netns_impl.h"
#include "tests/tap.h"

/* A notice about a link. True: the list is stale. */
static bool notice(struct inside *in, uint16_t type, int ifindex, const char *name, const char *kind)
{
	struct nl_msg m;
	struct ifinfomsg *i = nl_msg_init(&m, type, 0, sizeof(*i));
	bool stale = false;
	size_t nest;

	CHECK(i != NULL);
	if (i) {
		i->ifi_index = ifindex;
		nl_put_str(&m, IFLA_IFNAME, name);
		nest = nl_nest_start(&m, IFLA_LINKINFO);
		nl_put_str(&m, IFLA_INFO_KIND, kind);
		nl_nest_end(&m, nest);
		((struct nlmsghdr *)(void *)m.b.data)->nlmsg_len = (uint32_t)m.b.len;
		stale = inside_notice(in, (const struct nlmsghdr *)(const void *)m.b.data);
	}
	nl_msg_fini(&m);
	return stale;
}

/* Whether an address on that interface would be told as the namespace's own. */
static bool tells(struct inside *in, uint32_t ifindex)
{
	static const uint8_t v4[4] = {172, 17, 0, 1};
	static struct workload w;

	memset(&w, 0, sizeof(w));
	in->n_addrs = 1;
	in->addrs[0] = (struct rtnl_addr){.ifindex = ifindex, .addr = addr_from_v4(v4)};
	inside_addrs(in, &w);
	return w.n_addrs == 1;
}

static void bridges_and_lists(void)
{
	struct inside in = {0}, before = {.n_peers = 1, .peers = {4}},
		      with = {.bridges = {5}, .n_bridges = 1, .peers = {4}, .n_peers = 1};
	unsigned asked = in.bridges_told;

	/* Told after the list was fetched, before it is taken. */
	CHECK(notice(&in, RTM_NEWLINK, 5, "docker0", "bridge"));
	CHECK(!tells(&in, 5) && tells(&in, 6));
	CHECK(!inside_take_links(&in, &before, asked));
	CHECK(!tells(&in, 5));
	CHECK(in.n_peers == 1 && in.peers[0] == 4);
	/* Told of again, that changes nothing: the next list counts. */
	asked = in.bridges_told;
	CHECK(notice(&in, RTM_NEWLINK, 5, "docker0", "bridge"));
	CHECK(inside_take_links(&in, &with, asked));
	CHECK(!tells(&in, 5));
	/* Gone after the list was fetched: kept for now, not after the next. */
	asked = in.bridges_told;
	CHECK(notice(&in, RTM_DELLINK, 5, "docker0", "bridge"));
	CHECK(tells(&in, 5));
	CHECK(!inside_take_links(&in, &with, asked));
	CHECK(!tells(&in, 5));
	CHECK(inside_take_links(&in, &before, in.bridges_told));
	CHECK(tells(&in, 5));
	/* A bridge of no runtime is a workload's own. */
	CHECK(notice(&in, RTM_NEWLINK, 7, "mine", "bridge") && notice(&in, RTM_NEWLINK, 8, "docker0", "veth"));
	CHECK(tells(&in, 7) && tells(&in, 8));
}

/* Networks inside come and go; the room is for those that are there. */
static void many_bridges(void)
{
	struct inside in = {0};
	char name[16];

	for (int i = 0; i < 10 * INSIDE_BRIDGES_MAX; i++) {
		snprintf(name, sizeof(name), "br-%012x", (unsigned)i);
		CHECK(notice(&in, RTM_NEWLINK, 10 + i, name, "bridge"));
		CHECK(!tells(&in, (uint32_t)(10 + i)));
		CHECK(notice(&in, RTM_DELLINK, 10 + i, name, "bridge"));
		CHECK(tells(&in, (uint32_t)(10 + i)));
	}
}

/* ---- the set ----------------------------------------------------------------------------------------------------- */

#define IDS 64

static void check_lists(const struct netns_set *set, unsigned named, unsigned nameless)
{
	unsigned n = 0;

	for (const struct ns *s = set->named; s; s = s->next, n++)
		CHECK(s->inode != 0);
	CHECK_EQ(n, named);
	n = 0;
	for (const struct ns *s = set->nameless; s; s = s->next, n++)
		CHECK(s->inode == 0);
	CHECK_EQ(n, nameless);
	CHECK_EQ(set->n_nameless, nameless);
}

static void against_a_model(void)
{
	static struct netns_set set;
	struct ns *model[IDS] = {NULL};
	uint64_t seed = tap_seed();
	unsigned named = 0, nameless = 0;

	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)(tap_random(&seed) % IDS);
		/* Several in one bucket. */
		int32_t nsid = (int32_t)(i / 4 + i % 4 * NETNS_SET_BUCKETS);

		CHECK(netns_set_find(&set, nsid) == model[i]);
		if (!model[i]) {
			model[i] = netns_set_add(&set, nsid);
			nameless++;
			CHECK(model[i] && set.nameless == model[i]);
		} else if (!model[i]->inode && tap_random(&seed) % 2) {
			model[i]->inode = step + 1;
			netns_set_named(&set, model[i]);
			nameless--;
			named++;
			CHECK(set.named == model[i]);
		} else {
			named -= model[i]->inode != 0;
			nameless -= model[i]->inode == 0;
			netns_set_remove(&set, model[i]);
			model[i] = NULL;
		}
		if (step % 64 == 0)
			check_lists(&set, named, nameless);
	}
	while (set.named)
		netns_set_remove(&set, set.named);
	while (set.nameless)
		netns_set_remove(&set, set.nameless);
	check_lists(&set, 0, 0);
}

#define ENDS 5000

static void ended_against_a_model(void)
{
	static unsigned times[ENDS];
	struct ended e = {0};
	uint64_t seed = tap_seed();

	CHECK(!ended_has(&e, 3) && !ended_take(&e, 3));
	for (int32_t i = 0; i < ENDS; i++)
		CHECK_EQ(ended_add(&e, i), 0);
	for (int32_t i = 0; i < ENDS; i++)
		CHECK(ended_has(&e, i) && ended_take(&e, i) && !ended_has(&e, i) && !ended_take(&e, i));
	for (unsigned step = 0; step < 50000; step++) {
		int32_t nsid = (int32_t)(tap_random(&seed) % ENDS);

		CHECK(ended_has(&e, nsid) == (times[nsid] > 0));
		if (tap_random(&seed) % 2) {
			CHECK_EQ(ended_add(&e, nsid), 0);
			times[nsid]++;
		} else {
			CHECK(ended_take(&e, nsid) == (times[nsid] > 0));
			times[nsid] -= times[nsid] > 0;
		}
	}
	CHECK_EQ(ended_add(&e, NSID_NONE), 0); /* a link that leads into no other */
	CHECK(!ended_has(&e, NSID_NONE));
	ended_clear(&e);
	CHECK(!ended_has(&e, 0) && e.slot == NULL);
	ended_clear(&e);
}

int main(void)
{
	bridges_and_lists();
	many_bridges();
	against_a_model();
	ended_against_a_model();
	return tap_done();
}
