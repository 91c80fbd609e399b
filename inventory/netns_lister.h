/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists of the links of other network namespaces, fetched by a thread that may wait for them. Private to
 * inventory/netns*.c. */
#ifndef WEIR_INVENTORY_NETNS_LISTER_H
#define WEIR_INVENTORY_NETNS_LISTER_H
#include <stdbool.h>
#include <stdint.h>

#include "inventory/netns_inside.h"

struct netns_lister;
int netns_lister_new(struct netns_lister **out); /* 0 or negative errno */
void netns_lister_free(struct netns_lister *l);  /* waits for the list that is being fetched */
int netns_lister_fd(const struct netns_lister *l); /* readable: take */
/* Whom a question is about, and what the caller knew when it asked; comes back with the answer. */
struct netns_question {
	int32_t nsid;
	uint64_t token; /* tells, when the answer comes, whether the id still means the namespace asked about */
	unsigned told;  /* inside.bridges_told */
};
/* Asked again about the same before it is fetched is asked once: as it was first. The thread is started by the first
 * question, with the capabilities that its caller has by then. 0 or negative errno. */
int netns_lister_ask(struct netns_lister *l, const struct netns_question *q);
/* How many answers there are. Those that come later make the descriptor readable anew. */
unsigned netns_lister_ready(struct netns_lister *l);
/* The oldest answer: where the links lead and which bridges there are; the addresses are none of it. False when there
 * is none. */
bool netns_lister_take(struct netns_lister *l, struct netns_question *q, struct inside *out);

#endif
