/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rules, expression by expression: each function appends what one word of an nft rule means ("ip saddr @set", "tcp
 * dport {...}", "counter"). Written so that Debian's nft can turn every rule back into that word; registers and
 * offsets are therefore those nft itself uses. A failure is remembered in the builder and told by nft_rule_finish.
 */
#ifndef WEIR_SEGMENT_NFT_EXPR_H
#define WEIR_SEGMENT_NFT_EXPR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/proto.h"
#include "segment/nft_model.h"

/* nft's numbers for key types (its datatype.h), which the kernel keeps and nft reads back; 6 bits each when
 * concatenated. */
enum nft_key_type {
	NFT_TYPE_NFPROTO = 2,
	NFT_TYPE_IPADDR = 7,
	NFT_TYPE_IP6ADDR = 8,
	NFT_TYPE_PROTO = 12,
	NFT_TYPE_SERVICE = 13,
	NFT_TYPE_ICMP = 14,
	NFT_TYPE_ICMP6 = 29,
	NFT_TYPE_IFNAME = 41,
};

struct nft_builder {
	struct nft_rule *r;
	int rc;
	uint8_t stage; /* of the list that a closing rule closes; kept in its userdata */
	bool family; /* the rule already says which IP version it is about */
};

/* A new rule at the end of c. */
void nft_rule_start(struct nft_builder *b, struct nft_chain *c);
/* Comment, identity and hash. 0 or the first failure. */
int nft_rule_finish(struct nft_builder *b, uint32_t id, uint8_t tag, const char *comment);
int nft_rule_finish_about(struct nft_builder *b, const struct nft_about *about, const char *comment);

/* Matches */
void nft_match_family(struct nft_builder *b, bool v4); /* meta nfproto */
void nft_match_addr_set(struct nft_builder *b, bool v4, bool source, const char *set, bool inverted);
void nft_match_prefix(struct nft_builder *b, const struct prefix *p, bool source);
void nft_match_local(struct nft_builder *b, bool source, bool inverted); /* fib saddr|daddr type local */
void nft_match_proto(struct nft_builder *b, uint8_t proto);
void nft_match_proto_set(struct nft_builder *b, const uint8_t *protos, size_t n, bool inverted);
/* All services must be of one protocol, sorted, not overlapping; matches the protocol too. For a protocol without
 * ports, that alone. */
void nft_match_services(struct nft_builder *b, const struct service *s, size_t n);
void nft_match_ct_state(struct nft_builder *b, uint32_t mask);
void nft_match_not_syn(struct nft_builder *b); /* tcp flags != syn / fin,syn,rst,ack */
void nft_match_family_set(struct nft_builder *b, const char *set);
void nft_match_in_kind(struct nft_builder *b, const char *kind); /* meta iifkind: of interface it came in by */

/* Actions */
void nft_counter(struct nft_builder *b);
void nft_limit(struct nft_builder *b, uint64_t per_second, uint32_t burst);
void nft_log(struct nft_builder *b, uint16_t group, const char *prefix, uint32_t snaplen);
/* update @set { saddr . daddr . <service> counter }: port where the protocol has one, ICMP type, or 0. */
enum nft_miss_key { NFT_MISS_PORT, NFT_MISS_ICMP, NFT_MISS_NONE };
void nft_update_miss(struct nft_builder *b, bool v4, enum nft_miss_key key, const char *set);
/* add @set { saddr }, or update, which renews its time. A full set ends the rule. */
void nft_note_source(struct nft_builder *b, bool v4, bool renew, const char *set);
void nft_verdict(struct nft_builder *b, int verdict, const char *chain); /* NF_ACCEPT, NFT_GOTO, NFT_RETURN, ... */
void nft_vmap(struct nft_builder *b, bool v4, bool source, const char *map);
void nft_reject(struct nft_builder *b, bool tcp_reset);

/* Does the rule drop, reject or hand a packet to a program? chain (may be NULL): where its verdict jumps to, or
 * NULL; map: a verdict map it looks into, or NULL. Borrowed from the rule. */
bool nft_rule_refuses(const struct nft_rule *r, const char **chain, const char **map);
/* Does it only go on for members of that set? */
bool nft_rule_looks_into(const struct nft_rule *r, const char *set);

#endif
