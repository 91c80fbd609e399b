/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Identities in the engine: what the inventory tells goes into the store (for ever) and into the table of names (for
 * the flows of now). The policy in force decides which group a workload counts to; where it has no say, the
 * workload's own name for itself holds.
 */
#include "config.h"
#include "daemon/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine_impl.h"
#include "store/identity.h"

const char *engine_group_of(const struct engine *e, const struct workload *w)
{
	return e->policy ? policy_group_of(e->policy, w) : w->group;
}

static bool has_addr(const struct workload *w, const struct addr *a)
{
	for (unsigned i = 0; w && i < w->n_addrs; i++)
		if (addr_equal(&w->addrs[i], a))
			return true;
	return false;
}

/* The store keeps the group that the workload counted to. */
static int put_workload(struct engine *e, const struct workload *w)
{
	struct workload copy = *w;

	snprintf(copy.group, sizeof(copy.group), "%s", engine_group_of(e, w));
	return store_workload_put(e->txn, &copy);
}

void engine_workload(struct engine *e, const struct workload *w, bool ended, uint64_t bound_ns)
{
	const struct workload *old = names_workload(e->names, w->id);

	if (!bound_ns)
		bound_ns = w->start_ns;
	if (engine_txn(e)) {
		engine_failed(e, put_workload(e, w));
		for (unsigned i = 0; old && i < old->n_addrs && engine_txn(e); i++)
			if (ended || !has_addr(w, &old->addrs[i]))
				engine_failed(e, store_addr_unbind(e->txn, &old->addrs[i], w->id, ended ? w->end_ns
								   : bound_ns));
		for (unsigned i = 0; i < w->n_addrs && engine_txn(e); i++) {
			if (ended && old && has_addr(old, &w->addrs[i]))
				continue;
			engine_failed(e, store_addr_bind(e->txn, &w->addrs[i], w->id, bound_ns));
			if (ended && engine_txn(e))
				engine_failed(e, store_addr_unbind(e->txn, &w->addrs[i], w->id, w->end_ns));
		}
	}
	e->pending++;
	if (!ended) {
		names_up(e->names, w, engine_group_of(e, w), bound_ns);
		return;
	}
	if (!old) /* began and ended before we looked: its packets may still be on their way */
		names_up(e->names, w, engine_group_of(e, w), bound_ns);
	names_down(e->names, w->id, w->end_ns);
}

struct forgotten {
	struct engine *e;
	struct workload *w;
	size_t n, cap;
};

static int find_forgotten(void *arg, const struct workload *w)
{
	struct forgotten *f = arg;

	if (w->end_ns || w->kind == WORKLOAD_HOST || names_workload(f->e->names, w->id))
		return 0;
	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 16;
		struct workload *grown = realloc(f->w, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		f->w = grown;
		f->cap = cap;
	}
	f->w[f->n++] = *w;
	return 0;
}

void engine_settled(struct engine *e, uint64_t at_ns)
{
	struct forgotten f = {e, NULL, 0, 0};

	if (engine_txn(e))
		store_workload_walk(e->txn, at_ns, 0, find_forgotten, &f);
	for (size_t i = 0; i < f.n && engine_txn(e); i++) {
		struct workload *w = &f.w[i];

		w->end_ns = at_ns > w->start_ns ? at_ns : w->start_ns + 1;
		engine_failed(e, store_workload_put(e->txn, w));
		for (unsigned a = 0; a < w->n_addrs && engine_txn(e); a++)
			engine_failed(e, store_addr_unbind(e->txn, &w->addrs[a], w->id, w->end_ns));
	}
	free(f.w);
}

static const char *group_of(void *arg, const struct workload *w)
{
	return engine_group_of(arg, w);
}

static void put_again(void *arg, const struct workload *w)
{
	struct engine *e = arg;

	if (engine_txn(e))
		engine_failed(e, put_workload(e, w));
}

void engine_policy(struct engine *e, struct policy *p, struct ruleset *rs, bool lapsed, uint64_t since_ns)
{
	policy_free(e->policy);
	if (e->ruleset)
		ruleset_fini(e->ruleset);
	free(e->ruleset);
	e->policy = p;
	e->ruleset = rs;
	e->lapsed = lapsed;
	e->policy_since_ns = since_ns;
	names_regroup(e->names, group_of, e);
	names_each(e->names, put_again, e);
}

const struct ruleset *engine_ruleset(const struct engine *e)
{
	return e->ruleset;
}
