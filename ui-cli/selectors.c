/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Selectors for a learned policy: see selectors.h. The first workload of a group proposes one, the others widen it:
 * names to what they begin with (web-1, web-2: "web-*"), else a second selector beside it. Then every workload is asked
 * which group it would be in: {image: postgres} for the one plain container of that image would also take a Compose
 * service's database out of its own group, and what is allowed to that group would no longer be allowed to it. Such a
 * selector goes.
 */
#include "config.h"
#include "ui-cli/selectors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/identity.h"

#define SELECTORS_MAX 4 /* more say little: the group is then better told by the name that weir gave it */

struct choosing {
	struct policy *p;
	bool *vague; /* by group: no selector tells it */
};

/* Only a name, nothing else: plain network namespaces. */
static bool is_name(const struct policy_selector *s)
{
	struct policy_selector rest = *s;

	memset(rest.name, 0, sizeof(rest.name));
	for (size_t i = 0; i < sizeof(rest); i++)
		if (((const char *)&rest)[i])
			return false;
	return s->name[0] != '\0';
}

static bool same(const struct policy_selector *a, const struct policy_selector *b)
{
	return memcmp(a, b, sizeof(*a)) == 0; /* both zeroed before they were filled */
}

/* "web-1" and "web-2", or "web-*" and "web-2", become "web-*"; false when they begin differently. */
static bool widen_name(struct policy_selector *s, const char *name)
{
	size_t n = 0;

	while (s->name[n] && s->name[n] != '*' && s->name[n] == name[n])
		n++;
	if (n == 0)
		return false;
	if (n > sizeof(s->name) - 2)
		n = sizeof(s->name) - 2;
	memset(s->name + n, 0, sizeof(s->name) - n);
	s->name[n] = '*';
	return true;
}

static void give_up(struct choosing *c, struct policy_group *g)
{
	c->vague[g - c->p->groups] = true;
	g->n_selectors = 0;
}

static int propose(void *arg, const struct workload *w)
{
	struct choosing *c = arg;
	struct policy_group *g = policy_find_group(c->p, w->group);
	struct policy_selector s;

	if (!g || w->kind == WORKLOAD_HOST || c->vague[g - c->p->groups])
		return 0;
	policy_selector_of(&s, w);
	for (size_t i = 0; i < g->n_selectors; i++) {
		struct policy_selector *old = &g->selectors[i];

		if (same(old, &s) || policy_selector_match(old, w))
			return 0;
		if (is_name(old) && is_name(&s)) {
			if (!widen_name(old, s.name))
				give_up(c, g);
			return 0;
		}
	}
	if (g->n_selectors < SELECTORS_MAX)
		return policy_add_selector(g, &s);
	give_up(c, g);
	return 0;
}

/* Has w's own selector: then both groups are one role under two names, before and after somebody renamed it. */
static bool renamed(const struct policy_group *g, const struct workload *w)
{
	struct policy_selector s;

	policy_selector_of(&s, w);
	for (size_t i = 0; i < g->n_selectors; i++)
		if (same(&g->selectors[i], &s))
			return true;
	return false;
}

static int doubt(void *arg, const struct workload *w)
{
	struct choosing *c = arg;

	/* Each turn takes the selectors of one group away, so this ends. */
	while (w->kind != WORKLOAD_HOST) {
		const char *got = policy_group_of(c->p, w);
		struct policy_group *g = policy_find_group(c->p, got);

		if (strcmp(got, w->group) == 0 || !g || !g->n_selectors || renamed(g, w))
			return 0;
		give_up(c, g);
	}
	return 0;
}

int selectors_choose(struct policy *p, struct store_txn *t, uint64_t since_ns, uint64_t until_ns)
{
	struct choosing c = {p, calloc(p->n_groups + 1, sizeof(bool))};
	int rc = c.vague ? store_workload_walk(t, since_ns, until_ns, propose, &c) : -ENOMEM;

	if (rc == 0)
		rc = store_workload_walk(t, since_ns, until_ns, doubt, &c);
	free(c.vague);
	return rc;
}
