/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Orders to a running daemon: one JSON object a line over DIR/control.sock (mode 0660), one JSON object a line back.
 * Reads never come here: they go to the store.
 *
 *   {"schema":1,"order":"apply","policy":"<YAML text>","confirm_within_s":600,"why":"..."}
 *   {"schema":1,"order":"confirm"}
 *   {"schema":1,"order":"rollback","generation":3}   (0: remove the table; left out: the one in force before this one)
 *   {"schema":1,"order":"status"}
 * Reply: {"schema":1,"ok":true,...} or
 *        {"schema":1,"ok":false,"error":"what, where, why, what to do next"}; where a policy text is at fault also
 *        "errors":[{"line":3,"column":5,"warning":false,"text":"..."},...]
 *
 * To apply, confirm and rollback: "generation":N, "state":"armed" (any name of generation_state_name; rollback to 0:
 * "removed"), "confirm_by":"2026-11-21T01:14:00Z" while armed, "warnings":[...] as errors above, where there are any.
 *
 * To status (times RFC 3339 UTC, spans in seconds; what is not known is left out):
 *   "version", "started", "uptime_s", "user"
 *   "roles": [{"role":"enforcer"|"engine"|"capture-0"..., "pid", "user", "capabilities":["cap_net_admin"] (effective),
 *       "capabilities_held":[...] (permitted), "seccomp":"filter"|"none", "no_new_privs":true, "uptime_s", "restarts",
 *       "rss_bytes"}]
 *   "interfaces": [{"name", "ifindex", "attached":true, "received", "lost_kernel", "lost_interface", "lost_ring",
 *       "lost_store", "evicted", "folded", "not_ip", "malformed", "complete":true}]  since the daemon started
 *   "capture": {"packets", "bytes", "flows_live", "table_size", "dpi_live"}
 *   "engine": {"flows", "held", "unnamed", "unnamed_why": {WHY: ends}, "edges_pending", "commits", "commit_ms_max"}
 *   "store": {"bytes_used", "bytes_file", "size_budget", "flows", "attempts", "workloads", "edges", "verdicts",
 *       "oldest_flow", "newest_flow"}
 *   "policy": {"generation":0 when none, "state", "applied", "why", "confirm_by", "confirm_left_s",
 *       "stages":{"observe":1,"dry-run":2,"enforce":0}, "kernel_generation", "refused" (packets since start)}
 *   "inventory": {"workloads", "groups", "host_addresses", "settled":true,
 *       "runtimes":[{"name", "version", "path", "reached":true, "since", "workloads", "recalled" (of them known from
 *       an earlier run, not confirmed)}],
 *       "notices":[{"timestamp","problem":true,"text"}]}  newest last
 *   "coverage": {"complete":true, "lost", "gaps"}  since the daemon started
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
