/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The runtime's events, each applied to the life of its container. See docker_lives.c for how a life is pieced
 * together. */
#include "config.h"
#include "inventory/docker_lives.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/timefmt.h"
#include "inventory/docker_lives_impl.h"
#include "inventory/inspect.h"

#define NETWORK_MAX (16u << 20)

/* ---- networks -------------------------------------------------------------------------------------------------- */

static void ask_network(struct lives *l, const char *id);

static void network_inspected(void *arg, long status, int error, const char *body, size_t len)
{
	struct network *n = arg, **at = &n->lives->networks;
	struct lives *l = n->lives;
	char text[INVENTORY_ERROR_STRLEN];
	json_t *j = status == 200 && !error ? inspect_load(body, len, text) : NULL;

	for (unsigned i = 0; j && i < LIVES_BUCKETS; i++)
		for (struct container *c = l->bucket[i]; c; c = c->next)
			if (c->ev) {
				inspect_network(j, c->id, c->ev);
				soon_tell(c);
			}
	json_decref(j);
	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	if (n->again)
		ask_network(l, n->id);
	free(n);
}

/* One question at a time for each network, however many containers join it. */
static void ask_network(struct lives *l, const char *id)
{
	struct network *n;
	char path[128];

	if (!id || !container_id_valid(id))
		return;
	for (n = l->networks; n; n = n->next)
		if (strcmp(n->id, id) == 0) {
			n->again = true;
			return;
		}
	n = calloc(1, sizeof(*n));
	if (!n)
		return;
	n->lives = l;
	snprintf(n->id, sizeof(n->id), "%s", id);
	snprintf(path, sizeof(path), "/networks/%s", id);
	if (http_get(l->http, path, NETWORK_MAX, network_inspected, n) < 0) {
		free(n);
		return;
	}
	n->next = l->networks;
	l->networks = n;
}

/* ---- events ---------------------------------------------------------------------------------------------------- */

/* The attributes of a container's event are its name, its image, and all its labels. */
static void learn_attributes(struct container *c, const json_t *attributes)
{
	static const char *const no_labels[] = {"name", "image", "exitCode", "signal", "oldName", "execDuration", "execID",
						NULL};
	struct workload *w = c->ev;

	if (!w)
		w = c->ev = calloc(1, sizeof(*w));
	if (!w)
		return;
	w->kind = WORKLOAD_CONTAINER;
	w->exit_code = -1;
	snprintf(w->runtime, sizeof(w->runtime), "%s", c->lives->runtime);
	snprintf(w->runtime_id, sizeof(w->runtime_id), "%s", c->id);
	if (!attributes)
		return;
	inspect_text(w->name, sizeof(w->name), attributes, "name");
	inspect_text(w->image, sizeof(w->image), attributes, "image");
	inspect_labels(w, attributes, no_labels);
	if (!w->name[0])
		snprintf(w->name, sizeof(w->name), "%s", c->id);
}

static void on_connect(struct container *c, uint64_t t, const char *network)
{
	if (!c->live) {
		if (c->die_ns)
			life_reset(c);
		if (!c->connect_ns)
			c->connect_ns = t;
		if (!c->ev)
			learn_attributes(c, NULL);
		ask_network(c->lives, network);
		soon_ask(c);
	} else {
		c->joined_ns = t;
	}
	ask_inspect(c);
}

static void on_start(struct container *c, uint64_t t, const json_t *attributes)
{
	if (!c->live) {
		if (c->die_ns)
			life_reset(c);
		c->start_ns = t;
		learn_attributes(c, attributes);
		soon_tell(c);
	}
	ask_inspect(c);
}

static void on_die(struct container *c, uint64_t t, const json_t *attributes)
{
	const struct workload *w = table_find(c->lives->table, c->live);
	const char *code = json_string_value(json_object_get(attributes, "exitCode"));

	if (w && t < w->start_ns)
		return; /* an earlier life's, told again */
	c->exit_code = code ? (int32_t)strtol(code, NULL, 10) : -1;
	c->ended_ns = t;
	if (c->live) {
		life_down(c, t);
		life_reset(c);
		container_answered(c);
	} else if (c->start_ns || c->connect_ns) {
		c->die_ns = t;
		soon_withdraw(c);
	}
}

static void on_rename(struct container *c, const json_t *attributes)
{
	const struct workload *known = table_find(c->lives->table, c->live);
	struct workload *w = known ? malloc(sizeof(*w)) : NULL;

	if (!w)
		return;
	*w = *known;
	memset(w->name, 0, sizeof(w->name));
	inspect_text(w->name, sizeof(w->name), attributes, "name");
	if (w->name[0])
		table_up(c->lives->table, w, 0);
	free(w);
}

static void on_destroy(struct container *c, uint64_t t)
{
	c->ended_ns = t;
	if (c->live)
		life_down(c, t);
	else if (!c->die_ns)
		c->die_ns = t;
	container_drop(c);
}

static void container_event(struct lives *l, const json_t *o, const char *action, const char *id, uint64_t t)
{
	const json_t *attributes = json_object_get(json_object_get(o, "Actor"), "Attributes");
	bool start = strcmp(action, "start") == 0;
	struct container *c = container_get(l, id, start);

	if (!c)
		return;
	if (start)
		on_start(c, t, attributes);
	else if (strcmp(action, "die") == 0 || strcmp(action, "died") == 0)
		on_die(c, t, attributes);
	else if (strcmp(action, "rename") == 0)
		on_rename(c, attributes);
	else if (strcmp(action, "destroy") == 0 || strcmp(action, "remove") == 0)
		on_destroy(c, t);
}

static void network_event(struct lives *l, const json_t *o, const char *action, const char *network, uint64_t t)
{
	const json_t *attributes = json_object_get(json_object_get(o, "Actor"), "Attributes");
	const char *id = json_string_value(json_object_get(attributes, "container"));
	bool connect = strcmp(action, "connect") == 0;
	struct container *c;

	if (connect || strcmp(action, "create") == 0)
		unseen_network(l, network, json_string_value(json_object_get(attributes, "name")),
			       json_string_value(json_object_get(attributes, "type")));
	if (!connect && strcmp(action, "disconnect") != 0)
		return;
	c = container_get(l, id, connect);
	if (c && connect)
		on_connect(c, t, network);
	else if (c && c->live)
		ask_inspect(c);
	else if (c)
		soon_withdraw(c); /* its start has failed */
}

uint64_t lives_event(struct lives *l, const char *text, size_t len)
{
	char error[INVENTORY_ERROR_STRLEN];
	json_t *o = inspect_load(text, len, error);
	const char *type = json_string_value(json_object_get(o, "Type"));
	const char *action = json_string_value(json_object_get(o, "Action"));
	const char *id = json_string_value(json_object_get(json_object_get(o, "Actor"), "ID"));
	json_int_t nano = json_integer_value(json_object_get(o, "timeNano"));
	json_int_t s = json_integer_value(json_object_get(o, "time"));
	uint64_t t = nano > 0 ? (uint64_t)nano : s > 0 && s < 1ll << 33 ? (uint64_t)s * NS_PER_S : 0;

	if (type && action && id && t) {
		if (strcmp(type, "container") == 0)
			container_event(l, o, action, id, t);
		else if (strcmp(type, "network") == 0)
			network_event(l, o, action, id, t);
	}
	json_decref(o);
	return t;
}
