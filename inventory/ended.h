/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ids of namespaces that ended within one round of notices, one several times if it has been used again. Private to
 * inventory/links.c. */
#ifndef WEIR_INVENTORY_ENDED_H
#define WEIR_INVENTORY_ENDED_H
#include <stdbool.h>
#include <stdint.h>

#define ENDED_MAX 1024u /* one more is left out */

struct ended {
	int32_t nsid[ENDED_MAX];
	unsigned n;
};

void ended_add(struct ended *e, int32_t nsid);
bool ended_has(const struct ended *e, int32_t nsid);
bool ended_take(struct ended *e, int32_t nsid); /* once; false: it was not there */

#endif
