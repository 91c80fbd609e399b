/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a ruleset to the table: the groups' own chains and maps. See nft_build.h. A list with a thousand peers must cost
 * a connection no more than one with two, and the kernel, which finds a set by walking all of them, must not get a set
 * for each group: so a list has one map for each IP version, from the addresses of all its peers to the part of it
 * that is about the one.
 */
#include "config.h"
#include "segment/nft_build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "common/buf.h"
#include "common/verdict.h"
#include "segment/nft_expr.h"

/* ---- lists ---------------------------------------------------------------------------------------------------- */
struct list {
	struct nft_chain *chain;
	const struct nft_role *role;
	bool in;
};

/* The rules of a ruleset, list by list: groups in their order, inbound first; in a list by peer group, so that what is
 * said of one is together, then as the ruleset has them. */
struct order {
	const struct rule **rule;
	size_t *first; /* of list 2 * group + outbound, and one behind the last */
};

static int order_cmp(const void *a, const void *b)
{
	const struct rule *x = *(const struct rule *const *)a, *y = *(const struct rule *const *)b;
	int c = (x->group > y->group) - (x->group < y->group);

	if (c == 0)
		c = (int)y->inbound - (int)x->inbound;
	if (c == 0)
		c = (y->peer_kind == RULE_PEER_GROUP) - (x->peer_kind == RULE_PEER_GROUP);
	if (c == 0 && x->peer_kind == RULE_PEER_GROUP)
		c = strcmp(x->peer_group, y->peer_group);
	return c ? c : (x > y) - (x < y);
}

static void order_fini(struct order *o)
{
	free(o->rule);
	free(o->first);
}

static int order_init(struct order *o, const struct ruleset *rs)
{
	size_t n = 0;

	o->rule = calloc(rs->n_rules + 1, sizeof(*o->rule));
	o->first = calloc(2 * rs->n_groups + 1, sizeof(*o->first));
	if (!o->rule || !o->first) {
		order_fini(o);
		return -ENOMEM;
	}
	for (size_t i = 0; i < rs->n_rules; i++)
		o->rule[i] = &rs->rules[i];
	if (rs->n_rules)
		qsort(o->rule, rs->n_rules, sizeof(*o->rule), order_cmp);
	for (size_t list = 0; list < 2 * rs->n_groups; list++) {
		o->first[list] = n;
		while (n < rs->n_rules && 2 * (size_t)o->rule[n]->group + !o->rule[n]->inbound == list)
			n++;
	}
	o->first[2 * rs->n_groups] = n;
	return 0;
}

static void match_peer(struct nft_builder *b, const struct list *l, const struct rule *r, bool v4)
{
	bool source = l->in;

	switch (r->peer_kind) {
	case RULE_PEER_WORLD:
		/* What leaves by an outbound list has no workload at its other end: the inbound maps took those
		 * before. */
		if (l->in)
			nft_match_addr_set(b, v4, source, v4 ? NFT_SET_WORKLOADS "_4" : NFT_SET_WORKLOADS "_6", true);
		nft_match_local(b, source, true);
		break;
	case RULE_PEER_HOST:
		nft_match_local(b, source, false);
		break;
	case RULE_PEER_PREFIX:
		nft_match_prefix(b, &r->peer_prefix, source);
		break;
	default: /* anybody; or a group, whose addresses the list's maps have brought here */
		break;
	}
}

enum { EITHER = 0, V4 = 1, V6 = 2 };

/* Which IP versions the peer needs rules of its own for; EITHER where one rule does for both. */
static unsigned peer_families(const struct list *l, const struct rule *r)
{
	switch (r->peer_kind) {
	case RULE_PEER_WORLD:
		return l->in ? V4 | V6 : EITHER;
	case RULE_PEER_PREFIX:
		return r->peer_prefix.len >= 96 && addr_is_v4(&r->peer_prefix.addr) ? V4 : V6;
	default:
		return EITHER;
	}
}

/* One kernel rule: this peer, one IP version or either, these services of one protocol. */
static int build_accept(const struct list *l, const struct rule *r, unsigned family, const struct service *s, size_t n)
{
	char peer[GROUP_STRLEN], service[SERVICE_STRLEN];
	struct buf comment = BUF_INIT;
	struct nft_builder b;
	int rc;

	if ((s->proto == PROTO_ICMP && family == V6) || (s->proto == PROTO_ICMP6 && family == V4))
		return 0;
	buf_printf(&comment, "%s %s %s:", l->role->group, l->in ? "from" : "to", rule_peer_format(r, peer));
	for (size_t i = 0; i < n; i++)
		buf_printf(&comment, "%s %s", i ? "," : "", service_format(&s[i], service));
	nft_rule_start(&b, l->chain);
	match_peer(&b, l, r, family != V6);
	nft_match_services(&b, s, n);
	nft_counter(&b);
	nft_verdict(&b, NF_ACCEPT, NULL);
	rc = buf_failed(&comment) ? -ENOMEM : nft_rule_finish(&b, r->id, NFT_TAG_NONE, comment.data);
	buf_fini(&comment);
	return rc;
}

static int build_rule(const struct list *l, const struct rule *r)
{
	unsigned families = peer_families(l, r);
	size_t i = 0, n;
	int rc = 0;

	for (; rc == 0 && i < r->n_services; i += n) {
		for (n = 1; i + n < r->n_services && r->services[i + n].proto == r->services[i].proto; n++)
			;
		if (families & V4)
			rc = build_accept(l, r, V4, &r->services[i], n);
		if (rc == 0 && (families & V6))
			rc = build_accept(l, r, V6, &r->services[i], n);
		if (rc == 0 && families == EITHER)
			rc = build_accept(l, r, EITHER, &r->services[i], n);
	}
	return rc;
}

/* The end of a list: nothing allowed it. */
static int build_miss(const struct list *l)
{
	const char *what = l->in ? "inbound" : "outbound";
	struct nft_builder b;
	char comment[2 * GROUP_STRLEN];
	int rc = 0;

	for (int v4 = 1; rc == 0 && l->role->stage == STAGE_ENFORCE && v4 >= 0; v4--) {
		nft_rule_start(&b, l->chain);
		nft_match_addr_set(&b, v4, !l->in, v4 ? NFT_SET_ARMED "_4" : NFT_SET_ARMED "_6", false);
		nft_counter(&b);
		nft_verdict(&b, NFT_GOTO, NFT_SET_BLOCK);
		snprintf(comment, sizeof(comment), "%s: no %s rule allows it", l->role->group, what);
		rc = nft_rule_finish(&b, 0, NFT_TAG_NONE, comment);
	}
	if (rc < 0)
		return rc;
	nft_rule_start(&b, l->chain);
	nft_counter(&b);
	nft_verdict(&b, NFT_GOTO, NFT_SET_WOULD_BLOCK);
	b.stage = l->role->stage;
	snprintf(comment, sizeof(comment), "%s: no %s rule allows it%s", l->role->group, what,
		 l->role->stage == STAGE_ENFORCE ? ", but enforcement is not armed" : " (dry run)");
	return nft_rule_finish(&b, 0, NFT_TAG_NONE, comment);
}

/* Who is a peer by its group goes to the part of the list that is about it, and comes back if that does not
 * allow it. */
static int build_ways(const struct list *l)
{
	char map[NFT_NAME_LEN + 2];
	struct nft_builder b;
	int rc = 0;

	for (int v4 = 1; rc == 0 && v4 >= 0; v4--) {
		snprintf(map, sizeof(map), "%s_%d", l->chain->name, v4 ? 4 : 6);
		nft_rule_start(&b, l->chain);
		nft_vmap(&b, v4, l->in, map);
		rc = nft_rule_finish(&b, 0, NFT_TAG_NONE, "");
	}
	return rc;
}

static int build_maps(struct nft_model *m, const char *list, const struct list *l)
{
	char comment[2 * GROUP_STRLEN];

	snprintf(comment, sizeof(comment), "%s: peers of the %s list", l->role->group, l->in ? "inbound" : "outbound");
	return nft_build_set(m, list, "_4", &nft_shape_map4, comment) &&
			       nft_build_set(m, list, "_6", &nft_shape_map6, comment)
		       ? 0
		       : -ENOMEM;
}

/* The rules of one list that are about one group. */
static int build_part(struct nft_model *m, const struct nft_roles *roles, struct list l, const char *list,
		      const struct rule *const *rules, size_t n)
{
	const struct nft_role *peer = nft_roles_find(roles, rules[0]->peer_group);
	char name[NFT_NAME_LEN], comment[3 * GROUP_STRLEN];
	int rc = 0;

	nft_name_part(name, list, peer->base);
	l.chain = nft_model_chain(m, name);
	if (!l.chain)
		return -ENOMEM;
	snprintf(l.chain->group, sizeof(l.chain->group), "%s", peer->group);
	l.chain->list = NFT_LIST_PART;
	snprintf(comment, sizeof(comment), "%s %s %s", l.role->group, l.in ? "from" : "to", peer->group);
	nft_name_comment(l.chain->comment, sizeof(l.chain->comment), comment);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = build_rule(&l, rules[i]);
	return rc;
}

static int start_list(struct nft_model *m, struct list *l, const char *name)
{
	char comment[2 * GROUP_STRLEN];

	l->chain = nft_model_chain(m, name);
	if (!l->chain)
		return -ENOMEM;
	snprintf(l->chain->group, sizeof(l->chain->group), "%s", l->role->group);
	l->chain->list = l->in ? NFT_LIST_IN : NFT_LIST_OUT;
	l->chain->stage = l->role->stage;
	snprintf(comment, sizeof(comment), "%s: %s list", l->role->group, l->in ? "inbound" : "outbound");
	nft_name_comment(l->chain->comment, sizeof(l->chain->comment), comment);
	return 0;
}

static int build_list(struct nft_model *m, const struct nft_roles *roles, const struct nft_role *role, bool in,
		      const struct rule *const *rules, size_t n)
{
	struct list l = {.role = role, .in = in};
	size_t parts = 0, k;
	char name[NFT_NAME_LEN];
	int rc;

	nft_name_list(name, role->base, in);
	while (parts < n && rules[parts]->peer_kind == RULE_PEER_GROUP)
		parts++;
	rc = start_list(m, &l, name);
	if (rc == 0 && parts)
		rc = build_ways(&l);
	for (size_t i = parts; rc == 0 && i < n; i++)
		rc = build_rule(&l, rules[i]);
	if (rc == 0)
		rc = build_miss(&l);
	if (rc == 0 && parts)
		rc = build_maps(m, name, &l);
	/* The list is complete: adding chains moves it. */
	for (size_t i = 0; rc == 0 && i < parts; i += k) {
		for (k = 1; i + k < parts && strcmp(rules[i]->peer_group, rules[i + k]->peer_group) == 0;)
			k++;
		rc = build_part(m, roles, l, name, rules + i, k);
	}
	return rc;
}

static int build_lists(struct nft_model *m, const struct ruleset *rs, const struct nft_roles *roles)
{
	struct order o;
	int rc = order_init(&o, rs);

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < 2 * rs->n_groups; i++) {
		const struct nft_role *role = nft_roles_find(roles, rs->groups[i / 2].name);

		if (role && role->listed)
			rc = build_list(m, roles, role, i % 2 == 0, o.rule + o.first[i], o.first[i + 1] - o.first[i]);
	}
	order_fini(&o);
	return rc;
}

int nft_build(struct nft_model *m, const struct ruleset *rs, const struct nft_roles *roles,
	      const struct nft_about *about, uint16_t log_group)
{
	int rc = nft_build_fixed(m, about, log_group);

	if (rc == 0)
		rc = build_lists(m, rs, roles);
	m->present = true;
	m->about = *about;
	nft_model_sort(m);
	return rc;
}
