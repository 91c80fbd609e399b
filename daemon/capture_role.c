/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A capture worker's process: it confines itself first, then takes orders from the parent (attach here, leave there)
 * and puts what the worker reports into the ring that leads to the engine. It speaks to nobody else. When the parent
 * is gone, or says stop, it reports the flows it still holds and ends.
 */
#include "config.h"
#include "daemon/roles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/worker.h"
#include "common/log.h"
#include "common/ring.h"
#include "common/timefmt.h"
#include "common/wire.h"
#include "daemon/bodies.h"
#include "daemon/loop.h"
#include "daemon/sandbox.h"
#include "daemon/settings.h"

#define FDS_MAX 1024
#define TICK_NS (100 * NS_PER_MS)

struct capture {
	unsigned index;
	struct loop *loop;
	struct channel *parent;
	struct ring *ring;
	struct worker *worker;
	struct buf record;
	int fds[FDS_MAX]; /* watched for the worker */
	size_t n_fds;
	bool finished;
};

static int put(struct capture *c, enum ring_msg type)
{
	int rc = buf_failed(&c->record) ? -ENOMEM : ring_put(c->ring, type, c->record.data, c->record.len);

	return rc ? -EAGAIN : 0;
}

static int sink_flow(void *arg, const struct flow_rec *f)
{
	struct capture *c = arg;

	buf_clear(&c->record);
	flow_encode(&c->record, f);
	return put(c, RING_FLOW);
}

static int sink_attempts(void *arg, const struct flow_attempts *a)
{
	struct capture *c = arg;

	buf_clear(&c->record);
	flow_attempts_encode(&c->record, a);
	return put(c, RING_ATTEMPTS);
}

static int sink_coverage(void *arg, const struct coverage_rec *rec)
{
	struct capture *c = arg;

	buf_clear(&c->record);
	coverage_encode(&c->record, rec);
	return put(c, RING_COVERAGE);
}

static void send_u32(struct capture *c, enum msg_type type, uint32_t v, const char *text)
{
	struct buf b = BUF_INIT;

	wire_put_u32(&b, v);
	if (text)
		wire_put_str(&b, text);
	if (!buf_failed(&b))
		channel_send(c->parent, type, b.data, b.len);
	buf_fini(&b);
}

static void take_packets(struct capture *c)
{
	uint32_t gone[16];
	size_t n_gone = 0;
	int taken = worker_poll(c->worker, time_now_ns(), gone, &n_gone);

	if (taken < 0)
		log_err("taking packets failed: %s", strerror(-taken));
	for (size_t i = 0; i < n_gone && i < 16; i++)
		send_u32(c, IPC_GONE, gone[i], NULL);
	ring_kick(c->ring);
}

static void on_packets(void *arg, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	take_packets(arg);
}

/* The worker's descriptors change with every attach and detach. */
static void watch_sources(struct capture *c)
{
	for (size_t i = 0; i < c->n_fds; i++)
		loop_io_del(c->loop, c->fds[i]);
	c->n_fds = worker_fds(c->worker, c->fds, FDS_MAX);
	for (size_t i = 0; i < c->n_fds; i++)
		loop_io_add(c->loop, c->fds[i], EPOLLIN, on_packets, c);
}

static void on_tick(void *arg)
{
	struct capture *c = arg;
	size_t before = worker_interfaces(c->worker);

	take_packets(c);
	if (worker_interfaces(c->worker) != before)
		watch_sources(c);
}

static void on_second(void *arg)
{
	struct capture *c = arg;
	struct worker_stats w;
	struct body_stats s;
	struct buf b = BUF_INIT;

	if (!c->worker)
		return;
	worker_stats(c->worker, &w);
	s = (struct body_stats){c->index, w.packets, w.bytes, w.flows_live, w.dpi_live, w.table_size};
	body_stats_encode(&b, &s);
	if (!buf_failed(&b) && !channel_pending(c->parent))
		channel_send(c->parent, IPC_STATS, b.data, b.len);
	buf_fini(&b);
}

/* Says all there is to say, then ends. */
static void finish(struct capture *c)
{
	if (c->finished)
		return;
	c->finished = true;
	if (c->worker)
		worker_finish(c->worker, FLOW_REASON_EOF);
	ring_put(c->ring, RING_DONE, "", 0);
	ring_kick(c->ring);
	loop_stop(c->loop);
}

static void attach(struct capture *c, const struct msg *m)
{
	char error[WORKER_ERROR_STRLEN] = "";
	struct body_link l;
	int rc = body_link_decode(&l, m->data, m->len);

	if (rc)
		return;
	rc = worker_attach(c->worker, l.name, l.ifindex, l.fanout, error);
	if (rc)
		send_u32(c, IPC_REFUSED, l.ifindex, error[0] ? error : strerror(-rc));
	else
		send_u32(c, IPC_ATTACHED, l.ifindex, NULL);
	watch_sources(c);
}

static int configure(struct capture *c, const struct msg *m)
{
	const struct worker_sink sink = {sink_flow, sink_attempts, sink_coverage, c};
	struct worker_settings w;
	struct settings s;
	int rc = settings_decode(&s, m->data, m->len);

	if (rc)
		return rc;
	log_init("capture", (enum log_level)s.log_level);
	worker_settings_default(&w, false);
	if (s.table_size)
		w.table_size = (uint32_t)s.table_size;
	if (s.embryonic_timeout_ns)
		w.embryonic_timeout_ns = s.embryonic_timeout_ns;
	if (s.established_timeout_ns)
		w.established_timeout_ns = s.established_timeout_ns;
	if (s.udp_timeout_ns)
		w.udp_timeout_ns = s.udp_timeout_ns;
	if (s.active_timeout_ns)
		w.active_timeout_ns = s.active_timeout_ns;
	if (s.dpi_flows)
		w.dpi_flows_max = (uint32_t)s.dpi_flows;
	if (s.kernel_ring)
		w.ring_bytes = s.kernel_ring;
	w.write_through_ns = s.write_through_ns;
	w.look_inside = s.look_inside;
	w.index = c->index;
	w.count = (unsigned)s.workers;
	rc = worker_new(&c->worker, &w, &sink);
	if (rc)
		log_err("the flow table could not be made: %s (smaller table_size?)", strerror(-rc));
	else
		channel_send(c->parent, IPC_READY, NULL, 0);
	return rc;
}

static void on_message(struct capture *c, const struct msg *m)
{
	struct wire_reader r;

	if (m->type == IPC_SETTINGS && !c->worker) {
		if (configure(c, m))
			loop_stop(c->loop);
	} else if (m->type == IPC_STOP || !c->worker) {
		finish(c);
	} else if (m->type == IPC_ATTACH) {
		attach(c, m);
	} else if (m->type == IPC_DETACH) {
		wire_reader_init(&r, m->data, m->len);
		worker_detach(c->worker, wire_get_u32(&r));
		watch_sources(c);
		ring_kick(c->ring);
	}
}

static void on_parent(void *arg, int fd, uint32_t events)
{
	struct capture *c = arg;
	struct msg m;
	int rc;

	if (events & EPOLLOUT)
		channel_flush(c->parent);
	while ((rc = channel_recv(c->parent, &m)) == 1 && !c->finished)
		on_message(c, &m);
	if (rc < 0)
		finish(c);
	else if (!c->finished)
		loop_io_set(c->loop, fd, channel_pending(c->parent) ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

int capture_role(unsigned worker)
{
	struct capture c = {.index = worker};
	int rc;

	log_init("capture", LOG_LEVEL_INFO);
	rc = channel_new(&c.parent, ROLE_FD_CHANNEL, 1u << 20);
	if (!rc)
		rc = ring_attach(&c.ring, ROLE_FD_FIRST, ROLE_FD_FIRST + 1);
	if (!rc)
		rc = loop_new(&c.loop);
	if (!rc)
		rc = sandbox_capture();
	if (rc) {
		log_err("could not be set up: %s", strerror(-rc));
		return 1;
	}
	rc = loop_io_add(c.loop, ROLE_FD_CHANNEL, EPOLLIN, on_parent, &c);
	if (!rc)
		rc = loop_timer_add(c.loop, NS_PER_S, on_second, &c);
	/* Until the settings are there, no packet can be; then the tick finds a worker. */
	while (!rc && !c.worker && !c.finished)
		rc = loop_step(c.loop, 1000);
	if (!rc && !c.finished)
		rc = loop_timer_add(c.loop, TICK_NS, on_tick, &c);
	if (!rc && !c.finished)
		rc = loop_run(c.loop);
	worker_free(c.worker);
	buf_fini(&c.record);
	ring_free(c.ring);
	channel_free(c.parent);
	loop_free(c.loop);
	return rc ? 1 : 0;
}
