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
/* *deaf: others' notices are not to be had (that takes CAP_NET_BROADCAST). 0 or negative errno. */
int netns_events_new(struct netns_events **out, bool *deaf);
void netns_events_free(struct netns_events *e);
int netns_events_fd(const struct netns_events *e);
/* Hands on what had happened when it was called (see nl_events_nsid; nsid NSID_NONE: our own namespace). 0; -ENOBUFS:
 * some were lost, what was left has been handed on; or another negative errno. */
int netns_events_read(struct netns_events *e, nl_nsid_fn *fn, void *arg);

#endif
