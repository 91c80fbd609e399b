/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules, expression by expression: matches and actions. See nft_expr.h; the rule as a whole is in nft_rule.c. */
#include "config.h"
#include "segment/nft_expr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/if.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>

#include "segment/nft_anon.h"

#define RTN_LOCAL 2      /* linux/rtnetlink.h */
#define TCP_FLAGS_AT 13  /* RFC 9293: byte of the flags */
#define TCP_FIN_SYN_RST_ACK 0x17
#define TCP_SYN 0x02

static struct nftnl_expr *add(struct nft_builder *b, const char *name)
{
	struct nftnl_expr *e = b->rc < 0 ? NULL : nftnl_expr_alloc(name);

	if (!e) {
		b->rc = b->rc < 0 ? b->rc : -ENOMEM;
		return NULL;
	}
	nftnl_rule_add_expr(b->r->rule, e);
	return e;
}

static void meta(struct nft_builder *b, uint32_t key, uint32_t reg)
{
	struct nftnl_expr *e = add(b, "meta");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, reg);
}

static void cmp(struct nft_builder *b, uint32_t op, const void *data, size_t len)
{
	struct nftnl_expr *e = add(b, "cmp");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, (uint32_t)len);
}

static void payload(struct nft_builder *b, uint32_t base, uint32_t at, uint32_t len, uint32_t reg)
{
	struct nftnl_expr *e = add(b, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, at);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, reg);
}

/* reg 1 = reg 1 & mask */
static void and(struct nft_builder *b, const void *mask, uint32_t len)
{
	static const uint8_t zero[16];
	struct nftnl_expr *e = add(b, "bitwise");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, zero, len);
}

static struct nftnl_expr *lookup(struct nft_builder *b, const char *set, bool inverted)
{
	struct nftnl_expr *e = add(b, "lookup");

	if (!e)
		return NULL;
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
	if (inverted)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	return e;
}

/* A look-up in a set of the rule's own; keys stays the caller's. */
static void lookup_anon(struct nft_builder *b, const struct nft_anon *want, bool inverted)
{
	struct nftnl_expr *e = lookup(b, NFT_ANON_NAME, inverted);

	if (e && nft_anon_add(b->r, want, e) < 0)
		b->rc = -ENOMEM;
}

void nft_match_family(struct nft_builder *b, bool v4)
{
	uint8_t family = v4 ? NFPROTO_IPV4 : NFPROTO_IPV6;

	b->family = true;
	meta(b, NFT_META_NFPROTO, NFT_REG_1);
	cmp(b, NFT_CMP_EQ, &family, 1);
}

void nft_match_family_set(struct nft_builder *b, const char *set)
{
	meta(b, NFT_META_NFPROTO, NFT_REG_1);
	lookup(b, set, false);
}

void nft_match_in_kind(struct nft_builder *b, const char *kind)
{
	char name[IFNAMSIZ] = "";

	snprintf(name, sizeof(name), "%s", kind);
	meta(b, NFT_META_IIFKIND, NFT_REG_1);
	cmp(b, NFT_CMP_EQ, name, sizeof(name));
}

/* Offsets of the addresses: RFC 791, RFC 8200. */
static void load_addr(struct nft_builder *b, bool v4, bool source, uint32_t reg)
{
	payload(b, NFT_PAYLOAD_NETWORK_HEADER, v4 ? (source ? 12 : 16) : (source ? 8 : 24), v4 ? 4 : 16, reg);
}

void nft_match_addr_set(struct nft_builder *b, bool v4, bool source, const char *set, bool inverted)
{
	nft_match_family(b, v4);
	load_addr(b, v4, source, NFT_REG_1);
	lookup(b, set, inverted);
}

void nft_match_prefix(struct nft_builder *b, const struct prefix *p, bool source)
{
	bool v4 = p->len >= 96 && addr_is_v4(&p->addr);
	uint32_t len = v4 ? p->len - 96u : p->len, size = v4 ? 4 : 16;
	const uint8_t *addr = p->addr.b + (v4 ? 12 : 0);
	uint8_t mask[16] = {0};

	nft_match_family(b, v4);
	if (len == 0)
		return;
	/* A whole number of bytes is compared as such, which is what nft does and knows to read back as a prefix. */
	payload(b, NFT_PAYLOAD_NETWORK_HEADER, v4 ? (source ? 12 : 16) : (source ? 8 : 24),
		len % 8 ? size : len / 8, NFT_REG_1);
	if (len % 8) {
		for (uint32_t i = 0; i < len; i++)
			mask[i / 8] |= (uint8_t)(0x80 >> (i % 8));
		and(b, mask, size);
	}
	cmp(b, NFT_CMP_EQ, addr, len % 8 ? size : len / 8);
}

void nft_match_local(struct nft_builder *b, bool source, bool inverted)
{
	struct nftnl_expr *e = add(b, "fib");
	uint32_t local = RTN_LOCAL;

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, source ? NFTA_FIB_F_SADDR : NFTA_FIB_F_DADDR);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	cmp(b, inverted ? NFT_CMP_NEQ : NFT_CMP_EQ, &local, sizeof(local));
}

void nft_match_proto(struct nft_builder *b, uint8_t proto)
{
	meta(b, NFT_META_L4PROTO, NFT_REG_1);
	cmp(b, NFT_CMP_EQ, &proto, 1);
}

void nft_match_proto_set(struct nft_builder *b, const uint8_t *protos, size_t n, bool inverted)
{
	struct nft_anon set = {.key_type = NFT_TYPE_PROTO, .key_len = 1};

	if (n == 1) {
		meta(b, NFT_META_L4PROTO, NFT_REG_1);
		cmp(b, inverted ? NFT_CMP_NEQ : NFT_CMP_EQ, protos, 1);
		return;
	}
	set.keys = malloc(n ? n : 1);
	if (!set.keys) {
		b->rc = -ENOMEM;
		return;
	}
	memcpy(set.keys, protos, n);
	set.n = n;
	meta(b, NFT_META_L4PROTO, NFT_REG_1);
	lookup_anon(b, &set, inverted);
	free(set.keys);
}

/* One port or range, compared without a set. */
static void match_one(struct nft_builder *b, const struct service *s)
{
	uint16_t lo_be = htons(s->lo), hi_be = htons(s->hi);

	if (s->lo == s->hi) {
		cmp(b, NFT_CMP_EQ, &lo_be, 2);
	} else {
		cmp(b, NFT_CMP_GTE, &lo_be, 2);
		cmp(b, NFT_CMP_LTE, &hi_be, 2);
	}
}

static void match_ports(struct nft_builder *b, const struct service *s, size_t n)
{
	struct nft_anon set = {0};

	payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG_1); /* TCP, UDP, SCTP alike */
	if (n == 1) {
		match_one(b, s);
		return;
	}
	if (nft_anon_ports(&set, s, n) < 0) {
		b->rc = -ENOMEM;
		return;
	}
	lookup_anon(b, &set, false);
	free(set.keys);
}

static void match_icmp(struct nft_builder *b, const struct service *s, size_t n)
{
	struct nft_anon set = {.key_type = s->proto == PROTO_ICMP ? NFT_TYPE_ICMP : NFT_TYPE_ICMP6, .key_len = 1};
	uint8_t type = (uint8_t)s->lo;

	payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, NFT_REG_1);
	if (n == 1) {
		cmp(b, NFT_CMP_EQ, &type, 1);
		return;
	}
	set.keys = malloc(n);
	if (!set.keys) {
		b->rc = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < n; i++)
		set.keys[i] = (uint8_t)s[i].lo;
	set.n = n;
	lookup_anon(b, &set, false);
	free(set.keys);
}

void nft_match_services(struct nft_builder *b, const struct service *s, size_t n)
{
	bool any = n == 1 && s->lo == 0 && s->hi == 65535;

	if (n == 0 || s->proto == 0)
		return;
	if (proto_is_icmp(s->proto) && !b->family)
		nft_match_family(b, s->proto == PROTO_ICMP);
	nft_match_proto(b, s->proto);
	if (any)
		return;
	if (proto_has_ports(s->proto))
		match_ports(b, s, n);
	else if (proto_is_icmp(s->proto))
		match_icmp(b, s, n);
}

void nft_match_ct_state(struct nft_builder *b, uint32_t mask)
{
	static const uint32_t zero;
	struct nftnl_expr *e = add(b, "ct");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_STATE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	and(b, &mask, sizeof(mask));
	cmp(b, NFT_CMP_NEQ, &zero, sizeof(zero));
}

void nft_match_not_syn(struct nft_builder *b)
{
	static const uint8_t mask = TCP_FIN_SYN_RST_ACK, syn = TCP_SYN;

	nft_match_proto(b, PROTO_TCP);
	payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS_AT, 1, NFT_REG_1);
	and(b, &mask, 1);
	cmp(b, NFT_CMP_NEQ, &syn, 1);
}

void nft_counter(struct nft_builder *b)
{
	struct nftnl_expr *e = add(b, "counter");

	if (!e)
		return;
	nftnl_expr_set_u64(e, NFTNL_EXPR_CTR_PACKETS, 0);
	nftnl_expr_set_u64(e, NFTNL_EXPR_CTR_BYTES, 0);
}

void nft_limit(struct nft_builder *b, uint64_t per_second, uint32_t burst)
{
	struct nftnl_expr *e = add(b, "limit");

	if (!e)
		return;
	nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_RATE, per_second);
	nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_UNIT, 1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_BURST, burst);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_FLAGS, 0);
}

void nft_log(struct nft_builder *b, uint16_t group, const char *prefix, uint32_t snaplen)
{
	struct nftnl_expr *e = add(b, "log");

	if (!e)
		return;
	nftnl_expr_set_str(e, NFTNL_EXPR_LOG_PREFIX, prefix);
	nftnl_expr_set_u16(e, NFTNL_EXPR_LOG_GROUP, group);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOG_SNAPLEN, snaplen);
	/* Each sample at once: the answer to a refused client hangs on it. */
	nftnl_expr_set_u16(e, NFTNL_EXPR_LOG_QTHRESHOLD, 1);
}

void nft_update_miss(struct nft_builder *b, bool v4, enum nft_miss_key key, const char *set)
{
	uint32_t reg = NFT_REG32_00, words = v4 ? 1 : 4;
	static const uint32_t none;
	struct nftnl_expr *e, *counter;

	load_addr(b, v4, true, NFT_REG_1);
	load_addr(b, v4, false, v4 ? reg + words : NFT_REG_2);
	reg += 2 * words;
	if (key == NFT_MISS_ICMP) {
		payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, v4 ? reg : NFT_REG_3);
	} else {
		meta(b, NFT_META_L4PROTO, v4 ? reg : NFT_REG_3);
		if (key == NFT_MISS_PORT) {
			payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, reg + 1);
		} else if ((e = add(b, "immediate"))) {
			nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, reg + 1);
			nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &none, 2);
		}
	}
	e = add(b, "dynset");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
	nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, set);
	counter = nftnl_expr_alloc("counter");
	if (!counter) {
		b->rc = -ENOMEM;
		return;
	}
	nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_PACKETS, 0);
	nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_BYTES, 0);
	nftnl_expr_add_expr(e, NFTNL_EXPR_DYNSET_EXPRESSIONS, counter);
}

void nft_note_source(struct nft_builder *b, bool v4, bool renew, const char *set)
{
	struct nftnl_expr *e;

	load_addr(b, v4, true, NFT_REG_1);
	e = add(b, "dynset");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, renew ? NFT_DYNSET_OP_UPDATE : NFT_DYNSET_OP_ADD);
	nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, set);
}

void nft_verdict(struct nft_builder *b, int verdict, const char *chain)
{
	struct nftnl_expr *e = add(b, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
	if (chain)
		nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain);
}

void nft_vmap(struct nft_builder *b, bool v4, bool source, const char *map)
{
	struct nftnl_expr *e;

	nft_match_family(b, v4);
	load_addr(b, v4, source, NFT_REG_1);
	e = lookup(b, map, false);
	if (e)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

void nft_reject(struct nft_builder *b, bool tcp_reset)
{
	struct nftnl_expr *e = add(b, "reject");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, tcp_reset ? NFT_REJECT_TCP_RST : NFT_REJECT_ICMPX_UNREACH);
	nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, tcp_reset ? 0 : NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
}
