/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel's side of a ruleset: table "inet weir", lowered with libnftnl, applied in one netlink transaction,
 * watched and read back. Runs in the enforcer (CAP_NET_ADMIN in the network namespace it is in); sees addresses
 * and ports, never a payload. docs/enforcement.md shows the table.
 */
#ifndef WEIR_SEGMENT_NFT_H
#define WEIR_SEGMENT_NFT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/rule.h"
#include "common/verdict.h"

#define NFT_TABLE "weir"
#define NFT_ERROR_STRLEN 512

/* An address and the group that it belongs to now. */
struct nft_member {
	struct addr addr;
	char group[GROUP_STRLEN];
};

struct nft; /* netlink sockets and what is known of the table */

/* Opens netlink and adopts a table that is there: generation, members, how long enforcement lasts and what the
 * bridges were set to are read back. Until nft_apply says what an adopted table should hold, members may come and
 * go in it, but nothing can be put back that others take away. log_group: the NFLOG group to use. *error (here and
 * below NFT_ERROR_STRLEN bytes) says what failed. 0 or negative errno: -EPERM without CAP_NET_ADMIN, -EBUSY when
 * another program has the NFLOG group. Without CAP_NET_RAW all works but the answers of nft_answer.h. */
int nft_open(struct nft **out, uint16_t log_group, char *error);
void nft_close(struct nft *n); /* leaves the table as it is */

/* Generation of the adopted or applied table; 0 when there is none. */
uint64_t nft_generation(const struct nft *n);

/*
 * Makes the kernel hold exactly this ruleset with these members, as the smallest change from what it holds, in one
 * transaction: 0, or negative errno with *error naming the object the kernel refused, and nothing changed.
 * confirm_within_s: groups at enforce drop only that long unless nft_confirm; 0: for good. Connections that are
 * established are not cut. rs->generation is at least 1 (-EINVAL). Before sending, the dry-run and observe parts
 * are checked to contain no drop and no reject (-EPROTO otherwise).
 */
int nft_apply(struct nft *n, const struct ruleset *rs, const struct nft_member *members, size_t n_members,
	      uint32_t confirm_within_s, char *error);
/* A container came or went: one element in each set it belongs to. Adding an address that another group has moves
 * it; what is so already is no error. If the kernel does not take it (negative errno) and a ruleset was applied, the
 * handle holds it all the same, and nft_retry makes up for it. */
int nft_member_add(struct nft *n, const struct nft_member *m, char *error);
int nft_member_del(struct nft *n, const struct addr *a, char *error);
/* To be called about once a second: tries again what the kernel did not take, after a pause that grows to half a
 * minute. 0 when nothing is left to try; -EAGAIN when it is not yet time; else as nft_apply. */
int nft_retry(struct nft *n, char *error);
/* What enforces now stays. -ETIME when it has lapsed. */
int nft_confirm(struct nft *n, char *error);
/* Removes the table whole; 0 also when there was none. */
int nft_remove(struct nft *n, char *error);

/* Descriptors to poll: NFLOG samples and the kernel's notices of foreign changes. */
size_t nft_fds(const struct nft *n, int *fds, size_t max);
struct nft_events {
	/* A sample (verdict_rec with count 0, sampled 1; at most 100 a second) or growth of an exact counter
	 * (sampled 0). Groups by name as the table has them, "" where it is no workload; workloads 0. Refusals for
	 * which the kernel had no place to note addresses come as one with zero addresses and the count. */
	void (*verdict)(void *arg, const struct verdict_rec *v);
	/* How a counter stands now, for nft_counters_seed of a later run, and what grew with it, which is then not told
	 * through verdict; v is NULL where nothing did. c NULL: all that was told is void. If counter itself is NULL,
	 * growth goes to verdict. */
	void (*counter)(void *arg, const struct counter_rec *c, const struct verdict_rec *v);
	/* Somebody else changed or removed the table; it has been put back (rc 0), or not (rc < 0), gap_ns after
	 * the kernel's notice was read. what: what was done, and by which program. */
	void (*repaired)(void *arg, int rc, uint64_t gap_ns, const char *what);
	/* The kernel itself let enforcement lapse: nobody confirmed in time. */
	void (*expired)(void *arg, uint64_t generation);
	void *arg;
};
int nft_dispatch(struct nft *n, uint64_t now_ns, const struct nft_events *ev); /* when a descriptor is ready */
/* Reads the exact counters (about once a second) and reports growth. 0 or negative errno. */
int nft_poll_counters(struct nft *n, uint64_t now_ns, const struct nft_events *ev);

/*
 * What an earlier run, or this one, was last told of counters (nft_events.counter), read at read_ns: growth is from
 * there, and counters that are not among them were zero then. away: nobody was there since, so what the next reading
 * finds more is marked so. read_ns 0: nothing is known; what the table has now is taken for old, and told in full. 0 or
 * -ENOMEM.
 */
int nft_counters_seed(struct nft *n, const struct counter_rec *c, size_t count, uint64_t read_ns, bool away);
/* That cannot be had any more: growth is from what this handle has read last, or reads next if that is its first, and
 * the next reading tells all counters in full. */
void nft_counters_unknown(struct nft *n);

/* Per-rule counters, by rule id. *out is the caller's to free(). */
struct nft_rule_count {
	uint32_t rule_id;
	uint64_t packets, bytes;
};
int nft_rule_counts(struct nft *n, struct nft_rule_count **out, size_t *n_out);

/* Makes same-bridge traffic of one bridge cross the inet hooks (IFLA_BR_NF_CALL_IPTABLES and _IP6TABLES of
 * linux/if_link.h), where the global sysctl does not already; remembers in the table what was there before, for
 * nft_bridge_restore_all, also after a crash. -ENOENT when no ruleset is applied, -EOPNOTSUPP without br_netfilter. */
int nft_bridge_hook(struct nft *n, uint32_t ifindex, const char *name, char *error);
int nft_bridge_restore_all(struct nft *n, char *error);

#endif
