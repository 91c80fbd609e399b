/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Several sources may speak of one workload, and each of them repeats itself: a container is listed, inspected, and its
 * events come once more after a reconnect. The table compares whole values, so that only changes are told. It also
 * settles who owns an address when two sources claim it: a namespace under the netns folder may well be a container's,
 * under a second name, and then the container's name is the one people know.
 */
#include "config.h"
#include "inventory/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"

#define BUCKETS 1024

struct entry {
	struct entry *next;
	struct workload w;
};

struct table {
	const struct inventory_events *ev;
	const char *const *name_templates;
	uint64_t bound_ns;
	struct entry *bucket[BUCKETS];
};

int inventory_table_new(struct table **out, const struct inventory_events *ev, const char *const *name_templates)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->ev = ev;
	t->name_templates = name_templates;
	*out = t;
	return 0;
}

void inventory_table_free(struct table *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct entry *e = t->bucket[i], *next; e; e = next) {
			next = e->next;
			free(e);
		}
	free(t);
}

static struct entry **slot(struct table *t, uint64_t id)
{
	struct entry **e = &t->bucket[id % BUCKETS];

	while (*e && (*e)->w.id != id)
		e = &(*e)->next;
	return e;
}

static bool shares_addr(const struct workload *w, const struct addr *addrs, unsigned n)
{
	for (unsigned i = 0; i < w->n_addrs; i++)
		for (unsigned k = 0; k < n; k++)
			if (addr_equal(&w->addrs[i], &addrs[k]))
				return true;
	return false;
}

/* A container has come whose addresses a namespace was named for: one name for one address. */
static void evict_netns(struct table *t, const struct workload *w)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct entry *e = t->bucket[i], *next; e; e = next) {
			next = e->next;
			if (e->w.kind == WORKLOAD_NETNS && shares_addr(&e->w, w->addrs, w->n_addrs))
				table_down(t, e->w.id, time_now_ns(), -1);
		}
}

int table_up(struct table *t, const struct workload *w, uint64_t bound_ns)
{
	struct entry **at = slot(t, w->id), *e = *at;
	struct entry *new = calloc(1, sizeof(*new));

	if (!new)
		return -ENOMEM;
	/* Member by member through memcpy: the copy's padding stays zero, so that memcmp may compare. */
	memcpy(&new->w, w, sizeof(new->w));
	new->w.end_ns = 0;
	memset(new->w.group, 0, sizeof(new->w.group));
	inventory_group_name(&new->w, t->name_templates, new->w.group);
	if (e && memcmp(&e->w, &new->w, sizeof(new->w)) == 0) {
		free(new);
		return 0;
	}
	if (e) {
		new->next = e->next;
		free(e);
	}
	*at = new;
	if (w->kind != WORKLOAD_NETNS && w->n_addrs)
		evict_netns(t, w);
	t->bound_ns = bound_ns ? bound_ns : w->start_ns;
	t->ev->workload_up(t->ev->arg, &new->w);
	t->bound_ns = 0;
	return 0;
}

void table_down(struct table *t, uint64_t id, uint64_t end_ns, int32_t exit_code)
{
	struct entry **at = slot(t, id), *e = *at;

	if (!e)
		return;
	*at = e->next;
	e->w.end_ns = end_ns > e->w.start_ns ? end_ns : e->w.start_ns + 1;
	e->w.exit_code = exit_code;
	t->ev->workload_down(t->ev->arg, &e->w);
	free(e);
}

void table_soon(struct table *t, const struct workload *w)
{
	struct workload *copy = t->ev->workload_soon ? malloc(sizeof(*copy)) : NULL;

	if (!copy)
		return;
	*copy = *w;
	copy->id = copy->start_ns = copy->end_ns = 0;
	inventory_group_name(copy, t->name_templates, copy->group);
	t->ev->workload_soon(t->ev->arg, copy);
	free(copy);
}

void table_unnamed(struct table *t, const struct inventory_unnamed *u)
{
	if (t->ev->unnamed)
		t->ev->unnamed(t->ev->arg, u);
}

const struct workload *table_find(const struct table *t, uint64_t id)
{
	const struct entry *e = t->bucket[id % BUCKETS];

	while (e && e->w.id != id)
		e = e->next;
	return e ? &e->w : NULL;
}

bool table_owned(const struct table *t, const struct addr *addrs, unsigned n)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		for (const struct entry *e = t->bucket[i]; e; e = e->next)
			if (e->w.kind != WORKLOAD_NETNS && shares_addr(&e->w, addrs, n))
				return true;
	return false;
}

uint64_t table_bound_ns(const struct table *t)
{
	return t->bound_ns;
}

void table_notice(const struct table *t, bool problem, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	t->ev->notice(t->ev->arg, problem, text);
}
