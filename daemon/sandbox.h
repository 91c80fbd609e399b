/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What each process may do, and no more. The parent (enforcer and inventory) works as an ordinary user with
 * CAP_NET_ADMIN; a capture worker has CAP_NET_RAW and can open no file and no socket but a packet socket; the engine
 * has no capability and opens nothing once it is at work. docs/architecture.md has the table.
 */
#ifndef WEIR_DAEMON_SANDBOX_H
#define WEIR_DAEMON_SANDBOX_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SANDBOX_ERROR_STRLEN 256

struct sandbox_user {
	uid_t uid;
	gid_t gid;
	char name[64];
};

/* Who the daemon will be: the configured name, else "weir" where there is such a user, else "nobody"; whoever calls
 * when that is not root. 0, or -ENOENT with *error. */
int sandbox_find_user(struct sandbox_user *out, const char *configured, char *error);

/*
 * The parent: becomes the user (when root), with the supplementary groups given; gives up every capability but
 * CAP_NET_ADMIN, CAP_NET_RAW (for the packet socket that answers refusals, and for starting capture workers) and
 * CAP_NET_BROADCAST (the kernel asks it of a netlink socket that hears of other network namespaces, when the socket
 * is made); shrinks the bounding set; sets no_new_privs. *has_admin, *has_raw: what it really has. 0 or negative
 * errno with *error.
 */
int sandbox_parent(const struct sandbox_user *u, const gid_t *groups, size_t n_groups, bool *has_admin, bool *has_raw,
		   char *error);
/* All sockets are open: CAP_NET_BROADCAST goes, CAP_NET_RAW is held back for new capture workers, CAP_NET_ADMIN stays
 * in use. 0 or negative errno. */
int sandbox_parent_open(void);
/* The parent's filter: refuses what it never does (mount, ptrace, modules, namespaces, ...). Call when all is open. */
int sandbox_filter_parent(void);

/* In the child between fork and exec: what the program started next shall hold. raw: CAP_NET_RAW, else nothing. */
int sandbox_hand_over(bool raw);

/* Irrevocable, for the rest of the process' life. 0 or negative errno. */
int sandbox_capture(void);         /* live: CAP_NET_RAW; packet sockets only */
int sandbox_capture_offline(void); /* no capability; no socket and no file but those open already */
/* no capability; no socket and no file but those open already; accepts connections */
int sandbox_engine(void);

/* False in builds whose run time (a sanitizer's) needs calls that the filters refuse: capabilities are dropped all the
 * same, filters are not set. */
bool sandbox_filters(void);

#endif
