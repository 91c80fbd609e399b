/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the namespace inventory share: netns.c follows them, netns_tell.c says what is to be known of
 * them. */
#ifndef WEIR_INVENTORY_NETNS_IMPL_H
#define WEIR_INVENTORY_NETNS_IMPL_H
#include <stdbool.h>
#include <stdint.h>

#include "common/flow.h"
#include "inventory/netns.h"
#include "inventory/netns_inside.h"
#include "inventory/netns_set.h"
#include "netlink/nl.h"

/* A namespace that a runtime made is left to it for so long: it knows a better name than an UUID. */
#define NETNS_RUNTIME_FIRST_NS (2 * NS_PER_S)
/* What is told of a namespace becomes a change of the kernel's sets and a line in the store. Whoever changes his
 * addresses without pause is told of so often, after the first few changes. */
#define NETNS_TELL_EVERY_NS (100 * NS_PER_MS)
#define NETNS_TELL_AT_ONCE 20u

struct ns {
	struct ns *next, **at; /* among the named, or the nameless; at: whatever points here */
	struct ns *same, **same_at; /* those whose ids fall into the same bucket */
	char name[128]; /* "": it talks, and no file has been found to be it */
	int32_t nsid;
	uint64_t inode, start_ns; /* nameless: inode 0, and the earliest that it can have begun */
	struct inside inside;
	bool attached; /* for good: a workload that loses its link has still been one */
	/* Monotonic: when it was found, when last looked into, when its links are to be listed (0: they need not). */
	uint64_t seen_ns, asked_ns, links_due_ns;
	uint64_t told; /* workload id, 0: none */
	uint64_t told_for_ns; /* monotonic: up to when it has used up being told of; what is due later waits for it */
	bool tell_waits;
	/* Nameless: when it began to talk a file came and went into which nobody had looked, maybe its own. */
	bool file_missed;
};

struct netns {
	struct table *table;
	struct links *links;
	struct netns_dir *dir;
	struct netns_events *events;
	struct netns_lister *lister;
	struct nl *query;
	struct netns_set set;
	uint64_t own_inode;
	uint64_t read_ns;   /* UTC: everything that had happened by then has been read */
	uint64_t missed_ns; /* UTC: when a file was last found to be gone that had never been looked into */
	int epoll, poll_timer;
	bool deaf; /* no notices of others: they must be asked */
	bool told_denied, started, lost;
};

/* The workload as it is, if it is one by now. at_once: it is over, so nobody else will speak for it. 0 or -ENOMEM. */
int netns_tell(struct netns *n, struct ns *s, bool at_once);
int netns_tell_all(struct netns *n);
void netns_tell_gone(struct netns *n, struct ns *s);
/* Its file was missed (file_missed; of any other nothing is told): why its addresses have no name, until now if it has
 * ended, for as long as it lives if not. */
void netns_tell_unnamed(struct netns *n, const struct ns *s, bool ended);
/* Something happened between from_ns and until_ns (0: now) of which nobody knows which addresses it was about. */
void netns_tell_unknown(struct netns *n, enum flow_unnamed why, uint64_t from_ns, uint64_t until_ns);
/* Its runtime knows a better name, and has still time to tell it. */
bool netns_left_to_runtime(const struct ns *s, uint64_t now_mono_ns);

#endif
