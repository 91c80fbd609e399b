/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parent process from inside: it holds CAP_NET_ADMIN, knows the inventory, owns the kernel table and starts the
 * other roles. It never sees a packet, and of a policy only what the engine made of it.
 */
#ifndef WEIR_DAEMON_ENFORCER_IMPL_H
#define WEIR_DAEMON_ENFORCER_IMPL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/coverage.h"
#include "common/workload.h"
#include "daemon/bodies.h"
#include "daemon/loop.h"
#include "daemon/roles.h"
#include "daemon/sandbox.h"
#include "daemon/settings.h"
#include "inventory/conntrack.h"
#include "inventory/inventory.h"
#include "segment/nft.h"

#define ENFORCER_LINKS_MAX 256
#define ENFORCER_NOTICES_MAX 32
#define ENFORCER_KEEP_ENDED_NS (120 * 1000000000ull) /* for an engine that was not there when it ended */
#define ENFORCER_KEEP_GAPS_NS (60 * 1000000000ull)   /* for one that dies before it has written them down */
#define ADOPT_LAPSED UINT32_MAX /* body_apply.confirm_within_s of an adoption: enforcement ran out, leave it so */

struct ring;

struct enforcer_workload {
	struct enforcer_workload *next;
	struct workload w;
	uint64_t bound_ns, ended_mono_ns;
	bool ended;
};

/* About to run; its addresses are members already. */
struct enforcer_soon {
	struct enforcer_soon *next;
	struct workload w;
	uint64_t until_mono_ns; /* taken back then if it has not come */
};

struct enforcer_link {
	struct body_link link;
	uint32_t attached; /* bit per worker */
	uint32_t tried;    /* bit per worker: asked, no answer yet */
	uint32_t is_new;   /* bit per worker: not attached since it was told of */
	bool refused;      /* told about once */
	uint64_t gap_since_ns[SETTINGS_WORKERS_MAX]; /* 0: none */
	struct coverage_rec gap_told; /* those of the last minute as one: an engine that dies may not have kept them */
	uint64_t gap_told_mono_ns;    /* 0: none */
	uint64_t retry_mono_ns;
};

struct enforcer_notice {
	uint64_t when_ns;
	bool problem;
	char *text;
};

struct enforcer {
	const struct settings *s;
	struct sandbox_user user;
	int state_fd;
	bool has_admin, has_raw, stopping, said_hello;
	uint64_t started_ns, started_mono_ns, stop_mono_ns;
	int exit_status;
	struct loop *loop;
	struct role engine, capture[SETTINGS_WORKERS_MAX];
	struct ring *rings[SETTINGS_WORKERS_MAX];
	unsigned n_capture;
	/* By worker. It may have been taken over: what it says costs no more than what it was asked. */
	unsigned asked[SETTINGS_WORKERS_MAX]; /* to attach somewhere, and no answer yet */
	uint64_t stats_mono_ns[SETTINGS_WORKERS_MAX]; /* when its figures were handed on last */

	struct inventory *inv;
	struct conntrack *conntrack; /* NULL: not to be had */
	bool recalled; /* the engine has told what the last run knew */
	bool settled;
	struct inventory_runtime runtimes[INVENTORY_RUNTIMES_MAX]; /* as told to the engine last */
	size_t n_runtimes;
	struct enforcer_workload *workloads;
	struct enforcer_soon *soon;
	struct enforcer_link links[ENFORCER_LINKS_MAX];
	size_t n_links;
	struct addr *host;
	size_t n_host;
	struct enforcer_notice notices[ENFORCER_NOTICES_MAX];
	size_t n_notices;

	bool members_late; /* the kernel did not take a change of members */
	bool counters_known; /* this engine has told how the kernel's counters stood last */
	bool counters_seeded; /* some engine has */
	struct nft *nft; /* NULL: no CAP_NET_ADMIN, or no nftables */
	int nft_fds[16];
	size_t n_nft_fds;
	struct policy *groups;  /* selectors of the policy in force; NULL: none */
	uint64_t generation;    /* of the ruleset the members are kept for */
	struct body_apply *adopt; /* waits for the inventory to be complete */
	uint64_t adopt_mono_ns; /* since when */
};

/* enforcer.c */
/* to the engine; body may be NULL */
void enforcer_tell(struct enforcer *e, enum msg_type type, const struct buf *body);
void enforcer_notice(struct enforcer *e, bool problem, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* enforcer_inventory.c */
int enforcer_inventory_open(struct enforcer *e);
void enforcer_inventory_close(struct enforcer *e);
void enforcer_inventory_second(struct enforcer *e);
void enforcer_inventory_tick(struct enforcer *e);   /* about ten times a second: settled?, links to try again */
void enforcer_replay(struct enforcer *e);           /* all that is known, for a fresh engine */
void enforcer_ask(struct enforcer *e, const struct msg *m); /* of a conversation's origin */

/* enforcer_links.c */
void enforcer_link_up(void *arg, const struct inventory_link *l); /* inventory's; arg is the enforcer */
void enforcer_link_down(void *arg, uint32_t ifindex);
void enforcer_links_tick(struct enforcer *e);
void enforcer_links_replay(struct enforcer *e); /* and the gaps of late */
void enforcer_attach_all(struct enforcer *e, unsigned worker);
void enforcer_capture_said(struct enforcer *e, unsigned worker, const struct msg *m);
void enforcer_capture_lost(struct enforcer *e, unsigned worker); /* its links are not attached any more */

/* enforcer_policy.c */
void enforcer_policy_open(struct enforcer *e);
void enforcer_policy_close(struct enforcer *e);
void enforcer_policy_second(struct enforcer *e);
void enforcer_policy_settled(struct enforcer *e);
void enforcer_order(struct enforcer *e, const struct msg *m);
void enforcer_member_up(struct enforcer *e, const struct workload *w, const struct workload *before);
void enforcer_member_down(struct enforcer *e, const struct workload *w); /* what nobody else has of its addresses */
void enforcer_bridge_up(struct enforcer *e, const struct body_link *l);

/* enforcer_soon.c */
void enforcer_soon(void *arg, const struct workload *w); /* inventory's workload_soon; arg is the enforcer */
void enforcer_soon_came(struct enforcer *e, const struct workload *w); /* after it is one of e->workloads */
void enforcer_soon_tick(struct enforcer *e);
void enforcer_soon_close(struct enforcer *e);

/* enforcer_counters.c: how the kernel's counters stood when they were last read is kept in the store */
bool enforcer_counters(struct enforcer *e, const struct msg *m); /* IPC_COUNTERS; false: another message */
void enforcer_counter(void *arg, const struct counter_rec *c, const struct verdict_rec *v); /* nft_events.counter */

/* enforcer_runtimes.c: what is known of container runtimes, and of those that cannot be reached */
bool enforcer_recall(struct enforcer *e, const struct msg *m); /* IPC_RECALL, IPC_RECALLED; false: another message */
void enforcer_runtimes_tick(struct enforcer *e);               /* tells the engine what has changed */
void enforcer_runtimes_tell(struct enforcer *e);               /* all of it, to a fresh engine */

/* enforcer_report.c */
void enforcer_report_roles(struct enforcer *e);
void enforcer_hello(struct enforcer *e);

#endif
