/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who is about to run. A container's first instruction may be a connection, and whoever confines it must know it by
 * then; but Docker answers an inspect only when the start is done, which is too late. Half a second earlier it tells
 * that the container was connected to a network. Its address is then to be had from the network, and its name, image
 * and labels from the list of containers, which is made from a snapshot and waits for no start: both within some
 * milliseconds. What is told here is no life yet; it is taken back when the start fails.
 */
#include "config.h"
#include "inventory/docker_lives_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "inventory/inspect.h"

#define LIST_ONE_MAX (4u << 20)

static void listed(void *arg, long status, int error, const char *body, size_t len)
{
	struct container *c = arg;
	char text[INVENTORY_ERROR_STRLEN];
	json_t *list = status == 200 && !error ? inspect_load(body, len, text) : NULL, *o;
	size_t i;

	c->listing = false;
	/* The filter takes the beginning of an id, too. */
	json_array_foreach(list, i, o) {
		const char *id = json_string_value(json_object_get(o, "Id"));

		if (id && strcmp(id, c->id) == 0 && c->ev && !c->ev->name[0])
			inspect_listed(c->ev, o);
	}
	json_decref(list);
	soon_tell(c);
	container_answered(c);
}

void soon_ask(struct container *c)
{
	char path[192];

	if (c->listing || (c->ev && c->ev->name[0]))
		return;
	/* filters={"id":["ID"]} */
	snprintf(path, sizeof(path), "/containers/json?all=1&filters=%%7B%%22id%%22%%3A%%5B%%22%s%%22%%5D%%7D", c->id);
	c->listing = http_get(c->lives->http, path, LIST_ONE_MAX, listed, c) == 0;
}

void soon_tell(struct container *c)
{
	const struct workload *w = c->ev;

	if (c->dead || c->live || c->die_ns || !w || !w->name[0] || w->n_addrs == c->soon)
		return;
	c->soon = w->n_addrs;
	table_soon(c->lives->table, w);
}

void soon_withdraw(struct container *c)
{
	struct workload *w;

	if (!c->soon)
		return;
	c->soon = 0;
	w = calloc(1, sizeof(*w));
	if (!w)
		return;
	w->kind = WORKLOAD_CONTAINER;
	snprintf(w->runtime, sizeof(w->runtime), "%s", c->lives->runtime);
	snprintf(w->runtime_id, sizeof(w->runtime_id), "%s", c->id);
	table_soon(c->lives->table, w);
	free(w);
}
