/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state directory as the parent prepares it, while it still may: made when missing, given to the user that weir
 * becomes, and locked against a second daemon. Children get it as a descriptor, so that it may lie below folders
 * that this user cannot enter.
 */
#ifndef WEIR_DAEMON_STATE_DIR_H
#define WEIR_DAEMON_STATE_DIR_H
#include <stddef.h>
#include <sys/types.h>

#include "daemon/settings.h"

#define STATE_DIR_ERROR_STRLEN 512

/* 0 and the open directory (the lock goes with the descriptor), or negative errno with *error. Ownership is only
 * changed by root, and only of a directory that is empty or holds a store. */
int state_dir_open(int *out, const char *path, uid_t uid, gid_t gid, char *error);

/* Groups that own the sockets of container runtimes: what the user needs besides its own to ask them. Returns
 * how many. */
size_t state_dir_runtime_groups(const struct settings *s, gid_t *out, size_t max);

#endif
