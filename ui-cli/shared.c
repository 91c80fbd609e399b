/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A container started with `--network container:X` has no address of its own. The inventory notes whose network it is
 * in as a label (weir.network), by which the two are brought together here, also long after both are gone.
 */
#include "config.h"
#include "ui-cli/shared.h"

#include <stdio.h>
#include <string.h>

#include "store/identity.h"

#define LABEL "weir.network=container:"

/* The owner's id, or name, as the runtime has it. */
static bool owner_id(const struct workload *w, char out[128])
{
	const char *at = w->labels;

	for (;; at++) {
		if (strncmp(at, LABEL, strlen(LABEL)) == 0) {
			at += strlen(LABEL);
			snprintf(out, 128, "%.*s", (int)strcspn(at, "\n"), at);
			return out[0] != '\0';
		}
		at = strchr(at, '\n');
		if (!at)
			return false;
	}
}

bool shared_owner(struct workload *out, struct view *v, const struct workload *w)
{
	char id[128];

	return owner_id(w, id) && store_workload_find(v->txn, id, w->start_ns, out) == 0;
}

struct guests {
	const struct workload *owner;
	struct buf *names;
	bool any;
};

static int on_workload(void *arg, const struct workload *w)
{
	struct guests *g = arg;
	char id[128];

	if (!owner_id(w, id) || w->id == g->owner->id)
		return 0;
	if (strncmp(g->owner->runtime_id, id, strlen(id)) != 0 && strcmp(g->owner->name, id) != 0)
		return 0;
	buf_printf(g->names, "%s%s (%s)", g->any ? ", " : "", w->name, w->group);
	g->any = true;
	return 0;
}

int shared_guests(struct buf *b, struct view *v, const struct workload *owner, uint64_t at_ns)
{
	struct guests g = {owner, b, false};

	return store_workload_walk(v->txn, at_ns ? at_ns : owner->start_ns, at_ns ? at_ns : owner->end_ns, on_workload,
				   &g);
}
