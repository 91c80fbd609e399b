/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ties capture together: sources give frames, decode makes values of them, track finds their flow, report lets
 * records out. The clock is the wall's when live and the packets' own when reading files; work for time's sake
 * (expiry, coverage) is done in small portions between packets, so that no packet waits long.
 */
#include "config.h"
#include "capture/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/worker_private.h"
#include "common/proto.h"
#include "common/timefmt.h"

#define TABLE_SIZE_DEFAULT (1u << 20) /* over all workers */
#define DPI_FLOWS_DEFAULT 65536u      /* over all workers */
#define ATTEMPTS_RECORDS 32768u
#define READ_BATCH 512
#define LIVE_BATCH 4096
#define LAST_READ_NS (200 * NS_PER_MS) /* for what an interface still holds when it is left */
#define SWEEP_STEPS_BATCH 4096        /* places looked at between two batches of a file */

void worker_settings_default(struct worker_settings *s, bool offline)
{
	memset(s, 0, sizeof(*s));
	s->offline = offline;
	s->count = 1;
	s->embryonic_timeout_ns = 30 * NS_PER_S;
	s->established_timeout_ns = 3600 * NS_PER_S;
	s->udp_timeout_ns = 120 * NS_PER_S;
	s->closed_timeout_ns = (offline ? 60 : 2) * NS_PER_S;
	s->active_timeout_ns = offline ? 0 : 3600 * NS_PER_S;
	s->write_through_ns = offline ? 0 : 5 * NS_PER_S;
}

static void fill_defaults(struct worker_settings *s)
{
	struct worker_settings d;

	worker_settings_default(&d, s->offline);
	if (s->count == 0)
		s->count = 1;
	if (s->table_size == 0)
		s->table_size = TABLE_SIZE_DEFAULT / s->count;
	if (s->dpi_flows_max == 0)
		s->dpi_flows_max = DPI_FLOWS_DEFAULT / s->count;
	if (s->embryonic_timeout_ns == 0)
		s->embryonic_timeout_ns = d.embryonic_timeout_ns;
	if (s->established_timeout_ns == 0)
		s->established_timeout_ns = d.established_timeout_ns;
	if (s->udp_timeout_ns == 0)
		s->udp_timeout_ns = d.udp_timeout_ns;
	if (s->closed_timeout_ns == 0)
		s->closed_timeout_ns = d.closed_timeout_ns;
}

int worker_new(struct worker **out, const struct worker_settings *s, const struct worker_sink *sink)
{
	struct worker *w;
	int rc;

	if ((s->count && s->index >= s->count) || !sink->flow || !sink->attempts || !sink->coverage)
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->set = *s;
	fill_defaults(&w->set);
	w->sink = *sink;
	/* IP in IP has nothing else to tell in a file; live, the rules that matter see the outer packet. */
	w->inside = (s->look_inside ? DECODE_INSIDE_IPIP | DECODE_INSIDE_OTHERS : 0) |
		    (s->offline ? DECODE_INSIDE_IPIP | DECODE_INSIDE_MOBILE : 0);
	rc = flow_table_init(&w->table, w->set.table_size);
	if (!rc)
		rc = frag_new(&w->frags);
	if (!rc)
		rc = attempts_new(&w->attempts, ATTEMPTS_RECORDS, report_attempts, w);
	if (!rc)
		rc = inspect_init(w);
	if (rc) {
		worker_free(w);
		return rc;
	}
	w->embryonic_max = w->table.size / 2;
	w->established_max = w->table.size - w->table.size / 16;
	*out = w;
	return 0;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	for (uint32_t i = 0; w->table.flows && i < w->table.high; i++) {
		struct flow *f = flow_table_at(&w->table, i);

		if (f)
			inspect_forget(w, f);
	}
	inspect_fini(w);
	for (size_t i = 0; i < w->n_ifaces; i++)
		source_close(w->ifaces[i].source);
	free(w->ifaces);
	flow_table_fini(&w->table);
	attempts_free(w->attempts);
	frag_free(w->frags);
	free(w);
}

/* Which worker keeps the packets between two addresses: by the pair alone, so that fragments and every flow of a pair,
 * which nDPI's caches connect, stay together. Sum and difference are the same in both directions. */
static unsigned worker_of(const struct addr pair[2], unsigned count)
{
	uint64_t a[2], b[2], h;

	memcpy(a, pair[0].b, sizeof(a));
	memcpy(b, pair[1].b, sizeof(b));
	h = hash_mix((a[1] + b[1]) ^ 0x243f6a8885a308d3ull, (a[1] ^ b[1]) ^ 0x13198a2e03707344ull);
	h = hash_mix(h ^ (a[0] + b[0]), (a[0] ^ b[0]) ^ 0xa4093822299f31d0ull);
	return (unsigned)(((h >> 32) * count) >> 32);
}

static bool is_mine(const struct worker *w, const struct addr pair[2])
{
	return w->set.count == 1 || !w->set.offline || worker_of(pair, w->set.count) == w->set.index;
}

static void clock_to(struct worker *w, uint64_t now_ns)
{
	if (now_ns > w->now_ns)
		w->now_ns = now_ns;
	if (w->interval == 0)
		w->interval = w->now_ns / COVERAGE_INTERVAL_NS;
}

static void count_packet(struct worker *w, uint32_t wirelen)
{
	struct coverage_rec *c = &w->current->cover;

	if (c->start_ns == 0)
		c->start_ns = w->now_ns;
	c->received++;
	w->stats.packets++;
	w->stats.bytes += wirelen;
}

static void on_frame(void *arg, const uint8_t *data, uint32_t caplen, uint32_t wirelen, uint64_t time_ns)
{
	struct worker *w = arg;
	struct packet p;
	enum decode_result r = decode_frame(&p, source_link(w->current->source), data, caplen, wirelen, w->inside);

	if (w->set.offline)
		clock_to(w, time_ns);
	if (r != DECODE_OK) {
		/* Of several workers that read the same file, the first one counts what belongs to nobody. */
		if (w->set.offline && w->set.index)
			return;
		count_packet(w, wirelen);
		if (r == DECODE_NOT_IP) {
			w->stats.not_ip++;
			w->current->cover.not_ip++;
		} else {
			w->stats.malformed++;
			w->current->cover.malformed++;
		}
		return;
	}
	if (proto_is_icmp(p.proto) && decode_icmp_is_error(p.proto, p.icmp_type)) {
		packet_batch_flush(w); /* what it quotes may still be waiting */
		track_icmp_error(w, &p);
	}
	if (!is_mine(w, p.addr))
		return;
	count_packet(w, wirelen);
	w->frame_own = source_sent_by_itself(w->current->source, data, caplen, wirelen);
	packet_batch_take(w, &p, wirelen, time_ns);
}

static bool iface_grow(struct worker *w)
{
	size_t size = w->ifaces_size ? w->ifaces_size * 2 : 16;
	struct iface *bigger;

	if (w->n_ifaces < w->ifaces_size)
		return true;
	if (w->n_ifaces == IFACES_MAX)
		return false;
	if (size > IFACES_MAX)
		size = IFACES_MAX;
	bigger = realloc(w->ifaces, size * sizeof(*bigger));
	if (!bigger)
		return false;
	w->ifaces = bigger;
	w->ifaces_size = size;
	return true;
}

static struct iface *iface_add(struct worker *w, const char *name, uint32_t index)
{
	struct iface *i = NULL;
	const char *base = strrchr(name, '/');

	for (size_t n = 0; n < w->n_ifaces && !i; n++)
		if (!w->ifaces[n].used)
			i = &w->ifaces[n];
	if (!i && !iface_grow(w))
		return NULL;
	if (!i)
		i = &w->ifaces[w->n_ifaces++];
	memset(i, 0, sizeof(*i));
	i->used = true;
	i->index = i->cover.iface = index;
	snprintf(i->cover.iface_name, sizeof(i->cover.iface_name), "%.31s", base ? base + 1 : name);
	return i;
}

/* Fragments that never met their first one belong to no flow; the first interface in use is told of them. */
static void count_orphans(struct worker *w)
{
	uint64_t n = frag_orphans(w->frags) - w->orphans_told;

	for (size_t i = 0; n && i < w->n_ifaces; i++) {
		if (!w->ifaces[i].used)
			continue;
		w->ifaces[i].cover.malformed += n;
		w->stats.malformed += n;
		w->orphans_told += n;
		n = 0;
	}
}

int worker_read_file(struct worker *w, const char *path, int fd, unsigned file_number, char *error)
{
	struct source *s = NULL;
	int rc;

	w->current = iface_add(w, path, 1 + file_number);
	if (!w->current) {
		snprintf(error, WORKER_ERROR_STRLEN,
			 "%s: more than %d capture files at a time, or out of memory; read them in portions", path, IFACES_MAX);
		return -E2BIG;
	}
	rc = source_open_file(&s, path, fd, error);
	if (rc)
		return rc;
	w->current->source = s;
	w->frames_stay = source_frames_stay(s);
	do {
		rc = source_read(s, READ_BATCH, on_frame, w, error);
		packet_batch_flush(w);
		report_sweep(w, SWEEP_STEPS_BATCH);
		report_coverage(w, false);
	} while (rc >= 0);
	w->current->source = NULL;
	source_close(s);
	return rc == SOURCE_END ? 0 : rc;
}

static struct iface *iface_find(struct worker *w, uint32_t ifindex)
{
	for (size_t n = 0; n < w->n_ifaces; n++)
		if (w->ifaces[n].used && w->ifaces[n].index == ifindex)
			return &w->ifaces[n];
	return NULL;
}

int worker_attach(struct worker *w, const char *name, uint32_t ifindex, unsigned fanout_group, char *error)
{
	struct source_live live = {.ring_bytes = w->set.ring_bytes, .fanout_group = fanout_group,
				   .fanout_members = w->set.count};
	struct source *s = NULL;
	struct iface *i;
	int rc;

	if (iface_find(w, ifindex)) {
		snprintf(error, WORKER_ERROR_STRLEN, "%s: is being watched already", name);
		return -EEXIST;
	}
	rc = source_open_live(&s, name, &live, error);
	if (rc)
		return rc;
	i = iface_add(w, name, ifindex);
	if (!i) {
		source_close(s);
		snprintf(error, WORKER_ERROR_STRLEN,
			 "%s: %d interfaces are being watched, which is the most, or out of memory", name, IFACES_MAX);
		return -E2BIG;
	}
	i->source = s;
	i->attached_ns = time_now_ns();
	i->cover.start_ns = i->attached_ns;
	clock_to(w, i->attached_ns);
	return 0;
}

/* Everything an interface held and saw is told; then its number may be used again. */
static void iface_end(struct worker *w, struct iface *i)
{
	uint16_t number = (uint16_t)(1 + (i - w->ifaces));

	for (uint32_t n = 0; n < w->table.high; n++) {
		struct flow *f = flow_table_at(&w->table, n);

		if (f && ((f->iface[0] & ~IFACE_OWN) == number || (f->iface[1] & ~IFACE_OWN) == number))
			report_end(w, f, FLOW_REASON_EOF);
	}
	report_coverage(w, true);
	source_close(i->source);
	i->source = NULL;
	i->used = false;
}

/* Which of its packets the interface itself sent was misjudged for a moment: flows find out anew where they are seen
 * first. */
static void forget_views(struct worker *w, const struct iface *i)
{
	unsigned number = (unsigned)(1 + (i - w->ifaces));

	for (uint32_t n = 0; n < w->table.high; n++) {
		struct flow *f = flow_table_at(&w->table, n);

		for (unsigned end = 0; f && end < 2; end++)
			if ((f->iface[end] & ~IFACE_OWN) == number)
				f->iface[end] = 0;
	}
}

static int iface_drain(struct worker *w, struct iface *i, char *error)
{
	int n;

	w->current = i;
	if (source_mac_changed(i->source))
		forget_views(w, i);
	w->frames_stay = source_frames_stay(i->source);
	n = source_read(i->source, LIVE_BATCH, on_frame, w, error);
	packet_batch_flush(w);
	return n;
}

/* Reads what the kernel holds of an interface (NULL: of all), what it has not handed over yet included. Not for ever:
 * under load there is always more. */
static void drain_last(struct worker *w, const struct iface *only)
{
	const struct timespec pause = {0, SOURCE_HANDOVER_MS * (long)NS_PER_MS};
	uint64_t until;
	char error[WORKER_ERROR_STRLEN];

	nanosleep(&pause, NULL);
	until = time_mono_ns() + LAST_READ_NS;
	for (size_t n = 0; n < w->n_ifaces; n++) {
		struct iface *i = &w->ifaces[n];

		while (i->used && i->source && (!only || i == only) && iface_drain(w, i, error) > 0 &&
		       time_mono_ns() < until)
			;
	}
}

int worker_detach(struct worker *w, uint32_t ifindex)
{
	struct iface *i = iface_find(w, ifindex);

	if (!i)
		return -ENOENT;
	drain_last(w, i);
	iface_end(w, i);
	return 0;
}

size_t worker_interfaces(const struct worker *w)
{
	size_t count = 0;

	for (size_t n = 0; n < w->n_ifaces; n++)
		count += w->ifaces[n].used && w->ifaces[n].source;
	return count;
}

size_t worker_fds(const struct worker *w, int *fds, size_t max)
{
	size_t count = 0;

	for (size_t n = 0; n < w->n_ifaces && count < max; n++)
		if (w->ifaces[n].used && w->ifaces[n].source)
			fds[count++] = source_fd(w->ifaces[n].source);
	return count;
}

int worker_poll(struct worker *w, uint64_t now_ns, uint32_t *gone, size_t *n_gone)
{
	char error[WORKER_ERROR_STRLEN];
	int total = 0;

	*n_gone = 0;
	clock_to(w, now_ns);
	for (size_t n = 0; n < w->n_ifaces; n++) {
		struct iface *i = &w->ifaces[n];
		int got;

		if (!i->used || !i->source)
			continue;
		got = iface_drain(w, i, error);
		if (got > 0)
			total += got;
		if (got >= 0 || *n_gone == 16)
			continue;
		gone[(*n_gone)++] = i->index;
		iface_end(w, i);
	}
	report_sweep(w, UINT32_MAX);
	count_orphans(w);
	report_coverage(w, false);
	return total;
}

void worker_finish(struct worker *w, enum flow_reason reason)
{
	if (!w->set.offline)
		drain_last(w, NULL);
	for (uint32_t n = 0; n < w->table.high; n++) {
		struct flow *f = flow_table_at(&w->table, n);

		flow_table_fetch_removal(&w->table, n + 8);
		if (f)
			report_end(w, f, f->class == FLOW_CLASS_CLOSED ? FLOW_REASON_CLOSED : reason);
	}
	frag_forget(w->frags);
	count_orphans(w);
	report_coverage(w, true);
	/* No flow refers to a file any more: its number may be used again. */
	for (size_t n = 0; n < w->n_ifaces; n++)
		if (!w->ifaces[n].source)
			w->ifaces[n].used = false;
	w->current = NULL;
}

void worker_stats(const struct worker *w, struct worker_stats *out)
{
	*out = w->stats;
	out->flows_live = w->table.used;
	out->dpi_live = w->dpi_live;
	out->table_size = w->table.size;
}
