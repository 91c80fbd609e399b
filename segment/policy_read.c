/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The document's outline: its version, the groups with their selectors, the policy of each group. Everything that is
 * not understood is an error, never skipped: a misspelt key that is quietly ignored is a hole or an outage. Rules are
 * read in policy_rule.c.
 */
#include "config.h"
#include "segment/policy_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment/policy_text.h"

#define GROUPS_MAX 65536 /* as common/rule.c decodes */

static int key_cmp(const void *va, const void *vb)
{
	const struct tree_node *a = *(const struct tree_node *const *)va, *b = *(const struct tree_node *const *)vb;
	int c = strcmp(a->key->text, b->key->text);

	return c		   ? c
	       : a->line < b->line ? -1
	       : a->line > b->line ? 1
				   : (a->column > b->column) - (a->column < b->column);
}

/* Keys that come twice: sorted and compared with their neighbours, since a map may have as many as the text has room
 * for. */
static int check_twice(struct policy_reader *r, const struct tree_node *map)
{
	const struct tree_node **all = calloc(map->n ? map->n : 1, sizeof(*all));
	char shown[64];
	size_t n = 0;

	if (!all)
		return -ENOMEM;
	for (const struct tree_node *e = map->first; e; e = e->next)
		all[n++] = e;
	qsort(all, n, sizeof(*all), key_cmp);
	for (size_t i = 1; i < n; i++) {
		const struct tree_node *k = all[i]->key;

		if (strcmp(all[i - 1]->key->text, k->text) == 0)
			READ_ERROR(r, k, "\"%s\" is here twice (first on line %u): join the two",
				   policy_text_show(shown, sizeof(shown), k->text, k->len), all[i - 1]->key->line);
	}
	free(all);
	return 0;
}

int policy_read_keys(struct policy_reader *r, const struct tree_node *map, const char *where, const char *const *words)
{
	char shown[64], list[128];

	for (const struct tree_node *e = words ? map->first : NULL; e; e = e->next) {
		const char *const *w = words;
		const char *near;
		size_t used = 0;

		while (*w && strcmp(*w, e->key->text) != 0)
			w++;
		if (*w)
			continue;
		policy_text_show(shown, sizeof(shown), e->key->text, e->key->len);
		near = policy_nearest(shown, words);
		list[0] = '\0';
		for (w = words; *w && used < sizeof(list); w++)
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", w == words ? "" : ", ", *w);
		if (near)
			READ_ERROR(r, e->key, "unknown key \"%s\" in %s: did you mean \"%s\"?", shown, where, near);
		else
			READ_ERROR(r, e->key, "unknown key \"%s\" in %s: the keys are %s", shown, where, list);
	}
	return check_twice(r, map);
}

const char *policy_read_text(struct policy_reader *r, const struct tree_node *n, const char *what)
{
	if (n->kind == TREE_SCALAR && !n->null && n->text[0])
		return n->text;
	READ_ERROR(r, n,
		   n->kind == TREE_SCALAR ? "%s is empty: write it, or remove the key"
					  : "%s must be one word, not a list or a map",
		   what);
	return NULL;
}

/* A scalar copied into a field of a selector. */
static void read_field(struct policy_reader *r, const struct tree_node *n, const char *what, char *out, size_t size)
{
	const char *text = policy_read_text(r, n, what);

	if (!text)
		return;
	if (strlen(text) >= size)
		READ_ERROR(r, n, "%s is longer than %zu bytes: shorten it (a * stands for any run)", what, size - 1);
	else
		strcpy(out, text);
}

/* compose: {project:, service:} and kubernetes: {namespace:, owner:}: two fields each. */
static int read_pair(struct policy_reader *r, const struct tree_node *n, const char *const *words, char *a,
		     size_t size_a, char *b, size_t size_b)
{
	int rc;

	if (n->kind != TREE_MAP || n->n == 0) {
		READ_ERROR(r, n, "%s needs {%s: ..., %s: ...}", n->key->text, words[0], words[1]);
		return 0;
	}
	rc = policy_read_keys(r, n, n->key->text, words);
	for (const struct tree_node *e = n->first; e && rc == 0; e = e->next) {
		if (strcmp(e->key->text, words[0]) == 0)
			read_field(r, e, words[0], a, size_a);
		else if (strcmp(e->key->text, words[1]) == 0)
			read_field(r, e, words[1], b, size_b);
	}
	return rc;
}

static int read_selector(struct policy_reader *r, const struct tree_node *n, struct policy_group *g)
{
	static const char *const words[] = {"compose", "kubernetes", "image", "name", "label", NULL};
	static const char *const compose[] = {"project", "service", NULL}, *const kubernetes[] = {"namespace", "owner",
												  NULL};
	struct policy_selector s = {.project = ""};
	int rc;

	if (n->kind != TREE_MAP || n->n == 0) {
		READ_ERROR(
			r, n,
			"group %s needs a selector such as {compose: {project: shop, service: web}} or {image: nginx}",
			g->name);
		return 0;
	}
	rc = policy_read_keys(r, n, "a selector", words);
	for (const struct tree_node *e = n->first; e && rc == 0; e = e->next) {
		const char *key = e->key->text;

		if (strcmp(key, "compose") == 0)
			rc = read_pair(r, e, compose, s.project, sizeof(s.project), s.service, sizeof(s.service));
		else if (strcmp(key, "kubernetes") == 0)
			rc = read_pair(r, e, kubernetes, s.pod_namespace, sizeof(s.pod_namespace), s.pod_owner,
				       sizeof(s.pod_owner));
		else if (strcmp(key, "image") == 0)
			read_field(r, e, key, s.image, sizeof(s.image));
		else if (strcmp(key, "name") == 0)
			read_field(r, e, key, s.name, sizeof(s.name));
		else if (strcmp(key, "label") == 0)
			read_field(r, e, key, s.label, sizeof(s.label));
	}
	if (s.label[0] && !strchr(s.label, '='))
		READ_ERROR(r, n, "label \"%.64s\" has no value: write %.64s=VALUE, or %.64s=* for any", s.label,
			   s.label, s.label);
	return rc < 0 ? rc : policy_add_selector(g, &s);
}

/* The name of a group where it is defined; NULL after a complaint. */
static const char *group_name(struct policy_reader *r, const struct tree_node *key)
{
	char shown[64];

	if (policy_name_ok(key->text))
		return key->text;
	policy_text_show(shown, sizeof(shown), key->text, key->len);
	if (strcmp(shown, GROUP_WORLD) == 0 || strcmp(shown, GROUP_HOST) == 0 || strcmp(shown, "any") == 0)
		READ_ERROR(r, key,
			   "\"%s\" is a reserved name and has no policy of its own: write rules on the group at the "
			   "other end",
			   shown);
	else if (key->len >= GROUP_STRLEN)
		READ_ERROR(r, key, "the group's name is longer than %d bytes: shorten it", GROUP_STRLEN - 1);
	else
		READ_ERROR(r, key,
			   "\"%s\" cannot be a group's name: use a word that is no address, without blanks at its ends",
			   shown);
	return NULL;
}

static int read_groups(struct policy_reader *r, const struct tree_node *map)
{
	int rc;

	if (map->kind == TREE_SCALAR && map->null)
		return 0;
	if (map->kind != TREE_MAP || map->n > GROUPS_MAX) {
		READ_ERROR(r, map,
			   map->kind == TREE_MAP ? "too many groups: split the policy"
						 : "groups: needs one line for each group, \"shop/web: {compose: "
						   "{project: shop, service: web}}\"");
		return 0;
	}
	rc = policy_read_keys(r, map, "groups", NULL);
	for (const struct tree_node *e = map->first; e && rc == 0; e = e->next) {
		const char *name = group_name(r, e->key);
		struct policy_group *g = name ? policy_append_group(r->policy, name) : NULL;

		if (!name)
			continue;
		if (!g)
			return -ENOMEM;
		g->line = e->key->line;
		if (e->kind == TREE_LIST) {
			for (const struct tree_node *s = e->first; s && rc == 0; s = s->next)
				rc = read_selector(r, s, g);
		} else if (!(e->kind == TREE_SCALAR && e->null) && !(e->kind == TREE_MAP && e->n == 0)) {
			rc = read_selector(r, e, g);
		}
	}
	return rc;
}

static int name_cmp(const void *va, const void *vb)
{
	const struct policy_group *const *a = va, *const *b = vb;

	return strcmp((*a)->name, (*b)->name);
}

static void read_stage(struct policy_reader *r, const struct tree_node *n, struct policy_group *g)
{
	static const char *const stages[] = {"observe", "dry-run", "enforce", NULL};
	const char *text = policy_read_text(r, n, "stage"), *near;
	char shown[40];

	if (!text || stage_parse(&g->stage, text) == 0)
		return;
	policy_text_show(shown, sizeof(shown), text, strlen(text));
	near = policy_nearest(shown, stages);
	READ_ERROR(r, n, "unknown stage \"%s\": %s%s%s", shown,
		   near ? "did you mean \"" : "it is observe, dry-run or enforce", near ? near : "", near ? "\"?" : "");
}

/* What stands under the group's name in policy:. */
static int read_group(struct policy_reader *r, const struct tree_node *n, struct policy_group *g)
{
	static const char *const words[] = {"stage", "inbound", "outbound", NULL};
	const struct tree_node *in, *out, *stage;
	int rc;

	g->has_policy = true;
	g->line = n->key->line;
	if (n->kind != TREE_MAP) {
		if (n->kind != TREE_SCALAR || !n->null)
			READ_ERROR(r, n, "%.64s needs stage:, inbound: and outbound: under it", g->name);
		return 0;
	}
	rc = policy_read_keys(r, n, "a group's policy", words);
	if (rc < 0)
		return rc;
	stage = tree_get(n, "stage");
	in = tree_get(n, "inbound");
	out = tree_get(n, "outbound");
	if (stage)
		read_stage(r, stage, g);
	if (in)
		rc = policy_read_rules(r, in, true, g->name, &g->inbound, &g->n_inbound);
	if (out && rc == 0)
		rc = policy_read_rules(r, out, false, g->name, &g->outbound, &g->n_outbound);
	if (g->stage == STAGE_ENFORCE && !(in && out))
		policy_complain(
			r->errors, true, g->line, n->key->column,
			"%.64s is at enforce and has no %s list: nothing %s is allowed. If that is meant, write %s: []",
			g->name, in ? "outbound" : "inbound", in ? "to world and host" : "towards it",
			in ? "outbound" : "inbound");
	return rc;
}

/* For each entry of policy: the index of the group among those described before, or n_described for a new one. */
static int find_described(const struct policy_reader *r, const struct tree_node *map, size_t *where)
{
	size_t n = r->policy->n_groups;
	const struct policy_group **sorted = calloc(n + 1, sizeof(*sorted));
	struct policy_group *key = calloc(1, sizeof(*key));
	const struct policy_group **hit;

	if (!sorted || !key) {
		free(sorted);
		free(key);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		sorted[i] = &r->policy->groups[i];
	qsort(sorted, n, sizeof(*sorted), name_cmp);
	for (const struct tree_node *e = map->first; e; e = e->next) {
		const struct policy_group *wanted = key;

		snprintf(key->name, sizeof(key->name), "%s", e->key->text);
		hit = bsearch(&wanted, sorted, n, sizeof(*sorted), name_cmp);
		*where++ = hit ? (size_t)(*hit - r->policy->groups) : n;
	}
	free(sorted);
	free(key);
	return 0;
}

static int read_policy(struct policy_reader *r, const struct tree_node *map)
{
	size_t n_described = r->policy->n_groups, *where, i = 0;
	int rc;

	if (map->kind == TREE_SCALAR && map->null)
		return 0;
	if (map->kind != TREE_MAP || map->n > GROUPS_MAX - n_described) {
		READ_ERROR(r, map,
			   map->kind == TREE_MAP
				   ? "too many groups: split the policy"
				   : "policy: needs the groups under it, each with stage:, inbound: and outbound:");
		return 0;
	}
	where = calloc(map->n + 1, sizeof(*where));
	if (!where)
		return -ENOMEM;
	rc = policy_read_keys(r, map, "policy", NULL);
	if (rc == 0)
		rc = find_described(r, map, where);
	for (const struct tree_node *e = map->first; e && rc == 0; e = e->next, i++) {
		const char *name = group_name(r, e->key);
		struct policy_group *g;

		if (!name)
			continue;
		g = where[i] < n_described ? &r->policy->groups[where[i]] : policy_append_group(r->policy, name);
		rc = g ? read_group(r, e, g) : -ENOMEM;
	}
	free(where);
	return rc;
}

/* weir: 1 */
static void read_version(struct policy_reader *r, const struct tree_node *root)
{
	const struct tree_node *n = tree_get(root, "weir");
	const char *text;

	if (!n) {
		READ_ERROR(r, root, "the first line must be \"weir: 1\", the version of the language");
		return;
	}
	text = policy_read_text(r, n, "weir");
	if (text && strcmp(text, "1") != 0)
		READ_ERROR(r, n, "this weir reads version 1 of the policy language: write \"weir: 1\"");
}

static int read_document(struct policy_reader *r, const struct tree_node *root)
{
	static const char *const words[] = {"weir", "groups", "policy", NULL};
	const struct tree_node *groups, *policy;
	int rc;

	if (!root || root->kind != TREE_MAP) {
		policy_complain(r->errors, false, root ? root->line : 0, root ? root->column : 0,
				"%s: a policy begins with \"weir: 1\" and has groups: and policy:",
				root ? "this is no policy" : "the document is empty");
		return 0;
	}
	rc = policy_read_keys(r, root, "the document", words);
	if (rc < 0)
		return rc;
	read_version(r, root);
	groups = tree_get(root, "groups");
	policy = tree_get(root, "policy");
	if (groups)
		rc = read_groups(r, groups);
	if (policy && rc == 0)
		rc = read_policy(r, policy);
	return rc;
}

/* Into the order of the document, for people; few enough for insertion. */
static void sort_errors(struct policy_errors *errors)
{
	size_t n = errors->n < POLICY_ERRORS_MAX ? errors->n : POLICY_ERRORS_MAX;

	for (size_t i = 1; i < n; i++) {
		struct policy_error e = errors->e[i];
		size_t k = i;

		for (; k > 0 && (errors->e[k - 1].line > e.line ||
				 (errors->e[k - 1].line == e.line && errors->e[k - 1].column > e.column));
		     k--)
			errors->e[k] = errors->e[k - 1];
		errors->e[k] = e;
	}
}

int policy_parse(struct policy **out, const char *text, size_t len, struct policy_errors *errors)
{
	struct policy_reader r = {.errors = errors};
	struct tree_node *root = NULL;
	struct tree *tree = NULL;
	int rc;

	memset(errors, 0, sizeof(*errors));
	rc = tree_parse(&tree, &root, text, len, errors);
	if (rc < 0)
		return rc;
	r.policy = policy_new();
	rc = r.policy ? read_document(&r, root) : -ENOMEM;
	tree_free(tree);
	sort_errors(errors);
	if (rc == 0 && errors->fatal)
		rc = -EINVAL;
	if (rc < 0)
		policy_free(r.policy);
	else
		*out = r.policy;
	return rc;
}
