/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The difference between the table that is held and the one that is wanted, in the order in which the kernel can
 * take it: what others will refer to first (chains, sets), then elements, then rules; what nobody refers to any
 * more last. A rule whose content did not change stays where it is, with its counters.
 */
#include "config.h"
#include "segment/nft_send.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netfilter/nf_tables.h>

/* Another use of the same name cannot be changed in place: the whole table is then made anew, in the same
 * transaction. */
static bool same_shape(const struct nft_set *a, const struct nft_set *b)
{
	return a->shape.key_type == b->shape.key_type && a->shape.key_len == b->shape.key_len &&
	       a->shape.verdicts == b->shape.verdicts && a->shape.timeout_ms == b->shape.timeout_ms;
}

static bool compatible(const struct nft_model *held, const struct nft_model *wanted)
{
	if (held->about.layout != wanted->about.layout)
		return false;
	for (size_t i = 0; i < wanted->n_sets; i++) {
		const struct nft_set *h = nft_model_find_set(held, wanted->sets[i].name);

		if (h && !same_shape(h, &wanted->sets[i]))
			return false;
	}
	for (size_t i = 0; i < wanted->n_chains; i++) {
		const struct nft_chain *h = nft_model_find_chain(held, wanted->chains[i].name);

		if (h && (h->hook != wanted->chains[i].hook || strcmp(h->group, wanted->chains[i].group) != 0))
			return false;
	}
	return true;
}

static void diff_elems(struct nft_change *c, const struct nft_set *held, const struct nft_set *wanted)
{
	size_t room = (held ? held->n_elems : 0) + wanted->n_elems + 1, n_del = 0, n_add = 0;
	struct nft_elem *del = malloc(room * sizeof(*del)), *add = malloc(room * sizeof(*add)); /* shallow copies */

	if (!del || !add) {
		c->rc = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; held && i < held->n_elems; i++) {
		const struct nft_elem *w = nft_set_find(wanted, held->elems[i].key);

		if (!w || !nft_elem_same(&held->elems[i], w) ||
		    (held->elems[i].timeout_ms == 0) != (w->timeout_ms == 0))
			del[n_del++] = held->elems[i];
	}
	for (size_t i = 0; i < wanted->n_elems; i++) {
		const struct nft_elem *w = &wanted->elems[i], *h = held ? nft_set_find(held, w->key) : NULL;

		if (!h || !nft_elem_same(h, w) || (h->timeout_ms == 0) != (w->timeout_ms == 0))
			add[n_add++] = *w;
	}
	nft_change_elems(c, wanted->name, &wanted->shape, del, n_del, false);
	nft_change_elems(c, wanted->name, &wanted->shape, add, n_add, true);
out:
	free(del);
	free(add);
}

/* Marks which held rules stay: kept[i] is the index of the wanted rule that held rule i is, or -1. Both lists have
 * the same order wherever they have the same rules, so that walking forward finds all that can stay in place. */
static void match_rules(long *kept, const struct nft_chain *held, const struct nft_chain *wanted)
{
	size_t from = 0;

	for (size_t i = 0; i < held->n_rules; i++)
		kept[i] = -1;
	for (size_t w = 0; w < wanted->n_rules; w++) {
		for (size_t i = from; i < held->n_rules; i++) {
			if (held->rules[i].hash == wanted->rules[w].hash) {
				kept[i] = (long)w;
				from = i + 1;
				break;
			}
		}
	}
}

static void diff_rules(struct nft_change *c, const struct nft_chain *held, const struct nft_chain *wanted)
{
	long *kept = malloc((held->n_rules + 1) * sizeof(*kept));
	size_t i = 0;

	if (!kept) {
		c->rc = -ENOMEM;
		return;
	}
	match_rules(kept, held, wanted);
	for (size_t k = 0; k < held->n_rules; k++)
		if (kept[k] < 0)
			nft_change_rule_del(c, wanted, held->rules[k].handle);
	for (size_t w = 0; w < wanted->n_rules; w++) {
		while (i < held->n_rules && (kept[i] < 0 || kept[i] < (long)w))
			i++;
		if (i < held->n_rules && kept[i] == (long)w)
			continue;
		nft_change_rule_add(c, wanted, &wanted->rules[w], i < held->n_rules ? held->rules[i].handle : 0);
	}
	free(kept);
}

static void remove_unwanted(struct nft_change *c, const struct nft_model *held, const struct nft_model *wanted)
{
	for (size_t i = 0; i < held->n_chains; i++) {
		const struct nft_chain *h = &held->chains[i];

		for (size_t k = 0; !nft_model_find_chain(wanted, h->name) && k < h->n_rules; k++)
			nft_change_rule_del(c, h, h->rules[k].handle);
	}
	for (size_t i = 0; i < held->n_sets; i++)
		if (!nft_model_find_set(wanted, held->sets[i].name))
			nft_change_set(c, &held->sets[i], false);
	for (size_t i = 0; i < held->n_chains; i++)
		if (!nft_model_find_chain(wanted, held->chains[i].name))
			nft_change_chain(c, &held->chains[i], false);
}

void nft_diff(struct nft_change *c, const struct nft_model *held, const struct nft_model *wanted)
{
	static const struct nft_model nothing;
	static const struct nft_chain no_rules;
	bool rearm;

	if (held->present && !compatible(held, wanted)) {
		nft_change_table(c, false);
		held = &nothing;
	}
	if (!held->present)
		nft_change_table(c, true);
	for (size_t i = 0; i < wanted->n_chains; i++)
		if (!nft_model_find_chain(held, wanted->chains[i].name))
			nft_change_chain(c, &wanted->chains[i], true);
	for (size_t i = 0; i < wanted->n_sets; i++)
		if (!nft_model_find_set(held, wanted->sets[i].name))
			nft_change_set(c, &wanted->sets[i], true);
	/* Time that is left cannot be changed in place, and an element may run out between reading and writing. */
	rearm = held->about.armed != wanted->about.armed || held->about.deadline_ns != wanted->about.deadline_ns;
	for (size_t i = 0; i < wanted->n_sets; i++) {
		const struct nft_set *w = &wanted->sets[i], *h = nft_model_find_set(held, w->name);

		if (!w->shape.ours)
			continue;
		if (h && rearm && (w->shape.flags & NFT_SET_TIMEOUT)) {
			nft_change_flush(c, w->name);
			h = NULL;
		}
		diff_elems(c, h, w);
	}
	for (size_t i = 0; i < wanted->n_chains; i++) {
		const struct nft_chain *h = nft_model_find_chain(held, wanted->chains[i].name);

		diff_rules(c, h ? h : &no_rules, &wanted->chains[i]);
	}
	remove_unwanted(c, held, wanted);
}
