/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Merging: what was found and the document does not say yet is put into the text, and nothing else is touched. Four
 * steps: read the document; work out what is missing; place it (policy_place.c); read the result and hold it against
 * old plus missing. A result that differs in the least is not handed out: a merge that damages a reviewed document is
 * worse than none.
 */
#include "config.h"
#include "segment/policy_merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "segment/diff.h"
#include "segment/policy_text.h"
#include "segment/service_set.h"

/* Does what the document says of one peer hold for the other too? */
static bool peer_covers(const struct policy_rule *there, const struct policy_rule *r)
{
	if (there->peer_kind == RULE_PEER_ANY)
		return true;
	if (there->peer_kind == RULE_PEER_PREFIX && r->peer_kind == RULE_PEER_PREFIX)
		return there->peer_prefix.len <= r->peer_prefix.len &&
		       prefix_contains(&there->peer_prefix, &r->peer_prefix.addr);
	return policy_peer_cmp(there, r) == 0;
}

/* Services of the rule that the list does not allow its peer yet. 0 or -ENOMEM; *out is the caller's to free(). */
static int missing_services(struct service **out, size_t *n, const struct policy_rule *list, size_t n_list,
			    const struct policy_rule *r)
{
	struct service *have;
	size_t total = 0;
	int rc;

	for (size_t i = 0; i < n_list; i++)
		total += peer_covers(&list[i], r) ? list[i].n_services : 0;
	have = calloc(total + 1, sizeof(*have));
	if (!have)
		return -ENOMEM;
	total = 0;
	for (size_t i = 0; i < n_list; i++) {
		if (!peer_covers(&list[i], r))
			continue;
		memcpy(have + total, list[i].services, list[i].n_services * sizeof(*have));
		total += list[i].n_services;
	}
	rc = service_set_minus(out, n, r->services, r->n_services, have, total);
	free(have);
	return rc;
}

/* Is the name told already for all services of the rule? A rule without names tells any. */
static bool name_told(const struct policy_rule *list, size_t n_list, const struct policy_rule *r, const char *name)
{
	for (size_t i = 0; i < n_list; i++) {
		if (!peer_covers(&list[i], r) ||
		    !service_set_covers(list[i].services, list[i].n_services, &r->services[0]))
			continue;
		if (list[i].n_names == 0)
			return true;
		for (size_t k = 0; k < list[i].n_names; k++) {
			if (strcmp(list[i].names[k], name) == 0)
				return true;
		}
	}
	return false;
}

/* Appends a copy of the rule with other services and only the names that are missing. */
static int add_missing(struct policy_group *g, bool inbound, const struct policy_rule *r,
		       const struct service *services, size_t n, const struct policy_rule *list, size_t n_list)
{
	char peer[GROUP_STRLEN];
	struct policy_rule *added;
	int rc = policy_add_rule(g, inbound, policy_peer_format(r, peer), services, n);

	if (rc < 0)
		return rc;
	added = inbound ? &g->inbound[g->n_inbound - 1] : &g->outbound[g->n_outbound - 1];
	for (size_t i = 0; i < r->n_names && rc == 0; i++) {
		if (!list || !name_told(list, n_list, r, r->names[i]))
			rc = policy_add_name(added, r->names[i]);
	}
	if (r->comment && rc == 0) {
		added->comment = strdup(r->comment);
		rc = added->comment ? 0 : -ENOMEM;
	}
	return rc;
}

/* What one list lacks, into the group of additions. */
static int missing_rules(struct policy_group *add, const struct policy_group *there, const struct policy_group *found,
			 bool inbound)
{
	const struct policy_rule *list = !there ? NULL : inbound ? there->inbound : there->outbound;
	const struct policy_rule *rules = inbound ? found->inbound : found->outbound;
	size_t n_list = !there ? 0 : inbound ? there->n_inbound : there->n_outbound;
	size_t n_rules = inbound ? found->n_inbound : found->n_outbound;
	int rc = 0;

	for (size_t i = 0; i < n_rules && rc == 0; i++) {
		const struct policy_rule *r = &rules[i];
		struct service *left = NULL;
		bool untold = false;
		size_t n = 0;

		if (r->n_services == 0)
			continue;
		rc = missing_services(&left, &n, list, n_list, r);
		for (size_t k = 0; k < r->n_names && rc == 0 && n == 0; k++)
			untold = untold || !name_told(list, n_list, r, r->names[k]);
		if (rc == 0 && n)
			rc = add_missing(add, inbound, r, left, n, NULL, 0);
		else if (rc == 0 && untold)
			rc = add_missing(add, inbound, r, r->services, r->n_services, list, n_list);
		free(left);
	}
	return rc;
}

static int missing_group(struct policy *add, const struct policy *old, const struct policy_group *found)
{
	const struct policy_group *there = policy_find_group(old, found->name);
	struct policy_group *g = policy_append_group(add, found->name);
	bool new_policy = found->has_policy && !(there && there->has_policy);
	int rc = 0;

	if (!g)
		return -ENOMEM;
	g->stage = found->stage;
	for (size_t i = 0; i < found->n_selectors && !(there && there->n_selectors) && rc == 0; i++)
		rc = policy_add_selector(g, &found->selectors[i]);
	if (rc == 0)
		rc = missing_rules(g, there, found, true);
	if (rc == 0)
		rc = missing_rules(g, there, found, false);
	g->has_policy = new_policy || g->n_inbound || g->n_outbound;
	if (rc == 0 && new_policy && found->comment) {
		g->comment = strdup(found->comment);
		rc = g->comment ? 0 : -ENOMEM;
	}
	if (!g->has_policy && g->n_selectors == 0)
		add->n_groups--; /* nothing in it owns memory */
	return rc;
}

/* A group described in groups: without a selector cannot be given one by inserting where it stands as "{}" or empty. */
static void drop_selectors(struct policy *add, const struct tree_node *root)
{
	const struct tree_node *groups = tree_get(root, "groups");

	for (size_t i = 0; i < add->n_groups && groups && groups->kind == TREE_MAP; i++) {
		if (add->groups[i].n_selectors && tree_get(groups, add->groups[i].name))
			add->groups[i].n_selectors = 0;
	}
}

/* Old plus additions as a value: what the text must come to mean. */
static int unite(struct policy *old, const struct policy *add)
{
	int rc = 0;

	for (size_t i = 0; i < add->n_groups && rc == 0; i++) {
		const struct policy_group *a = &add->groups[i];
		struct policy_group *g = policy_add_group(old, a->name);

		if (!g)
			return -ENOMEM;
		if (a->has_policy && !g->has_policy)
			g->stage = a->stage;
		g->has_policy = g->has_policy || a->has_policy;
		for (size_t k = 0; k < a->n_selectors && rc == 0; k++)
			rc = policy_add_selector(g, &a->selectors[k]);
		for (size_t k = 0; k < a->n_inbound && rc == 0; k++)
			rc = add_missing(g, true, &a->inbound[k], a->inbound[k].services, a->inbound[k].n_services,
					 NULL, 0);
		for (size_t k = 0; k < a->n_outbound && rc == 0; k++)
			rc = add_missing(g, false, &a->outbound[k], a->outbound[k].services, a->outbound[k].n_services,
					 NULL, 0);
	}
	return rc;
}

/* A line of text for each addition. */
static void tell_rules(struct buf *b, const struct policy_group *g, bool inbound, const struct policy_rule *rules,
		       size_t n, char sign)
{
	for (size_t i = 0; i < n; i++) {
		buf_printf(b, "%c %s %s: ", sign, g->name, inbound ? "inbound" : "outbound");
		policy_emit_rule(b, &rules[i], inbound);
		if (rules[i].comment) {
			buf_adds(b, "  # ");
			policy_emit_comment_text(b, rules[i].comment, strlen(rules[i].comment));
		}
		buf_addc(b, '\n');
	}
}

static void tell(struct buf *b, const struct policy *add, const struct policy *old, const struct policy *found)
{
	for (size_t i = 0; i < add->n_groups; i++) {
		const struct policy_group *g = &add->groups[i], *there = policy_find_group(old, g->name);

		if (g->n_selectors) {
			buf_printf(b, "+ groups: %s: ", g->name);
			policy_emit_selectors(b, g);
			buf_addc(b, '\n');
		}
		if (g->has_policy && !(there && there->has_policy))
			buf_printf(b, "+ %s gets a policy, at %s\n", g->name, stage_name(g->stage));
		tell_rules(b, g, true, g->inbound, g->n_inbound, '+');
		tell_rules(b, g, false, g->outbound, g->n_outbound, '+');
	}
	/* Proposals go into no list by themselves. */
	for (size_t i = 0; i < found->n_groups; i++) {
		const struct policy_group *g = &found->groups[i], *there = policy_find_group(old, g->name);

		for (size_t k = 0; k < g->n_asked; k++) {
			const struct policy_rule *r = &g->asked[k];
			const struct policy_rule *list = !there ? NULL : r->inbound ? there->inbound : there->outbound;
			size_t n_list = !there ? 0 : r->inbound ? there->n_inbound : there->n_outbound, n = 0;
			struct service *left = NULL;

			if (missing_services(&left, &n, list, n_list, r) < 0)
				b->failed = true;
			if (n)
				tell_rules(b, g, r->inbound, r, 1, '?');
			free(left);
		}
	}
}

/* Does the text mean that policy? 1 yes, 0 no, or -ENOMEM. */
static int means(const struct buf *text, const struct policy *expected)
{
	struct policy_errors errors;
	struct policy *p = NULL;
	struct diff d;
	int rc = policy_parse(&p, text->data, text->len, &errors);

	if (rc == -ENOMEM || rc < 0)
		return rc == -ENOMEM ? rc : 0;
	rc = diff_policies(&d, expected, p);
	policy_free(p);
	if (rc < 0)
		return rc;
	rc = d.n == 0;
	diff_fini(&d);
	return rc;
}

/* Places the additions and proves the result. */
static int merge(struct buf *out, const char *text, size_t len, struct policy *old, struct policy *add,
		 const struct tree_node *root, struct policy_errors *errors)
{
	struct buf merged = BUF_INIT;
	struct editor ed;
	int rc;

	editor_init(&ed, text, len);
	rc = merge_place(&ed, root, add, errors);
	if (rc == 0)
		rc = editor_apply(&merged, &ed);
	editor_fini(&ed);
	if (rc == 0)
		rc = unite(old, add);
	if (rc == 0) {
		rc = means(&merged, old);
		if (rc == 0) {
			policy_complain(
				errors, false, 0, 0,
				"this document is written in a way that nothing can be added to without touching "
				"it: add by hand what is told, or rewrite it in the style of docs/policy.md");
			rc = -ENOTSUP;
		}
	}
	if (rc > 0) {
		buf_add(out, merged.data, merged.len);
		rc = buf_failed(out) ? -ENOMEM : 0;
	}
	buf_fini(&merged);
	return rc;
}

int policy_merge(struct buf *out, const char *text, size_t len, const struct policy *found, struct buf *added,
		 struct policy_errors *errors)
{
	struct policy_errors again = {.n = 0};
	struct policy *old = NULL, *add = NULL;
	struct tree_node *root = NULL;
	struct tree *tree = NULL;
	int rc = policy_parse(&old, text, len, errors);

	if (rc == 0)
		rc = tree_parse(&tree, &root, text, len, &again);
	if (rc < 0)
		goto out;
	add = policy_new();
	rc = add ? 0 : -ENOMEM;
	for (size_t i = 0; i < found->n_groups && rc == 0; i++)
		rc = missing_group(add, old, &found->groups[i]);
	if (rc < 0)
		goto out;
	drop_selectors(add, root);
	if (added)
		tell(added, add, old, found);
	rc = merge(out, text, len, old, add, root, errors);
	if (rc == 0 && added && buf_failed(added))
		rc = -ENOMEM;
out:
	tree_free(tree);
	policy_free(old);
	policy_free(add);
	return rc;
}
