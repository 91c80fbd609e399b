/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Why the end of a flow has no name. The inventory tells of workloads that it saw and could not ask for their names, by
 * address where it knows that much, else by time alone; what nobody told of was never announced, or the inventory had
 * not got that far. Both kinds of note are kept in fixed room, the newest displacing others: they matter for as long as
 * flows of that time are written, which is seconds.
 */
#include "config.h"
#include "daemon/engine.h"

#include <stdlib.h>

#include "common/timefmt.h"
#include "daemon/engine_impl.h"

#define SETS 1024u /* by the hash of the address */
#define WAYS 8u    /* in each: many short lives at once do not displace each other */
#define BY_TIME 16u
/* A workload is noticed, and its end too, a little after the packets next to them. */
#define SLACK_NS (2 * NS_PER_S)

struct note {
	struct addr addr;
	uint64_t from_ns, to_ns;
	uint8_t why; /* FLOW_UNNAMED_NONE: free */
};

struct unnamed {
	struct note by_addr[SETS][WAYS];
	struct note by_time[BY_TIME]; /* a ring */
	unsigned n_by_time;
};

static struct note *set_of(const struct engine *e, const struct addr *a)
{
	return e->unnamed->by_addr[hash_bytes(&e->secret, a->b, sizeof(a->b)) % SETS];
}

/* The note of that address; NULL: there is none. */
static const struct note *find(const struct engine *e, const struct addr *a)
{
	const struct note *n = set_of(e, a);

	for (unsigned i = 0; i < WAYS; i++)
		if (n[i].why && addr_equal(&n[i].addr, a))
			return &n[i];
	return NULL;
}

/* Where its note goes: in place of the one before, else where it is free, else in place of the oldest. */
static struct note *place_for(const struct engine *e, const struct addr *a)
{
	struct note *n = set_of(e, a), *best = n;

	for (unsigned i = 0; i < WAYS; i++) {
		if (n[i].why && addr_equal(&n[i].addr, a))
			return &n[i];
		if (best->why && (!n[i].why || n[i].to_ns < best->to_ns))
			best = &n[i];
	}
	return best;
}

void engine_unnamed(struct engine *e, const struct inventory_unnamed *u)
{
	if (!e->unnamed)
		e->unnamed = calloc(1, sizeof(*e->unnamed));
	if (!e->unnamed)
		return;
	for (unsigned i = 0; i < u->n_addrs; i++)
		*place_for(e, &u->addrs[i]) = (struct note){u->addrs[i], u->from_ns, u->to_ns, u->why};
	if (!u->n_addrs)
		e->unnamed->by_time[e->unnamed->n_by_time++ % BY_TIME] =
			(struct note){addr_any, u->from_ns, u->to_ns, u->why};
}

void engine_inventory(struct engine *e, uint64_t at_ns)
{
	e->inventory_ns = at_ns;
}

static bool fits(const struct note *n, const struct flow_rec *f)
{
	return n->why && f->end_ns + SLACK_NS >= n->from_ns && f->start_ns - SLACK_NS <= n->to_ns;
}

uint8_t unnamed_why(const struct engine *e, const struct flow_rec *f, unsigned i, const struct names_end *end)
{
	const struct note *n = e->unnamed ? find(e, &f->addr[i]) : NULL;

	if (n && fits(n, f))
		return n->why;
	if (e->inventory_ns && e->inventory_ns < f->end_ns)
		return FLOW_UNNAMED_SILENT;
	for (unsigned k = 0; e->unnamed && k < BY_TIME; k++)
		if (fits(&e->unnamed->by_time[k], f))
			return e->unnamed->by_time[k].why;
	return end->watched ? FLOW_UNNAMED_NEVER : FLOW_UNNAMED_PRIVATE;
}
