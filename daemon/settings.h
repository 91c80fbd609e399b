/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's settings: defaults, the optional YAML file that changes them (daemon/config.c), and the bytes in which
 * the parent hands them to the other roles, which read no file themselves. weir.yaml.example documents each.
 */
#ifndef WEIR_DAEMON_SETTINGS_H
#define WEIR_DAEMON_SETTINGS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define SETTINGS_TEXTS_MAX 32
#define SETTINGS_WORKERS_MAX 16
#define SETTINGS_ERROR_STRLEN 512

struct settings {
	char *state;   /* state directory */
	char *user;    /* NULL: "weir", else "nobody" */
	char *netns;   /* NULL: the inventory's default */
	/* NULL-terminated; empty (first is NULL): the inventory's defaults, unless runtimes_set: no runtime at all. */
	bool runtimes_set;
	char *runtimes[SETTINGS_TEXTS_MAX + 1], *bridges[SETTINGS_TEXTS_MAX + 1], *names[SETTINGS_TEXTS_MAX + 1];
	uint64_t workers;
	uint64_t ring_bytes; /* per worker, a power of two */
	uint64_t nflog_group;
	uint64_t write_through_ns;
	uint64_t grace_ns; /* how long a flow waits for the name of an end */
	/* The worker's; 0: its own default (capture/worker.h). */
	uint64_t table_size, embryonic_timeout_ns, established_timeout_ns, udp_timeout_ns, active_timeout_ns;
	uint64_t dpi_flows, kernel_ring; /* kernel_ring: bytes, of each interface and worker */
	bool look_inside;
	bool links_named; /* there are bridges: what they are is the parent's business alone */
	/* The store's; 0: its own default (store/db.h). */
	uint64_t keep_ns, size_budget;
	uint64_t log_level; /* enum log_level */
};

int settings_init(struct settings *s); /* the defaults; 0 or -ENOMEM */
void settings_fini(struct settings *s);
/* Replaces a text setting by a copy; 0 or -ENOMEM. */
int settings_set_text(char **member, const char *text);

/* Reads a YAML file over what s has. 0, or -EINVAL and the like with *error: "FILE:LINE:COLUMN: what, and what
 * to do". */
int config_read(struct settings *s, const char *path, char *error);
/* The same from memory; path only names it. */
int config_parse(struct settings *s, const char *path, const char *text, size_t len, char *error);

/* The numbers (not the texts), for the other roles. 0, -EPROTO or -EBADMSG. */
void settings_encode(struct buf *b, const struct settings *s);
int settings_decode(struct settings *out, const void *data, size_t len);

#endif
