/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two sockets bring the end of a namespace's id, each in the order in which it happened, one a little ahead of the
 * other. What one has read and the other has not yet is noted here: mostly nothing, some thousands when a machine is
 * cleared of its containers at once. So it is a hash that grows, and is thrown away with the round. Ids are small and
 * given out one after the other: the id itself spreads them.
 */
#include "config.h"
#include "inventory/ended.h"

#include <errno.h>
#include <stdlib.h>

#define CAP_FIRST 64u
#define FREE (-1)

/* Where it is, or would be; there is always a free one. */
static struct ended_id *slot_of(const struct ended *e, int32_t nsid)
{
	size_t i = (uint32_t)nsid & (e->cap - 1);

	while (e->slot[i].nsid != FREE && e->slot[i].nsid != nsid)
		i = (i + 1) & (e->cap - 1);
	return &e->slot[i];
}

static int grow(struct ended *e)
{
	struct ended bigger = {.n = e->n, .cap = e->cap ? 2 * e->cap : CAP_FIRST};

	bigger.slot = malloc(bigger.cap * sizeof(*bigger.slot));
	if (!bigger.slot)
		return -ENOMEM;
	for (size_t i = 0; i < bigger.cap; i++)
		bigger.slot[i] = (struct ended_id){FREE, 0};
	for (size_t i = 0; i < e->cap; i++)
		if (e->slot[i].nsid != FREE)
			*slot_of(&bigger, e->slot[i].nsid) = e->slot[i];
	free(e->slot);
	*e = bigger;
	return 0;
}

int ended_add(struct ended *e, int32_t nsid)
{
	struct ended_id *id;

	if (nsid < 0)
		return 0; /* no namespace's */
	if (e->n >= e->cap / 2 && grow(e) < 0)
		return -ENOMEM;
	id = slot_of(e, nsid);
	e->n += id->nsid == FREE;
	id->nsid = nsid;
	id->times++;
	return 0;
}

bool ended_has(const struct ended *e, int32_t nsid)
{
	return e->cap && nsid >= 0 && slot_of(e, nsid)->times > 0;
}

bool ended_take(struct ended *e, int32_t nsid)
{
	if (!ended_has(e, nsid))
		return false;
	slot_of(e, nsid)->times--;
	return true;
}

void ended_clear(struct ended *e)
{
	free(e->slot);
	*e = (struct ended){0};
}
