/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a ruleset to the table: the groups' own chains and sets. See nft_build.h. */
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

/* ---- roles ---------------------------------------------------------------------------------------------------- */
static int role_cmp(const void *a, const void *b)
{
	return strcmp(((const struct nft_role *)a)->group, ((const struct nft_role *)b)->group);
}

void nft_roles_fini(struct nft_roles *r)
{
	free(r->v);
	r->v = NULL;
	r->n = 0;
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
			if (r->v[i].listed)
				r->v[n].stage = r->v[i].stage;
		} else {
			r->v[++n] = r->v[i];
		}
	}
	r->n = n + 1;
}

static bool base_reserved(const char *base)
{
	static const char *const fixed[] = {NFT_SET_WORKLOADS, NFT_SET_ARMED, NFT_MAP_INBOUND, NFT_MAP_OUTBOUND,
					    NFT_SET_WOULD_BLOCK, NFT_SET_BLOCK, NFT_SET_WOULD_BLOCK NFT_SET_ICMP,
					    NFT_SET_BLOCK NFT_SET_ICMP, NFT_SET_NEWCOMERS, NFT_SET_STRANGERS};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (strcmp(base, fixed[i]) == 0)
			return true;
	return false;
}


struct named {
	char base[NFT_BASE_LEN];
	struct nft_role *role;
};

static int named_cmp(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->base, ((const struct named *)b)->base);
}

/* Names: every group whose readable form another has too, or that is the program's own word, gets its hash. */
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
			     (i + 1 < r->n && strcmp(v[i].base, v[i + 1].base) == 0) || base_reserved(v[i].base);

		nft_name_base(v[i].role->base, v[i].role->group, !clash);
	}
	free(v);
	return 0;
}

int nft_roles_build(struct nft_roles *out, const struct ruleset *rs)
{
	struct nft_roles r = {calloc(rs->n_groups + rs->n_rules + 1, sizeof(*r.v)), 0};
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

		if (rs->rules[i].peer_kind != RULE_PEER_GROUP ||
		    rs->groups[rs->rules[i].group].stage == STAGE_OBSERVE)
			continue;
		snprintf(p->group, sizeof(p->group), "%s", rs->rules[i].peer_group);
		p->peer = true;
		r.n++;
	}
	roles_unite(&r);
	rc = roles_name(&r);
	if (rc < 0)
		nft_roles_fini(&r);
	else
		*out = r;
	return rc;
}

int nft_roles_read(struct nft_roles *out, const struct nft_model *held)
{
	struct nft_roles r = {calloc(held->n_chains + held->n_sets + 1, sizeof(*r.v)), 0};

	if (!r.v)
		return -ENOMEM;
	for (size_t i = 0; i < held->n_chains; i++) {
		const struct nft_chain *c = &held->chains[i];
		struct nft_role *p = &r.v[r.n];

		if (c->list != NFT_LIST_IN || !c->group[0])
			continue;
		snprintf(p->group, sizeof(p->group), "%s", c->group);
		snprintf(p->base, sizeof(p->base), "%s", c->name + strlen("in_"));
		p->stage = c->stage;
		p->listed = true;
		r.n++;
	}
	for (size_t i = 0; i < held->n_sets; i++) {
		const struct nft_set *s = &held->sets[i];
		struct nft_role *p = &r.v[r.n];

		if (!s->group[0])
			continue;
		snprintf(p->group, sizeof(p->group), "%s", s->group);
		snprintf(p->base, sizeof(p->base), "%.*s", (int)strlen(s->name) - 2, s->name);
		p->peer = true;
		r.n++;
	}
	roles_unite(&r);
	*out = r;
	return 0;
}

/* ---- lists ---------------------------------------------------------------------------------------------------- */
struct list {
	struct nft_chain *chain;
	const struct nft_roles *roles;
	const struct nft_role *role;
	bool in;
};

static void match_peer(struct nft_builder *b, const struct list *l, const struct rule *r, const char *base, bool v4)
{
	char set[NFT_NAME_LEN];
	bool source = l->in;

	switch (r->peer_kind) {
	case RULE_PEER_GROUP:
		snprintf(set, sizeof(set), "%s_%d", base, v4 ? 4 : 6);
		nft_match_addr_set(b, v4, source, set, false);
		break;
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
	default:
		break;
	}
}

enum { EITHER = 0, V4 = 1, V6 = 2 };

/* Which IP versions the peer needs rules of its own for; EITHER where one rule does for both. */
static unsigned peer_families(const struct list *l, const struct rule *r)
{
	switch (r->peer_kind) {
	case RULE_PEER_GROUP:
		return V4 | V6;
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
	const struct nft_role *role = NULL;
	struct buf comment = BUF_INIT;
	struct nft_builder b;
	int rc;

	if ((s->proto == PROTO_ICMP && family == V6) || (s->proto == PROTO_ICMP6 && family == V4))
		return 0;
	if (r->peer_kind == RULE_PEER_GROUP)
		role = nft_roles_find(l->roles, r->peer_group);
	buf_printf(&comment, "%s %s %s:", l->role->group, l->in ? "from" : "to", rule_peer_format(r, peer));
	for (size_t i = 0; i < n; i++)
		buf_printf(&comment, "%s %s", i ? "," : "", service_format(&s[i], service));
	nft_rule_start(&b, l->chain);
	match_peer(&b, l, r, role ? role->base : "", family != V6);
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

static int build_list(struct nft_model *m, const struct ruleset *rs, const struct nft_roles *roles,
		      const struct nft_role *role, bool in)
{
	struct list l = {.roles = roles, .role = role, .in = in};
	int group = ruleset_find_group(rs, role->group), rc = 0;
	char name[NFT_NAME_LEN], comment[2 * GROUP_STRLEN];

	snprintf(name, sizeof(name), "%s%s", in ? "in_" : "out_", role->base);
	l.chain = nft_model_chain(m, name);
	if (!l.chain)
		return -ENOMEM;
	snprintf(l.chain->group, sizeof(l.chain->group), "%s", role->group);
	l.chain->list = in ? NFT_LIST_IN : NFT_LIST_OUT;
	l.chain->stage = role->stage;
	snprintf(comment, sizeof(comment), "%s: %s list", role->group, in ? "inbound" : "outbound");
	nft_name_comment(l.chain->comment, sizeof(l.chain->comment), comment);
	for (size_t i = 0; rc == 0 && i < rs->n_rules; i++)
		if ((int)rs->rules[i].group == group && rs->rules[i].inbound == in)
			rc = build_rule(&l, &rs->rules[i]);
	return rc < 0 ? rc : build_miss(&l);
}

static int build_peer_sets(struct nft_model *m, const struct nft_role *role)
{
	char comment[2 * GROUP_STRLEN];

	snprintf(comment, sizeof(comment), "addresses of %s", role->group);
	for (int v4 = 1; v4 >= 0; v4--) {
		struct nft_set *s = nft_build_set(m, role->base, v4 ? "_4" : "_6",
						  v4 ? &nft_shape_addr4 : &nft_shape_addr6, comment);

		if (!s)
			return -ENOMEM;
		snprintf(s->group, sizeof(s->group), "%s", role->group);
	}
	return 0;
}

int nft_build(struct nft_model *m, const struct ruleset *rs, const struct nft_roles *roles,
	      const struct nft_about *about, uint16_t log_group)
{
	int rc = nft_build_fixed(m, about, log_group);

	for (size_t i = 0; rc == 0 && i < roles->n; i++) {
		const struct nft_role *role = &roles->v[i];

		if (role->peer)
			rc = build_peer_sets(m, role);
		if (rc == 0 && role->listed)
			rc = build_list(m, rs, roles, role, true);
		if (rc == 0 && role->listed)
			rc = build_list(m, rs, roles, role, false);
	}
	m->present = true;
	m->about = *about;
	nft_model_sort(m);
	return rc;
}
