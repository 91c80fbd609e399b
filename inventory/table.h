/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The workloads that are there now, and the one place from which their coming and going is told: whoever learns
 * something says the whole workload as it should be, and the table tells it on only if that is news.
 */
#ifndef WEIR_INVENTORY_TABLE_H
#define WEIR_INVENTORY_TABLE_H
#include <stdbool.h>
#include <stdint.h>

#include "common/workload.h"
#include "inventory/inventory.h"

struct table;
/* ev is borrowed. 0 or -ENOMEM. */
int inventory_table_new(struct table **out, const struct inventory_events *ev, const char *const *name_templates);
void inventory_table_free(struct table *t); /* tells nothing */

/* The workload as it is from now on; its group is filled in here. bound_ns: since when new addresses are its own, 0:
 * since its start. 0 or -ENOMEM. */
int table_up(struct table *t, const struct workload *w, uint64_t bound_ns);
/* No-op for an id that is not there. */
void table_down(struct table *t, uint64_t id, uint64_t end_ns, int32_t exit_code);
/* See inventory.h, workload_soon; the group is filled in here. Nothing is kept of it. */
void table_soon(struct table *t, const struct workload *w);
/* See inventory.h, unnamed. Nothing is kept of it. */
void table_unnamed(struct table *t, const struct inventory_unnamed *u);
const struct workload *table_find(const struct table *t, uint64_t id); /* borrowed until the next change; or NULL */
/* Does a workload other than a plain network namespace have any of these addresses? */
bool table_owned(const struct table *t, const struct addr *addrs, unsigned n);
/* See inventory_bound_ns. */
uint64_t table_bound_ns(const struct table *t);
void table_notice(const struct table *t, bool problem, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
