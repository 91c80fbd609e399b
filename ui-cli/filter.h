/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * FILTER: pcap-filter(7) syntax over flows instead of packets, and terms over what weir knows of them.
 *
 *	host 10.0.0.7 and tcp port 443        src net 10.0.0.0/8 or 192.168.0.0/16        not port 53
 *	src.group == shop/web and bytes > 10k        app ~ TLS.* and state != refused
 *
 * src is the client's end, dst (or dest) the server's. As in pcap-filter `and` and `or` bind equally, from the
 * left; `not` binds tighter; a bare id after and, or, not has the qualifiers of the one before it. weir(1) lists all.
 */
#ifndef WEIR_UI_FILTER_H
#define WEIR_UI_FILTER_H
#include <stdbool.h>
#include <stddef.h>

#include "common/flow.h"
#include "ui-cli/output.h"

struct filter;

#define FILTER_ERROR_STRLEN 256
struct filter_error {
	size_t column; /* of text, in bytes, from 0 */
	char text[FILTER_ERROR_STRLEN];
};

/* 0; -EINVAL with *error; -ENOMEM. An empty text is a filter that matches everything. */
int filter_parse(struct filter **out, const char *text, struct filter_error *error);
void filter_free(struct filter *f); /* NULL is fine */
/* NULL matches everything. */
bool filter_match(const struct filter *f, const struct flow_rec *r, const struct output_end end[2]);
/* True where only flows with *addr at one end can match: the store has an index for that. */
bool filter_pins_addr(const struct filter *f, struct addr *addr);

#endif
