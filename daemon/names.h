/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine's memory of who is behind an address, when: what the inventory told, kept for look-ups by address and
 * time at the rate of flows. The lasting form is in the store; this one forgets the dead after a while. Groups are
 * numbers here, so that an edge is a small key.
 */
#ifndef WEIR_DAEMON_NAMES_H
#define WEIR_DAEMON_NAMES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/workload.h"

#define NAMES_WORLD 0u /* group numbers of the reserved groups */
#define NAMES_HOST 1u

struct names;

/* any_time: an address without a holder at the time asked for is given to whoever is known to have had it (offline: the
 * inventory's times need not fit the capture's). 0 or -ENOMEM. */
int names_new(struct names **out, bool any_time);
void names_free(struct names *n);

/* A workload came or changed; group: the one it counts to now. Addresses that are new in this call it has since
 * bound_ns, and those it had and has no more it had until then. */
int names_up(struct names *n, const struct workload *w, const char *group, uint64_t bound_ns);
/* It ended at end_ns; its addresses stay known for the past. */
void names_down(struct names *n, uint64_t id, uint64_t end_ns);
/* The host's own addresses, whole list. */
int names_host(struct names *n, const struct addr *addrs, size_t count);
/* The host's addresses in container networks, each with the length of its network's prefix (of 128 bits): where an
 * unnamed address is worth a moment's wait. */
int names_network(struct names *n, uint32_t ifindex, const struct addr *addrs, const uint8_t *lens, size_t count);
void names_network_gone(struct names *n, uint32_t ifindex);
/* Does the address lie in such a network, other than that of ifindex? */
bool names_on_link(const struct names *n, const struct addr *a, uint32_t but_ifindex);

struct names_end {
	uint64_t workload; /* 0: none */
	uint32_t group;    /* NAMES_WORLD for an address that is neither a workload's nor the host's */
	bool late;         /* not named, but it lies where containers are: a name may still come */
	bool watched;      /* late, and in a network told of by names_network: not merely a private address */
};
void names_find(const struct names *n, const struct addr *a, uint64_t at_ns, struct names_end *out);

/* Live workload by id, or NULL; borrowed until the next change. */
const struct workload *names_workload(const struct names *n, uint64_t id);
size_t names_count(const struct names *n); /* live workloads */
/* Calls fn for each live workload; fn may not change n. */
void names_each(const struct names *n, void (*fn)(void *arg, const struct workload *w), void *arg);
/* Gives each live workload the group that group_of says. */
int names_regroup(struct names *n, const char *(*group_of)(void *arg, const struct workload *w), void *arg);
/* Forgets intervals that ended before before_ns. */
void names_forget(struct names *n, uint64_t before_ns);

/* Group numbers: the text of one (never NULL), the number of a text (made when new; NAMES_WORLD when memory is
 * short). */
const char *names_group(const struct names *n, uint32_t group);
uint32_t names_group_number(struct names *n, const char *text);
size_t names_groups(const struct names *n); /* groups with a live workload */

#endif
