/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The namespaces that are known: those with a name, and those that talk and have none yet. Every notice asks for one by
 * its id, and every round walks the named, who are few; containers make the nameless, as many as there is room for. So
 * ids are hashed, the two kinds are two lists, newest first, and nothing here takes longer for more of them. The kernel
 * gives out the lowest id that is free: as a hash the id itself will do. Private to inventory/netns*.c.
 */
#ifndef WEIR_INVENTORY_NETNS_SET_H
#define WEIR_INVENTORY_NETNS_SET_H
#include <stdint.h>

#define NETNS_SET_BUCKETS 4096u
#define NETNS_NAMELESS_MAX 8192u /* of those that talk and have no file, most are containers */

struct ns; /* netns_impl.h */

struct netns_set {
	struct ns *bucket[NETNS_SET_BUCKETS]; /* by id */
	struct ns *named, *nameless;
	unsigned n_nameless;
};

struct ns *netns_set_find(const struct netns_set *set, int32_t nsid); /* NULL: not known */
/* A new one, nameless. NULL: no memory. */
struct ns *netns_set_add(struct netns_set *set, int32_t nsid);
/* It has got its inode, and counts as named from now on. */
void netns_set_named(struct netns_set *set, struct ns *s);
void netns_set_remove(struct netns_set *set, struct ns *s); /* frees it */

#endif
