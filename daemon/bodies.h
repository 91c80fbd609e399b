/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bodies of messages that are no value of common/: encoded with common/wire.h, decoded with the same distrust. Each
 * decoder returns 0, or -EBADMSG with *out untouched.
 */
#ifndef WEIR_DAEMON_BODIES_H
#define WEIR_DAEMON_BODIES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/buf.h"
#include "common/rule.h"
#include "inventory/inventory.h"
#include "segment/policy.h"

/* An interface to capture on. */
struct body_link {
	uint32_t ifindex;
	char name[16];
	bool bridge;
	uint16_t fanout; /* PACKET_FANOUT group; 0: one worker takes all */
	uint8_t n_addrs;
	bool router; /* as inventory_link has it */
	struct addr addrs[8];
	uint8_t lens[8];
};
void body_link_encode(struct buf *b, const struct body_link *l);
int body_link_decode(struct body_link *out, const void *data, size_t len);

/* What a worker counts (worker_stats), with its number. */
struct body_stats {
	uint32_t worker;
	uint64_t packets, bytes, flows_live, dpi_live, table_size;
};
void body_stats_encode(struct buf *b, const struct body_stats *s);
int body_stats_decode(struct body_stats *out, const void *data, size_t len);

/* A process of the daemon, as /proc shows it. */
struct body_role {
	char name[24], user[64];
	int32_t pid;
	uint64_t caps_effective, caps_permitted; /* bits by capability number */
	uint8_t seccomp;                         /* 0 none, 1 strict, 2 filter */
	bool no_new_privs;
	uint64_t started_ns, rss_bytes;
	uint32_t restarts;
};
#define BODY_ROLES_MAX 32
void body_roles_encode(struct buf *b, const struct body_role *roles, size_t n);
int body_roles_decode(struct body_role *out, size_t *n, const void *data, size_t len); /* out: BODY_ROLES_MAX */

/* A container runtime (inventory_runtime). */
struct body_runtime {
	char name[16], version[48], path[108];
	bool reached, absent;
	uint64_t since_ns;
	uint32_t workloads, recalled;
};
#define BODY_RUNTIMES_MAX 8
void body_runtimes_encode(struct buf *b, const struct body_runtime *runtimes, size_t n);
/* out: BODY_RUNTIMES_MAX */
int body_runtimes_decode(struct body_runtime *out, size_t *n, const void *data, size_t len);

/* Of whom there will be no name. */
void body_unnamed_encode(struct buf *b, const struct inventory_unnamed *u);
int body_unnamed_decode(struct inventory_unnamed *out, const void *data, size_t len);

/* A question about a conversation, and what conntrack knows of it (engine_origin). */
struct body_ask {
	uint64_t token;
	uint8_t proto;
	struct addr addr[2];
	uint16_t port[2];
};
void body_ask_encode(struct buf *b, const struct body_ask *a);
int body_ask_decode(struct body_ask *out, const void *data, size_t len);
struct body_origin {
	uint64_t token;
	bool known, first_began;
	struct addr client, orig_addr, server;
	uint16_t client_port, orig_port, server_port;
};
void body_origin_encode(struct buf *b, const struct body_origin *o);
int body_origin_decode(struct body_origin *out, const void *data, size_t len);

/* An order to the enforcer: the ruleset, and the selectors by which a workload is a member of a group. */
struct body_apply {
	uint64_t token;
	uint32_t confirm_within_s;
	struct policy *groups; /* names and selectors only */
	struct ruleset ruleset;
};
int body_apply_encode(struct buf *b, uint64_t token, uint32_t confirm_within_s, const struct policy *p,
		      const struct ruleset *rs);
/* Also -ENOMEM. */
int body_apply_decode(struct body_apply *out, const void *data, size_t len);
void body_apply_fini(struct body_apply *a);

/* The enforcer's answer to an order. */
struct body_done {
	uint64_t token;
	int32_t rc;
	char error[512];
};
void body_done_encode(struct buf *b, const struct body_done *d);
int body_done_decode(struct body_done *out, const void *data, size_t len);

#endif
