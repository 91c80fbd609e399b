/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Orders to a running daemon: one JSON object a line over DIR/control.sock (mode 0660), one JSON object a line back. Reads
 * never come here: they go to the store.
 *
 *   {"schema":1,"order":"apply","policy":"<YAML text>","confirm_within_s":600,"why":"..."}
 *   {"schema":1,"order":"confirm"}     {"schema":1,"order":"rollback","generation":3}   (0: remove the table)
 *   {"schema":1,"order":"status"}
 * Reply: {"schema":1,"ok":true,...} or {"schema":1,"ok":false,"error":"what, where, why, what to do next"}
 */
#ifndef WEIR_DAEMON_CONTROL_H
#define WEIR_DAEMON_CONTROL_H
#include <stddef.h>

#define CONTROL_SOCKET "control.sock"
#define CONTROL_MESSAGE_MAX (20u << 20)
#define CONTROL_ERROR_STRLEN 512

/* Client: sends the order, waits at most timeout_ms for the reply, which is the caller's to free(). 0; -ENOENT or
 * -ECONNREFUSED no daemon there; -EACCES; -ETIMEDOUT; other negative errno; *error says it for people. */
int control_request(const char *state_dir, const char *order_json, int timeout_ms, char **reply_json, char *error);

#endif
