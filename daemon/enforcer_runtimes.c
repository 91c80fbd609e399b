/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Container runtimes in the parent. The store, which only the engine reads, knows who was alive when weir was last
 * there: the engine tells it once, and the inventory makes use of it for runtimes that cannot be reached. How things
 * stand with each runtime goes the other way, for `weir status`.
 */
#include "config.h"
#include "daemon/enforcer_impl.h"

#include <string.h>

#include "common/wire.h"

bool enforcer_recall(struct enforcer *e, const struct msg *m)
{
	struct workload w;

	/* A fresh engine of an older daemon tells it again: what was true then need not be now. */
	if (m->type == IPC_RECALL) {
		if (!e->recalled && e->inv && workload_decode(&w, m->data, m->len) == 0)
			(void)inventory_recall(e->inv, &w);
		return true;
	}
	if (m->type != IPC_RECALLED)
		return false;
	e->recalled = true;
	return true;
}

void enforcer_runtimes_tell(struct enforcer *e)
{
	struct body_runtime list[BODY_RUNTIMES_MAX];
	struct buf b = BUF_INIT;

	_Static_assert(INVENTORY_RUNTIMES_MAX <= BODY_RUNTIMES_MAX, "all of them go into one message");
	for (size_t i = 0; i < e->n_runtimes; i++) {
		const struct inventory_runtime *r = &e->runtimes[i];

		list[i] = (struct body_runtime){.reached = r->reached, .absent = r->absent, .since_ns = r->since_ns,
						.workloads = r->workloads, .recalled = r->recalled};
		memcpy(list[i].name, r->name, sizeof(r->name));
		memcpy(list[i].version, r->version, sizeof(r->version));
		memcpy(list[i].path, r->path, sizeof(r->path));
	}
	body_runtimes_encode(&b, list, e->n_runtimes);
	enforcer_tell(e, IPC_RUNTIMES, &b);
	buf_fini(&b);
}

void enforcer_runtimes_tick(struct enforcer *e)
{
	struct inventory_runtime now[INVENTORY_RUNTIMES_MAX];
	size_t n;

	if (!e->inv)
		return;
	n = inventory_runtimes(e->inv, now);
	if (n == e->n_runtimes && memcmp(now, e->runtimes, n * sizeof(now[0])) == 0)
		return;
	memcpy(e->runtimes, now, n * sizeof(now[0]));
	e->n_runtimes = n;
	enforcer_runtimes_tell(e);
}
