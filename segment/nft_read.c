/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading the table back: dumps of chains, rules, sets and elements, turned into the model. What identifies an
 * object comes from its userdata; an object without ours (somebody else's addition) is kept with hash 0, so that
 * it matches nothing and the next difference removes it.
 */
#include "config.h"
#include "segment/nft_read.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>

#include "common/verdict.h"
#include "segment/nft.h"
#include "segment/nft_build.h"
#include "segment/nft_name.h"

/* A request about our table; a libnftnl object would say the same at greater length. */
static int request(struct nl_msg *m, uint16_t type, uint16_t table_attr, const char *table)
{
	struct nfgenmsg *g = nl_msg_init(m, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 0, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->nfgen_family = NFPROTO_INET;
	g->version = NFNETLINK_V0;
	if (table)
		nl_put_str(m, table_attr, table);
	return 0;
}

/* Everything of one kind in our table, or, with part_attr, of one chain or set of it. */
static int dump(struct nl *s, uint16_t type, uint16_t table_attr, uint16_t part_attr, const char *part, nl_fn *fn,
		void *arg)
{
	struct nl_msg m;
	int rc = request(&m, type, table_attr, NFT_TABLE);

	if (rc == 0 && part)
		nl_put_str(&m, part_attr, part);
	if (rc == 0)
		rc = nl_dump(s, &m, fn, arg);
	nl_msg_fini(&m);
	return rc;
}

static int on_gen(void *arg, const struct nlmsghdr *h)
{
	const struct nlattr *tb[NFTA_GEN_MAX + 1];

	nl_attrs(tb, NFTA_GEN_MAX, h, sizeof(struct nfgenmsg));
	*(uint32_t *)arg = ntohl(nl_attr_u32(tb[NFTA_GEN_ID]));
	return 0;
}

int nft_read_genid(struct nl *s, uint32_t *genid)
{
	struct nl_msg m;
	int rc = request(&m, NFT_MSG_GETGEN, 0, NULL);

	if (rc == 0)
		rc = nl_request(s, &m, on_gen, genid);
	nl_msg_fini(&m);
	return rc;
}

/* ---- chains --------------------------------------------------------------------------------------------------- */
static int on_chain(void *arg, const struct nlmsghdr *h)
{
	struct nft_model *m = arg;
	struct nftnl_chain *k = nftnl_chain_alloc();
	struct nft_chain *c;
	struct nft_note note;
	const void *data;
	uint32_t len = 0;
	int rc = 0;

	if (!k)
		return -ENOMEM;
	if (nftnl_chain_nlmsg_parse(h, k) < 0 || strcmp(nftnl_chain_get_str(k, NFTNL_CHAIN_TABLE), NFT_TABLE) != 0)
		goto out;
	c = nft_model_chain(m, nftnl_chain_get_str(k, NFTNL_CHAIN_NAME));
	if (!c) {
		rc = -ENOMEM;
		goto out;
	}
	if (nftnl_chain_is_set(k, NFTNL_CHAIN_HOOKNUM))
		c->hook = (int8_t)nftnl_chain_get_u32(k, NFTNL_CHAIN_HOOKNUM);
	data = nftnl_chain_get_data(k, NFTNL_CHAIN_USERDATA, &len);
	if (data && nft_note_decode(&note, NFTNL_UDATA_CHAIN_COMMENT, data, len)) {
		snprintf(c->group, sizeof(c->group), "%s", note.group);
		c->list = note.list;
	}
out:
	nftnl_chain_free(k);
	return rc;
}

/* ---- rules ---------------------------------------------------------------------------------------------------- */
struct rule_reader {
	nft_read_rule_fn *fn;
	void *arg;
};

/* What the counters among the expressions of a rule, or an element, add up to. */
struct tally {
	uint64_t packets, bytes;
};

static int on_expr(struct nftnl_expr *e, void *arg)
{
	struct tally *t = arg;

	if (strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_NAME), "counter") == 0) {
		t->packets += nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_PACKETS);
		t->bytes += nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_BYTES);
	}
	return 0;
}

static int on_rule(void *arg, const struct nlmsghdr *h)
{
	struct rule_reader *reader = arg;
	struct nftnl_rule *k = nftnl_rule_alloc();
	struct tally tally = {0, 0};
	struct nft_rule r = {0};
	struct nft_note note;
	const void *data;
	uint32_t len = 0;
	int rc = 0;

	if (!k)
		return -ENOMEM;
	if (nftnl_rule_nlmsg_parse(h, k) < 0 || strcmp(nftnl_rule_get_str(k, NFTNL_RULE_TABLE), NFT_TABLE) != 0)
		goto out;
	r.handle = nftnl_rule_get_u64(k, NFTNL_RULE_HANDLE);
	data = nftnl_rule_get_data(k, NFTNL_RULE_USERDATA, &len);
	if (data && nft_note_decode(&note, NFTNL_UDATA_RULE_COMMENT, data, len)) {
		r.hash = note.hash;
		r.id = note.id;
		r.tag = note.tag;
		r.stage = note.stage;
		r.about = note.about;
	}
	nftnl_expr_foreach(k, on_expr, &tally);
	r.packets = tally.packets;
	r.bytes = tally.bytes;
	rc = reader->fn(reader->arg, nftnl_rule_get_str(k, NFTNL_RULE_CHAIN), &r);
out:
	nftnl_rule_free(k);
	return rc;
}

int nft_read_rules(struct nl *s, const char *chain, nft_read_rule_fn *fn, void *arg)
{
	struct rule_reader reader = {fn, arg};

	return dump(s, NFT_MSG_GETRULE, NFTA_RULE_TABLE, NFTA_RULE_CHAIN, chain, on_rule, &reader);
}

static int rule_into_model(void *arg, const char *chain, const struct nft_rule *r)
{
	struct nft_model *m = arg;
	struct nft_chain *c = nft_model_find_chain(m, chain);
	struct nft_rule *p = c ? nft_chain_rule(c) : NULL;

	if (!p)
		return c ? -ENOMEM : 0;
	*p = *r;
	if (r->stage)
		c->stage = r->stage;
	if (r->tag == NFT_TAG_ABOUT)
		m->about = r->about;
	return 0;
}

/* ---- sets ----------------------------------------------------------------------------------------------------- */
/* Ours by their name are those whose elements the program adds and removes; a foreign set in our table counts as
 * well, as something that is there and not wanted. */
static int on_set(void *arg, const struct nlmsghdr *h)
{
	struct nft_model *m = arg;
	struct nftnl_set *k = nftnl_set_alloc();
	struct nft_shape shape = {0};
	int rc = 0;

	if (!k)
		return -ENOMEM;
	if (nftnl_set_nlmsg_parse(h, k) < 0 || strcmp(nftnl_set_get_str(k, NFTNL_SET_TABLE), NFT_TABLE) != 0)
		goto out;
	shape.flags = nftnl_set_get_u32(k, NFTNL_SET_FLAGS);
	if (shape.flags & NFT_SET_ANONYMOUS)
		goto out; /* comes and goes with its rule */
	shape.key_type = nftnl_set_get_u32(k, NFTNL_SET_KEY_TYPE);
	shape.key_len = nftnl_set_get_u32(k, NFTNL_SET_KEY_LEN);
	shape.verdicts = (shape.flags & NFT_SET_MAP) != 0;
	shape.timeout_ms = nftnl_set_get_u64(k, NFTNL_SET_TIMEOUT);
	shape.ours = !(shape.flags & NFT_SET_EVAL);
	if (!nft_model_set(m, nftnl_set_get_str(k, NFTNL_SET_NAME), &shape))
		rc = -ENOMEM;
out:
	nftnl_set_free(k);
	return rc;
}

struct elem_reader {
	nft_read_elem_fn *fn;
	void *arg;
	int rc;
};

static int on_elem(struct nftnl_set_elem *k, void *arg)
{
	struct elem_reader *reader = arg;
	struct tally tally = {0, 0};
	struct nft_read_elem e = {0};

	e.key = nftnl_set_elem_get(k, NFTNL_SET_ELEM_KEY, &e.key_len);
	if (nftnl_set_elem_is_set(k, NFTNL_SET_ELEM_CHAIN))
		e.target = nftnl_set_elem_get_str(k, NFTNL_SET_ELEM_CHAIN);
	if (nftnl_set_elem_is_set(k, NFTNL_SET_ELEM_USERDATA))
		e.note = nftnl_set_elem_get(k, NFTNL_SET_ELEM_USERDATA, &e.note_len);
	if (nftnl_set_elem_is_set(k, NFTNL_SET_ELEM_TIMEOUT))
		e.timeout_ms = nftnl_set_elem_get_u64(k, NFTNL_SET_ELEM_TIMEOUT);
	if (nftnl_set_elem_is_set(k, NFTNL_SET_ELEM_EXPIRATION))
		e.expires_ms = nftnl_set_elem_get_u64(k, NFTNL_SET_ELEM_EXPIRATION);
	nftnl_set_elem_expr_foreach(k, on_expr, &tally);
	e.packets = tally.packets;
	e.bytes = tally.bytes;
	reader->rc = e.key ? reader->fn(reader->arg, &e) : 0;
	return reader->rc < 0 ? -1 : 0;
}

static int on_elems(void *arg, const struct nlmsghdr *h)
{
	struct elem_reader *reader = arg;
	struct nftnl_set *k = nftnl_set_alloc();

	if (!k)
		return -ENOMEM;
	reader->rc = 0;
	if (nftnl_set_elems_nlmsg_parse(h, k) == 0)
		nftnl_set_elem_foreach(k, on_elem, reader);
	nftnl_set_free(k);
	return reader->rc;
}

int nft_read_elems(struct nl *s, const char *set, nft_read_elem_fn *fn, void *arg)
{
	struct elem_reader reader = {fn, arg, 0};

	return dump(s, NFT_MSG_GETSETELEM, NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET, set, on_elems, &reader);
}

static int elem_into_set(void *arg, const struct nft_read_elem *e)
{
	struct nft_note note = {0};
	bool noted = e->note && nft_note_decode(&note, NFTNL_UDATA_SET_ELEM_COMMENT, e->note, e->note_len);

	return nft_set_elem(arg, e->key, e->key_len, e->target, noted ? note.group : NULL,
			    e->expires_ms ? e->expires_ms : e->timeout_ms);
}

static int on_table(void *arg, const struct nlmsghdr *h)
{
	(void)h;
	((struct nft_model *)arg)->present = true;
	return 0;
}

int nft_read(struct nft_model *m, struct nl *s)
{
	struct nl_msg ask;
	int rc = request(&ask, NFT_MSG_GETTABLE, NFTA_TABLE_NAME, NFT_TABLE);

	if (rc == 0)
		rc = nl_request(s, &ask, on_table, m);
	nl_msg_fini(&ask);
	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		rc = dump(s, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, 0, NULL, on_chain, m);
	if (rc == 0)
		rc = dump(s, NFT_MSG_GETSET, NFTA_SET_TABLE, 0, NULL, on_set, m);
	nft_model_sort(m);
	if (rc == 0)
		rc = nft_read_rules(s, NULL, rule_into_model, m);
	for (size_t i = 0; rc == 0 && i < m->n_sets; i++) {
		if (m->sets[i].shape.ours)
			rc = nft_read_elems(s, m->sets[i].name, elem_into_set, &m->sets[i]);
	}
	nft_model_sort(m);
	return rc;
}
