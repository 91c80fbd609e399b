/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Networks whose traffic weir cannot see: a container on macvlan or ipvlan talks through the host's own interface, past
 * every bridge and past the forward hook. Nothing of it is recorded and nothing confined, which a person must be told
 * and not find out; once for each such network, from the list or from the events.
 */
#include "config.h"
#include "inventory/docker_lives.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "inventory/docker_lives_impl.h"
#include "inventory/inspect.h"
#include "inventory/names.h"

#define UNSEEN_MAX 64 /* networks told of; more would say nothing new */
#define LIST_MAX (16u << 20)

void unseen_network(struct lives *l, const char *id, const char *name, const char *driver)
{
	char text[64];

	if (!id || !driver || (strcmp(driver, "macvlan") != 0 && strcmp(driver, "ipvlan") != 0))
		return;
	for (size_t i = 0; i < l->n_unseen; i++)
		if (strncmp(l->unseen[i], id, sizeof(l->unseen[i])) == 0)
			return;
	if (l->n_unseen == UNSEEN_MAX)
		return;
	if (!l->unseen)
		l->unseen = calloc(UNSEEN_MAX, sizeof(*l->unseen));
	if (!l->unseen)
		return;
	memcpy(l->unseen[l->n_unseen++], id, strnlen(id, sizeof(*l->unseen)));
	name_copy(text, sizeof(text), name && *name ? name : id);
	table_notice(l->table, true,
		     "network %s is %s: what its containers send passes no bridge, so weir neither sees nor "
		     "confines it. A bridge network can be watched",
		     text, driver);
}

static void on_networks(void *arg, long status, int error, const char *body, size_t len)
{
	char text[INVENTORY_ERROR_STRLEN];
	json_t *list = status == 200 && !error ? inspect_load(body, len, text) : NULL, *o;
	size_t i;

	/* A runtime that does not answer this one is no worse off for it. */
	json_array_foreach(list, i, o)
		unseen_network(arg, json_string_value(json_object_get(o, "Id")),
			       json_string_value(json_object_get(o, "Name")),
			       json_string_value(json_object_get(o, "Driver")));
	json_decref(list);
}

void lives_ask_unseen(struct lives *l)
{
	/* filters={"driver":["macvlan","ipvlan"]} */
	(void)http_get(l->http, "/networks?filters=%7B%22driver%22%3A%5B%22macvlan%22%2C%22ipvlan%22%5D%7D", LIST_MAX,
		       on_networks, l);
}
