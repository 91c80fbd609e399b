/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Does a flow pass the filter? A walk over the tree. A test of "either end" holds when it holds at one of them, and so
 * does its negation by != or !~ only when it holds at both: `group != shop/web` is the opposite of `group == shop/web`.
 */
#include "config.h"
#include "ui-cli/filter.h"

#include <fnmatch.h>
#include <string.h>
#include <strings.h>

#include "common/proto.h"
#include "ui-cli/filter_tree.h"

struct subject {
	const struct filter *filter;
	const struct flow_rec *flow;
	const struct output_end *end; /* NULL: nothing known */
};

static bool same_text(const char *a, const char *b)
{
	return a && strcasecmp(a, b) == 0;
}

static bool name_matches(const struct subject *s, const struct filter_node *n, unsigned end)
{
	const struct output_end *e = s->end ? &s->end[end] : NULL;

	return e && (same_text(e->group, n->text) || same_text(e->name, n->text) ||
		     (e->workload && same_text(e->workload->name, n->text)));
}

static bool ports_match(const struct subject *s, const struct filter_node *n, unsigned end)
{
	return proto_has_ports(s->flow->proto) && n->lo <= s->flow->port[end] && s->flow->port[end] <= n->hi;
}

static bool text_matches(const struct subject *s, const struct filter_node *n, unsigned end)
{
	const struct filter_field *f = &filter_fields[n->field];
	bool glob = n->op == FILTER_GLOB || n->op == FILTER_NOT_GLOB;
	char scratch[FILTER_SCRATCH];
	const char *value;

	for (unsigned i = 0; (value = f->text(s->flow, s->end, end, i, scratch)); i++) {
		if (glob ? fnmatch(n->text, value, FNM_CASEFOLD) == 0 : strcasecmp(n->text, value) == 0)
			return true;
	}
	return false;
}

static bool number_matches(const struct subject *s, const struct filter_node *n, unsigned end)
{
	uint64_t v = filter_fields[n->field].number(s->flow, s->end, end);

	switch (n->op) {
	case FILTER_LT:
		return v < n->number;
	case FILTER_LE:
		return v <= n->number;
	case FILTER_GT:
		return v > n->number;
	case FILTER_GE:
		return v >= n->number;
	default:
		return v == n->number; /* FILTER_NE is turned round by the caller */
	}
}

static bool end_matches(const struct subject *s, const struct filter_node *n, unsigned end)
{
	switch (n->kind) {
	case FILTER_NET:
		return prefix_contains(&n->net, &s->flow->addr[end]);
	case FILTER_NAME:
		return name_matches(s, n, end);
	case FILTER_PORTS:
		return ports_match(s, n, end);
	case FILTER_TEXT:
		return text_matches(s, n, end);
	default:
		return number_matches(s, n, end);
	}
}

/* A test about ends, at those it asks for. */
static bool ends_match(const struct subject *s, const struct filter_node *n)
{
	bool turned = n->kind >= FILTER_TEXT && (n->op == FILTER_NE || n->op == FILTER_NOT_GLOB), holds;

	if (n->ends == FILTER_SRC || n->ends == FILTER_DST)
		holds = end_matches(s, n, n->ends == FILTER_DST);
	else if (n->ends == FILTER_BOTH)
		holds = end_matches(s, n, 0) && end_matches(s, n, 1);
	else
		holds = end_matches(s, n, 0) || end_matches(s, n, 1);
	return holds != turned;
}

static bool matches(const struct subject *s, int index)
{
	const struct filter_node *n = &s->filter->node[index];

	switch (n->kind) {
	case FILTER_AND:
		return matches(s, n->left) && matches(s, n->right);
	case FILTER_OR:
		return matches(s, n->left) || matches(s, n->right);
	case FILTER_NOT:
		return !matches(s, n->left);
	case FILTER_PROTO:
		return s->flow->proto == n->lo;
	case FILTER_FAMILY:
		return addr_is_v4(&s->flow->addr[0]) == (n->lo == 4);
	case FILTER_VLAN:
		return n->lo <= s->flow->vlan && s->flow->vlan <= n->hi;
	default:
		return ends_match(s, n);
	}
}

bool filter_match(const struct filter *f, const struct flow_rec *r, const struct output_end end[2])
{
	struct subject s = {f, r, end};

	return !f || f->root < 0 || matches(&s, f->root);
}

bool filter_pins_addr(const struct filter *f, struct addr *addr)
{
	int i = f ? f->root : -1;

	while (i >= 0) {
		const struct filter_node *n = &f->node[i];

		if (n->kind == FILTER_NET && n->net.len == 128) {
			*addr = n->net.addr;
			return true;
		}
		if (n->kind != FILTER_AND)
			return false;
		if (f->node[n->right].kind == FILTER_NET && f->node[n->right].net.len == 128) {
			*addr = f->node[n->right].net.addr;
			return true;
		}
		i = n->left;
	}
	return false;
}
