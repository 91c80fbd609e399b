/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The difference of two documents: that of their rulesets, plus what the kernel never hears of: how members are
 * recognised and which names a rule tells. See diff.h.
 */
#include "config.h"
#include "segment/diff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "segment/diff_impl.h"
#include "segment/policy_text.h"

static int group_cmp(const void *va, const void *vb)
{
	const struct policy_group *const *a = va, *const *b = vb;

	return strcmp((*a)->name, (*b)->name);
}

/* Groups by name; NULL without memory. */
static const struct policy_group **sort_groups(const struct policy *p)
{
	const struct policy_group **v = calloc(p->n_groups + 1, sizeof(*v));

	for (size_t i = 0; v && i < p->n_groups; i++)
		v[i] = &p->groups[i];
	if (v)
		qsort(v, p->n_groups, sizeof(*v), group_cmp);
	return v;
}

/* The first n items are those of the rulesets, by group; of a group that gets a policy, the first says so, and tells
 * the members, too. NULL for any other group. */
static struct diff_item *find_added(struct diff *d, size_t n, const char *group)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(d->items[mid].group, group) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && d->items[lo].kind == DIFF_GROUP_ADDED && strcmp(d->items[lo].group, group) == 0
		       ? &d->items[lo] : NULL;
}

static int add_selectors(struct diff *d, size_t n_rulesets, const char *group, struct buf *text)
{
	struct diff_item *it = find_added(d, n_rulesets, group);

	if (!it)
		return diff_add(d, DIFF_SELECTORS, group, text) ? 0 : -ENOMEM;
	free(it->what);
	it->what = buf_take(text);
	return it->what ? 0 : -ENOMEM;
}

static int diff_selectors(struct diff *d, size_t n_rulesets, const struct policy_group *before,
			  const struct policy_group *after)
{
	size_t n_old = before ? before->n_selectors : 0, n_new = after ? after->n_selectors : 0;
	struct buf old = BUF_INIT, new = BUF_INIT;
	int rc = 0;

	if (n_old)
		policy_emit_selectors(&old, before);
	if (n_new)
		policy_emit_selectors(&new, after);
	else
		buf_adds(&new, "those weir names so by itself");
	if (buf_failed(&old) || buf_failed(&new))
		rc = -ENOMEM;
	else if (n_old != n_new || (n_old && strcmp(old.data, new.data) != 0))
		rc = add_selectors(d, n_rulesets, after ? after->name : before->name, &new);
	buf_fini(&old);
	buf_fini(&new);
	return rc;
}

/* One name that a rule tells, or "" for a rule that tells none and so means any. */
struct told {
	const struct policy_rule *rule;
	const char *name;
};

static int told_cmp(const void *va, const void *vb)
{
	const struct told *a = va, *b = vb;
	int c = policy_peer_cmp(a->rule, b->rule);

	return c ? c : strcmp(a->name, b->name);
}

/* All that the outbound list tells, by peer; NULL without memory. */
static struct told *sort_names(const struct policy_group *g, size_t *n_out)
{
	struct told *v;
	size_t n = 0;

	for (size_t i = 0; i < g->n_outbound; i++)
		n += g->outbound[i].n_names ? g->outbound[i].n_names : 1;
	v = calloc(n + 1, sizeof(*v));
	n = 0;
	for (size_t i = 0; v && i < g->n_outbound; i++) {
		const struct policy_rule *r = &g->outbound[i];

		for (size_t k = 0; k < r->n_names; k++)
			v[n++] = (struct told){r, r->names[k]};
		if (r->n_names == 0)
			v[n++] = (struct told){r, ""};
	}
	if (v)
		qsort(v, n, sizeof(*v), told_cmp);
	*n_out = n;
	return v;
}

/* The names of the peer v[0] has, as text; returns how many entries are that peer's. */
static size_t peer_names(struct buf *b, const struct told *v, size_t n)
{
	size_t end = 0;

	for (; end < n && policy_peer_cmp(v[0].rule, v[end].rule) == 0; end++) {
		if (v[0].name[0] && (end == 0 || strcmp(v[end - 1].name, v[end].name) != 0))
			buf_printf(b, "%s%s", b->len ? ", " : "", v[end].name);
	}
	if (b->len == 0)
		buf_adds(b, "(any)");
	return end;
}

static int add_names(struct diff *d, const struct policy_group *g, const struct policy_rule *r, struct buf *names)
{
	struct diff_item *it = diff_add(d, DIFF_NAMES, g->name, names);

	if (!it)
		return -ENOMEM;
	policy_peer_format(r, it->peer);
	it->line = r->line;
	return 0;
}

/* Peers of both documents of whom other names are told. */
static int diff_names(struct diff *d, const struct policy_group *before, const struct policy_group *after)
{
	size_t n_old = 0, n_new = 0, i = 0, k = 0;
	struct told *old = sort_names(before, &n_old), *new = sort_names(after, &n_new);
	int rc = old && new ? 0 : -ENOMEM;

	while (rc == 0 && i < n_old && k < n_new) {
		struct buf text_old = BUF_INIT, text_new = BUF_INIT;
		int c = policy_peer_cmp(old[i].rule, new[k].rule);
		const struct policy_rule *r = new[k].rule;

		if (c <= 0)
			i += peer_names(&text_old, &old[i], n_old - i);
		if (c >= 0)
			k += peer_names(&text_new, &new[k], n_new - k);
		if (buf_failed(&text_old) || buf_failed(&text_new))
			rc = -ENOMEM;
		else if (c == 0 && strcmp(text_old.data, text_new.data) != 0)
			rc = add_names(d, after, r, &text_new);
		buf_fini(&text_old);
		buf_fini(&text_new);
	}
	free(old);
	free(new);
	return rc;
}

/* By group, and in a group as diff.h says; items of one kind keep their order. */
struct ranked {
	struct diff_item item;
	size_t was;
};

static int rank(const struct diff_item *it)
{
	static const int ranks[] = {
		[DIFF_GROUP_ADDED] = 0, [DIFF_GROUP_REMOVED] = 0, [DIFF_STAGE] = 1, [DIFF_SELECTORS] = 2,
		[DIFF_RULE_ADDED] = 3,	[DIFF_RULE_REMOVED] = 3,  [DIFF_NAMES] = 4};

	return ranks[it->kind];
}

static int by_group(const void *va, const void *vb)
{
	const struct ranked *a = va, *b = vb;
	int c = strcmp(a->item.group, b->item.group);

	if (c == 0)
		c = rank(&a->item) - rank(&b->item);
	return c ? c : a->was < b->was ? -1 : a->was > b->was;
}

static int sort_items(struct diff *d)
{
	struct ranked *v = calloc(d->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < d->n; i++) {
		v[i].item = d->items[i];
		v[i].was = i;
	}
	qsort(v, d->n, sizeof(*v), by_group);
	for (size_t i = 0; i < d->n; i++)
		d->items[i] = v[i].item;
	free(v);
	return 0;
}

/* Adds what only the documents know. */
static int diff_documents(struct diff *d, const struct policy *before, const struct policy *after)
{
	const struct policy_group **old = sort_groups(before), **new = sort_groups(after);
	size_t i = 0, k = 0, n_rulesets = d->n;
	int rc = old && new ? 0 : -ENOMEM;

	while (rc == 0 && (i < before->n_groups || k < after->n_groups)) {
		int c = i == before->n_groups ? 1 : k == after->n_groups ? -1 : strcmp(old[i]->name, new[k]->name);

		rc = diff_selectors(d, n_rulesets, c <= 0 ? old[i] : NULL, c >= 0 ? new[k] : NULL);
		if (rc == 0 && c == 0)
			rc = diff_names(d, old[i], new[k]);
		i += c <= 0;
		k += c >= 0;
	}
	free(old);
	free(new);
	return rc < 0 ? rc : sort_items(d);
}

int diff_policies(struct diff *out, const struct policy *before, const struct policy *after)
{
	struct ruleset old, new;
	struct diff d;
	int rc;

	ruleset_init(&old);
	ruleset_init(&new);
	diff_init(&d);
	rc = policy_compile(&old, before);
	if (rc == 0)
		rc = policy_compile(&new, after);
	if (rc == 0)
		rc = diff_rulesets(&d, &old, &new);
	if (rc == 0)
		rc = diff_documents(&d, before, after);
	ruleset_fini(&old);
	ruleset_fini(&new);
	if (rc < 0)
		diff_fini(&d);
	else
		*out = d;
	return rc;
}
