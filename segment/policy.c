/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The policy as a value: memory, building by hand, and who is a member of which group. Reading, writing and merging the
 * document are in policy_*.c.
 */
#include "config.h"
#include "segment/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/workload.h"
#include "segment/policy_text.h"

struct policy *policy_new(void)
{
	return calloc(1, sizeof(struct policy));
}

void policy_rules_free(struct policy_rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < rules[i].n_names; k++)
			free(rules[i].names[k]);
		free(rules[i].names);
		free(rules[i].services);
		free(rules[i].comment);
	}
	free(rules);
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_groups; i++) {
		struct policy_group *g = &p->groups[i];

		policy_rules_free(g->inbound, g->n_inbound);
		policy_rules_free(g->outbound, g->n_outbound);
		policy_rules_free(g->asked, g->n_asked);
		free(g->selectors);
		free(g->comment);
	}
	free(p->groups);
	free(p);
}

void *policy_grow(void *array, size_t n, size_t size)
{
	/* Full at 0 and at each power of two: no capacity to carry about. */
	if (n & (n - 1))
		return array;
	if (n > SIZE_MAX / 2 / size)
		return NULL;
	return realloc(array, (n ? n * 2 : 1) * size);
}

struct policy_group *policy_find_group(const struct policy *p, const char *name)
{
	for (size_t i = 0; i < p->n_groups; i++) {
		if (strcmp(p->groups[i].name, name) == 0)
			return &p->groups[i];
	}
	return NULL;
}

struct policy_group *policy_append_group(struct policy *p, const char *name)
{
	struct policy_group *g = policy_grow(p->groups, p->n_groups, sizeof(*g));

	if (!g)
		return NULL;
	p->groups = g;
	g = &p->groups[p->n_groups++];
	memset(g, 0, sizeof(*g));
	snprintf(g->name, sizeof(g->name), "%s", name);
	return g;
}

struct policy_group *policy_add_group(struct policy *p, const char *name)
{
	struct policy_group *g = policy_find_group(p, name);

	if (!g && policy_name_ok(name))
		g = policy_append_group(p, name);
	return g;
}

struct policy_rule *policy_append_rule(struct policy_rule **rules, size_t *n)
{
	struct policy_rule *r = policy_grow(*rules, *n, sizeof(*r));

	if (!r)
		return NULL;
	*rules = r;
	r = &(*rules)[(*n)++];
	memset(r, 0, sizeof(*r));
	return r;
}

int policy_set_peer(struct policy_rule *r, const char *peer)
{
	if (strcmp(peer, GROUP_WORLD) == 0) {
		r->peer_kind = RULE_PEER_WORLD;
	} else if (strcmp(peer, GROUP_HOST) == 0) {
		r->peer_kind = RULE_PEER_HOST;
	} else if (strcmp(peer, "any") == 0) {
		r->peer_kind = RULE_PEER_ANY;
	} else if (prefix_parse(&r->peer_prefix, peer) == 0) {
		r->peer_kind = RULE_PEER_PREFIX;
	} else if (policy_name_ok(peer)) {
		r->peer_kind = RULE_PEER_GROUP;
		snprintf(r->peer_group, sizeof(r->peer_group), "%s", peer);
	} else {
		return -EINVAL;
	}
	return 0;
}

int policy_add_rule(struct policy_group *g, bool inbound, const char *peer, const struct service *services, size_t n)
{
	struct policy_rule found = {0}, *r;

	if (policy_set_peer(&found, peer) < 0 || n == 0)
		return -EINVAL;
	found.inbound = inbound;
	found.services = calloc(n, sizeof(*found.services));
	if (!found.services)
		return -ENOMEM;
	memcpy(found.services, services, n * sizeof(*services));
	found.n_services = n;
	r = inbound ? policy_append_rule(&g->inbound, &g->n_inbound) : policy_append_rule(&g->outbound, &g->n_outbound);
	if (!r) {
		free(found.services);
		return -ENOMEM;
	}
	*r = found;
	g->has_policy = true;
	return 0;
}

int policy_add_name(struct policy_rule *r, const char *name)
{
	char **names = policy_grow(r->names, r->n_names, sizeof(*names));

	if (!names)
		return -ENOMEM;
	r->names = names;
	names[r->n_names] = strdup(name);
	if (!names[r->n_names])
		return -ENOMEM;
	r->n_names++;
	return 0;
}

int policy_add_selector(struct policy_group *g, const struct policy_selector *s)
{
	struct policy_selector *all = policy_grow(g->selectors, g->n_selectors, sizeof(*all));

	if (!all)
		return -ENOMEM;
	g->selectors = all;
	all[g->n_selectors++] = *s;
	return 0;
}

const char *policy_peer_format(const struct policy_rule *r, char buf[GROUP_STRLEN])
{
	switch (r->peer_kind) {
	case RULE_PEER_GROUP:
		return strcpy(buf, r->peer_group);
	case RULE_PEER_WORLD:
		return strcpy(buf, GROUP_WORLD);
	case RULE_PEER_HOST:
		return strcpy(buf, GROUP_HOST);
	case RULE_PEER_PREFIX:
		return prefix_format(&r->peer_prefix, buf);
	default:
		return strcpy(buf, "any");
	}
}

int policy_peer_cmp(const struct policy_rule *a, const struct policy_rule *b)
{
	int c;

	if (a->peer_kind != b->peer_kind)
		return a->peer_kind < b->peer_kind ? -1 : 1;
	if (a->peer_kind == RULE_PEER_GROUP)
		return strcmp(a->peer_group, b->peer_group);
	if (a->peer_kind != RULE_PEER_PREFIX)
		return 0;
	c = addr_cmp(&a->peer_prefix.addr, &b->peer_prefix.addr);
	return c ? c : (int)a->peer_prefix.len - (int)b->peer_prefix.len;
}

bool policy_name_ok(const char *name)
{
	struct addr a;
	char head[ADDR_STRLEN];
	size_t len = strlen(name), n = strcspn(name, "/");

	if (len == 0 || len >= GROUP_STRLEN || name[0] == ' ' || name[len - 1] == ' ')
		return false;
	if (strcmp(name, GROUP_WORLD) == 0 || strcmp(name, GROUP_HOST) == 0 || strcmp(name, "any") == 0)
		return false;
	for (const char *c = name; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	}
	if (policy_text_bad_utf8(name, len) < len)
		return false;
	if (n >= sizeof(head))
		return true;
	memcpy(head, name, n);
	head[n] = '\0';
	return addr_parse(&a, head) < 0;
}
