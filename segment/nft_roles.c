/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What each group is to the table, and what it is called there: worked out from a ruleset, or read back from a table
 * that was made from one. Given a group, the lists that have a part about it are found without looking at all lists.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/verdict.h"
#include "segment/nft_build.h"

static int role_cmp(const void *a, const void *b)
{
	return strcmp(((const struct nft_role *)a)->group, ((const struct nft_role *)b)->group);
}

void nft_roles_fini(struct nft_roles *r)
{
	free(r->v);
	free(r->ways);
	*r = (struct nft_roles){0};
}

const struct nft_role *nft_roles_find(const struct nft_roles *r, const char *group)
{
	struct nft_role key;

	snprintf(key.group, sizeof(key.group), "%s", group);
	return r->n ? bsearch(&key, r->v, r->n, sizeof(key), role_cmp) : NULL;
}

/* Sorts and unites entries of the same group. */
static void roles_unite(struct nft_roles *r)
{
	size_t n = 0;

	if (r->n == 0)
		return;
	qsort(r->v, r->n, sizeof(*r->v), role_cmp);
	for (size_t i = 1; i < r->n; i++) {
		if (strcmp(r->v[n].group, r->v[i].group) == 0) {
			r->v[n].listed = r->v[n].listed || r->v[i].listed;
			r->v[n].peer = r->v[n].peer || r->v[i].peer;
			if (r->v[i].listed) {
				r->v[n].stage = r->v[i].stage;
				memcpy(r->v[n].base, r->v[i].base, sizeof(r->v[n].base));
			}
		} else {
			r->v[++n] = r->v[i];
		}
	}
	r->n = n + 1;
}

struct named {
	char base[NFT_BASE_LEN];
	struct nft_role *role;
};

static int named_cmp(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->base, ((const struct named *)b)->base);
}

/* Names: every group whose readable form another has too gets its hash. */
static int roles_name(struct nft_roles *r)
{
	struct named *v = calloc(r->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < r->n; i++) {
		nft_name_base(v[i].base, r->v[i].group, true);
		v[i].role = &r->v[i];
	}
	qsort(v, r->n, sizeof(*v), named_cmp);
	for (size_t i = 0; i < r->n; i++) {
		bool clash = (i > 0 && strcmp(v[i - 1].base, v[i].base) == 0) ||
			     (i + 1 < r->n && strcmp(v[i].base, v[i + 1].base) == 0);

		nft_name_base(v[i].role->base, v[i].role->group, !clash);
	}
	free(v);
	return 0;
}

/* ---- ways ------------------------------------------------------------------------------------------------------ */
static int way_cmp(const void *a, const void *b)
{
	const struct nft_way *x = a, *y = b;
	int c = strcmp(x->group, y->group);

	return c ? c : strcmp(x->part, y->part);
}

static void ways_unite(struct nft_roles *r)
{
	size_t n = 0;

	if (r->n_ways)
		qsort(r->ways, r->n_ways, sizeof(*r->ways), way_cmp);
	for (size_t i = 0; i < r->n_ways; i++)
		if (n == 0 || way_cmp(&r->ways[n - 1], &r->ways[i]) != 0)
			r->ways[n++] = r->ways[i];
	r->n_ways = n;
}

const struct nft_way *nft_roles_ways(const struct nft_roles *r, const char *group, size_t *n)
{
	size_t lo = 0, hi = r->n_ways;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(r->ways[mid].group, group) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (*n = 0; lo + *n < r->n_ways && strcmp(r->ways[lo + *n].group, group) == 0;)
		(*n)++;
	return *n ? &r->ways[lo] : NULL;
}

static bool has_part(const struct ruleset *rs, const struct rule *r)
{
	return r->peer_kind == RULE_PEER_GROUP && rs->groups[r->group].stage != STAGE_OBSERVE;
}

/* After the roles have their names. */
static int ways_build(struct nft_roles *r, const struct ruleset *rs)
{
	r->ways = calloc(rs->n_rules + 1, sizeof(*r->ways));
	if (!r->ways)
		return -ENOMEM;
	for (size_t i = 0; i < rs->n_rules; i++) {
		const struct rule *rule = &rs->rules[i];
		struct nft_way *w = &r->ways[r->n_ways];

		if (!has_part(rs, rule))
			continue;
		snprintf(w->group, sizeof(w->group), "%s", rule->peer_group);
		nft_name_list(w->list, nft_roles_find(r, rs->groups[rule->group].name)->base, rule->inbound);
		nft_name_part(w->part, w->list, nft_roles_find(r, rule->peer_group)->base);
		r->n_ways++;
	}
	ways_unite(r);
	return 0;
}

/* ---- both ------------------------------------------------------------------------------------------------------ */
int nft_roles_build(struct nft_roles *out, const struct ruleset *rs)
{
	struct nft_roles r = {.v = calloc(rs->n_groups + rs->n_rules + 1, sizeof(*r.v))};
	int rc;

	if (!r.v)
		return -ENOMEM;
	for (size_t i = 0; i < rs->n_groups; i++) {
		struct nft_role *p = &r.v[r.n];

		if (rs->groups[i].stage == STAGE_OBSERVE)
			continue;
		snprintf(p->group, sizeof(p->group), "%s", rs->groups[i].name);
		p->stage = rs->groups[i].stage;
		p->listed = true;
		r.n++;
	}
	for (size_t i = 0; i < rs->n_rules; i++) {
		struct nft_role *p = &r.v[r.n];

		if (!has_part(rs, &rs->rules[i]))
			continue;
		snprintf(p->group, sizeof(p->group), "%s", rs->rules[i].peer_group);
		p->peer = true;
		r.n++;
	}
	roles_unite(&r);
	rc = roles_name(&r);
	if (rc == 0)
		rc = ways_build(&r, rs);
	if (rc < 0)
		nft_roles_fini(&r);
	else
		*out = r;
	return rc;
}

static void way_read(struct nft_roles *r, const struct nft_chain *c)
{
	struct nft_way *w = &r->ways[r->n_ways];
	size_t n = strcspn(c->name, "/");

	if (!c->name[n])
		return;
	snprintf(w->group, sizeof(w->group), "%s", c->group);
	snprintf(w->list, sizeof(w->list), "%.*s", (int)n, c->name);
	snprintf(w->part, sizeof(w->part), "%s", c->name);
	r->n_ways++;
}

int nft_roles_read(struct nft_roles *out, const struct nft_model *held)
{
	struct nft_roles r = {.v = calloc(held->n_chains + 1, sizeof(*r.v)),
			      .ways = calloc(held->n_chains + 1, sizeof(*r.ways))};

	if (!r.v || !r.ways) {
		nft_roles_fini(&r);
		return -ENOMEM;
	}
	for (size_t i = 0; i < held->n_chains; i++) {
		const struct nft_chain *c = &held->chains[i];
		struct nft_role *p = &r.v[r.n];

		if (!c->group[0] || (c->list != NFT_LIST_IN && c->list != NFT_LIST_PART))
			continue;
		snprintf(p->group, sizeof(p->group), "%s", c->group);
		if (c->list == NFT_LIST_PART) {
			p->peer = true;
			way_read(&r, c);
		} else {
			snprintf(p->base, sizeof(p->base), "%s", c->name + strlen("in_"));
			p->stage = c->stage;
			p->listed = true;
		}
		r.n++;
	}
	roles_unite(&r);
	ways_unite(&r);
	*out = r;
	return 0;
}
