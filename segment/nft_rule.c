/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A rule as a whole: its anonymous sets, its userdata, and the hash by which it is recognised. The hash is taken
 * over the netlink message that would be sent, plus the elements of its sets, so that nothing which the kernel
 * would see can differ without the hash differing.
 */
#include "config.h"
#include "segment/nft_expr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

#include "common/buf.h"
#include "common/hash.h"
#include "segment/nft.h"
#include "segment/nft_anon.h"
#include "segment/nft_name.h"

#define RULE_ROOM 16384 /* bytes; the longest rule of ours has about 1000, userdata included */

int nft_anon_add(struct nft_rule *r, const struct nft_anon *set, struct nftnl_expr *e)
{
	struct nft_anon *p = realloc(r->anon, (r->n_anon + 1) * sizeof(*p));
	uint8_t *keys;

	if (!p)
		return -ENOMEM;
	r->anon = p;
	keys = malloc(set->n * set->key_len + 1);
	if (!keys)
		return -ENOMEM;
	memcpy(keys, set->keys, set->n * set->key_len);
	p[r->n_anon] = *set;
	p[r->n_anon].keys = keys;
	p[r->n_anon].lookup = e;
	r->n_anon++;
	return 0;
}

int nft_anon_ports(struct nft_anon *set, const struct service *s, size_t n)
{
	size_t k = 0;

	memset(set, 0, sizeof(*set));
	set->key_type = NFT_TYPE_SERVICE;
	set->key_len = 2;
	for (size_t i = 0; i < n; i++)
		set->interval = set->interval || s[i].lo != s[i].hi;
	set->keys = malloc(n * 4 + 2);
	if (!set->keys)
		return -ENOMEM;
	/* As nft does it: what lies below the first range is ended by an element of its own. */
	set->lead = set->interval && n && s[0].lo != 0;
	if (set->lead)
		memset(set->keys, 0, 2);
	k = set->lead;
	for (size_t i = 0; i < n; i++) {
		uint16_t lo_be = htons(s[i].lo), end_be = htons((uint16_t)(s[i].hi + 1));

		/* Ranges that touch are one: an end and a start at the same key would be one element too many. */
		if (set->interval && i > 0 && memcmp(set->keys + (k - 1) * 2, &lo_be, 2) == 0)
			k--;
		else
			memcpy(set->keys + k++ * 2, &lo_be, 2);
		if (set->interval && s[i].hi != UINT16_MAX)
			memcpy(set->keys + k++ * 2, &end_be, 2);
	}
	set->n = k;
	return 0;
}

void nft_rule_start(struct nft_builder *b, struct nft_chain *c)
{
	b->rc = -ENOMEM;
	b->family = false;
	b->stage = 0;
	b->r = c ? nft_chain_rule(c) : NULL;
	if (!b->r)
		return;
	b->r->rule = nftnl_rule_alloc();
	if (!b->r->rule)
		return;
	nftnl_rule_set_u32(b->r->rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	b->rc = nftnl_rule_set_str(b->r->rule, NFTNL_RULE_TABLE, NFT_TABLE) < 0 ||
				nftnl_rule_set_str(b->r->rule, NFTNL_RULE_CHAIN, c->name) < 0
			? -ENOMEM
			: 0;
}

static int content_hash(uint64_t *out, const struct nft_rule *r)
{
	struct buf b = BUF_INIT;
	struct nlmsghdr *h = calloc(1, RULE_ROOM); /* zeroed, since padding is part of the message */
	int rc;

	if (!h)
		return -ENOMEM;
	h = nftnl_nlmsg_build_hdr((char *)h, NFT_MSG_NEWRULE, NFPROTO_INET, 0, 0);
	nftnl_rule_nlmsg_build_payload(h, r->rule);
	buf_add(&b, h, h->nlmsg_len);
	for (size_t i = 0; i < r->n_anon; i++) {
		buf_add(&b, &r->anon[i].key_type, sizeof(r->anon[i].key_type));
		buf_addc(&b, r->anon[i].interval);
		buf_add(&b, r->anon[i].keys, r->anon[i].n * r->anon[i].key_len);
	}
	rc = buf_failed(&b) ? -ENOMEM : 0;
	if (rc == 0)
		*out = hash_fixed(b.data, b.len);
	buf_fini(&b);
	free(h);
	return rc;
}

static int finish(struct nft_builder *b, struct nft_note *note, const char *comment)
{
	uint8_t data[NFT_USERDATA_LEN];
	struct nft_rule *r = b->r;
	size_t len;

	if (b->rc < 0)
		return b->rc;
	nft_name_comment(note->comment, sizeof(note->comment), comment);
	if (!note->has_about) {
		len = nft_note_encode(data, NFTNL_UDATA_RULE_COMMENT, note);
		if (nftnl_rule_set_data(r->rule, NFTNL_RULE_USERDATA, data, (uint32_t)len) < 0)
			return -ENOMEM;
	}
	b->rc = content_hash(&note->hash, r);
	if (b->rc < 0)
		return b->rc;
	if (note->has_about) /* its text holds the time, which is no reason to replace it */
		note->hash = hash_fixed(&note->about.generation, sizeof(note->about.generation)) ^
			     hash_fixed(&note->about.deadline_ns, sizeof(note->about.deadline_ns)) ^ note->about.armed;
	r->hash = note->hash;
	r->id = note->id;
	r->tag = note->tag;
	r->about = note->about;
	len = nft_note_encode(data, NFTNL_UDATA_RULE_COMMENT, note);
	return nftnl_rule_set_data(r->rule, NFTNL_RULE_USERDATA, data, (uint32_t)len) < 0 ? -ENOMEM : 0;
}

int nft_rule_finish(struct nft_builder *b, uint32_t id, uint8_t tag, const char *comment)
{
	struct nft_note note = {.id = id, .tag = tag, .stage = b->stage};

	return finish(b, &note, comment);
}

int nft_rule_finish_about(struct nft_builder *b, const struct nft_about *about, const char *comment)
{
	struct nft_note note = {.tag = NFT_TAG_ABOUT, .has_about = true, .about = *about};

	return finish(b, &note, comment);
}

bool nft_rule_refuses(const struct nft_rule *r, const char **chain, const char **map)
{
	struct nftnl_expr_iter *it = nftnl_expr_iter_create(r->rule);
	struct nftnl_expr *e;
	bool refuses = !it; /* out of memory: the careful answer */

	*chain = *map = NULL;
	while (it && (e = nftnl_expr_iter_next(it))) {
		const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);

		if (strcmp(name, "reject") == 0 || strcmp(name, "queue") == 0) {
			refuses = true;
		} else if (strcmp(name, "immediate") == 0 && nftnl_expr_is_set(e, NFTNL_EXPR_IMM_VERDICT)) {
			int v = (int)nftnl_expr_get_u32(e, NFTNL_EXPR_IMM_VERDICT);

			refuses = refuses || (v != NF_ACCEPT && v >= 0);
			if (v == NFT_GOTO || v == NFT_JUMP)
				*chain = nftnl_expr_get_str(e, NFTNL_EXPR_IMM_CHAIN);
		} else if (strcmp(name, "lookup") == 0 && nftnl_expr_is_set(e, NFTNL_EXPR_LOOKUP_DREG)) {
			*map = nftnl_expr_get_str(e, NFTNL_EXPR_LOOKUP_SET);
		}
	}
	if (it)
		nftnl_expr_iter_destroy(it);
	return refuses;
}

bool nft_rule_looks_into(const struct nft_rule *r, const char *set)
{
	struct nftnl_expr_iter *it = nftnl_expr_iter_create(r->rule);
	struct nftnl_expr *e;
	bool found = false;

	while (it && !found && (e = nftnl_expr_iter_next(it)))
		found = strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_NAME), "lookup") == 0 &&
			!nftnl_expr_is_set(e, NFTNL_EXPR_LOOKUP_DREG) &&
			!(nftnl_expr_get_u32(e, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV) &&
			strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_LOOKUP_SET), set) == 0;
	if (it)
		nftnl_expr_iter_destroy(it);
	return found;
}
