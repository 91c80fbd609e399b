/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the host's routes say about one of its interfaces: does it lead outside? Asked of the kernel when somebody wants
 * to know, for that interface alone, since a router's tables are long; the kernel's notices tell when to ask again.
 */
#ifndef WEIR_INVENTORY_ROUTES_H
#define WEIR_INVENTORY_ROUTES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

struct routes;
struct routes_link {
	uint32_t ifindex;
	bool in_vrf;             /* it may belong to a VRF, which has a table of its own */
	const struct addr *addrs; /* the host's on it */
	size_t n_addrs;
};
struct routes_via {
	bool outside; /* a default route of the host goes through it, if only one of several */
	bool router;  /* some route goes through a gateway behind it */
};

int routes_new(struct routes **out); /* opens the kernel's notices. 0 or negative errno */
void routes_free(struct routes *r);  /* NULL is fine */
int routes_fd(const struct routes *r); /* readable: call dispatch */
/* Reads what is waiting. changed: the interface whose answer may be another one now; 0: any. 0 or negative errno. */
int routes_dispatch(struct routes *r, void (*changed)(void *arg, uint32_t ifindex), void *arg);
/* Asks. 0 or negative errno. */
int routes_ask(struct routes *r, struct routes_via *out, const struct routes_link *l);

#endif
