/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Containers of a runtime that cannot be reached, as an earlier run of weir knew them (recall.c decides which): they go
 * on as if weir had never been away, so that what happens when the runtime answers again is what happens to every life
 * after a lost connection: the list confirms it, an inspect tells that it has ended, or that it is another life by now.
 */
#include "config.h"
#include "inventory/docker_lives.h"

#include <errno.h>

#include "common/timefmt.h"
#include "inventory/docker_lives_impl.h"

int lives_recall(struct lives *l, const struct workload *w)
{
	struct container *c = container_get(l, w->runtime_id, true);
	int r;

	if (!c)
		return -ENOMEM;
	if (c->live) /* the runtime was quicker */
		return 0;
	r = table_up(l->table, w, 0);
	if (r < 0) {
		container_answered(c);
		return r;
	}
	c->live = w->id;
	c->recalled = true;
	return 0;
}

void lives_recalled_drop(struct lives *l, bool (*gone)(void *arg, const struct workload *w), void *arg)
{
	for (unsigned i = 0; i < LIVES_BUCKETS; i++)
		for (struct container *c = l->bucket[i], *next; c; c = next) {
			const struct workload *w = c->recalled ? table_find(l->table, c->live) : NULL;

			next = c->next;
			if (!w || !gone(arg, w))
				continue;
			life_down(c, time_now_ns());
			container_answered(c);
		}
}

void lives_on_unknown(struct lives *l, bool (*fn)(void *arg, const struct workload *w), void *arg)
{
	l->unknown = fn;
	l->unknown_arg = arg;
}

size_t lives_count(const struct lives *l, size_t *recalled)
{
	size_t n = 0;

	*recalled = 0;
	for (unsigned i = 0; i < LIVES_BUCKETS; i++)
		for (const struct container *c = l->bucket[i]; c; c = c->next) {
			n += c->live != 0;
			*recalled += c->recalled;
		}
	return n;
}
