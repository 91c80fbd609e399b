/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What differs between two rulesets: see rulediff.h. Groups are sorted by name in both, so they are walked together like
 * the two halves of a merge sort; within a group a rule is the same rule when list and peer are the same, and changed
 * when its services are not.
 */
#include "config.h"
#include "ui-cli/rulediff.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct diffing {
	struct rulediff *out;
	struct buf *lines;
	const struct ruleset *from, *to;
};

static bool same_place(const struct rule *a, const struct rule *b)
{
	char pa[GROUP_STRLEN], pb[GROUP_STRLEN];

	return a->inbound == b->inbound && a->peer_kind == b->peer_kind &&
	       strcmp(rule_peer_format(a, pa), rule_peer_format(b, pb)) == 0;
}

/* The rule of the same list and peer in that group of the other ruleset, or NULL. */
static const struct rule *counterpart(const struct ruleset *rs, int group, const struct rule *r)
{
	for (size_t i = 0; group >= 0 && i < rs->n_rules; i++) {
		if (rs->rules[i].group == (uint32_t)group && same_place(&rs->rules[i], r))
			return &rs->rules[i];
	}
	return NULL;
}

static void rule_line(struct diffing *d, char sign, const struct rule *r, const struct rule *old)
{
	char peer[GROUP_STRLEN];

	buf_printf(d->lines, "  %c %s %s ", sign, r->inbound ? "inbound from" : "outbound to", rule_peer_format(r, peer));
	if (old) {
		rule_services_format(old, d->lines);
		buf_adds(d->lines, " -> ");
	}
	rule_services_format(r, d->lines);
	buf_addc(d->lines, '\n');
}

static void diff_rules(struct diffing *d, int from, int to)
{
	for (size_t i = 0; from >= 0 && i < d->from->n_rules; i++) {
		const struct rule *r = &d->from->rules[i];

		if (r->group != (uint32_t)from || counterpart(d->to, to, r))
			continue;
		rule_line(d, '-', r, NULL);
		d->out->rules_removed++;
	}
	for (size_t i = 0; to >= 0 && i < d->to->n_rules; i++) {
		const struct rule *r = &d->to->rules[i], *old;

		if (r->group != (uint32_t)to)
			continue;
		old = counterpart(d->from, from, r);
		if (old && old->id == r->id)
			continue;
		rule_line(d, old ? '~' : '+', r, old);
		*(old ? &d->out->rules_changed : &d->out->rules_added) += 1;
	}
}

static void diff_group(struct diffing *d, int from, int to)
{
	const struct ruleset_group *a = from >= 0 ? &d->from->groups[from] : NULL, *b = to >= 0 ? &d->to->groups[to] : NULL;
	size_t before = d->lines->len, head;

	if (!a) {
		buf_printf(d->lines, "+ %s at stage %s\n", b->name, stage_name(b->stage));
		d->out->groups_added++;
	} else if (!b) {
		buf_printf(d->lines, "- %s (was at stage %s): no longer judged\n", a->name, stage_name(a->stage));
		d->out->groups_removed++;
	} else if (a->stage != b->stage) {
		buf_printf(d->lines, "~ %s: stage %s -> %s\n", b->name, stage_name(a->stage), stage_name(b->stage));
		d->out->stages_changed++;
	} else {
		buf_printf(d->lines, "~ %s (%s)\n", b->name, stage_name(b->stage));
	}
	head = d->lines->len;
	diff_rules(d, from, to);
	if (a && b && a->stage == b->stage && d->lines->len == head && d->lines->data) { /* nothing: take the heading back */
		d->lines->len = before;
		d->lines->data[before] = '\0';
	}
}

void rulediff(struct rulediff *out, struct buf *lines, const struct ruleset *from, const struct ruleset *to)
{
	struct diffing d = {out, lines, from, to};
	size_t i = 0, j = 0;

	memset(out, 0, sizeof(*out));
	while (i < from->n_groups || j < to->n_groups) {
		int c = i == from->n_groups ? 1 : j == to->n_groups ? -1 : strcmp(from->groups[i].name, to->groups[j].name);

		diff_group(&d, c <= 0 ? (int)i : -1, c >= 0 ? (int)j : -1);
		i += c <= 0;
		j += c >= 0;
	}
}

size_t rulediff_total(const struct rulediff *d)
{
	return d->groups_added + d->groups_removed + d->stages_changed + d->rules_added + d->rules_removed + d->rules_changed;
}

int rulediff_in_force(struct ruleset *out, struct generation *g, struct store_txn *t)
{
	int rc = store_generation_current(t, g);

	if (rc == -ENOENT) {
		memset(g, 0, sizeof(*g));
		ruleset_init(out);
		return 0;
	}
	return rc < 0 ? rc : ruleset_decode(out, g->ruleset, g->ruleset_len);
}
