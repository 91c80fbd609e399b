/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What links.c and links_outside.c share; links.h is for everybody else. */
#ifndef WEIR_INVENTORY_LINKS_IMPL_H
#define WEIR_INVENTORY_LINKS_IMPL_H
#include "inventory/ended.h"
#include "inventory/links.h"
#include "inventory/routes.h"
#include "inventory/rtnl.h"

#define BUCKETS 256u

struct link {
	struct link *next;
	struct rtnl_link k;
	bool had_veth;  /* a bridge that once had a workload stays worth watching */
	bool told, stale; /* stale: not seen in the listing under way */
	bool peer_ended;  /* the namespace it led to is no more, though the link is still there */
	uint64_t wanted_ns; /* monotonic: since when it would be told, 0: not */
	struct inventory_link told_as;
	struct routes_via via; /* what the routes said at asked_ns */
	uint64_t asked_ns;     /* monotonic, 0: never */
	bool asked;            /* and nothing has changed since */
	bool outside_told;     /* that it is not captured on, since it leads outside */
};

struct links {
	const struct inventory_events *ev;
	const char *const *patterns;
	struct nl *events, *query;
	int epoll, timer;
	struct link *bucket[BUCKETS]; /* by ifindex */
	struct rtnl_addr *addrs; /* the host's, of all interfaces */
	size_t n_addrs, cap_addrs;
	struct addr *told_addrs;
	size_t n_told_addrs;
	bool told_any_addrs;
	struct routes *routes;
	uint64_t wake_ns; /* monotonic: what the timer is set to, 0: not set */
	/* Where links led that are gone, or lead there no more: in this round of notices, and in the one before. */
	struct ended lately, before;
	/* The kernel tells us of links and of ended ids in one order; whoever else hears of the ids is a little ahead. */
	struct ended read;  /* in this round: in the copy it is the next owner's links that lead there */
	struct ended ahead; /* links_nsid_ended, and not read yet: links told of until then are the last owner's */
	bool again;  /* the copy may be wrong: it is to be listed anew */
	bool listed; /* that was so in this round: the copy is newer than what was read */
	uint32_t recheck; /* a veth whose other end went away: look at the end that stayed */
};

/* links.c */
struct link **links_slot(struct links *l, uint32_t ifindex);
/* Walks all links: the one after k, the first for NULL; NULL behind the last. k must still be there. */
struct link *links_after(const struct links *l, const struct link *k);
/* Looks again at that time (monotonic), if not before. */
void links_wake(struct links *l, uint64_t at_ns);

/* links_outside.c */
/* Is it a veth that leads outside, and to be left out for that reason? Says so when it changes. */
bool links_lead_outside(struct links *l, struct link *k);
/* The answer may be another one now; ifindex 0: of all. arg is the struct links. */
void links_routes_changed(void *arg, uint32_t ifindex);

#endif
