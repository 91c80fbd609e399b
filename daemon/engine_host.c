/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The host's own addresses in the store. Flows carry no workload for an end that is the host, so that whoever reads
 * them later has only the address to go by; bound to one workload named "host", its intervals tell the host from the
 * world, also for addresses that it has no more.
 */
#include "config.h"
#include "daemon/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine_impl.h"
#include "store/identity.h"

/* Open intervals of the host for addresses that it no longer has. */
struct stale {
	uint64_t host;
	const struct addr *addrs; /* what it has */
	size_t n_addrs;
	struct addr *list;
	size_t n, max;
};

static int collect(void *arg, const struct addr_interval *i)
{
	struct stale *s = arg;

	if (i->workload != s->host || i->to_ns)
		return 0;
	for (size_t k = 0; k < s->n_addrs; k++)
		if (addr_equal(&s->addrs[k], &i->addr))
			return 0;
	if (s->n == s->max) {
		size_t max = s->max ? 2 * s->max : 16;
		struct addr *more = realloc(s->list, max * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->list = more;
		s->max = max;
	}
	s->list[s->n++] = i->addr;
	return 0;
}

/* The workload that stands for the host: as it is in the store, since its beginning, or new. */
static void fill(struct workload *w, struct store_txn *t, const struct addr *addrs, size_t n, uint64_t now_ns)
{
	uint64_t id = workload_id_of(GROUP_HOST, GROUP_HOST, 0);

	if (store_workload_get(t, id, w) < 0) {
		memset(w, 0, sizeof(*w));
		w->id = id;
		w->start_ns = now_ns;
	}
	w->kind = WORKLOAD_HOST;
	w->end_ns = 0;
	w->exit_code = -1;
	snprintf(w->name, sizeof(w->name), "%s", GROUP_HOST);
	snprintf(w->group, sizeof(w->group), "%s", GROUP_HOST);
	w->n_addrs = (uint8_t)(n < WORKLOAD_ADDRS_MAX ? n : WORKLOAD_ADDRS_MAX);
	if (w->n_addrs)
		memcpy(w->addrs, addrs, w->n_addrs * sizeof(*addrs));
}

void engine_host(struct engine *e, const struct addr *addrs, size_t n, uint64_t now_ns)
{
	struct stale s = {.addrs = addrs, .n_addrs = n};
	struct workload w;
	int rc;

	if (names_host(e->names, addrs, n) < 0 || !engine_txn(e))
		return;
	fill(&w, e->txn, addrs, n, now_ns);
	s.host = w.id;
	rc = store_workload_put(e->txn, &w);
	if (rc == 0)
		rc = store_addr_walk(e->txn, collect, &s);
	for (size_t i = 0; i < s.n && rc == 0; i++)
		rc = store_addr_unbind(e->txn, &s.list[i], w.id, now_ns);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = store_addr_bind(e->txn, &addrs[i], w.id, now_ns);
	free(s.list);
	engine_failed(e, rc);
	e->pending++;
}
