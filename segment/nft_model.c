/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table as values: memory and lookup. See nft_model.h. */
#include "config.h"
#include "segment/nft_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libnftnl/rule.h>

/* Room for one more of size bytes each. The new entry zeroed, or NULL. */
static void *grow(void **array, size_t *n, size_t *cap, size_t size)
{
	void *p;

	if (*n == *cap) {
		size_t more = *cap * 2 + 8;

		p = realloc(*array, more * size);
		if (!p)
			return NULL;
		*array = p;
		*cap = more;
	}
	p = (char *)*array + *n * size;
	memset(p, 0, size);
	(*n)++;
	return p;
}

static void rule_fini(struct nft_rule *r)
{
	for (size_t i = 0; i < r->n_anon; i++)
		free(r->anon[i].keys);
	free(r->anon);
	if (r->rule)
		nftnl_rule_free(r->rule);
}

void nft_elem_fini(struct nft_elem *e)
{
	free(e->target);
	free(e->note);
}

void nft_model_fini(struct nft_model *m)
{
	for (size_t i = 0; i < m->n_chains; i++) {
		for (size_t k = 0; k < m->chains[i].n_rules; k++)
			rule_fini(&m->chains[i].rules[k]);
		free(m->chains[i].rules);
	}
	for (size_t i = 0; i < m->n_sets; i++) {
		for (size_t k = 0; k < m->sets[i].n_elems; k++)
			nft_elem_fini(&m->sets[i].elems[k]);
		free(m->sets[i].elems);
	}
	free(m->chains);
	free(m->sets);
	memset(m, 0, sizeof(*m));
}

struct nft_chain *nft_model_chain(struct nft_model *m, const char *name)
{
	struct nft_chain *c = grow((void **)&m->chains, &m->n_chains, &m->cap_chains, sizeof(*c));

	if (c) {
		snprintf(c->name, sizeof(c->name), "%s", name);
		c->hook = -1;
	}
	return c;
}

struct nft_set *nft_model_set(struct nft_model *m, const char *name, const struct nft_shape *shape)
{
	struct nft_set *s = grow((void **)&m->sets, &m->n_sets, &m->cap_sets, sizeof(*s));

	if (s) {
		snprintf(s->name, sizeof(s->name), "%s", name);
		s->shape = *shape;
	}
	return s;
}

struct nft_rule *nft_chain_rule(struct nft_chain *c)
{
	return grow((void **)&c->rules, &c->n_rules, &c->cap_rules, sizeof(*c->rules));
}

int nft_set_elem(struct nft_set *s, const void *key, size_t key_len, const char *target, const char *note,
		 uint64_t timeout_ms)
{
	struct nft_elem e = {.timeout_ms = timeout_ms}, *p;

	memcpy(e.key, key, key_len < sizeof(e.key) ? key_len : sizeof(e.key));
	e.target = target ? strdup(target) : NULL;
	e.note = note ? strdup(note) : NULL;
	p = (target && !e.target) || (note && !e.note)
		    ? NULL
		    : grow((void **)&s->elems, &s->n_elems, &s->cap_elems, sizeof(*p));
	if (!p) {
		nft_elem_fini(&e);
		return -ENOMEM;
	}
	*p = e;
	return 0;
}

/* Name is the first member of both. */
static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int by_key(const void *a, const void *b)
{
	return memcmp(((const struct nft_elem *)a)->key, ((const struct nft_elem *)b)->key, NFT_KEY_MAX);
}

void nft_model_sort(struct nft_model *m)
{
	if (m->n_chains)
		qsort(m->chains, m->n_chains, sizeof(*m->chains), by_name);
	if (m->n_sets)
		qsort(m->sets, m->n_sets, sizeof(*m->sets), by_name);
	for (size_t i = 0; i < m->n_sets; i++)
		if (m->sets[i].n_elems)
			qsort(m->sets[i].elems, m->sets[i].n_elems, sizeof(*m->sets[i].elems), by_key);
}

struct nft_chain *nft_model_find_chain(const struct nft_model *m, const char *name)
{
	return m->n_chains ? bsearch(name, m->chains, m->n_chains, sizeof(*m->chains), by_name) : NULL;
}

struct nft_set *nft_model_find_set(const struct nft_model *m, const char *name)
{
	return m->n_sets ? bsearch(name, m->sets, m->n_sets, sizeof(*m->sets), by_name) : NULL;
}

struct nft_elem *nft_set_find(const struct nft_set *s, const void *key)
{
	return s->n_elems ? bsearch(key, s->elems, s->n_elems, sizeof(*s->elems), by_key) : NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool nft_elem_same(const struct nft_elem *a, const struct nft_elem *b)
{
	return same_text(a->target, b->target) && same_text(a->note, b->note);
}
