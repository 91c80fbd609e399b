/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the kernel's connection tracking knows of a conversation that capture has seen: which end began it, and where
 * its first packet was addressed before the kernel sent it elsewhere (DNAT: a published port, a service address). For
 * TCP, UDP, SCTP, DCCP and ICMP echo over IPv4 and IPv6, in the network namespace of the caller. Needs CAP_NET_ADMIN.
 */
#ifndef WEIR_INVENTORY_CONNTRACK_H
#define WEIR_INVENTORY_CONNTRACK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

#define CONNTRACK_MAX_DEFAULT 65536 /* about 300 bytes each */

struct conntrack_origin {
	struct addr client; /* who began: the original tuple's source, before any SNAT */
	uint16_t client_port;
	bool client_is_first;  /* the end given as addr[0] is the one that began (also when SNAT changed its address) */
	struct addr orig_addr; /* the original destination where DNAT changed it, else addr_any */
	uint16_t orig_port;
	struct addr server;    /* who answers: where DNAT sent it, or the original destination */
	uint16_t server_port;
};

struct conntrack_stats {
	uint64_t seen, kept_now, evicted; /* translated connections told of, remembered, forgotten for lack of room */
	uint64_t lost;                    /* times that the kernel had to drop notices (ENOBUFS) */
	uint64_t asked, answered;         /* questions to the kernel */
	bool events_off;                  /* net.netfilter.nf_conntrack_events is 0: short connections may be missed */
};

struct conntrack;
/* max: translated connections to remember, 0 for the default. Reads the kernel's table once, then follows it. 0, or
 * negative errno (-EPERM; -EOPNOTSUPP or the like where the kernel has no connection tracking). */
int conntrack_open(struct conntrack **out, size_t max);
void conntrack_close(struct conntrack *c);
int conntrack_fd(const struct conntrack *c);    /* readable: call dispatch */
int conntrack_dispatch(struct conntrack *c);    /* never blocks. 0 or negative errno */
/*
 * By the ends as they were on the wire, in either order. ICMP echo: the identifier as port[0], port[1] is ignored. Also
 * for connections that ended within the last minute if they were translated. 0, or -ENOENT: not known. Asks the kernel
 * (some microseconds) for what was not translated.
 */
int conntrack_lookup(struct conntrack *c, uint8_t proto, const struct addr addr[2], const uint16_t port[2],
		     struct conntrack_origin *out);
void conntrack_stats(const struct conntrack *c, struct conntrack_stats *out);

#endif
