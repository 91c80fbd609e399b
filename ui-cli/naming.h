/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who is behind an address, for whoever prints: from the workload ids that a flow was stored with, else from the
 * store's address intervals (the name may have arrived after the packets did), else from the DNS answers that
 * containers were given. What is found is kept, so that a million flows of twenty workloads cost twenty look-ups.
 */
#ifndef WEIR_UI_NAMING_H
#define WEIR_UI_NAMING_H
#include <stdint.h>

#include "common/flow.h"
#include "common/workload.h"
#include "store/db.h"
#include "ui-cli/output.h"

/* Packets may be seen before the runtime has told whose they are; a name may be that much late. */
#define NAMING_SLACK_NS (5 * 1000000000ull)

struct naming;

int naming_new(struct naming **out); /* 0 or -ENOMEM */
void naming_free(struct naming *n);

/* Both ends of a flow. What out points at stays valid until the next call with the same n. */
void naming_flow(struct naming *n, struct store_txn *t, const struct flow_rec *f, struct output_end out[2]);
/* An address at a time. slot 0 or 1: which of two results held at the same time. */
void naming_addr(struct naming *n, struct store_txn *t, const struct addr *a, uint64_t at_ns, unsigned slot,
		struct output_end *out);
/* The workload of that id, or NULL. Valid until the next call. */
const struct workload *naming_workload(struct naming *n, struct store_txn *t, uint64_t id);

/* What to call an end in a table: workload, else "host", else DNS name, else address. Returns out (ends cut to fit). */
#define NAMING_LABEL_STRLEN 300
const char *naming_label(const struct output_end *e, const struct addr *a, char out[NAMING_LABEL_STRLEN]);

#endif
