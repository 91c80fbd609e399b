/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel's notices of our own network namespace's ids, and of the links and addresses in every other namespace that
 * has an id here, in the order in which they happened. Private to inventory/netns*.c.
 */
#ifndef WEIR_INVENTORY_NETNS_EVENTS_H
#define WEIR_INVENTORY_NETNS_EVENTS_H
#include <stdbool.h>
#include <stdint.h>

#include "netlink/nl.h"

struct netns_events;
/* nsid: the namespace that the notice comes from, NSID_NONE for our own. */
typedef void netns_events_fn(void *arg, int32_t nsid, const struct nlmsghdr *h);
/* *deaf: others' notices are not to be had (that takes CAP_NET_BROADCAST). 0 or negative errno. */
int netns_events_new(struct netns_events **out, bool *deaf);
void netns_events_free(struct netns_events *e);
int netns_events_fd(const struct netns_events *e);
/* Hands on what is waiting. 0; -ENOBUFS: some were lost, what was left has been handed on; or another negative
 * errno. */
int netns_events_read(struct netns_events *e, netns_events_fn *fn, void *arg);

#endif
