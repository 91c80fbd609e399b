/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a follower has shown: see follow.h. An open-addressed table by record id that forgets the ended ones when it
 * fills up, and everything when that is not enough (then a conversation may be shown twice, none is missed).
 */
#include "config.h"
#include "ui-cli/follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FOLLOW_SLOTS (1u << 18)
#define FOLLOW_USED_MAX (FOLLOW_SLOTS / 2)

struct shown {
	uint64_t id, start_ns, end_ns; /* id 0: free */
	bool ended;
};

struct follow {
	struct shown *slot;
	size_t used;
	uint64_t newest_ns;
};

int follow_new(struct follow **out)
{
	struct follow *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->slot = calloc(FOLLOW_SLOTS, sizeof(*f->slot));
	if (!f->slot) {
		free(f);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}

void follow_free(struct follow *f)
{
	if (!f)
		return;
	free(f->slot);
	free(f);
}

static struct shown *find(struct shown *slot, uint64_t id)
{
	size_t i = (size_t)(id * 0x9e3779b97f4a7c15ull >> 46) & (FOLLOW_SLOTS - 1);

	while (slot[i].id && slot[i].id != id)
		i = (i + 1) & (FOLLOW_SLOTS - 1);
	return &slot[i];
}

/* Forgets what has ended and lies behind the look-back. */
static void forget(struct follow *f)
{
	struct shown *fresh = calloc(FOLLOW_SLOTS, sizeof(*fresh));

	if (!fresh) {
		memset(f->slot, 0, FOLLOW_SLOTS * sizeof(*f->slot));
		f->used = 0;
		return;
	}
	f->used = 0;
	for (size_t i = 0; i < FOLLOW_SLOTS; i++) {
		struct shown *s = &f->slot[i];

		if (s->id == 0 || (s->ended && s->end_ns + 2 * FOLLOW_LOOKBACK_NS < f->newest_ns))
			continue;
		*find(fresh, s->id) = *s;
		f->used++;
	}
	free(f->slot);
	f->slot = fresh;
	if (f->used > FOLLOW_USED_MAX * 3 / 4) {
		memset(f->slot, 0, FOLLOW_SLOTS * sizeof(*f->slot));
		f->used = 0;
	}
}

bool follow_is_over(const struct flow_rec *r)
{
	return r->reason != FLOW_REASON_ACTIVE || r->state == FLOW_STATE_CLOSED || r->state == FLOW_STATE_RESET ||
	       r->state == FLOW_STATE_REFUSED;
}

bool follow_news(struct follow *f, const struct flow_rec *r)
{
	bool ended = follow_is_over(r), news;
	struct shown *s;

	if (f->used >= FOLLOW_USED_MAX)
		forget(f);
	s = find(f->slot, r->id);
	news = s->id == 0 || (ended && !s->ended);
	f->used += s->id == 0;
	*s = (struct shown){r->id, r->start_ns, r->end_ns, ended};
	if (r->end_ns > f->newest_ns)
		f->newest_ns = r->end_ns;
	return news;
}

int follow_ended(struct follow *f, struct store_txn *t, store_flow_fn *fn, void *arg)
{
	for (size_t i = 0; i < FOLLOW_SLOTS; i++) {
		struct shown *s = &f->slot[i];
		struct flow_rec r;
		int rc;

		if (s->id == 0 || s->ended)
			continue;
		rc = store_flow_get(t, s->start_ns, s->id, &r);
		if (rc == -ENOENT) { /* retention took it */
			s->ended = true;
			continue;
		}
		if (rc == 0 && follow_is_over(&r))
			rc = fn(arg, &r);
		if (rc)
			return rc;
	}
	return 0;
}
