/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine's process from inside: shared by engine_role.c and the engine_*.c that it calls. */
#ifndef WEIR_DAEMON_ENGINE_ROLE_H
#define WEIR_DAEMON_ENGINE_ROLE_H
#include <stdbool.h>
#include <stdint.h>

#include "common/timefmt.h"
#include "daemon/bodies.h"
#include "daemon/control_server.h"
#include "daemon/engine.h"
#include "daemon/loop.h"
#include "daemon/msg.h"
#include "daemon/settings.h"

#define ENGINE_NOTICES_MAX 32
#define ENGINE_LINKS_MAX 256

struct ring;

enum order_kind { ORDER_NONE, ORDER_APPLY, ORDER_ROLLBACK, ORDER_REMOVE, ORDER_CONFIRM, ORDER_ADOPT };

/* The order that the enforcer is carrying out: one at a time. */
struct pending_order {
	enum order_kind kind;
	uint64_t token, client, generation;
	uint32_t confirm_within_s;
	bool enforces;  /* some group is at stage enforce */
	bool lapsed;    /* adoption of what ran out */
	struct policy *policy;
	struct ruleset *ruleset;
	json_t *warnings;
	uint64_t since_ns; /* adoption: when it was applied */
};

struct engine_role {
	struct loop *loop;
	struct channel *parent;
	struct settings s;
	struct store *store;
	struct engine *engine;
	struct control *control;
	struct ring *rings[SETTINGS_WORKERS_MAX];
	bool ring_done[SETTINGS_WORKERS_MAX];
	bool ready, settled, stopping;
	bool loss_pending; /* a loss has been told of, and is not in the store yet */
	uint64_t stop_mono_ns, started_ns, daemon_started_ns, last_alive_ns, last_retain_ns,
		last_commit_ns;
	int last_error;

	struct pending_order order;
	uint64_t last_token;
	/* The generation in force by the store; number 0: none. */
	uint64_t generation, confirm_by_ns, applied_ns;
	uint64_t confirm_mono_ns; /* the deadline as the kernel counts it (CLOCK_MONOTONIC): what decides */
	char boot_id[TIME_BOOT_STRLEN]; /* of this boot, whose clock that is; "": not known */
	uint8_t generation_state;
	char why[256];
	uint64_t kernel_generation, refused;
	uint64_t counted_ns; /* when the kernel's counters were last read; 0: not yet */

	struct body_role roles[BODY_ROLES_MAX];
	size_t n_roles;
	struct body_stats stats[SETTINGS_WORKERS_MAX];
	struct body_link links[ENGINE_LINKS_MAX];
	bool watched[ENGINE_LINKS_MAX]; /* of the link with the same number */
	size_t n_links, n_host;
	struct body_runtime runtimes[BODY_RUNTIMES_MAX];
	size_t n_runtimes;
	struct {
		uint64_t when_ns;
		bool problem;
		char text[512];
	} notices[ENGINE_NOTICES_MAX];
	size_t n_notices;
};

/* engine_role.c */
void engine_role_send(struct engine_role *r, enum msg_type type, const struct buf *body);
void engine_role_ring(struct engine_role *r, struct msg *m); /* a worker's ring, with its descriptors */
void engine_role_ring_end(struct engine_role *r, unsigned worker);
void engine_role_coverage(struct engine_role *r, const struct coverage_rec *c);
void engine_role_commit(struct engine_role *r); /* now, and says once that it fails */
void engine_role_notice(struct engine_role *r, uint64_t when_ns, bool problem, const char *text);

/* engine_news.c: any other message of the parent; and, first of all, who was alive when weir was last there */
void engine_role_recall(struct engine_role *r);

/* engine_counters.c: the kernel's counters as last read, in the store */
#define ENGINE_META_COUNTED "counters_read"
/* IPC_COUNTER, IPC_COUNTED; false: another message */
bool engine_counters_news(struct engine_role *r, const struct msg *m);
void engine_counters_recall(struct engine_role *r);                    /* tells the parent what the store has */
void engine_news(struct engine_role *r, struct msg *m);

/* engine_orders.c */
void engine_orders_start(struct engine_role *r); /* what the store says is in force goes to the enforcer */
void engine_orders_take(void *arg, uint64_t client, uid_t uid, const json_t *order);
void engine_orders_done(struct engine_role *r, const struct body_done *d);
void engine_orders_expired(struct engine_role *r, uint64_t generation);
void engine_orders_second(struct engine_role *r);
void engine_orders_fini(struct engine_role *r);

/* engine_generation.c: generations in the store, each change a transaction of its own. */
int generation_new(struct engine_role *r, uint64_t *number, const char *policy, size_t len, uid_t uid, const char *why,
		   uint32_t confirm_within_s, struct ruleset *rs);
int generation_change(struct engine_role *r, uint64_t number, uint8_t state, uint64_t confirm_by_ns, const char *error);
/* Policy and ruleset of a generation, the caller's; text too when wanted. */
int generation_load(struct engine_role *r, uint64_t number, struct policy **p, struct ruleset **rs);
/* What is in force, into r. */
void generation_current(struct engine_role *r);
/* When enforcement of that generation ends by the kernel's clock. Kept beside the wall clock's confirm_by_ns, since
 * that one may be set while the kernel counts on. */
int generation_deadline(struct engine_role *r, uint64_t number, uint64_t mono_ns);
uint64_t generation_left_ns(const struct engine_role *r); /* until then; 0: it is over, or there is no deadline */
/* The one to go back to; 0: none. */
uint64_t generation_before(struct engine_role *r, uint64_t number);
bool ruleset_enforces(const struct ruleset *rs);

/* engine_status.c */
json_t *engine_status(struct engine_role *r);

#endif
