/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a ruleset to the table it becomes: names for its groups, the fixed chains and sets, a pair of chains per
 * group with a policy, for each a pair of maps from the addresses of its peers to what it says of them. Which addresses
 * are in the sets is added by nft_elems. docs/enforcement.md shows the outcome.
 */
#ifndef WEIR_SEGMENT_NFT_BUILD_H
#define WEIR_SEGMENT_NFT_BUILD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/rule.h"
#include "segment/nft_model.h"
#include "segment/nft_name.h"

/* Names of fixed sets; each with "_4" or "_6" behind it. */
#define NFT_SET_WORKLOADS "workloads"     /* every workload's address */
#define NFT_SET_ARMED "armed"             /* addresses for which enforcement drops now */
#define NFT_MAP_INBOUND "inbound"         /* to the inbound list of the group that has the address */
#define NFT_MAP_OUTBOUND "outbound"
#define NFT_SET_WOULD_BLOCK "would_block" /* what was refused, or would have been: counted */
#define NFT_SET_BLOCK "block"
#define NFT_SET_ICMP "_icmp"              /* would_block_icmp_4: keyed by type */
#define NFT_SET_NEWCOMERS "newcomers"     /* on a bridge, without a name so far: lost rather than refused for now */
#define NFT_SET_STRANGERS "strangers"     /* those who had their time as newcomers */
#define NFT_SET_SETTLING "settling"       /* without a suffix */
#define NFT_SET_BRIDGES "bridges"         /* without a suffix */
#define NFT_CHAIN_ABOUT "about"
#define NFT_CHAIN_NEWCOMER "newcomer"
#define NFT_MISS_SET_SIZE 65536
#define NFT_MISS_TIMEOUT_MS (3600 * 1000ull)
/* A lost SYN is sent again after 1 s and after 3 s (the next time may be 7 s): the latter shall get its answer. */
#define NFT_NEWCOMER_MS 2900ull
#define NFT_STRANGER_MS (3600 * 1000ull)
#define NFT_NEWCOMERS_SIZE 4096
#define NFT_STRANGERS_SIZE 65536
#define NFT_SETTLING_MS (600 * 1000ull)

extern const struct nft_shape nft_shape_addr4, nft_shape_addr6;   /* plain sets of addresses */
extern const struct nft_shape nft_shape_armed4, nft_shape_armed6; /* with timeouts */
extern const struct nft_shape nft_shape_map4, nft_shape_map6;     /* verdict maps */
extern const struct nft_shape nft_shape_miss4, nft_shape_miss6, nft_shape_miss_icmp4, nft_shape_miss_icmp6;
extern const struct nft_shape nft_shape_newcomers4, nft_shape_newcomers6, nft_shape_strangers4, nft_shape_strangers6;
extern const struct nft_shape nft_shape_settling, nft_shape_bridges;

/* What a group is to the table. */
struct nft_role {
	char group[GROUP_STRLEN];
	char base[NFT_BASE_LEN]; /* its part of the names */
	uint8_t stage;
	bool listed; /* has an inbound and an outbound chain */
	bool peer;   /* some list has a part about it */
};
/* A list that has a part about the group: an address of it leads there, by the list's maps (its name and "_4"
 * or "_6"). */
struct nft_way {
	char group[GROUP_STRLEN];
	char list[NFT_NAME_LEN], part[NFT_NAME_LEN];
};
struct nft_roles {
	struct nft_role *v; /* sorted by group */
	size_t n;
	struct nft_way *ways; /* sorted by group, then part */
	size_t n_ways;
};
/* 0 or -ENOMEM; *out is the caller's to free with nft_roles_fini. */
int nft_roles_build(struct nft_roles *out, const struct ruleset *rs);
/* The same from a table that was read back. */
int nft_roles_read(struct nft_roles *out, const struct nft_model *held);
void nft_roles_fini(struct nft_roles *r);
const struct nft_role *nft_roles_find(const struct nft_roles *r, const char *group);
/* The ways of a group: *n of them from the result on; NULL when there are none. */
const struct nft_way *nft_roles_ways(const struct nft_roles *r, const char *group, size_t *n);

/* Chains and sets, the latter without elements; m must be empty and is sorted afterwards. 0 or -ENOMEM. */
int nft_build(struct nft_model *m, const struct ruleset *rs, const struct nft_roles *roles,
	      const struct nft_about *about, uint16_t log_group);
/* The part that is the same for every ruleset (nft_fixed.c). */
int nft_build_fixed(struct nft_model *m, const struct nft_about *about, uint16_t log_group);
struct nft_set *nft_build_set(struct nft_model *m, const char *base, const char *suffix, const struct nft_shape *shape,
			      const char *comment);

/*
 * The promise that dry run cannot hurt, checked on the outcome: from the lists of a group that does not enforce no
 * rule is reachable that refuses anything, and in lists that enforce only through a match of the armed set. 0, or
 * -EPROTO with the place in error (size bytes).
 */
int nft_check(const struct nft_model *m, char *error, size_t size);

#endif
