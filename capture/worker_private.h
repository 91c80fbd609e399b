/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the worker share: worker.c (sources and life), packet_batch.c (a short queue before),
 * track.c (what a packet means for its flow), inspect.c (when nDPI looks), report.c (records out, expiry, eviction,
 * coverage). For nobody else.
 */
#ifndef WEIR_CAPTURE_WORKER_PRIVATE_H
#define WEIR_CAPTURE_WORKER_PRIVATE_H
#include "capture/attempts.h"
#include "capture/classify.h"
#include "capture/decode.h"
#include "capture/flow_table.h"
#include "capture/frag.h"
#include "capture/source.h"
#include "capture/worker.h"

#define IFACES_MAX 32767 /* interfaces, or capture files, a worker knows at a time: what a flow can refer to */
#define IFACE_OWN 0x8000u /* beside the number: as the interface itself sends it, not as its ports do */

#define PENDING_MAX 8      /* a power of two */
#define PENDING_BYTES 2048 /* of the IP packet kept; larger ones do not wait */

/* One interface or capture file. Its number, its place in the array, is what a flow refers to. */
struct iface {
	struct source *source; /* NULL: gone, or a file that has been read */
	uint32_t index;        /* flow_rec.iface */
	bool used;
	uint64_t attached_ns;
	struct coverage_rec cover; /* growth since the last report; start_ns 0: nothing yet */

};

/* A verdict: what inspection left behind. */
struct flow_app {
	uint64_t risk;
	uint16_t master, proto;
	uint16_t attrs_len;
	uint8_t confidence;
	char app[FLOW_APP_STRLEN], category[FLOW_APP_STRLEN];
	uint8_t attrs[];
};

struct dpi_slot {
	struct classify_flow *state; /* NULL: free */
	struct flow *flow;
	uint32_t next_free;          /* 1 + slot */
};

/* A packet that has been decoded and waits for its flow to be fetched from memory (capture/batch). */
struct pending {
	struct packet packet;
	uint32_t wirelen;
	bool own; /* source_sent_by_itself */
	uint64_t time_ns;
	struct flow_key key;
	uint64_t hash;
	uint8_t data[PENDING_BYTES + CLASSIFY_SLACK];
};

struct worker {
	struct worker_settings set;
	struct worker_sink sink;
	struct flow_table table;
	struct attempts *attempts;
	struct frag_table *frags;
	struct classify *classify;
	struct dpi_slot *dpi;
	uint32_t dpi_high, dpi_free, dpi_hand, dpi_live;
	uint32_t evict_hand, sweep_hand;
	uint32_t embryonic_max, established_max;
	unsigned inside;          /* DECODE_INSIDE_ bits */
	bool pressure;            /* unanswered attempts are being folded */
	uint64_t pressure_ns;     /* since when there was the last eviction */
	uint64_t now_ns;          /* the clock: packet time offline */
	uint64_t sweep_ns;        /* when the sweep last moved */
	uint64_t interval;        /* of attempts and coverage */
	uint64_t orphans_told;    /* fragments without a first one, as far as counted */
	struct iface *ifaces;     /* grows: not to be pointed into across iface_add */
	size_t n_ifaces, ifaces_size;
	struct buf attrs;         /* scratch for a record's attributes */
	struct worker_stats stats;
	struct iface *current;    /* whose packets are being read */
	bool frame_own;           /* of the frame at hand: source_sent_by_itself */
	bool frames_stay;         /* they lie where they are until packet_batch_flush */
	uint8_t *large;           /* copy of an IP packet of more than PENDING_BYTES, for inspection; NULL: none yet */
	unsigned pending_first, n_pending;
	struct pending pending[PENDING_MAX];
};

/* Which write-through period the clock is in: a flow is reported when its own has passed. */
static inline uint8_t worker_epoch(const struct worker *w)
{
	uint64_t n = w->set.write_through_ns, periods;

	if (n == 0)
		return 0;
	periods = w->now_ns / n;
	return (uint8_t)periods;
}

/* track.c: one packet of a flow, found or made. Duplicates seen at a second interface are dropped here. */
void track_packet(struct worker *w, struct pending *p);
/* What identifies p's conversation; not for later fragments, which do not know. */
void track_key(struct flow_key *k, const struct packet *p);
/* An ICMP error: the flow that it quotes, if it is here and had no other answer, was refused. */
void track_icmp_error(struct worker *w, const struct packet *p);

/* batch.c: takes a decoded packet, which will be tracked soon, in order; flush: now. */
void packet_batch_take(struct worker *w, const struct packet *p, uint32_t wirelen, uint64_t time_ns);
void packet_batch_flush(struct worker *w);

/* inspect.c */
int inspect_init(struct worker *w);
void inspect_fini(struct worker *w);
/* Shows a packet with payload to nDPI, if it still wants any. dir: end that sent. */
void inspect_packet(struct worker *w, struct flow *f, const struct packet *p, unsigned dir);
/* Fills the classification fields of rec; final: the flow is over, guess if need be. attrs stay valid until the next
 * call. */
void inspect_report(struct worker *w, struct flow *f, struct flow_rec *rec, bool final);
/* Gives back what the flow holds. */
void inspect_forget(struct worker *w, struct flow *f);
/* report.c */
/* Reports the flow and frees its place. */
void report_end(struct worker *w, struct flow *f, enum flow_reason reason);
/* Reports what has been counted so far and keeps the flow; FLOW_REASON_ACTIVE or _CUT. */
void report_flow(struct worker *w, struct flow *f, enum flow_reason reason);
/* Finds a place for a newcomer by ending another flow that never got an answer, or is over. False: there is none. */
bool report_make_room(struct worker *w);
/* The flow has been answered: counts it as established, and keeps room for newcomers if that makes too many. */
void report_established(struct worker *w, struct flow *f);
/* Folds a packet for which there was no place. */
void report_fold_packet(struct worker *w, const struct flow_key *k, uint32_t wirelen, uint64_t time_ns);
/* Moves the sweep on, as far as the time since the last call demands and max_steps allow. */
void report_sweep(struct worker *w, uint32_t max_steps);
/* Interval bookkeeping: coverage of what lies behind now_ns; all: also of the running interval. */
void report_coverage(struct worker *w, bool all);
void report_attempts(void *arg, const struct flow_attempts *a);

#endif
