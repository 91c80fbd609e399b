/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the engine share; engine.h is the engine for everybody else. */
#ifndef WEIR_DAEMON_ENGINE_IMPL_H
#define WEIR_DAEMON_ENGINE_IMPL_H
#include "common/hash.h"
#include "daemon/engine.h"
#include "daemon/fold.h"

#define LOSS_WINDOWS 16
#define ANSWERS 16384u /* DNS answers remembered for naming the far ends of edges */

/* One interface: what was counted, and the latest spans in which something was lost there. */
struct ledger_iface {
	struct { uint64_t start_ns, end_ns; } loss[LOSS_WINDOWS];
	unsigned next_loss;
	uint64_t pending;    /* records of it in the batch */
	uint64_t lost_store; /* records the store did not take, still to be written down */
};

#define HELD_BUCKETS 8192u /* a power of two */

/* In the queue, and, where an answer is awaited, among those whose token falls into the same bucket; both doubly linked
 * by the address of whatever points here. */
struct held {
	struct held *next, **at;
	struct held *same, **same_at;
	uint64_t due_ns, token; /* token 0: nobody was asked about it, or the answer is there */
	struct engine_origin *origin; /* the answer, for when the names have come; NULL: none */
	size_t len;
	uint8_t data[];
};

struct answer {
	struct addr addr;
	char name[64];
};

struct unnamed; /* engine_unnamed.c */

struct engine {
	struct engine_options o;
	struct store *store;
	struct store_txn *txn;
	int txn_error; /* the batch cannot be committed any more */
	struct names *names;
	struct fold *fold;
	struct held *held, **held_end;
	struct held *by_token[HELD_BUCKETS];
	uint64_t last_token;
	unsigned asks; /* since the last release */
	struct policy *policy;
	struct ruleset *ruleset;
	bool lapsed;
	uint64_t policy_since_ns;
	struct hash_secret secret;
	struct unnamed *unnamed; /* NULL until the first */
	uint64_t inventory_ns;   /* how far the inventory is; 0: it does not say */
	struct answer *answers; /* direct-mapped; NULL until the first */
	struct coverage_rec sums[ENGINE_IFACES_MAX];
	struct ledger_iface ifaces[ENGINE_IFACES_MAX];
	size_t n_ifaces, last_iface; /* last_iface: where the last look-up ended */
	size_t pending;
	struct engine_stats stats;
};

/* engine_ledger.c: what was lost, where and when. */
struct ledger_iface *ledger_iface_of(struct engine *e, uint32_t iface); /* NULL: too many interfaces */
bool ledger_complete(struct engine *e, const struct flow_rec *f);
void ledger_lost(struct engine *e, uint32_t iface); /* a record that is not taken */
void ledger_batch_failed(struct engine *e);
void ledger_batch_kept(struct engine *e);
int ledger_write_lost(struct engine *e);

/* engine_unnamed.c: why the end has no name (enum flow_unnamed); for ends without. */
uint8_t unnamed_why(const struct engine *e, const struct flow_rec *f, unsigned i, const struct names_end *end);

/* engine_hold.c: flows that wait. */
void hold_add(struct engine *e, const void *data, size_t len, uint64_t due_ns, uint64_t token);
/* Whether conntrack may know more of the flow than capture; false too when that was asked at an earlier report
 * of it. */
bool hold_wants_origin(struct engine *e, const struct flow_rec *f, const struct names_end end[2]);
/* What was found out about an earlier report of the same record holds for this one. True when its ends may not be the
 * same any more. */
bool hold_inherit(struct flow_rec *f, const struct flow_rec *last);
void hold_free(struct engine *e);

/* engine.c */
void engine_write(struct engine *e, struct flow_rec *f, const struct names_end end[2]);
void engine_find_ends(const struct engine *e, const struct flow_rec *f, struct names_end end[2]);
/* Counts it as lost, too. */
bool engine_is_ahead(struct engine *e, uint32_t iface, uint64_t start_ns, uint64_t end_ns);
void engine_failed(struct engine *e, int rc); /* the batch is spoiled */

#endif
