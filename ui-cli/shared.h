/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Containers that share a network namespace: one has the addresses, and the traffic of all carries its name. */
#ifndef WEIR_UI_SHARED_H
#define WEIR_UI_SHARED_H
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/workload.h"
#include "ui-cli/view.h"

/* The workload whose network w is in, as of its start. False: w has one of its own, or the store does not know it. */
bool shared_owner(struct workload *out, struct view *v, const struct workload *w);
/* Those in the network of owner at at_ns, or, for 0, ever while it lived: "sidecar (shop/sidecar), debug (debug)"
 * appended to b. */
int shared_guests(struct buf *b, struct view *v, const struct workload *owner, uint64_t at_ns);

#endif
