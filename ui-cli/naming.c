/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of flow ends: see naming.h. Workloads are kept in an open-addressed table by id; it is bounded, and emptied
 * whole when full, since a store may hold more workloads than fit in memory comfortably (7 kB each).
 */
#include "config.h"
#include "ui-cli/naming.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/history.h"
#include "store/identity.h"

#define NAMING_SLOTS 8192u /* a power of two; at most half are used */

struct naming {
	struct {
		uint64_t id;
		struct workload *workload; /* NULL: known not to be there */
	} slot[NAMING_SLOTS];
	size_t used;
	char dns[2][256];
};

int naming_new(struct naming **out)
{
	struct naming *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	*out = n;
	return 0;
}

static void empty(struct naming *n)
{
	for (size_t i = 0; i < NAMING_SLOTS; i++)
		free(n->slot[i].workload);
	memset(n->slot, 0, sizeof(n->slot));
	n->used = 0;
}

void naming_free(struct naming *n)
{
	if (!n)
		return;
	empty(n);
	free(n);
}

const struct workload *naming_workload(struct naming *n, struct store_txn *t, uint64_t id)
{
	size_t i = (size_t)(id * 0x9e3779b97f4a7c15ull >> 51) & (NAMING_SLOTS - 1);
	struct workload *w;

	if (id == 0)
		return NULL;
	while (n->slot[i].id && n->slot[i].id != id)
		i = (i + 1) & (NAMING_SLOTS - 1);
	if (n->slot[i].id)
		return n->slot[i].workload;
	w = malloc(sizeof(*w));
	if (w && store_workload_get(t, id, w) < 0) {
		free(w);
		w = NULL;
	}
	n->slot[i].id = id;
	n->slot[i].workload = w;
	n->used++;
	return w;
}

/* Room for the two look-ups of one call, so that the first result outlives the second. */
static void make_room(struct naming *n)
{
	if (n->used + 2 > NAMING_SLOTS / 2)
		empty(n);
}

/* Group of an address without a workload, and what DNS called it. */
static void name_stranger(struct naming *n, struct store_txn *t, const struct addr *a, uint64_t at_ns, unsigned slot,
			  struct output_end *out)
{
	out->group = GROUP_WORLD;
	if (store_name_get(t, a, at_ns, n->dns[slot], sizeof(n->dns[slot])) == 0)
		out->name = n->dns[slot];
}

static void name_end(struct naming *n, struct store_txn *t, const struct addr *a, uint64_t workload, uint64_t at_ns,
		     unsigned slot, struct output_end *out)
{
	struct addr_interval owner;

	*out = (struct output_end){NULL, NULL, NULL, NULL};
	if (workload == 0 && store_addr_who(t, a, at_ns, NAMING_SLACK_NS, &owner) == 0)
		workload = owner.workload;
	out->workload = naming_workload(n, t, workload);
	if (out->workload)
		out->group = out->workload->kind == WORKLOAD_HOST ? GROUP_HOST : out->workload->group;
	else
		name_stranger(n, t, a, at_ns, slot, out);
}

void naming_addr(struct naming *n, struct store_txn *t, const struct addr *a, uint64_t at_ns, unsigned slot,
		struct output_end *out)
{
	if (slot == 0)
		make_room(n);
	name_end(n, t, a, 0, at_ns, slot, out);
}

void naming_flow(struct naming *n, struct store_txn *t, const struct flow_rec *f, struct output_end out[2])
{
	make_room(n);
	for (unsigned i = 0; i < 2; i++) {
		name_end(n, t, &f->addr[i], f->workload[i], f->start_ns, i, &out[i]);
		if (!out[i].workload) /* the name may have come after all */
			out[i].unnamed = flow_unnamed_name(f->unnamed[i]);
	}
}

const char *naming_label(const struct output_end *e, const struct addr *a, char out[NAMING_LABEL_STRLEN])
{
	char text[ADDR_STRLEN];

	if (e->group && strcmp(e->group, GROUP_HOST) == 0)
		snprintf(out, NAMING_LABEL_STRLEN, "host");
	else if (e->workload)
		snprintf(out, NAMING_LABEL_STRLEN, "%s", e->workload->name);
	else if (e->name && *e->name)
		snprintf(out, NAMING_LABEL_STRLEN, "%s", e->name);
	else
		snprintf(out, NAMING_LABEL_STRLEN, "%s", addr_format(a, text));
	return out;
}
