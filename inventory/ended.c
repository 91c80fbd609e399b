/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two sockets bring the end of a namespace's id, each in the order in which it happened, one a little ahead of the
 * other. What one has read and the other has not yet is noted here.
 */
#include "config.h"
#include "inventory/ended.h"

static unsigned place_of(const struct ended *e, int32_t nsid)
{
	unsigned i = 0;

	while (i < e->n && e->nsid[i] != nsid)
		i++;
	return i;
}

void ended_add(struct ended *e, int32_t nsid)
{
	if (e->n < ENDED_MAX)
		e->nsid[e->n++] = nsid;
}

bool ended_has(const struct ended *e, int32_t nsid)
{
	return place_of(e, nsid) < e->n;
}

bool ended_take(struct ended *e, int32_t nsid)
{
	unsigned i = place_of(e, nsid);

	if (i == e->n)
		return false;
	e->nsid[i] = e->nsid[--e->n];
	return true;
}
