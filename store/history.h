/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What was decided and what is known to be missing: verdicts, policy generations, coverage, names of addresses.
 */
#ifndef WEIR_STORE_HISTORY_H
#define WEIR_STORE_HISTORY_H
#include <stddef.h>
#include <stdint.h>

#include "common/coverage.h"
#include "common/timefmt.h"
#include "common/verdict.h"
#include "store/db.h"

/* Merges into the record of the same src, dst, service, list, generation and away in the same ten minutes:
 * counts add. */
int store_verdict_add(struct store_txn *t, const struct verdict_rec *v);
typedef int store_verdict_fn(void *arg, const struct verdict_rec *v);
int store_verdict_walk(struct store_txn *t, uint64_t since_ns, uint64_t until_ns, store_verdict_fn *fn, void *arg);

/* The kernel's counters as they were read last; packets 0 forgets one. */
int store_counter_put(struct store_txn *t, const struct counter_rec *c);
typedef int store_counter_fn(void *arg, const struct counter_rec *c);
int store_counter_walk(struct store_txn *t, store_counter_fn *fn, void *arg);
int store_counters_forget(struct store_txn *t); /* all of them: they count from zero again */

enum generation_state {
	GENERATION_PENDING,    /* accepted, not yet in the kernel */
	GENERATION_ARMED,      /* in the kernel; what it enforces expires at confirm_by_ns */
	GENERATION_CONFIRMED,  /* in the kernel for good */
	GENERATION_SUPERSEDED, /* another generation took its place */
	GENERATION_EXPIRED,    /* nobody confirmed: the kernel opened by itself */
	GENERATION_ROLLED_BACK,
	GENERATION_FAILED,     /* the kernel refused it; error tells */
};
const char *generation_state_name(unsigned v);

/* One applied (or refused) policy. Strings are the caller's when putting, the transaction's when getting. */
struct generation {
	uint64_t number;       /* 1, 2, ... ; 0 is "no policy" */
	uint64_t applied_ns, ended_ns, confirm_by_ns; /* 0: not */
	uint8_t state;
	uint32_t uid;          /* who ordered it */
	const char *why;       /* apply -m */
	const char *error;
	const char *policy;    /* the YAML document as applied */
	size_t policy_len;
	const void *ruleset;   /* ruleset_encode */
	size_t ruleset_len;
};
int store_generation_put(struct store_txn *t, const struct generation *g);
int store_generation_get(struct store_txn *t, uint64_t number, struct generation *out); /* -ENOENT */
/* The newest generation in state ARMED or CONFIRMED; -ENOENT when there is none in force. */
int store_generation_current(struct store_txn *t, struct generation *out);
int store_generation_last(struct store_txn *t, uint64_t *number); /* 0 when there never was one */
/* When the time to confirm that generation ends by the kernel's own clock (CLOCK_MONOTONIC), which is what decides: in
 * the boot in which it was applied. Kept of one generation, the last. */
struct confirm_deadline {
	uint64_t generation, mono_ns;
	char boot_id[TIME_BOOT_STRLEN]; /* time_boot_id */
};
int store_deadline_put(struct store_txn *t, const struct confirm_deadline *d);
int store_deadline_get(struct store_txn *t, struct confirm_deadline *out); /* -ENOENT, -EBADMSG */
typedef int store_generation_fn(void *arg, const struct generation *g);
int store_generation_walk(struct store_txn *t, store_generation_fn *fn, void *arg); /* oldest first */

/* Merges into the ledger's record of that interface and interval. */
int store_coverage_add(struct store_txn *t, const struct coverage_rec *c);
typedef int store_coverage_fn(void *arg, const struct coverage_rec *c);
int store_coverage_walk(struct store_txn *t, uint64_t since_ns, uint64_t until_ns, store_coverage_fn *fn, void *arg);

/* DNS answers: name of an address, as some container was told it. Kept with first and last time seen and TTL. */
int store_name_put(struct store_txn *t, const struct addr *a, const char *name, uint32_t ttl_s, uint64_t seen_ns);
int store_name_get(struct store_txn *t, const struct addr *a, uint64_t at_ns, char *name, size_t size); /* -ENOENT */

#endif
