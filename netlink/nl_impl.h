/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of netlink/ share and nobody else sees. */
#ifndef WEIR_NETLINK_NL_IMPL_H
#define WEIR_NETLINK_NL_IMPL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink/nl.h"

struct mnl_socket;

struct nl {
	struct mnl_socket *mnl;
	uint32_t seq;    /* of the last request */
	char error[160]; /* the kernel's sentence about it */
	unsigned queue_most; /* datagrams that can wait in the socket */
	bool lost;           /* notices were dropped, and it has not been told yet: see nl_events.c */
	_Alignas(16) uint8_t in[65536];
};

/* One datagram into s->in before the deadline (CLOCK_MONOTONIC). 0, -ETIMEDOUT, -ENOBUFS, -EMSGSIZE, ... */
int nl_receive(struct nl *s, uint64_t deadline_ns, size_t *len);
/* The errno of an NLMSG_ERROR message (0 for an ack); keeps its sentence in s->error. */
int nl_error_of(struct nl *s, const struct nlmsghdr *h);

#endif
