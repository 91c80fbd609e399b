/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The host's interfaces: which are worth capturing on, and which addresses are the host's own. */
#ifndef WEIR_INVENTORY_LINKS_H
#define WEIR_INVENTORY_LINKS_H
#include <stdbool.h>
#include <stdint.h>

#include "inventory/inventory.h"

struct links;
/* ev and bridges (inventory_settings.bridges) are borrowed. Nothing is told before links_start. 0 or negative errno. */
int links_new(struct links **out, const struct inventory_events *ev, const char *const *bridges);
int links_start(struct links *l); /* lists, and tells. 0 or negative errno */
void links_free(struct links *l);
int links_fd(const struct links *l);
int links_dispatch(struct links *l);
/* Calls fn with the id of the namespace behind each of the host's interfaces that leads into another one; an id comes
 * as often as interfaces lead there. */
void links_each_peer(const struct links *l, void (*fn)(void *arg, int32_t nsid), void *arg);
/* Does any of the host's interfaces lead into the namespace of that id? lately: or did one that went in this round of
 * notices or the one before (ids are used again soon)? */
bool links_reach(const struct links *l, int32_t nsid, bool lately);
/* The caller has read, after links_dispatch in the same round, that the namespace of that id has ended. The id is free
 * at once, the link goes a while later: it must not be taken to lead to the next owner. */
void links_nsid_ended(struct links *l, int32_t nsid);
/* Does an interface with that name look like a container runtime's bridge? */
bool links_runtime_bridge(const char *name);

#endif
