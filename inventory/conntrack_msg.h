/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ctnetlink messages. Private to inventory/conntrack*.c. */
#ifndef WEIR_INVENTORY_CONNTRACK_MSG_H
#define WEIR_INVENTORY_CONNTRACK_MSG_H
#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "netlink/nl.h"

/* One direction: who sends to whom. ICMP: both ports are the echo identifier. */
struct ct_tuple {
	struct addr src, dst;
	uint16_t sport, dport; /* host order */
	uint8_t proto;
};

struct ct_conn {
	struct ct_tuple orig, reply; /* reply is orig turned round where nothing was translated */
	bool ended;                  /* the message tells its end */
};

/* 0, or -EINVAL for a message that is no connection, or of a protocol without ports. */
int ct_parse(struct ct_conn *out, const struct nlmsghdr *h);
bool ct_translated(const struct ct_conn *c);
/* Every connection of one address family to fn. */
int ct_dump(struct nl *s, uint8_t family, nl_fn *fn, void *arg);
/* The connection that has this tuple in either direction. 0, -ENOENT or negative errno. */
int ct_get(struct nl *s, const struct ct_tuple *t, struct ct_conn *out);
/* Lets only notices about translated connections through to s. 0 or negative errno. */
int ct_filter_translated(struct nl *s);

#endif
