/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The small world with a table in it: policies as text, events collected, counters by connection. */
#ifndef WEIR_TESTS_NETNS_NFTLAB_H
#define WEIR_TESTS_NETNS_NFTLAB_H
#include "common/rule.h"
#include "common/verdict.h"
#include "segment/nft.h"
#include "tests/netns/netlab.h"

#define NFTLAB_RECS 4096

struct nftlab {
	struct lab lab;
	struct nft *nft;
	char error[NFT_ERROR_STRLEN];
	struct nft_member members[2 * LAB_WORKLOADS_MAX];
	size_t n_members;
	/* what was reported since nftlab_forget */
	struct verdict_rec recs[NFTLAB_RECS]; /* one per kind, addresses and service; counts added up */
	size_t n_recs;
	uint64_t total[VERDICT_BLOCK + 1], unplaced; /* packets by kind; those without addresses */
	unsigned samples, repairs, expiries;
	unsigned singles, spread; /* since it was opened: single packets that were told, those of them with two times */
	int repair_rc;
	uint64_t gap_ns;
	char what[256];
};

/* Opens the world (NULL, or why not), and a handle in its host's namespace. Workload i is in groups[i], by both
 * addresses. The bridge passes its frames through the table. */
const char *nftlab_open(struct nftlab *t, const char *name, const char *const *groups, int n);
void nftlab_close(struct nftlab *t);
/* Compiles and applies. 0 or negative errno with t->error. */
int nftlab_compile(struct ruleset *out, const char *policy);
int nftlab_apply(struct nftlab *t, const char *policy, uint64_t generation, uint32_t confirm_within_s);
int nftlab_reopen(struct nftlab *t); /* as after a restart of the daemon */
void nftlab_forget(struct nftlab *t);
void nftlab_poll(struct nftlab *t); /* events and counters */
/* Packets counted so far of this kind from who to who; service as in a policy. Does not poll. */
uint64_t nftlab_count(const struct nftlab *t, uint8_t kind, int from, int to, bool v4, const char *service);
uint64_t nftlab_total(const struct nftlab *t, uint8_t kind);
/* Polls until the total of that kind is at least n; false when that did not happen in 3 s. */
bool nftlab_await(struct nftlab *t, uint8_t kind, uint64_t n);

#endif
