/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Containers that an earlier run knew and whose runtime cannot be reached now. Private to inventory/inventory.c. */
#ifndef WEIR_INVENTORY_RECALL_H
#define WEIR_INVENTORY_RECALL_H
#include "inventory/docker.h"
#include "inventory/links.h"
#include "inventory/table.h"

struct recall;
/* table and links are borrowed; links NULL: nothing can be seen, so nothing is kept. 0 or negative errno. */
int recall_new(struct recall **out, struct table *table, const struct links *links);
void recall_free(struct recall *r);
void recall_runtime(struct recall *r, struct docker *d); /* one more runtime; borrowed */
int recall_add(struct recall *r, const struct workload *w); /* see inventory_recall. 0 or -ENOMEM */
void recall_apply(struct recall *r);
/* From time to time: those that are seen no more end. */
void recall_look(struct recall *r);

#endif
