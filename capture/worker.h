/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A capture worker: packets in, flow records out. It owns its sources, one flow table and one nDPI module, and runs
 * alone in a process of its own, live, or a thread or process of its own, offline. Nothing outside capture/ sees a
 * packet.
 */
#ifndef WEIR_CAPTURE_WORKER_H
#define WEIR_CAPTURE_WORKER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/coverage.h"
#include "common/flow.h"

struct worker_settings {
	/* Flow table. A place costs what docs/operate.md says; memory is taken at start. */
	uint32_t table_size;           /* flows, rounded up to a power of two; 0: default */
	uint64_t embryonic_timeout_ns; /* nothing answered; 0: default for all of these */
	uint64_t established_timeout_ns;
	uint64_t udp_timeout_ns;
	uint64_t closed_timeout_ns;    /* linger after FIN or RST, for late packets */
	uint64_t active_timeout_ns;    /* a conversation is cut into records this long; 0: never (offline) */
	uint64_t write_through_ns;     /* flows in progress are reported this often; 0: never (offline) */
	uint32_t dpi_flows_max;        /* nDPI states at a time */
	uint64_t ring_bytes;           /* kernel ring of each interface, live; 0: default (16 MiB) */
	bool look_inside;              /* decapsulate VXLAN, Geneve, GRE, IPIP */
	bool offline;                  /* packet time is the clock; a file's ports and times are all that is known */
	/* Of several workers each keeps the flows whose symmetric hash says so (offline: every worker reads all). */
	unsigned index, count;
};
void worker_settings_default(struct worker_settings *s, bool offline);

/* Where records go: each returns 0, or -EAGAIN when there was no room (the worker counts it as lost_ring). Called from
 * the worker's own thread; what is passed is borrowed for the call. */
struct worker_sink {
	int (*flow)(void *arg, const struct flow_rec *f);
	int (*attempts)(void *arg, const struct flow_attempts *a);
	int (*coverage)(void *arg, const struct coverage_rec *c);
	void *arg;
};

struct worker;
/* 0, -ENOMEM, or -EINVAL for settings that contradict themselves. sink is copied. */
int worker_new(struct worker **out, const struct worker_settings *s, const struct worker_sink *sink);
void worker_free(struct worker *w); /* reports nothing: call worker_finish first */

/*
 * Reads a capture file to its end (offline). 0, or negative errno with *error (ERROR_STRLEN bytes) telling what,
 * where and what to do; everything read before an error is kept. file_number: for flow_rec.iface. fd >= 0: read from
 * there (then path only names it), which lets a confined worker read a file that somebody else opened.
 */
#define WORKER_ERROR_STRLEN 512
int worker_read_file(struct worker *w, const char *path, int fd, unsigned file_number, char *error);

/* Live: attach to or leave an interface, by name; ifindex tags records. Needs CAP_NET_RAW. 0 or negative errno. */
int worker_attach(struct worker *w, const char *name, uint32_t ifindex, unsigned fanout_group, char *error);
int worker_detach(struct worker *w, uint32_t ifindex); /* reports what its handle still held */
size_t worker_interfaces(const struct worker *w);
/* Fills fds with pollable descriptors, at most max; returns how many. Changes after attach and detach. */
size_t worker_fds(const struct worker *w, int *fds, size_t max);
/* Takes what the sources hold, up to a fair bound each; expires; writes through. now_ns: CLOCK_REALTIME. Returns
 * packets taken, or negative errno. Interfaces that vanished are detached: their ifindexes are appended to gone (max
 * 16). */
int worker_poll(struct worker *w, uint64_t now_ns, uint32_t *gone, size_t *n_gone);
/* Reports every flow still in the table (reason) and the last coverage. */
void worker_finish(struct worker *w, enum flow_reason reason);

struct worker_stats {
	uint64_t packets, bytes, flows_live, flows_reported, dpi_live, table_size;
	uint64_t lost_kernel, lost_ring, evicted, folded, not_ip, malformed;
};
void worker_stats(const struct worker *w, struct worker_stats *out);

#endif
