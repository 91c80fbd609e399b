/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is known of a network namespace's inside: its addresses, and where its links lead. Private to
 * inventory/netns*.c. */
#ifndef WEIR_INVENTORY_NETNS_INSIDE_H
#define WEIR_INVENTORY_NETNS_INSIDE_H
#include <stdbool.h>
#include <stdint.h>

#include "common/workload.h"
#include "inventory/rtnl.h"

#define INSIDE_PEERS_MAX 8
#define INSIDE_BRIDGES_MAX 16
#define INSIDE_ADDRS_MAX 64

struct inside {
	struct rtnl_addr addrs[INSIDE_ADDRS_MAX];
	unsigned n_addrs;
	int32_t peers[INSIDE_PEERS_MAX]; /* namespaces that its links lead to */
	unsigned n_peers;
	uint32_t bridges[INSIDE_BRIDGES_MAX]; /* a runtime's own: it is a container host, these addresses its inner side's */
	unsigned n_bridges;
};

/* Both ask the kernel anew, and keep what was known where it does not answer (a namespace that is gone meanwhile). */
void inside_list_addrs(struct inside *in, struct nl *query, int32_t nsid);
bool inside_list_links(struct inside *in, struct nl *query, int32_t nsid); /* false: it does not answer */
void inside_take_links(struct inside *in, const struct inside *listed); /* what such a list said */
/* One notice about an address or a link. True for a link: the list of links is stale. */
bool inside_notice(struct inside *in, const struct nlmsghdr *h);
/* The addresses that others know it by, not those of its inner side; link-local ones last, and only beside others. */
void inside_addrs(const struct inside *in, struct workload *w);

#endif
