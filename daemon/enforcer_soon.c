/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Containers that are about to run. A container's first packet may leave some microseconds after its process has
 * started, and the runtime tells of the start only then; a packet whose sender is in no group yet would be refused. So
 * an address joins its group when the runtime hands it out. This is about the kernel's sets alone: nobody else hears of
 * it, since it is no life yet. When it comes, the membership stays as it is; when it does not, it is taken back, at the
 * latest after a while.
 */
#include "config.h"
#include "daemon/enforcer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/timefmt.h"

/* A start takes half a second; forty at once on two cores take half a minute. */
#define SOON_NS (60 * NS_PER_S)
/* Starts at one moment. */
#define SOON_MAX 4096

static struct enforcer_soon **find(struct enforcer *e, const char *runtime_id)
{
	struct enforcer_soon **s = &e->soon;

	while (*s && strcmp((*s)->w.runtime_id, runtime_id) != 0)
		s = &(*s)->next;
	return s;
}

/* Its addresses stay members where a workload has them by now. */
static void drop(struct enforcer *e, struct enforcer_soon **at)
{
	struct enforcer_soon *s = *at;

	*at = s->next;
	enforcer_member_down(e, &s->w);
	free(s);
}

void enforcer_soon(void *arg, const struct workload *w)
{
	struct enforcer *e = arg;
	struct enforcer_soon **at = find(e, w->runtime_id), *s = *at, *before = NULL;
	size_t n = 0;

	if (w->n_addrs == 0) {
		if (s)
			drop(e, at);
		return;
	}
	for (const struct enforcer_soon *other = e->soon; other; other = other->next)
		n++;
	if (!s && n >= SOON_MAX)
		return; /* named when it runs, like all that come too fast */
	if (s) {
		before = malloc(sizeof(*before));
		if (!before)
			return;
		*before = *s;
	} else {
		s = calloc(1, sizeof(*s));
		if (!s)
			return;
		s->next = e->soon;
		e->soon = s;
	}
	s->w = *w;
	s->until_mono_ns = time_mono_ns() + SOON_NS;
	enforcer_member_up(e, &s->w, before ? &before->w : NULL);
	free(before);
	log_debug("%s is about to run", w->name);
}

void enforcer_soon_came(struct enforcer *e, const struct workload *w)
{
	struct enforcer_soon **at = find(e, w->runtime_id);

	if (*at)
		drop(e, at);
}

void enforcer_soon_tick(struct enforcer *e)
{
	struct enforcer_soon **at = &e->soon;
	uint64_t now = time_mono_ns();

	while (*at)
		if (now >= (*at)->until_mono_ns)
			drop(e, at);
		else
			at = &(*at)->next;
}

void enforcer_soon_close(struct enforcer *e)
{
	struct enforcer_soon *next;

	for (struct enforcer_soon *s = e->soon; s; s = next) {
		next = s->next;
		free(s);
	}
	e->soon = NULL;
}
