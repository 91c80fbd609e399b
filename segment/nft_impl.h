/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The enforcer's handle, shared by the files nft*.c and nobody else. */
#ifndef WEIR_SEGMENT_NFT_IMPL_H
#define WEIR_SEGMENT_NFT_IMPL_H
#include "netlink/nl.h"
#include "segment/nft.h"
#include "segment/nft_build.h"
#include "segment/nft_send.h"

struct nft_answerer;

/* What was last read of one counter, so that growth can be told. */
struct nft_seen {
	uint8_t key[NFT_KEY_MAX];
	uint64_t packets;
	uint32_t round; /* of the poll that saw it last; older ones are forgotten */
	bool used;
};
struct nft_seen_table {
	struct nft_seen *v; /* open addressing, cap a power of two */
	size_t n, cap;
};
#define NFT_MISS_SETS 8 /* would_block and block, plain and ICMP, 4 and 6 */

struct nft_bridge {
	uint32_t ifindex;
	char name[17];
	uint8_t was4, was6;
};

struct nft {
	struct nl *nl;     /* requests and transactions */
	struct nl *events; /* the kernel's notices */
	struct nl *log;    /* NFLOG; NULL where another program has the group */
	struct nft_answerer *answerer; /* NULL without CAP_NET_RAW */
	uint16_t log_group;

	struct ruleset rs; /* what was applied; empty until nft_apply when the table was adopted */
	bool have_rs;
	struct nft_roles roles;
	struct nft_about about; /* generation 0: no table */
	struct nft_member *members; /* sorted by address */
	size_t n_members, cap_members;
	bool expiry_told;
	/* when the table is to be brought to what it should be once more; 0: it is */
	uint64_t retry_mono_ns, retry_wait_ns;
	struct nft_bridge *bridges; /* those whose attribute was set, with what it was before */
	size_t n_bridges;

	struct nft_seen_table seen[NFT_MISS_SETS];
	uint64_t overflow_seen[2]; /* would_block, block */
	bool seen_tell_all; /* at the next reading also those that have not grown */
	bool seen_void;     /* what was told of counters so far is: to be told */
	bool seen_away;     /* the next reading finds what was counted unwatched */
	bool seen_primed; /* counters that were there before the first poll are not growth */
	uint32_t seen_round;
	uint64_t last_poll_ns;

	uint64_t told_second; /* samples told of in this second */
	uint32_t told;

	uint32_t genid; /* of the kernel's nftables state as this handle last left it; 0: not known */
	uint64_t foreign_ns; /* when a foreign change was noticed; 0: none */
	char foreign_what[160];
};

/* Is enforcement in force at this moment, and for how long (*timeout_ms 0: for good)? */
bool nft_is_armed(const struct nft_about *about, uint64_t *timeout_ms);
/* Makes the kernel hold the handle's ruleset, members and about. *changed (may be NULL): how many objects it took. */
int nft_sync(struct nft *n, size_t *changed, char *error);
/* Sends a transaction and notes that it was ours. 0 or negative errno. */
int nft_commit(struct nft *n, struct nft_change *c, char *error);
/* Position of the address in members, or -1. */
long nft_member_find(const struct nft *n, const struct addr *a);
/* Sorted copy; of two entries for one address the later one holds. 0 or -ENOMEM. */
int nft_members_copy(struct nft_member **out, size_t *n_out, const struct nft_member *m, size_t n);
int nft_members_put(struct nft *n, const struct nft_member *m); /* in the handle only. 0 or -ENOMEM */
const char *nft_member_group(const struct nft *n, const struct addr *a); /* "" when it is no workload */

/* The bridges' elements into a model that was built; and back from one that was read. */
int nft_bridges_build(struct nft_model *m, const struct nft *n);
int nft_bridges_read(struct nft *n, const struct nft_model *held);

/* An nft_elem_fn that puts one element into a transaction. */
struct nft_one {
	struct nft_change c;
	bool add;
};
int nft_change_elem(void *arg, const char *set, const void *key, size_t key_len, const char *target,
		    const char *note, uint64_t timeout_ms);

int nft_log_open(struct nft *n, char *error);
/* Ends, protocol and ports of a packet of which the first len bytes are there, from its IP header on, into v. */
bool nft_log_packet(struct verdict_rec *v, const uint8_t *p, size_t len);
int nft_log_dispatch(struct nft *n, uint64_t now_ns, const struct nft_events *ev);
int nft_watch_open(struct nft *n, char *error);
int nft_watch_dispatch(struct nft *n, const struct nft_events *ev);
void nft_count_forget(struct nft *n); /* the counters start again at zero */
void nft_count_fini(struct nft *n);

#endif
