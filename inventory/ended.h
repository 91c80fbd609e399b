/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ids of namespaces that ended within one round of notices, one several times if it has been used again. Private to
 * inventory/links.c. */
#ifndef WEIR_INVENTORY_ENDED_H
#define WEIR_INVENTORY_ENDED_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ended_id {
	int32_t nsid;
	uint32_t times; /* 0: taken */
};

/* All zero: empty. */
struct ended {
	struct ended_id *slot; /* open addressing; negative: free */
	size_t n, cap;         /* slots in use; cap is a power of two, or 0 */
};

int ended_add(struct ended *e, int32_t nsid); /* 0 or -ENOMEM: it is not noted */
bool ended_has(const struct ended *e, int32_t nsid);
bool ended_take(struct ended *e, int32_t nsid); /* once; false: it was not there */
void ended_clear(struct ended *e);              /* frees what it holds */

#endif
