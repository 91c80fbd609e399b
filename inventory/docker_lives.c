/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A container may be gone before anybody can ask about it. What is known of a life comes in pieces, in no sure order:
 *
 *	network connect   its address is taken from here on (0.5 s before the process runs on a busy host)
 *	start, die        when it ran; name, image and labels as attributes
 *	inspect           everything, if it comes in time. Docker answers it only when a start in progress is done, so it
 *	                  is asked at connect: then it waits at the engine, in front of whatever ends the container
 *	network inspect   the address, at once, also asked at connect: what is left when the inspect came too late
 *	list              name, image, labels, at once: with the address, enough to tell that it is coming (docker_soon.c)
 *
 * A life is told (table_up) as soon as an inspect shows it running, or when the inspect has failed and the events alone
 * must do. Every step may come twice, after a reconnect or because a list and an event say the same.
 */
#include "config.h"
#include "inventory/docker_lives.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/hash.h"
#include "common/timefmt.h"
#include "inventory/docker_images.h"
#include "inventory/docker_lives_impl.h"
#include "inventory/inspect.h"

#define CONTAINERS_MAX 65536
#define INSPECT_MAX (4u << 20)
/* StartedAt is taken a moment before the start event is sent. */
#define START_SLACK_NS (10 * NS_PER_S)
#define CONNECT_EARLY_NS (60 * NS_PER_S)

/* ---- containers known ------------------------------------------------------------------------------------------ */

int lives_new(struct lives **out, struct http *http, struct table *table)
{
	struct lives *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	r = images_new(&l->images, http, table);
	if (r < 0) {
		free(l);
		return r;
	}
	l->http = http;
	l->table = table;
	*out = l;
	return 0;
}

static struct container **slot(struct lives *l, const char *id)
{
	struct container **c = &l->bucket[hash_fixed(id, strlen(id)) % LIVES_BUCKETS];

	while (*c && strcmp((*c)->id, id) != 0)
		c = &(*c)->next;
	return c;
}

static void container_free(struct container *c)
{
	free(c->ev);
	free(c);
}

void container_drop(struct container *c)
{
	struct container **at = slot(c->lives, c->id);

	soon_withdraw(c);
	if (c->inspecting || c->listing) {
		c->dead = true;
		return;
	}
	*at = c->next;
	c->lives->n--;
	container_free(c);
}

void container_answered(struct container *c)
{
	if (c->dead || (!c->inspecting && !c->listing && !c->live && !c->start_ns && !c->connect_ns))
		container_drop(c);
}

struct container *container_get(struct lives *l, const char *id, bool make)
{
	struct container **at, *c;

	if (!id || !container_id_valid(id))
		return NULL;
	at = slot(l, id);
	if (*at || !make)
		return *at;
	if (l->n >= CONTAINERS_MAX) {
		if (!l->told_full)
			table_notice(l->table, true, "%s: more than %d containers; the rest has no name", l->runtime,
				     CONTAINERS_MAX);
		l->told_full = true;
		return NULL;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	snprintf(c->id, sizeof(c->id), "%s", id);
	c->lives = l;
	c->exit_code = -1;
	*at = c;
	l->n++;
	return c;
}

void lives_free(struct lives *l)
{
	if (!l)
		return;
	lives_forget_requests(l);
	for (unsigned i = 0; i < LIVES_BUCKETS; i++)
		for (struct container *c = l->bucket[i], *next; c; c = next) {
			next = c->next;
			container_free(c);
		}
	images_free(l->images);
	free(l->unseen);
	free(l);
}

void lives_set_runtime(struct lives *l, const char *runtime)
{
	snprintf(l->runtime, sizeof(l->runtime), "%s", runtime);
}

void lives_forget_requests(struct lives *l)
{
	struct network *n;

	while ((n = l->networks)) {
		l->networks = n->next;
		free(n);
	}
	images_forget_requests(l->images);
	for (unsigned i = 0; i < LIVES_BUCKETS; i++)
		for (struct container *c = l->bucket[i], *next; c; c = next) {
			next = c->next;
			c->inspecting = c->again = c->listing = false;
			if (c->die_ns && !c->live)
				life_up_from_events(c);
			if (c->dead)
				container_drop(c);
		}
}

/* ---- telling --------------------------------------------------------------------------------------------------- */

void life_down(struct container *c, uint64_t end_ns)
{
	table_down(c->lives->table, c->live, end_ns ? end_ns : time_now_ns(), c->exit_code);
	c->live = 0;
	c->recalled = false;
}

void life_reset(struct container *c)
{
	c->connect_ns = c->start_ns = c->die_ns = 0;
	c->exit_code = -1;
	free(c->ev);
	c->ev = NULL;
}

static void life_up(struct container *c, struct workload *w)
{
	/* A connect long before the start is `docker network connect` to a container that did not run. */
	bool early = c->connect_ns && c->connect_ns < w->start_ns && w->start_ns - c->connect_ns < CONNECT_EARLY_NS;
	uint64_t bound = early ? c->connect_ns : w->start_ns;

	if (c->live == w->id) /* what is new has come by a later connect */
		bound = c->joined_ns ? c->joined_ns : time_now_ns();
	c->joined_ns = 0;

	if (c->live && c->live != w->id)
		life_down(c, w->start_ns);
	w->exit_code = -1;
	if (table_up(c->lives->table, w, bound) == 0)
		c->live = w->id;
	c->unconfirmed = c->recalled = false;
	c->soon = 0; /* the life takes its place */
	free(c->ev);
	c->ev = NULL;
	if (c->die_ns) {
		life_down(c, c->die_ns);
		life_reset(c);
	}
}

void life_up_from_events(struct container *c)
{
	struct workload *w = c->ev;

	if (!w || !c->start_ns)
		return;
	w->start_ns = c->start_ns;
	w->id = workload_id_of(w->runtime, w->runtime_id, w->start_ns);
	c->ev = NULL; /* life_up frees what is there */
	life_up(c, w);
	free(w);
}

/* ---- inspect --------------------------------------------------------------------------------------------------- */

/* Does the inspected state belong to the life that events announced? A stopped container shows its last one. */
static bool of_this_life(const struct container *c, const struct inspected *in)
{
	uint64_t begin = c->connect_ns;

	if (!begin && c->start_ns > START_SLACK_NS)
		begin = c->start_ns - START_SLACK_NS;
	return in->w.start_ns && begin && in->w.start_ns >= begin;
}

static void add_missing_addrs(struct inspected *in, const struct workload *ev)
{
	/* A container that has stopped has lost its addresses, but had them. */
	if (in->w.n_addrs || !ev || in->w.kind != WORKLOAD_CONTAINER)
		return;
	for (unsigned i = 0; i < ev->n_addrs; i++)
		workload_add_addr(&in->w, &ev->addrs[i]);
}

static void apply_inspect(struct container *c, struct inspected *in)
{
	if (in->running && in->w.start_ns <= c->ended_ns)
		return; /* answered before the end, read after it */
	if (in->running) {
		images_digest(c->lives->images, in);
		life_up(c, &in->w);
	} else if (of_this_life(c, in)) {
		if (!c->die_ns)
			c->die_ns = in->finished_ns >= in->w.start_ns ? in->finished_ns : time_now_ns();
		if (c->exit_code < 0)
			c->exit_code = in->w.exit_code;
		add_missing_addrs(in, c->ev);
		images_digest(c->lives->images, in);
		life_up(c, &in->w);
	} else if (c->live) { /* ended unseen, while the runtime could not be reached */
		c->exit_code = in->w.exit_code;
		life_down(c, in->finished_ns);
		life_reset(c);
	} else if (c->start_ns) {
		life_up_from_events(c);
	}
}

static void removed_unseen(struct container *c)
{
	const struct workload *w = table_find(c->lives->table, c->live);

	if (c->recalled && w && c->lives->unknown && c->lives->unknown(c->lives->unknown_arg, w))
		c->live = 0; /* another runtime's, told by that one now */
	else
		life_down(c, 0);
	c->recalled = false;
}

static void inspected(void *arg, long status, int error, const char *body, size_t len)
{
	struct container *c = arg;
	struct inspected *in = malloc(sizeof(*in));
	char text[INVENTORY_ERROR_STRLEN];
	json_t *j = NULL;
	bool good;

	c->inspecting = false;
	if (status == 200 && in)
		j = inspect_load(body, len, text);
	good = j && inspect_container(in, j, c->lives->runtime) == 0 && strcmp(in->w.runtime_id, c->id) == 0;
	if (!good && !c->lives->told_bad && (status == 200 || error == -EFBIG)) {
		table_notice(c->lives->table, true, "%s: its answer about container %.12s makes no sense (%s); such containers "
			     "are named from events alone", c->lives->runtime, c->id,
			     error ? "too large" : j ? "not that container" : text);
		c->lives->told_bad = true;
	}
	if (good)
		apply_inspect(c, in);
	else if (status == 404 && c->live)
		removed_unseen(c);
	else if (!c->live)
		life_up_from_events(c);
	json_decref(j);
	free(in);
	if (c->again && !c->dead)
		ask_inspect(c);
	else
		container_answered(c);
}

void ask_inspect(struct container *c)
{
	char path[128];

	c->again = c->inspecting;
	if (c->inspecting)
		return;
	snprintf(path, sizeof(path), "/containers/%s/json", c->id);
	c->inspecting = http_get_slow(c->lives->http, path, INSPECT_MAX, inspected, c) == 0;
}

/* ---- lists ----------------------------------------------------------------------------------------------------- */

void lives_list_begin(struct lives *l)
{
	for (unsigned i = 0; i < LIVES_BUCKETS; i++)
		for (struct container *c = l->bucket[i]; c; c = c->next)
			c->unconfirmed = c->live != 0;
}

int lives_list(struct lives *l, const char *text, size_t len)
{
	char error[INVENTORY_ERROR_STRLEN];
	json_t *list = inspect_load(text, len, error), *o;
	int n = 0;
	size_t i;

	if (!json_is_array(list)) {
		json_decref(list);
		return -EINVAL;
	}
	json_array_foreach(list, i, o) {
		struct container *c = container_get(l, json_string_value(json_object_get(o, "Id")), true);

		if (!c)
			continue;
		c->unconfirmed = false;
		ask_inspect(c);
		n++;
	}
	json_decref(list);
	for (i = 0; i < LIVES_BUCKETS; i++)
		for (struct container *c = l->bucket[i]; c; c = c->next)
			if (c->unconfirmed)
				ask_inspect(c);
	return n;
}
