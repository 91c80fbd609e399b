/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Anonymous sets of a rule ("tcp dport { 80, 443 }") and the finishing of a rule: shared by nft_expr.c and
 * nft_rule.c. */
#ifndef WEIR_SEGMENT_NFT_ANON_H
#define WEIR_SEGMENT_NFT_ANON_H
#include "common/proto.h"
#include "segment/nft_model.h"

#define NFT_ANON_NAME "__set%d" /* the kernel puts in a number */

/* Adds a copy of set to the rule; e is the look-up in it. 0 or -ENOMEM. */
int nft_anon_add(struct nft_rule *r, const struct nft_anon *set, struct nftnl_expr *e);
/* Ports and ranges, sorted and without overlap, as elements; set->keys is the caller's to free. 0 or -ENOMEM. */
int nft_anon_ports(struct nft_anon *set, const struct service *s, size_t n);

#endif
