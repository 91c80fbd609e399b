/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table as the kernel holds it. */
#ifndef WEIR_SEGMENT_NFT_READ_H
#define WEIR_SEGMENT_NFT_READ_H
#include "netlink/nl.h"
#include "segment/nft_model.h"

/* The kernel's serial number of all its nftables state, for nft_change_start. 0 or negative errno. */
int nft_read_genid(struct nl *s, uint32_t *genid);
/* Everything but the elements of sets that fill themselves. m must be empty; m->present false and nothing in it
 * when there is no table. 0 or negative errno, m then to be fini'ed all the same. */
int nft_read(struct nft_model *m, struct nl *s);

/* Elements of one set, each to fn with its counter (0 when it has none), its last timeout_ms and expires_ms. */
struct nft_read_elem {
	const uint8_t *key;
	uint32_t key_len;
	const char *target;
	const void *note; /* userdata */
	uint32_t note_len;
	uint64_t timeout_ms, expires_ms, packets, bytes;
};
typedef int nft_read_elem_fn(void *arg, const struct nft_read_elem *e);
/* -ENOENT: no such set or table. */
int nft_read_elems(struct nl *s, const char *set, nft_read_elem_fn *fn, void *arg);

/* Rules of the whole table, or of one chain (NULL: all). r is only good during the call. */
typedef int nft_read_rule_fn(void *arg, const char *chain, const struct nft_rule *r);
int nft_read_rules(struct nl *s, const char *chain, nft_read_rule_fn *fn, void *arg);

#endif
