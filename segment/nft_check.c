/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The check before anything is sent: dry run cannot hurt. It looks at the rules as they would be sent, not at what was
 * meant, and follows every jump, goto and verdict map.
 */
#include "config.h"
#include "segment/nft_build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/verdict.h"
#include "segment/nft_expr.h"

enum colour { UNSEEN, OPEN, HARMLESS, REFUSES };

struct check {
	const struct nft_model *m;
	uint8_t *colour; /* by chain */
};

static bool chain_refuses(struct check *k, const char *name);

/* A list may look into its own maps only, and they lead to its own parts only: those that are there, since members come
 * and go without this check, and whatever the elements say now. */
static bool map_refuses(struct check *k, const struct nft_chain *list, const char *map)
{
	const struct nft_set *s = nft_model_find_set(k->m, map);
	size_t len = strlen(list->name);
	bool refuses = !s || strncmp(map, list->name, len) != 0 || map[len] != '_' || strlen(map) != len + 2;

	for (size_t i = (size_t)(list - k->m->chains) + 1; i < k->m->n_chains && !refuses; i++) {
		const struct nft_chain *part = &k->m->chains[i];

		if (strncmp(part->name, list->name, len) != 0)
			break; /* sorted by name */
		refuses = part->name[len] == '/' && chain_refuses(k, part->name);
	}
	for (size_t i = 0; s && i < s->n_elems && !refuses; i++) {
		const char *to = s->elems[i].target;

		refuses = !to || strncmp(to, list->name, len) != 0 || to[len] != '/' || chain_refuses(k, to);
	}
	return refuses;
}

/* Can a packet that enters this chain be refused? Chains that cannot be found and loops count as refusing. */
static bool chain_refuses(struct check *k, const char *name)
{
	const struct nft_chain *c = nft_model_find_chain(k->m, name);
	bool refuses = false;
	size_t i;

	if (!c)
		return true;
	i = (size_t)(c - k->m->chains);
	if (k->colour[i] != UNSEEN)
		return k->colour[i] != HARMLESS;
	k->colour[i] = OPEN;
	for (size_t n = 0; n < c->n_rules && !refuses; n++) {
		const char *to, *map;

		refuses = nft_rule_refuses(&c->rules[n], &to, &map);
		if (!refuses && to)
			refuses = chain_refuses(k, to);
		if (!refuses && map)
			refuses = map_refuses(k, c, map);
	}
	k->colour[i] = refuses ? REFUSES : HARMLESS;
	return refuses;
}

static bool is_armed_match(const struct nft_rule *r)
{
	return nft_rule_looks_into(r, NFT_SET_ARMED "_4") || nft_rule_looks_into(r, NFT_SET_ARMED "_6");
}

/* A list of a group that enforces may go to a refusing chain only by a rule that matches the armed set. */
static bool list_guarded(struct check *k, const struct nft_chain *c)
{
	for (size_t n = 0; n < c->n_rules; n++) {
		const char *to, *map;

		if (nft_rule_refuses(&c->rules[n], &to, &map) || (map && map_refuses(k, c, map)))
			return false;
		if (to && chain_refuses(k, to) && !is_armed_match(&c->rules[n]))
			return false;
	}
	return true;
}

int nft_check(const struct nft_model *m, char *error, size_t size)
{
	struct check k = {m, calloc(m->n_chains + 1, 1)};
	int rc = 0;

	if (!k.colour)
		return -ENOMEM;
	for (size_t i = 0; rc == 0 && i < m->n_chains; i++) {
		const struct nft_chain *c = &m->chains[i];

		if (!c->group[0] || c->list == NFT_LIST_PART) /* parts are looked at from their lists */
			continue;
		if (c->stage == STAGE_ENFORCE ? !list_guarded(&k, c) : chain_refuses(&k, c->name)) {
			snprintf(error, size, "chain %s of group %s (%s) could refuse a packet; nothing was sent",
				 c->name, c->group, stage_name(c->stage));
			rc = -EPROTO;
		}
	}
	free(k.colour);
	return rc;
}
