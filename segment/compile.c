/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From policy to ruleset: the one intermediate form that is evaluated in user space and lowered to nftables. Groups are
 * sorted, rules of one list with the same peer become one rule with united services, and each rule gets an id that is
 * the same wherever the same rule comes up again, so that the next generation is a small difference and counters keep
 * their rule.
 */
#include "config.h"
#include "segment/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "segment/policy_text.h"
#include "segment/service_set.h"

/* A rule of the document on its way: borrowed from the policy. */
struct source {
	uint32_t group;
	bool inbound;
	const struct policy_rule *rule;
};

static int by_name(const void *va, const void *vb)
{
	const struct policy_group *const *a = va, *const *b = vb;

	return strcmp((*a)->name, (*b)->name);
}

/* Do both become one rule? */
static int list_cmp(const struct source *a, const struct source *b)
{
	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	if (a->inbound != b->inbound)
		return a->inbound ? -1 : 1;
	return policy_peer_cmp(a->rule, b->rule);
}

static int by_place(const void *va, const void *vb)
{
	const struct source *a = va, *b = vb;
	int c = list_cmp(a, b);

	return c ? c : (a->rule->line > b->rule->line) - (a->rule->line < b->rule->line);
}

/* A rule that decides nothing: towards a group the server's inbound list has the say. */
static bool is_idle(const struct policy_rule *r, bool inbound)
{
	return r->n_services == 0 || (!inbound && r->peer_kind == RULE_PEER_GROUP);
}

static size_t add_sources(struct source *s, uint32_t group, bool inbound, const struct policy_rule *rules, size_t n)
{
	size_t added = 0;

	for (size_t i = 0; i < n; i++) {
		if (!is_idle(&rules[i], inbound))
			s[added++] = (struct source){group, inbound, &rules[i]};
	}
	return added;
}

/* One rule out of the n sources that say the same of the same peer. */
static int make_rule(struct rule *out, const struct source *s, size_t n)
{
	size_t total = 0;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < n; i++)
		total += s[i].rule->n_services;
	out->services = calloc(total, sizeof(*out->services));
	if (!out->services)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		memcpy(out->services + out->n_services, s[i].rule->services,
		       s[i].rule->n_services * sizeof(*out->services));
		out->n_services += s[i].rule->n_services;
	}
	out->n_services = service_set_normalise(out->services, out->n_services);
	out->group = s->group;
	out->inbound = s->inbound;
	out->peer_kind = s->rule->peer_kind;
	if (out->peer_kind == RULE_PEER_GROUP)
		memcpy(out->peer_group, s->rule->peer_group, sizeof(out->peer_group));
	if (out->peer_kind == RULE_PEER_PREFIX)
		out->peer_prefix = s->rule->peer_prefix;
	out->line = s->rule->line;
	return 0;
}

/* Hash of what the rule says. Text, so that the padding of structs has no part in it. */
static int rule_id(uint32_t *out, const struct rule *r, const char *group)
{
	struct buf b = BUF_INIT;
	char peer[GROUP_STRLEN];
	uint64_t h;

	buf_printf(&b, "%s\n%s\n%u %s\n", group, r->inbound ? "in" : "out", r->peer_kind, rule_peer_format(r, peer));
	rule_services_format(r, &b);
	if (buf_failed(&b)) {
		buf_fini(&b);
		return -ENOMEM;
	}
	h = hash_fixed(b.data, b.len);
	*out = (uint32_t)(h ^ h >> 32);
	buf_fini(&b);
	return 0;
}

static int by_id(const void *va, const void *vb)
{
	const struct rule *const *a = va, *const *b = vb;

	if ((*a)->id != (*b)->id)
		return (*a)->id < (*b)->id ? -1 : 1;
	return (*a > *b) - (*a < *b);
}

/* Ids are 32 bits wide: 10,000 rules meet by chance once in a hundred policies. Whoever comes later moves on; 0 is
 * nobody's. */
static int give_ids(struct ruleset *rs)
{
	struct rule **sorted = calloc(rs->n_rules ? rs->n_rules : 1, sizeof(*sorted));
	bool again = true;
	int rc = sorted ? 0 : -ENOMEM;

	for (size_t i = 0; i < rs->n_rules && rc == 0; i++) {
		sorted[i] = &rs->rules[i];
		rc = rule_id(&rs->rules[i].id, &rs->rules[i], rs->groups[rs->rules[i].group].name);
	}
	while (again && rc == 0) {
		again = false;
		qsort(sorted, rs->n_rules, sizeof(*sorted), by_id);
		for (size_t i = 0; i < rs->n_rules; i++) {
			if (sorted[i]->id == 0 || (i && sorted[i]->id == sorted[i - 1]->id)) {
				sorted[i]->id++;
				again = true;
			}
		}
	}
	free(sorted);
	return rc;
}

/* The groups that have a policy, sorted, and all their rules in the order of the ruleset. */
static int gather(struct ruleset *rs, struct source **out, size_t *n_out, const struct policy *p)
{
	const struct policy_group **sorted = calloc(p->n_groups + 1, sizeof(*sorted));
	struct source *all = NULL;
	size_t n = 0, n_rules = 0;

	for (size_t i = 0; sorted && i < p->n_groups; i++) {
		if (!p->groups[i].has_policy)
			continue;
		sorted[n++] = &p->groups[i];
		n_rules += p->groups[i].n_inbound + p->groups[i].n_outbound;
	}
	rs->groups = calloc(n + 1, sizeof(*rs->groups));
	all = calloc(n_rules + 1, sizeof(*all));
	if (!sorted || !rs->groups || !all) {
		free(sorted);
		free(all);
		return -ENOMEM;
	}
	qsort(sorted, n, sizeof(*sorted), by_name);
	n_rules = 0;
	for (size_t i = 0; i < n; i++) {
		const struct policy_group *g = sorted[i];

		memcpy(rs->groups[i].name, g->name, sizeof(g->name));
		rs->groups[i].stage = g->stage;
		n_rules += add_sources(all + n_rules, (uint32_t)i, true, g->inbound, g->n_inbound);
		n_rules += add_sources(all + n_rules, (uint32_t)i, false, g->outbound, g->n_outbound);
	}
	rs->n_groups = n;
	qsort(all, n_rules, sizeof(*all), by_place);
	free(sorted);
	*out = all;
	*n_out = n_rules;
	return 0;
}

int policy_compile(struct ruleset *out, const struct policy *p)
{
	struct source *all = NULL;
	struct ruleset rs;
	size_t n = 0;
	int rc;

	ruleset_init(&rs);
	rc = gather(&rs, &all, &n, p);
	if (rc < 0)
		goto out;
	rs.rules = calloc(n + 1, sizeof(*rs.rules));
	rc = rs.rules ? 0 : -ENOMEM;
	for (size_t i = 0, k; i < n && rc == 0; i = k) {
		for (k = i + 1; k < n && list_cmp(&all[i], &all[k]) == 0;)
			k++;
		rc = make_rule(&rs.rules[rs.n_rules], &all[i], k - i);
		rs.n_rules += rc == 0;
	}
	if (rc == 0)
		rc = give_ids(&rs);
out:
	free(all);
	if (rc < 0)
		ruleset_fini(&rs);
	else
		*out = rs;
	return rc;
}
