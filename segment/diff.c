/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two rulesets walked side by side: groups are sorted, and so are the rules in them, by list and peer, with one rule a
 * peer. What one side has and the other has not is a difference; where both have it, their services are subtracted both
 * ways. See diff.h.
 */
#include "config.h"
#include "segment/diff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "segment/diff_impl.h"
#include "segment/eval.h"
#include "segment/policy_text.h"
#include "segment/service_set.h"

const char *diff_kind_name(unsigned v)
{
	static const char *const names[] = {"group-added",  "group-removed", "stage", "rule-added",
					    "rule-removed", "selectors",     "names"};

	return v <= DIFF_NAMES ? names[v] : "?";
}

void diff_init(struct diff *d)
{
	memset(d, 0, sizeof(*d));
}

void diff_fini(struct diff *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->items[i].what);
	free(d->items);
	diff_init(d);
}

struct diff_item *diff_add(struct diff *d, enum diff_kind kind, const char *group, struct buf *what)
{
	struct diff_item *it = policy_grow(d->items, d->n, sizeof(*it));
	char *text;

	if (it)
		d->items = it;
	text = buf_take(what);
	if (!it || !text) {
		free(text);
		return NULL;
	}
	it = &d->items[d->n++];
	memset(it, 0, sizeof(*it));
	it->kind = (uint8_t)kind;
	memcpy(it->group, group, sizeof(it->group));
	it->what = text;
	return it;
}

/* One side: a group's stage and lists; rs NULL where the group is not there. */
struct side {
	const struct ruleset *rs;
	int group;
	uint8_t stage;
};

/* What is in the set and not in less, told of that rule. */
static int add_services(struct diff *d, enum diff_kind kind, const struct side *before, const struct side *after,
			const struct rule *r, const struct rule *less)
{
	const struct side *has = kind == DIFF_RULE_ADDED ? after : before;
	struct buf what = BUF_INIT;
	struct service *left;
	struct diff_item *it;
	size_t n;
	int rc = service_set_minus(&left, &n, r->services, r->n_services, less ? less->services : NULL,
				   less ? less->n_services : 0);

	if (rc < 0 || n == 0)
		return rc;
	service_set_format(&what, left, n);
	free(left);
	it = diff_add(d, kind, has->rs->groups[has->group].name, &what);
	if (!it)
		return -ENOMEM;
	it->stage_old = before->stage;
	it->stage_new = after->stage;
	it->inbound = r->inbound;
	it->line = r->line;
	rule_peer_format(r, it->peer);
	if (kind == DIFF_RULE_ADDED)
		it->opens = before->rs && before->stage != STAGE_OBSERVE;
	else
		it->closes = after->rs && after->stage == STAGE_ENFORCE;
	return 0;
}

static int peer_cmp(const struct rule *a, const struct rule *b)
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

/* The two lists of one direction, side by side. */
static int diff_lists(struct diff *d, const struct side *before, const struct side *after, bool inbound)
{
	size_t n_old = 0, n_new = 0, i = 0, k = 0;
	const struct rule *old = before->rs ? eval_list(before->rs, before->group, inbound, &n_old) : NULL;
	const struct rule *new = after->rs ? eval_list(after->rs, after->group, inbound, &n_new) : NULL;
	int rc = 0;

	while ((i < n_old || k < n_new) && rc == 0) {
		int c = i == n_old ? 1 : k == n_new ? -1 : peer_cmp(&old[i], &new[k]);

		if (c <= 0)
			rc = add_services(d, DIFF_RULE_REMOVED, before, after, &old[i], c == 0 ? &new[k] : NULL);
		if (c >= 0 && rc == 0)
			rc = add_services(d, DIFF_RULE_ADDED, before, after, &new[k], c == 0 ? &old[i] : NULL);
		i += c <= 0;
		k += c >= 0;
	}
	return rc;
}

/* One group that is on either side or on both. */
static int diff_group(struct diff *d, const struct side *before, const struct side *after)
{
	const struct side *any = after->rs ? after : before;
	const char *name = any->rs->groups[any->group].name;
	struct buf none = BUF_INIT;
	struct diff_item *it;
	int rc;

	if (!before->rs || !after->rs || before->stage != after->stage) {
		it = diff_add(d,
			      !before->rs  ? DIFF_GROUP_ADDED
			      : !after->rs ? DIFF_GROUP_REMOVED
					   : DIFF_STAGE,
			      name, &none);
		if (!it)
			return -ENOMEM;
		it->stage_old = before->stage;
		it->stage_new = after->stage;
		it->opens = before->rs && before->stage == STAGE_ENFORCE && after->stage != STAGE_ENFORCE;
		it->closes = after->rs && after->stage == STAGE_ENFORCE;
	}
	if (!after->rs)
		return 0; /* its rules go with it, and there is nothing left for them to allow */
	rc = diff_lists(d, before, after, true);
	return rc < 0 ? rc : diff_lists(d, before, after, false);
}

int diff_rulesets(struct diff *out, const struct ruleset *before, const struct ruleset *after)
{
	struct diff d;
	size_t i = 0, k = 0;
	int rc = 0;

	diff_init(&d);
	while ((i < before->n_groups || k < after->n_groups) && rc == 0) {
		int c = i == before->n_groups  ? 1
			: k == after->n_groups ? -1
					       : strcmp(before->groups[i].name, after->groups[k].name);
		struct side old = {c <= 0 ? before : NULL, (int)i,
				   c <= 0 ? before->groups[i].stage : (uint8_t)STAGE_OBSERVE};
		struct side new = {c >= 0 ? after : NULL, (int)k,
				   c >= 0 ? after->groups[k].stage : (uint8_t)STAGE_OBSERVE};

		rc = diff_group(&d, &old, &new);
		i += c <= 0;
		k += c >= 0;
	}
	if (rc < 0)
		diff_fini(&d);
	else
		*out = d;
	return rc;
}

void diff_item_format(struct buf *b, const struct diff_item *it)
{
	switch (it->kind) {
	case DIFF_GROUP_ADDED:
		buf_printf(b, "+ %s gets a policy, at %s%s%s", it->group, stage_name(it->stage_new),
			   it->what[0] ? "; members: " : "", it->what);
		break;
	case DIFF_GROUP_REMOVED:
		buf_printf(b, "- %s has no policy any more (was at %s): nothing decides on it", it->group,
			   stage_name(it->stage_old));
		break;
	case DIFF_STAGE:
		buf_printf(b, "~ %s goes from %s to %s", it->group, stage_name(it->stage_old),
			   stage_name(it->stage_new));
		break;
	case DIFF_SELECTORS:
		buf_printf(b, "~ %s: its members are now %s", it->group, it->what);
		break;
	case DIFF_NAMES:
		buf_printf(b, "~ %s %s: %s %s now with names %s", it->group, it->inbound ? "inbound" : "outbound",
			   it->inbound ? "from" : "to", it->peer, it->what);
		break;
	default:
		buf_printf(b, "%c %s %s: %s %s %s", it->kind == DIFF_RULE_ADDED ? '+' : '-', it->group,
			   it->inbound ? "inbound" : "outbound", it->inbound ? "from" : "to", it->peer, it->what);
	}
	if (it->line)
		buf_printf(b, " (line %u)", it->line);
}

void diff_format(struct buf *b, const struct diff *d)
{
	if (d->n == 0)
		buf_adds(b, "no difference\n");
	for (size_t i = 0; i < d->n; i++) {
		diff_item_format(b, &d->items[i]);
		buf_addc(b, '\n');
	}
}
