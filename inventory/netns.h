/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Network namespaces that have a name in a folder (`ip netns add`), as workloads. */
#ifndef WEIR_INVENTORY_NETNS_H
#define WEIR_INVENTORY_NETNS_H
#include "inventory/links.h"
#include "inventory/table.h"

struct netns;
/* dir: /run/netns, or where else; it may come later. links and table are borrowed. 0 or negative errno. */
int netns_new(struct netns **out, const char *dir, struct links *links, struct table *table);
void netns_free(struct netns *n);
int netns_start(struct netns *n); /* lists, and tells. 0 or negative errno */
int netns_fd(const struct netns *n);
/* Also to be called when links have changed. */
int netns_dispatch(struct netns *n);

#endif
