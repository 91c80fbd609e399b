/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Peers that nobody knows: a rule for a group that is neither described in the document nor was ever seen is most
 * likely misspelt. Only a warning, since the group may be about to come. Each name is told once.
 */
#include "config.h"
#include "segment/policy.h"

#include <stdlib.h>
#include <string.h>

#include "segment/policy_text.h"

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct check {
	const char **known; /* sorted, then NULL */
	size_t n_known;
	const char **told; /* those complained of */
	size_t n_told;
	struct policy_errors *errors;
};

static void check_rules(struct check *c, const struct policy_rule *rules, size_t n)
{
	for (size_t i = 0; i < n && c->n_told < POLICY_ERRORS_MAX; i++) {
		const char *name = rules[i].peer_group, *near;
		bool told = false;

		if (rules[i].peer_kind != RULE_PEER_GROUP ||
		    bsearch(&name, c->known, c->n_known, sizeof(*c->known), by_text))
			continue;
		for (size_t k = 0; k < c->n_told; k++)
			told = told || strcmp(c->told[k], name) == 0;
		if (told)
			continue;
		c->told[c->n_told++] = name;
		near = policy_nearest(name, c->known);
		policy_complain(c->errors, true, rules[i].line, 0,
				"no group \"%.64s\" is described here or was ever seen%s%.64s%s", name,
				near ? ": did you mean \"" : "", near ? near : "",
				near ? "\"?" : "; if it is to come, all is well");
	}
}

void policy_check_seen(const struct policy *p, const char *const *seen, size_t n_seen, struct policy_errors *errors)
{
	const char *told[POLICY_ERRORS_MAX];
	struct check c = {.told = told, .errors = errors};

	c.known = calloc(p->n_groups + n_seen + 1, sizeof(*c.known));
	if (!c.known)
		return; /* a warning less */
	for (size_t i = 0; i < p->n_groups; i++)
		c.known[c.n_known++] = p->groups[i].name;
	for (size_t i = 0; i < n_seen; i++)
		c.known[c.n_known++] = seen[i];
	qsort(c.known, c.n_known, sizeof(*c.known), by_text);
	for (size_t i = 0; i < p->n_groups; i++) {
		check_rules(&c, p->groups[i].inbound, p->groups[i].n_inbound);
		check_rules(&c, p->groups[i].outbound, p->groups[i].n_outbound);
	}
	free(c.known);
}
