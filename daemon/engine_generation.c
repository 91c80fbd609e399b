/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Policy generations in the store, as the engine keeps them: made before the kernel hears of them, moved from state to
 * state as the enforcer answers, each time in a transaction of its own, so that a crash at any point leaves a history
 * that says what was.
 */
#include "config.h"
#include "daemon/engine_role.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "common/wire.h"
#include "store/history.h"

bool ruleset_enforces(const struct ruleset *rs)
{
	for (size_t i = 0; i < rs->n_groups; i++)
		if (rs->groups[i].stage == STAGE_ENFORCE)
			return true;
	return false;
}

/* What was gathered goes first, so that the transaction holds nothing but the change. */
static int begin(struct engine_role *r, struct store_txn **t)
{
	engine_commit(r->engine);
	return store_begin(t, r->store, true);
}

static int finish(struct store_txn *t, int rc)
{
	if (rc == 0)
		return store_commit(t);
	store_abort(t);
	return rc;
}

int generation_new(struct engine_role *r, uint64_t *number, const char *policy, size_t len, uid_t uid, const char *why,
		   uint32_t confirm_within_s, struct ruleset *rs)
{
	struct generation g = {.state = GENERATION_PENDING, .uid = uid, .why = why, .error = "", .policy = policy,
			       .policy_len = len};
	struct buf b = BUF_INIT;
	struct store_txn *t;
	uint64_t last = 0;
	int rc = begin(r, &t);

	if (rc)
		return rc;
	rc = store_generation_last(t, &last);
	g.number = rs->generation = last + 1;
	g.applied_ns = time_now_ns();
	g.confirm_by_ns = confirm_within_s ? g.applied_ns + confirm_within_s * NS_PER_S : 0;
	ruleset_encode(&b, rs);
	g.ruleset = b.data;
	g.ruleset_len = b.len;
	if (!rc)
		rc = buf_failed(&b) ? -ENOMEM : store_generation_put(t, &g);
	rc = finish(t, rc);
	buf_fini(&b);
	if (!rc)
		*number = g.number;
	return rc;
}

/* A generation read inside a transaction points into it; writing needs its own copy. */
struct copy {
	char *why, *error, *policy;
	void *ruleset;
};

static int copy_generation(struct generation *g, struct copy *c)
{
	c->why = strdup(g->why ? g->why : "");
	c->error = strdup(g->error ? g->error : "");
	c->policy = malloc(g->policy_len + 1);
	c->ruleset = malloc(g->ruleset_len + 1);
	if (!c->why || !c->error || !c->policy || !c->ruleset)
		return -ENOMEM;
	if (g->policy_len)
		memcpy(c->policy, g->policy, g->policy_len);
	c->policy[g->policy_len] = '\0';
	if (g->ruleset_len)
		memcpy(c->ruleset, g->ruleset, g->ruleset_len);
	g->why = c->why;
	g->error = c->error;
	g->policy = c->policy;
	g->ruleset = c->ruleset;
	return 0;
}

static void copy_fini(struct copy *c)
{
	free(c->why);
	free(c->error);
	free(c->policy);
	free(c->ruleset);
}

int generation_change(struct engine_role *r, uint64_t number, uint8_t state, uint64_t confirm_by_ns, const char *error)
{
	struct copy c = {0};
	struct generation g;
	struct store_txn *t;
	int rc = begin(r, &t);

	if (rc)
		return rc;
	rc = store_generation_get(t, number, &g);
	if (!rc)
		rc = copy_generation(&g, &c);
	if (!rc) {
		bool in_force = state == GENERATION_ARMED || state == GENERATION_CONFIRMED;

		if (in_force && g.state != GENERATION_ARMED)
			g.applied_ns = time_now_ns();
		g.ended_ns = in_force || state == GENERATION_PENDING ? 0 : time_now_ns();
		if (state == GENERATION_EXPIRED && g.confirm_by_ns && g.confirm_by_ns < g.ended_ns)
			g.ended_ns = g.confirm_by_ns; /* nobody may have been there to see it */
		g.state = state;
		/* Kept in what ended unconfirmed: it tells that nobody ever said yes to it. */
		if (in_force)
			g.confirm_by_ns = confirm_by_ns;
		if (error)
			g.error = error;
		rc = store_generation_put(t, &g);
	}
	rc = finish(t, rc);
	copy_fini(&c);
	return rc;
}

int generation_load(struct engine_role *r, uint64_t number, struct policy **p, struct ruleset **rs)
{
	struct policy_errors errors;
	struct generation g;
	struct store_txn *t;
	int rc = begin(r, &t);

	*p = NULL;
	if (rc)
		return rc;
	*rs = calloc(1, sizeof(**rs));
	rc = *rs ? store_generation_get(t, number, &g) : -ENOMEM;
	if (!rc)
		rc = policy_parse(p, g.policy, g.policy_len, &errors);
	if (!rc)
		rc = ruleset_decode(*rs, g.ruleset, g.ruleset_len);
	if (!rc)
		(*rs)->generation = number;
	store_abort(t);
	if (rc) {
		policy_free(*p);
		if (*rs)
			ruleset_fini(*rs);
		free(*rs);
		*p = NULL;
		*rs = NULL;
	}
	return rc;
}

int generation_deadline(struct engine_role *r, uint64_t number, uint64_t mono_ns)
{
	struct confirm_deadline d = {number, mono_ns, ""};
	struct store_txn *t;
	int rc = begin(r, &t);

	if (rc)
		return rc;
	memcpy(d.boot_id, r->boot_id, sizeof(d.boot_id));
	return finish(t, store_deadline_put(t, &d));
}

/* What was noted for that generation in this boot; else what the wall clock makes of it, which is all there is. */
static uint64_t deadline_of(const struct engine_role *r, struct store_txn *t, const struct generation *g)
{
	uint64_t now_ns = time_now_ns();
	struct confirm_deadline d;

	if (!g->confirm_by_ns)
		return 0;
	if (store_deadline_get(t, &d) == 0 && d.generation == g->number && d.boot_id[0] &&
	    strcmp(d.boot_id, r->boot_id) == 0)
		return d.mono_ns;
	return time_mono_ns() + (g->confirm_by_ns > now_ns ? g->confirm_by_ns - now_ns : 0);
}

uint64_t generation_left_ns(const struct engine_role *r)
{
	uint64_t now = time_mono_ns();

	return r->confirm_mono_ns > now ? r->confirm_mono_ns - now : 0;
}

void generation_current(struct engine_role *r)
{
	struct generation g;
	struct store_txn *t;
	uint64_t last = 0;

	r->generation = 0;
	r->why[0] = '\0';
	if (begin(r, &t))
		return;
	/* In force, or the last one if it ran out: its table may still be in the kernel, letting everything through. */
	if (store_generation_current(t, &g) == 0 ||
	    (store_generation_last(t, &last) == 0 && last && store_generation_get(t, last, &g) == 0 &&
	     g.state == GENERATION_EXPIRED)) {
		r->generation = g.number;
		r->generation_state = g.state;
		r->confirm_by_ns = g.confirm_by_ns;
		r->confirm_mono_ns = deadline_of(r, t, &g);
		r->applied_ns = g.applied_ns;
		snprintf(r->why, sizeof(r->why), "%s", g.why ? g.why : "");
	}
	store_abort(t);
}

struct search {
	uint64_t below, found;
};

static int find_before(void *arg, const struct generation *g)
{
	struct search *s = arg;

	if (g->number < s->below && g->state == GENERATION_SUPERSEDED && !g->confirm_by_ns)
		s->found = g->number;
	return 0;
}

uint64_t generation_before(struct engine_role *r, uint64_t number)
{
	struct search s = {number, 0};
	struct store_txn *t;

	if (begin(r, &t))
		return 0;
	store_generation_walk(t, find_before, &s);
	store_abort(t);
	return s.found;
}
