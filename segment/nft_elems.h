/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which elements a member of a group has in the table, and back: from elements to members. */
#ifndef WEIR_SEGMENT_NFT_ELEMS_H
#define WEIR_SEGMENT_NFT_ELEMS_H
#include "segment/nft.h"
#include "segment/nft_build.h"

/* Called for each element that the member has: set's name, key, chain to go to (or NULL), note (or NULL), timeout. */
typedef int nft_elem_fn(void *arg, const char *set, const void *key, size_t key_len, const char *target,
			const char *note, uint64_t timeout_ms);
/* armed: whether addresses of enforcing groups are to drop now, and for how long (timeout_ms 0: for good). */
int nft_elems_each(const struct nft_roles *roles, const struct nft_member *member, bool armed, uint64_t timeout_ms,
		   nft_elem_fn *fn, void *arg);
/* Only its element in the armed set, if it is to have one, for good. */
int nft_elems_each_armed(const struct nft_roles *roles, const struct nft_member *member, nft_elem_fn *fn, void *arg);
/* The same for many, into the sets of m, which must have been built from these roles. */
int nft_elems_build(struct nft_model *m, const struct nft_roles *roles, const struct nft_member *members, size_t n,
		    bool armed, uint64_t timeout_ms);

/* An element's userdata: comment, and the group exactly. Returns the length; 0 for a NULL note. */
size_t nft_elem_note(uint8_t out[NFT_USERDATA_LEN], const char *note);
/* The key of a set of addresses as an address. */
struct addr nft_elem_addr(const struct nft_elem *e, uint32_t key_len);

#endif
