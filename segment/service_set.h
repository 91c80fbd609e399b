/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sets of services, as a rule has them: an array of struct service. Sorted by protocol and port, none overlapping, is
 * the form in which they can be compared; "any" (protocol 0) swallows the rest.
 */
#ifndef WEIR_SEGMENT_SERVICE_SET_H
#define WEIR_SEGMENT_SERVICE_SET_H
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/proto.h"

/* Sorts and unites overlapping ones in place (neighbours like 80 and 81 stay two). Returns how many are left. */
size_t service_set_normalise(struct service *s, size_t n);
bool service_set_equal(const struct service *a, size_t n_a, const struct service *b, size_t n_b);
/* Is one of the n what the other holds whole? */
bool service_set_covers(const struct service *set, size_t n, const struct service *s);
/* What a has and b has not, in parts: *out is the caller's to free(), NULL when nothing is left. Where b has only some
 * protocols and a says "any", the answer is "any", since "every other protocol" has no name; likewise for "icmp" and
 * its types. 0 or -ENOMEM. */
int service_set_minus(struct service **out, size_t *n_out, const struct service *a, size_t n_a, const struct service *b,
		      size_t n_b);
/* "80/tcp, 443/tcp" */
void service_set_format(struct buf *b, const struct service *s, size_t n);

#endif
