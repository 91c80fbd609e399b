/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Placing additions in a document: finds the list or map each belongs to and writes it at its end in the style its
 * neighbours have: flow or block, their indentation, rules on one line or several. Deeper places come first, since what
 * is added to a list must stand before what is added to the map around it, even where both go to the same line.
 */
#include "config.h"
#include "segment/policy_merge.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "segment/policy_text.h"

/* How the document is written. */
struct style {
	unsigned name;	  /* blanks before a group's name, in policy: and groups: */
	unsigned key;	  /* further blanks before stage:, inbound:, ... */
	unsigned list;	  /* further blanks before the dashes of a list */
	bool rule_block;  /* rules as maps over several lines */
	bool ports_block; /* and their ports as a list over several lines */
};

struct placing {
	struct editor *ed;
	struct policy_errors *errors;
	struct style style;
	int rc;
};

/* Texts of entries to be. */
struct entries {
	char **v;
	size_t n;
};

static void entries_add(struct placing *p, struct entries *e, struct buf *text)
{
	char **v = policy_grow(e->v, e->n, sizeof(*v));
	char *t = buf_take(text);

	if (v)
		e->v = v;
	if (!v || !t) {
		free(t);
		p->rc = -ENOMEM;
		return;
	}
	e->v[e->n++] = t;
}

static void entries_free(struct entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->v[i]);
	free(e->v);
}

static void refuse(struct placing *p, const struct tree_node *n, const char *what)
{
	policy_complain(p->errors, false, n->line, n->column,
			"nothing can be added to %s as it is written here: write it as a list or map, "
			"or add by hand what is told",
			what);
	p->rc = -ENOTSUP;
}

/* ---- style ---- */
static void style_of_list(struct style *s, const struct tree_node *list, unsigned key)
{
	const struct tree_node *rule = list->last, *ports;

	if (list->kind != TREE_LIST || list->n == 0)
		return;
	if (!list->flow && list->column - 1 >= key)
		s->list = list->column - 1 - key;
	s->rule_block = !list->flow && rule->kind == TREE_MAP && !rule->flow;
	ports = rule->kind == TREE_MAP ? tree_get(rule, "ports") : NULL;
	s->ports_block = s->rule_block && ports && ports->kind == TREE_LIST && !ports->flow;
}

/* Taken from the first place that shows it; DESIGN's own style elsewhere. */
static struct style style_of(const struct tree_node *root)
{
	struct style s = {2, 2, 2, false, false};
	const struct tree_node *policy = tree_get(root, "policy"), *groups = tree_get(root, "groups");
	const struct tree_node *outer =
		policy && policy->kind == TREE_MAP && !policy->flow && policy->n ? policy : groups;
	bool listed = false;

	if (outer && outer->kind == TREE_MAP && !outer->flow && outer->n)
		s.name = s.key = s.list = outer->first->key->column - 1;
	if (!policy || policy->kind != TREE_MAP)
		return s;
	for (const struct tree_node *g = policy->first; g && !listed; g = g->next) {
		if (g->kind != TREE_MAP || g->flow || g->n == 0)
			continue;
		s.key = g->first->key->column - g->key->column;
		for (const struct tree_node *e = g->first; e && !listed; e = e->next) {
			style_of_list(&s, e, g->first->key->column - 1);
			listed = e->kind == TREE_LIST && e->n;
		}
	}
	return s;
}

/* ---- texts ---- */
static void add_comment(struct buf *b, const struct policy_rule *r)
{
	if (!r->comment)
		return;
	buf_adds(b, "  # ");
	policy_emit_comment_text(b, r->comment, strlen(r->comment));
}

/* A rule over several lines, the first of which begins behind the dash; at: blanks before the others. */
static void block_rule(struct buf *b, const struct policy_rule *r, bool inbound, bool ports_block, unsigned at)
{
	char peer[GROUP_STRLEN], text[SERVICE_STRLEN];

	buf_adds(b, inbound ? "from: " : "to: ");
	policy_emit_scalar(b, policy_peer_format(r, peer));
	add_comment(b, r);
	buf_printf(b, "\n%*sports:", (int)at, "");
	if (!ports_block) {
		buf_addc(b, ' ');
		policy_emit_services(b, r->services, r->n_services);
	}
	for (size_t i = 0; ports_block && i < r->n_services; i++) {
		buf_printf(b, "\n%*s- ", (int)at + 2, "");
		policy_emit_scalar(b, service_format(&r->services[i], text));
	}
	for (size_t i = 0; i < r->n_names; i++) {
		if (i == 0)
			buf_printf(b, "\n%*snames: [", (int)at, "");
		else
			buf_adds(b, ", ");
		policy_emit_scalar(b, r->names[i]);
	}
	buf_adds(b, r->n_names ? "]\n" : "\n");
}

/* The rules as items of a block list. */
static void block_rules(struct buf *b, const struct style *s, const struct policy_rule *rules, size_t n, bool inbound,
			unsigned dash, unsigned gap)
{
	for (size_t i = 0; i < n; i++) {
		buf_printf(b, "%*s-%*s", (int)dash, "", (int)gap, "");
		if (s->rule_block) {
			block_rule(b, &rules[i], inbound, s->ports_block, dash + 1 + gap);
			continue;
		}
		policy_emit_rule(b, &rules[i], inbound);
		add_comment(b, &rules[i]);
		buf_addc(b, '\n');
	}
}

/* "[{from: ...}, ...]" */
static void flow_rules(struct buf *b, const struct policy_rule *rules, size_t n, bool inbound)
{
	buf_addc(b, '[');
	for (size_t i = 0; i < n; i++) {
		buf_adds(b, i ? ", " : "");
		policy_emit_rule(b, &rules[i], inbound);
	}
	buf_addc(b, ']');
}

/* ---- lists ---- */
/* Is that the rule of the document with just this peer, whose list under key can take more? */
static const struct tree_node *open_list(const struct tree_node *rule, const struct policy_rule *r, bool inbound,
					 const char *key)
{
	const struct tree_node *peer, *list;
	struct policy_rule there = {.peer_kind = 0};

	if (rule->kind != TREE_MAP)
		return NULL;
	peer = tree_get(rule, inbound ? "from" : "to");
	list = tree_get(rule, key);
	if (!peer || peer->kind != TREE_SCALAR || policy_set_peer(&there, peer->text) < 0 ||
	    policy_peer_cmp(&there, r) != 0)
		return NULL;
	return list && list->kind == TREE_LIST && list->n ? list : NULL;
}

/* Scalars at the end of a list of ports or names. */
static void append_scalars(struct placing *p, const struct tree_node *list, struct entries *e)
{
	struct buf lines = BUF_INIT;
	unsigned dash = list->column - 1;

	if (list->flow) {
		editor_append_flow(p->ed, list, e->v, e->n);
		return;
	}
	for (size_t i = 0; i < e->n; i++)
		buf_printf(&lines, "%*s- %s\n", (int)dash, "", e->v[i]);
	if (buf_failed(&lines))
		p->rc = -ENOMEM;
	else
		editor_insert_lines(p->ed, list->end, dash, lines.data);
	buf_fini(&lines);
}

static bool is_taken(const struct tree_node *const *taken, size_t n, const struct tree_node *list)
{
	for (size_t i = 0; i < n; i++) {
		if (taken[i] == list)
			return true;
	}
	return false;
}

/* Adds the rule's services to those of a rule that is there. False where there is none it could be joined to. */
static bool join_rule(struct placing *p, const struct tree_node *list, const struct policy_rule *r, bool inbound,
		      const struct tree_node **taken, size_t *n_taken)
{
	const struct tree_node *into = NULL;
	struct entries e = {NULL, 0};
	char text[SERVICE_STRLEN];

	for (const struct tree_node *n = list->first; n && !into && r->n_names == 0; n = n->next) {
		into = open_list(n, r, inbound, "ports");
		if (into && (tree_get(n, "names") || is_taken(taken, *n_taken, into)))
			into = NULL;
	}
	if (!into)
		return false;
	for (size_t i = 0; i < r->n_services; i++) {
		struct buf b = BUF_INIT;

		policy_emit_scalar(&b, service_format(&r->services[i], text));
		entries_add(p, &e, &b);
	}
	if (p->rc == 0)
		append_scalars(p, into, &e);
	entries_free(&e);
	taken[(*n_taken)++] = into;
	return true;
}

/* New rules at the end of a list that is there. */
static void append_rules(struct placing *p, const struct tree_node *list, const struct policy_rule *rules, size_t n,
			 bool inbound)
{
	struct style s = p->style;
	struct entries e = {NULL, 0};
	struct buf b = BUF_INIT;
	unsigned dash = list->column - 1, gap = 1;

	if (n == 0)
		return;
	if (list->flow) {
		for (size_t i = 0; i < n; i++) {
			policy_emit_rule(&b, &rules[i], inbound);
			entries_add(p, &e, &b);
		}
		if (p->rc == 0)
			editor_append_flow(p->ed, list, e.v, e.n);
		entries_free(&e);
		return;
	}
	style_of_list(&s, list, 0);
	if (list->last->line == list->first->line && list->first->start > list->start + 1u)
		gap = list->first->column - list->column - 1;
	block_rules(&b, &s, rules, n, inbound, dash, gap);
	if (buf_failed(&b))
		p->rc = -ENOMEM;
	else
		editor_insert_lines(p->ed, list->end, dash, b.data);
	buf_fini(&b);
}

/* Additions to one list of a group that is there and has the key. */
static void place_list(struct placing *p, const struct tree_node *group, const struct tree_node *list,
		       const struct policy_rule *rules, size_t n, bool inbound)
{
	unsigned dash = list->key->column - 1 + p->style.list;
	const struct tree_node **taken;
	struct policy_rule *fresh;
	size_t n_taken = 0, n_fresh = 0;
	struct buf b = BUF_INIT;

	if (list->kind == TREE_SCALAR && list->null && !list->written) {
		if (group->flow) {
			buf_addc(&b, ' ');
			flow_rules(&b, rules, n, inbound);
			editor_insert(p->ed, list->end, b.data ? b.data : "");
		} else {
			block_rules(&b, &p->style, rules, n, inbound, dash, 1);
			editor_insert_lines(p->ed, list->end, dash, b.data ? b.data : "");
		}
		p->rc = buf_failed(&b) ? -ENOMEM : p->rc;
		buf_fini(&b);
		return;
	}
	if (list->kind != TREE_LIST) {
		refuse(p, list, inbound ? "inbound" : "outbound");
		return;
	}
	taken = calloc(n + 1, sizeof(*taken));
	fresh = calloc(n + 1, sizeof(*fresh));
	for (size_t i = 0; taken && fresh && i < n; i++) {
		if (!join_rule(p, list, &rules[i], inbound, taken, &n_taken))
			fresh[n_fresh++] = rules[i]; /* borrowed, not copied */
	}
	if (taken && fresh)
		append_rules(p, list, fresh, n_fresh, inbound);
	else
		p->rc = -ENOMEM;
	free(taken);
	free(fresh);
}

/* ---- groups ---- */
/* Additions to a group that is there. */
static void place_rules(struct placing *p, const struct tree_node *group, const struct policy_group *g)
{
	static const char *const keys[] = {"inbound", "outbound"};
	struct entries e = {NULL, 0};
	struct buf lines = BUF_INIT;
	bool empty = group->kind == TREE_SCALAR && group->null && !group->written;
	unsigned key = group->key->column - 1 + p->style.key;

	if (!empty && group->kind != TREE_MAP) {
		refuse(p, group, "this group");
		return;
	}
	if (group->kind == TREE_MAP && !group->flow && group->n)
		key = group->first->key->column - 1;
	for (unsigned i = 0; i < 2 && p->rc == 0; i++) {
		const struct tree_node *list = group->kind == TREE_MAP ? tree_get(group, keys[i]) : NULL;
		const struct policy_rule *rules = i ? g->outbound : g->inbound;
		size_t n = i ? g->n_outbound : g->n_inbound;

		if (n == 0)
			continue;
		if (list) {
			place_list(p, group, list, rules, n, i == 0);
		} else if (group->flow) {
			struct buf b = BUF_INIT;

			buf_printf(&b, "%s: ", keys[i]);
			flow_rules(&b, rules, n, i == 0);
			entries_add(p, &e, &b);
		} else {
			buf_printf(&lines, "%*s%s:\n", (int)key, "", keys[i]);
			block_rules(&lines, &p->style, rules, n, i == 0, key + p->style.list, 1);
		}
	}
	if (e.n && p->rc == 0)
		editor_append_flow(p->ed, group, e.v, e.n);
	if (lines.len)
		editor_insert_lines(p->ed, group->end, key, lines.data);
	p->rc = buf_failed(&lines) ? -ENOMEM : p->rc;
	buf_fini(&lines);
	entries_free(&e);
}

/* A new group as an entry of a flow map. */
static void flow_group(struct buf *b, const struct policy_group *g)
{
	policy_emit_scalar(b, g->name);
	buf_printf(b, ": {stage: %s, inbound: ", stage_name(g->stage));
	flow_rules(b, g->inbound, g->n_inbound, true);
	buf_adds(b, ", outbound: ");
	flow_rules(b, g->outbound, g->n_outbound, false);
	buf_addc(b, '}');
}

/* A new group in lines of its own. */
static void block_group(struct buf *b, const struct style *s, const struct policy_group *g, unsigned name)
{
	unsigned key = name + s->key, list = key + s->list;

	if (!s->rule_block) {
		policy_emit_group(b, g, name, key, list);
		return;
	}
	buf_printf(b, "%*s", (int)name, "");
	policy_emit_scalar(b, g->name);
	buf_printf(b, ":\n%*sstage: %s\n%*sinbound:%s\n", (int)key, "", stage_name(g->stage), (int)key, "",
		   g->n_inbound ? "" : " []");
	block_rules(b, s, g->inbound, g->n_inbound, true, list, 1);
	buf_printf(b, "%*soutbound:%s\n", (int)key, "", g->n_outbound ? "" : " []");
	block_rules(b, s, g->outbound, g->n_outbound, false, list, 1);
}

/* ---- the outermost maps ---- */
/* Text for each new entry of policy: or groups:, in both styles; nothing when there is none. */
static void outer_texts(struct placing *p, const struct tree_node *map, const struct policy *additions, bool is_policy,
			unsigned name, struct buf *lines, struct entries *flow)
{
	for (size_t i = 0; i < additions->n_groups; i++) {
		const struct policy_group *g = &additions->groups[i];
		struct buf b = BUF_INIT;

		if (is_policy ? !g->has_policy || (map && map->kind == TREE_MAP && tree_get(map, g->name))
			      : g->n_selectors == 0)
			continue;
		if (is_policy) {
			block_group(lines, &p->style, g, name);
			flow_group(&b, g);
		} else {
			policy_emit_scalar(&b, g->name);
			buf_adds(&b, ": ");
			policy_emit_selectors(&b, g);
			buf_printf(lines, "%*s%s\n", (int)name, "", b.data ? b.data : "");
		}
		entries_add(p, flow, &b);
	}
	if (buf_failed(lines))
		p->rc = -ENOMEM;
}

/* "policy: {...}" or " {...}" in the middle of a line. */
static void insert_flow_map(struct placing *p, const struct tree_node *root, const struct tree_node *map,
			    const char *key, struct entries *flow)
{
	struct entries whole = {NULL, 0};
	struct buf b = BUF_INIT;

	buf_printf(&b, "%s%s {", map ? "" : key, map ? "" : ":");
	for (size_t i = 0; i < flow->n; i++)
		buf_printf(&b, "%s%s", i ? ", " : "", flow->v[i]);
	buf_addc(&b, '}');
	entries_add(p, &whole, &b);
	if (p->rc == 0 && map)
		editor_insert(p->ed, map->end, whole.v[0]);
	else if (p->rc == 0)
		editor_append_flow(p->ed, root, whole.v, whole.n);
	entries_free(&whole);
}

/* New entries of policy: or groups:. */
static void place_outer(struct placing *p, const struct tree_node *root, const char *key,
			const struct policy *additions)
{
	const struct tree_node *map = tree_get(root, key), *weir = tree_get(root, "weir");
	bool is_policy = strcmp(key, "policy") == 0, block = map && map->kind == TREE_MAP && !map->flow && map->n;
	unsigned name = block ? map->first->key->column - 1 : root->column - 1 + p->style.name;
	struct buf lines = BUF_INIT, headed = BUF_INIT;
	struct entries flow = {NULL, 0};

	outer_texts(p, map, additions, is_policy, name, &lines, &flow);
	if (p->rc < 0 || flow.n == 0)
		goto out;
	buf_printf(&headed, "%*s%s:\n%s", (int)root->column - 1, "", key, lines.data);
	if (buf_failed(&headed))
		p->rc = -ENOMEM;
	else if (block)
		editor_insert_lines(p->ed, map->end, name, lines.data);
	else if (map && map->kind == TREE_MAP)
		editor_append_flow(p->ed, map, flow.v, flow.n);
	else if (map && (!map->null || map->written))
		refuse(p, map, is_policy ? "policy:" : "groups:");
	else if (root->flow)
		insert_flow_map(p, root, map, key, &flow);
	else if (map)
		editor_insert_lines(p->ed, map->end, name, lines.data);
	else if (is_policy || !weir)
		editor_insert_lines(p->ed, root->end, root->column - 1, headed.data);
	else
		editor_insert_lines(p->ed, weir->end, UINT_MAX,
				    headed.data); /* comments below belong to what follows */
out:
	buf_fini(&lines);
	buf_fini(&headed);
	entries_free(&flow);
}

int merge_place(struct editor *ed, const struct tree_node *root, const struct policy *additions,
		struct policy_errors *errors)
{
	struct placing p = {ed, errors, style_of(root), 0};
	const struct tree_node *policy = tree_get(root, "policy");

	for (size_t i = 0; i < additions->n_groups && p.rc == 0; i++) {
		const struct policy_group *g = &additions->groups[i];
		const struct tree_node *there = policy && policy->kind == TREE_MAP ? tree_get(policy, g->name) : NULL;

		if (there && g->has_policy)
			place_rules(&p, there, g);
	}
	if (p.rc == 0)
		place_outer(&p, root, "groups", additions);
	if (p.rc == 0)
		place_outer(&p, root, "policy", additions);
	return ed->failed ? -ENOMEM : p.rc;
}
