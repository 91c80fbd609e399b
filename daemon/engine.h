/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine's heart, the same live and offline: flow records in, named, folded into edges and stored. It is the only
 * writer of the store. What arrives is gathered and committed in batches; whatever the store cannot take is counted in
 * the coverage ledger. Processes and sockets are engine_role.c's.
 */
#ifndef WEIR_DAEMON_ENGINE_H
#define WEIR_DAEMON_ENGINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/coverage.h"
#include "common/edge.h"
#include "common/flow.h"
#include "common/rule.h"
#include "common/verdict.h"
#include "common/workload.h"
#include "daemon/names.h"
#include "inventory/inventory.h"
#include "segment/policy.h"
#include "store/db.h"

struct engine;

struct engine_options {
	bool live;         /* conversations are reported while they last; names may come late */
	uint64_t grace_ns; /* live: how long a flow waits for the name of an end */
	bool links_named;  /* a person named the links to capture on: a workload's own may not be among them */
	/* Told of each record as it is stored (or would be: there need be no store), named. May be NULL. */
	void (*on_flow)(void *arg, const struct flow_rec *f, const struct names_end end[2]);
	void (*on_attempts)(void *arg, const struct flow_attempts *a, const struct names_end *dst);
	/* Asks what conntrack knows of the flow's conversation; engine_origin answers with the token. May be NULL. */
	void (*ask)(void *arg, const struct flow_rec *f, uint64_t token);
	void *arg;
};

/* store: borrowed, or NULL to keep nothing. 0 or -ENOMEM. */
int engine_new(struct engine **out, struct store *store, const struct engine_options *o);
void engine_free(struct engine *e); /* commits nothing */
struct names *engine_names(struct engine *e);

/* Records from a capture worker, as its ring has them. now_ns: the clock (offline: packet time). 0, -EBADMSG or -EPROTO
 * for bytes that are no record, and, live, for one from far ahead of the clock (counted, the latter as lost, too). */
int engine_flow(struct engine *e, const void *data, size_t len, uint64_t now_ns);
int engine_attempts(struct engine *e, const void *data, size_t len);
int engine_coverage(struct engine *e, const struct coverage_rec *c);
/* A fresh engine of a daemon that is older: what the ledger has since then is the count, with what was told here
 * already. */
void engine_recall(struct engine *e, uint64_t since_ns);
void engine_verdict(struct engine *e, const struct verdict_rec *v);

/* Inventory. bound_ns: since when it has had the addresses that are new in this call; 0: since its start. */
void engine_workload(struct engine *e, const struct workload *w, bool ended, uint64_t bound_ns);
/* Of whom there will be no name: the reason goes into the records of such flows. */
void engine_unnamed(struct engine *e, const struct inventory_unnamed *u);
/* The inventory has told of all that had happened by then. Once that was said, flows without a name wait for it. */
void engine_inventory(struct engine *e, uint64_t at_ns);
/* The host's own addresses, whole list: for the flows to come, and in the store for whoever reads them. */
void engine_host(struct engine *e, const struct addr *addrs, size_t n, uint64_t now_ns);
/* The inventory has told of everything: workloads that the store still has as living and nobody told of ended while
 * nobody watched, at_ns at the latest. */
void engine_settled(struct engine *e, uint64_t at_ns);

/* The policy in force: decides which group a workload counts to and what is said of each flow. Both are taken over;
 * NULL: none. lapsed: enforcement ran out unconfirmed, so nothing is blocked. */
void engine_policy(struct engine *e, struct policy *p, struct ruleset *rs, bool lapsed, uint64_t since_ns);
const struct ruleset *engine_ruleset(const struct engine *e);
/* The group of a workload now: the policy's, else its own. */
const char *engine_group_of(const struct engine *e, const struct workload *w);

/* What conntrack knows of a conversation (see engine_options.ask). */
struct engine_origin {
	bool known;
	bool first_began;      /* the end given as 0 is the one that began */
	struct addr client;    /* who began, before any SNAT; addr_any: as seen */
	struct addr orig_addr; /* the original destination, before DNAT; addr_any where it was not translated */
	struct addr server;    /* who answers: where DNAT sent it */
	uint16_t client_port, orig_port, server_port;
};
void engine_origin(struct engine *e, uint64_t token, const struct engine_origin *o);

/* Lets go of flows that waited long enough; all of them with everything. */
void engine_release(struct engine *e, uint64_t now_ns, bool everything);
/* Writes what was gathered. Called about once a second live, and when engine_pending says it is much. 0 or negative
 * errno: nothing of the batch was kept, and it is counted as lost. */
int engine_commit(struct engine *e);
size_t engine_pending(const struct engine *e); /* records since the last commit */
/* The transaction being gathered, opened when needed; for what else belongs in it. NULL without a store or on
 * failure. */
struct store_txn *engine_txn(struct engine *e);
/* Retention, between transactions. */
int engine_retain(struct engine *e, uint64_t now_ns);
/* Edges gathered and not yet written, for an answer without a store. */
void engine_edges(const struct engine *e, void (*fn)(void *arg, const struct edge_key *key, const struct edge_agg *agg),
		  void *arg);

struct engine_stats {
	uint64_t flows, attempts, bad_records, unnamed, asked, joined, commits, commit_ns_max, lost_store, gaps, lost;
	uint64_t newest_ns; /* last packet told of */
	uint64_t unnamed_why[FLOW_UNNAMED_MAX_]; /* of unnamed, which are ends of flows */
	size_t held, edges_pending;
	int last_error; /* of a commit that failed; 0: the last one went well */
};
void engine_stats(const struct engine *e, struct engine_stats *out);

/* Coverage since the start, one sum per interface. */
#define ENGINE_IFACES_MAX 1024
size_t engine_ifaces(const struct engine *e, const struct coverage_rec **out);

#endif
