/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One transaction: each object of the model as the message that adds or removes it, with the name that an error shall
 * give it. Elements go many to a message, as far as a netlink attribute can hold them.
 */
#include "config.h"
#include "segment/nft_send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include "segment/nft.h"
#include "segment/nft_anon.h"
#include "segment/nft_elems.h"
#include "segment/nft_name.h"

#define ELEMS_PER_MESSAGE 96 /* an element with key, chain name and userdata is at most 600 bytes, an attribute 65535 */
#define VERDICT_TYPE 0xffffff00u /* NFT_DATA_VERDICT, as the data type of a map */
#define CHAIN_PRIORITY (-10)     /* before the filter chains of others: what is refused here stays refused */

int nft_change_start(struct nft_change *c, uint32_t genid)
{
	uint32_t seq;
	void *p;

	memset(c, 0, sizeof(*c));
	c->next_set_id = 1;
	c->rc = nl_batch_new(&c->batch);
	if (c->rc < 0)
		return c->rc;
	p = nl_batch_next(c->batch, &seq);
	if (!p)
		return c->rc = -ENOMEM;
	p = nftnl_batch_begin(p, seq);
	if (genid)
		mnl_attr_put_u32(p, NFNL_BATCH_GENID, htonl(genid));
	return c->rc = nl_batch_push(c->batch, "the transaction");
}

void nft_change_fini(struct nft_change *c)
{
	nl_batch_free(c->batch);
	c->batch = NULL;
}

int nft_change_commit(struct nft_change *c, struct nl *s, char *error, size_t size)
{
	uint32_t seq;
	void *p = c->rc < 0 ? NULL : nl_batch_next(c->batch, &seq);

	if (!p) {
		c->rc = c->rc < 0 ? c->rc : -ENOMEM;
		snprintf(error, size, "preparing the transaction: %s", strerror(-c->rc));
		return c->rc;
	}
	nftnl_batch_end(p, seq);
	c->rc = nl_batch_push(c->batch, "the end of the transaction");
	return c->rc < 0 ? c->rc : nl_batch_send(s, c->batch, error, size);
}

/* A header for one more message, or NULL after a failure. */
static struct nlmsghdr *start(struct nft_change *c, uint16_t type, uint16_t flags)
{
	uint32_t seq;
	void *p = c->rc < 0 ? NULL : nl_batch_next(c->batch, &seq);

	if (!p) {
		c->rc = c->rc < 0 ? c->rc : -ENOMEM;
		return NULL;
	}
	return nftnl_nlmsg_build_hdr(p, type, NFPROTO_INET, flags, seq);
}

static void done(struct nft_change *c, const char *what, const char *name)
{
	c->rc = nl_batch_push(c->batch, "%s %s of table inet " NFT_TABLE, what, name);
	c->n++;
}

void nft_change_table(struct nft_change *c, bool add)
{
	struct nlmsghdr *h = start(c, add ? NFT_MSG_NEWTABLE : NFT_MSG_DELTABLE, add ? NLM_F_CREATE : 0);
	struct nftnl_table *t = h ? nftnl_table_alloc() : NULL;
	struct nft_note note = {.comment = "made by weir, changed by weir; see chain about"};
	uint8_t data[NFT_USERDATA_LEN];

	if (!t) {
		c->rc = c->rc < 0 ? c->rc : -ENOMEM;
		return;
	}
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, NFT_TABLE);
	nftnl_table_set_u32(t, NFTNL_TABLE_FAMILY, NFPROTO_INET);
	if (add)
		nftnl_table_set_data(t, NFTNL_TABLE_USERDATA, data,
				     (uint32_t)nft_note_encode(data, NFTNL_UDATA_TABLE_COMMENT, &note));
	nftnl_table_nlmsg_build_payload(h, t);
	nftnl_table_free(t);
	done(c, add ? "adding" : "removing", "all");
}

void nft_change_chain(struct nft_change *c, const struct nft_chain *chain, bool add)
{
	struct nlmsghdr *h = start(c, add ? NFT_MSG_NEWCHAIN : NFT_MSG_DELCHAIN, add ? NLM_F_CREATE : 0);
	struct nftnl_chain *k = h ? nftnl_chain_alloc() : NULL;
	struct nft_note note = {.list = chain->list};
	uint8_t data[NFT_USERDATA_LEN];

	if (!k) {
		c->rc = c->rc < 0 ? c->rc : -ENOMEM;
		return;
	}
	nftnl_chain_set_str(k, NFTNL_CHAIN_TABLE, NFT_TABLE);
	nftnl_chain_set_str(k, NFTNL_CHAIN_NAME, chain->name);
	if (add && chain->hook >= 0) {
		nftnl_chain_set_str(k, NFTNL_CHAIN_TYPE, "filter");
		nftnl_chain_set_u32(k, NFTNL_CHAIN_HOOKNUM, (uint32_t)chain->hook);
		nftnl_chain_set_s32(k, NFTNL_CHAIN_PRIO, CHAIN_PRIORITY);
		nftnl_chain_set_u32(k, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	if (add) {
		snprintf(note.comment, sizeof(note.comment), "%s", chain->comment);
		snprintf(note.group, sizeof(note.group), "%s", chain->group);
		nftnl_chain_set_data(k, NFTNL_CHAIN_USERDATA, data,
				     (uint32_t)nft_note_encode(data, NFTNL_UDATA_CHAIN_COMMENT, &note));
	}
	nftnl_chain_nlmsg_build_payload(h, k);
	nftnl_chain_free(k);
	done(c, add ? "adding chain" : "removing chain", chain->name);
}

void nft_change_set(struct nft_change *c, const struct nft_set *set, bool add)
{
	struct nlmsghdr *h = start(c, add ? NFT_MSG_NEWSET : NFT_MSG_DELSET, add ? NLM_F_CREATE : 0);
	struct nftnl_set *s = h ? nftnl_set_alloc() : NULL;
	struct nft_note note = {.host_order = set->shape.host_order};
	uint8_t data[NFT_USERDATA_LEN];

	if (!s) {
		c->rc = c->rc < 0 ? c->rc : -ENOMEM;
		return;
	}
	nftnl_set_set_str(s, NFTNL_SET_TABLE, NFT_TABLE);
	nftnl_set_set_str(s, NFTNL_SET_NAME, set->name);
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
	if (add) {
		nftnl_set_set_u32(s, NFTNL_SET_ID, c->next_set_id++);
		nftnl_set_set_u32(s, NFTNL_SET_FLAGS, set->shape.flags);
		nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, set->shape.key_type);
		nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, set->shape.key_len);
		if (set->shape.verdicts)
			nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, VERDICT_TYPE);
		if (set->shape.size)
			nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, set->shape.size);
		if (set->shape.timeout_ms)
			nftnl_set_set_u64(s, NFTNL_SET_TIMEOUT, set->shape.timeout_ms);
		snprintf(note.comment, sizeof(note.comment), "%s", set->comment);
		nftnl_set_set_data(s, NFTNL_SET_USERDATA, data,
				   (uint32_t)nft_note_encode(data, NFTNL_UDATA_SET_COMMENT, &note));
	}
	nftnl_set_nlmsg_build_payload(h, s);
	nftnl_set_free(s);
	done(c, add ? "adding set" : "removing set", set->name);
}

static int add_elem(struct nftnl_set *s, const struct nft_shape *shape, const struct nft_elem *e, bool add)
{
	struct nftnl_set_elem *p = nftnl_set_elem_alloc();
	uint8_t data[NFT_USERDATA_LEN];
	size_t len;

	if (!p)
		return -ENOMEM;
	nftnl_set_elem_set(p, NFTNL_SET_ELEM_KEY, e->key, shape->key_len);
	if (add && shape->verdicts) {
		/* Part of a list comes back to the list where it does not decide. */
		int way = e->target && nft_name_is_part(e->target) ? NFT_JUMP : NFT_GOTO;

		nftnl_set_elem_set_u32(p, NFTNL_SET_ELEM_VERDICT, (uint32_t)(e->target ? way : NF_ACCEPT));
		if (e->target)
			nftnl_set_elem_set_str(p, NFTNL_SET_ELEM_CHAIN, e->target);
	}
	if (add && e->timeout_ms)
		nftnl_set_elem_set_u64(p, NFTNL_SET_ELEM_TIMEOUT, e->timeout_ms);
	len = add ? nft_elem_note(data, e->note) : 0;
	if (len)
		nftnl_set_elem_set(p, NFTNL_SET_ELEM_USERDATA, data, (uint32_t)len);
	nftnl_set_elem_add(s, p);
	return 0;
}

static struct nftnl_set *named_set(const char *name)
{
	struct nftnl_set *s = nftnl_set_alloc();

	if (s) {
		nftnl_set_set_str(s, NFTNL_SET_TABLE, NFT_TABLE);
		nftnl_set_set_str(s, NFTNL_SET_NAME, name);
		nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
	}
	return s;
}

void nft_change_elems(struct nft_change *c, const char *set, const struct nft_shape *shape, const struct nft_elem *e,
		      size_t n, bool add)
{
	for (size_t i = 0; i < n && c->rc == 0; i += ELEMS_PER_MESSAGE) {
		size_t k = n - i < ELEMS_PER_MESSAGE ? n - i : ELEMS_PER_MESSAGE;
		struct nlmsghdr *h = start(c, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0);
		struct nftnl_set *s = h ? named_set(set) : NULL;

		for (size_t x = 0; s && c->rc == 0 && x < k; x++)
			c->rc = add_elem(s, shape, &e[i + x], add);
		if (!s || c->rc < 0) {
			c->rc = c->rc < 0 ? c->rc : -ENOMEM;
			if (s)
				nftnl_set_free(s);
			return;
		}
		nftnl_set_elems_nlmsg_build_payload(h, s);
		nftnl_set_free(s);
		done(c, add ? "adding to set" : "removing from set", set);
	}
}

void nft_change_settle(struct nft_change *c)
{
	struct nft_elem e[2] = {{.timeout_ms = NFT_SETTLING_MS}, {.timeout_ms = NFT_SETTLING_MS}};

	e[0].key[0] = NFPROTO_IPV4;
	e[1].key[0] = NFPROTO_IPV6;
	nft_change_elems(c, NFT_SET_SETTLING, &nft_shape_settling, e, 2, true);
}

void nft_change_flush(struct nft_change *c, const char *set)
{
	struct nlmsghdr *h = start(c, NFT_MSG_DELSETELEM, 0);
	struct nftnl_set *s = h ? named_set(set) : NULL;

	if (!s) {
		c->rc = c->rc < 0 ? c->rc : -ENOMEM;
		return;
	}
	nftnl_set_elems_nlmsg_build_payload(h, s);
	nftnl_set_free(s);
	done(c, "emptying set", set);
}

/* The anonymous set and its elements, before the rule that looks into it. */
static void add_anon(struct nft_change *c, const struct nft_chain *chain, struct nft_anon *a)
{
	struct nftnl_set *s = named_set(NFT_ANON_NAME);
	uint32_t id = c->next_set_id++;
	struct nlmsghdr *h;

	if (!s) {
		c->rc = -ENOMEM;
		return;
	}
	nftnl_set_set_u32(s, NFTNL_SET_ID, id);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS,
			  NFT_SET_ANONYMOUS | NFT_SET_CONSTANT | (a->interval ? NFT_SET_INTERVAL : 0u));
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, a->key_type);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, a->key_len);
	nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, (uint32_t)a->n);
	h = start(c, NFT_MSG_NEWSET, NLM_F_CREATE);
	if (h) {
		nftnl_set_nlmsg_build_payload(h, s);
		done(c, "adding a set of services to chain", chain->name);
	}
	for (size_t i = 0; i < a->n && c->rc == 0;) {
		struct nftnl_set *part = named_set(NFT_ANON_NAME);
		size_t k;

		h = part ? start(c, NFT_MSG_NEWSETELEM, NLM_F_CREATE) : NULL;
		if (!h) {
			c->rc = c->rc < 0 ? c->rc : -ENOMEM;
			if (part)
				nftnl_set_free(part);
			break;
		}
		nftnl_set_set_u32(part, NFTNL_SET_ID, id);
		for (k = 0; k < ELEMS_PER_MESSAGE && i < a->n; k++, i++) {
			struct nftnl_set_elem *e = nftnl_set_elem_alloc();

			if (!e) {
				c->rc = -ENOMEM;
				nftnl_set_free(part);
				nftnl_set_free(s);
				return;
			}
			nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, a->keys + i * a->key_len, a->key_len);
			if (a->interval && i % 2 == (a->lead ? 0 : 1))
				nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
			nftnl_set_elem_add(part, e);
		}
		nftnl_set_elems_nlmsg_build_payload(h, part);
		nftnl_set_free(part);
		done(c, "adding services to chain", chain->name);
	}
	nftnl_set_free(s);
	nftnl_expr_set_u32(a->lookup, NFTNL_EXPR_LOOKUP_SET_ID, id);
}

void nft_change_rule_add(struct nft_change *c, const struct nft_chain *chain, const struct nft_rule *r, uint64_t before)
{
	struct nlmsghdr *h;

	for (size_t i = 0; i < r->n_anon && c->rc == 0; i++)
		add_anon(c, chain, &r->anon[i]);
	h = start(c, NFT_MSG_NEWRULE, (uint16_t)(NLM_F_CREATE | (before ? 0 : NLM_F_APPEND)));
	if (!h)
		return;
	if (before)
		nftnl_rule_set_u64(r->rule, NFTNL_RULE_POSITION, before);
	else
		nftnl_rule_unset(r->rule, NFTNL_RULE_POSITION);
	nftnl_rule_nlmsg_build_payload(h, r->rule);
	done(c, "adding a rule to chain", chain->name);
}

void nft_change_rule_del(struct nft_change *c, const struct nft_chain *chain, uint64_t handle)
{
	struct nlmsghdr *h = start(c, NFT_MSG_DELRULE, 0);
	struct nftnl_rule *r = h ? nftnl_rule_alloc() : NULL;

	if (!r) {
		c->rc = c->rc < 0 ? c->rc : -ENOMEM;
		return;
	}
	nftnl_rule_set_u32(r, NFTNL_RULE_FAMILY, NFPROTO_INET);
	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, NFT_TABLE);
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, chain->name);
	nftnl_rule_set_u64(r, NFTNL_RULE_HANDLE, handle);
	nftnl_rule_nlmsg_build_payload(h, r);
	nftnl_rule_free(r);
	done(c, "removing a rule from chain", chain->name);
}
