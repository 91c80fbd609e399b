/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table as values: chains with their rules, sets with their elements. The same form describes what the kernel
 * shall hold (built from a ruleset, rules as libnftnl objects) and what it holds (read back, rules as handles and
 * counters), so that the difference between the two is a walk over both. A rule is known by a hash of its content,
 * which it carries in its userdata: that is how a rule that did not change keeps its place and its counters,
 * across restarts too.
 */
#ifndef WEIR_SEGMENT_NFT_MODEL_H
#define WEIR_SEGMENT_NFT_MODEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/workload.h"

#define NFT_NAME_LEN 176 /* longest chain or set name of ours with its NUL; the kernel's limit is 256 */
#define NFT_KEY_MAX 40   /* longest key: two IPv6 addresses, protocol, port, each in whole 32-bit words */
#define NFT_COMMENT_LEN 128

struct nftnl_rule;
struct nftnl_expr;

/* Marks of rules that the program looks for again. */
enum nft_tag { NFT_TAG_NONE, NFT_TAG_ABOUT, NFT_TAG_OVERFLOW_WOULD_BLOCK, NFT_TAG_OVERFLOW_BLOCK };

/* How long enforcement lasts; kept in the table itself (the rule of chain "about"), since it outlives the program. */
enum nft_armed { NFT_ARMED_NONE, NFT_ARMED_UNTIL, NFT_ARMED_FOR_GOOD };
struct nft_about {
	uint64_t generation;
	uint8_t layout;       /* NFT_LAYOUT of the program that made the table */
	uint8_t armed;        /* enum nft_armed */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; ARMED_UNTIL */
};
#define NFT_LAYOUT 3 /* counts up when fixed chains or set types change: a table of another layout is replaced whole */

/* An anonymous set that belongs to one rule, as bytes: count elements of elem_len bytes each. */
struct nft_anon {
	struct nftnl_expr *lookup; /* borrowed from the rule: gets the set's id when sent */
	uint32_t key_type, key_len;
	bool interval;  /* elements are pairs: first key, key behind the last; the last range may lack its end */
	bool lead;      /* interval: before the first pair stands an end at 0 */
	uint8_t *keys;  /* n * key_len */
	size_t n;
};

struct nft_rule {
	uint64_t hash;
	uint32_t id;  /* rule.id of the ruleset; 0: none */
	uint8_t tag;  /* enum nft_tag */
	uint8_t stage; /* held: of the list it closes; 0 for all others */
	struct nftnl_rule *rule; /* wanted: owned */
	struct nft_anon *anon;   /* wanted: owned */
	size_t n_anon;
	uint64_t handle, packets, bytes; /* held */
	struct nft_about about;          /* of a rule with TAG_ABOUT */
};

enum nft_list { NFT_LIST_NONE, NFT_LIST_IN, NFT_LIST_OUT, NFT_LIST_PART /* what a list says of one peer group */ };

struct nft_chain {
	char name[NFT_NAME_LEN];
	char group[GROUP_STRLEN]; /* list of this group; part of a list: the peer; "" for the fixed chains */
	uint8_t list, stage;      /* enum nft_list, enum stage */
	int8_t hook;              /* -1: not a base chain */
	char comment[NFT_COMMENT_LEN];
	struct nft_rule *rules;
	size_t n_rules, cap_rules;
};

struct nft_shape {
	uint32_t key_type, key_len, flags, size;
	uint64_t timeout_ms;
	bool verdicts;   /* a verdict map */
	bool host_order; /* the key is text or a number in host order */
	bool ours;     /* elements are the program's to add and remove; else they come and go by themselves */
};

struct nft_elem {
	uint8_t key[NFT_KEY_MAX];
	char *target; /* verdict map: chain to go to, or to jump to if it is part of a list. Owned */
	char *note;   /* comment, or NULL. Owned */
	uint64_t timeout_ms; /* 0: none */
};

struct nft_set {
	char name[NFT_NAME_LEN];
	char comment[NFT_COMMENT_LEN];
	struct nft_shape shape;
	struct nft_elem *elems; /* sorted by key once nft_model_sort was called */
	size_t n_elems, cap_elems;
};

struct nft_model {
	bool present; /* there is a table */
	struct nft_about about;
	struct nft_chain *chains; /* sorted by name once nft_model_sort was called */
	size_t n_chains, cap_chains;
	struct nft_set *sets;
	size_t n_sets, cap_sets;
};

void nft_model_fini(struct nft_model *m);
/* New, zeroed (hook -1) entries; NULL when out of memory. Pointers are good until the next one is added. */
struct nft_chain *nft_model_chain(struct nft_model *m, const char *name);
struct nft_set *nft_model_set(struct nft_model *m, const char *name, const struct nft_shape *shape);
struct nft_rule *nft_chain_rule(struct nft_chain *c);
/* target and note are copied, NULL for none. 0 or -ENOMEM. */
int nft_set_elem(struct nft_set *s, const void *key, size_t key_len, const char *target, const char *note,
		 uint64_t timeout_ms);
void nft_model_sort(struct nft_model *m);
/* By name; m must be sorted. */
struct nft_chain *nft_model_find_chain(const struct nft_model *m, const char *name);
struct nft_set *nft_model_find_set(const struct nft_model *m, const char *name);
struct nft_elem *nft_set_find(const struct nft_set *s, const void *key);
/* Same target and same note? The time that is left is not compared. */
bool nft_elem_same(const struct nft_elem *a, const struct nft_elem *b);
void nft_elem_fini(struct nft_elem *e);

#endif
