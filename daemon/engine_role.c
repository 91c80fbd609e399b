/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine's process: no capability, no file but the store that it opened before it confined itself. It takes records
 * from the rings of the capture workers, news from the parent and orders from the control socket, and commits about
 * once a second. When the parent is gone, or says stop, it takes what is left in the rings, commits and ends.
 */
#include "config.h"
#include "daemon/engine_role.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/ring.h"
#include "common/timefmt.h"
#include "common/wire.h"
#include "daemon/roles.h"
#include "daemon/sandbox.h"

#define BATCH_MAX 50000u /* records gathered before a commit out of turn */
#define ROUND_MAX 8192u  /* messages from one ring before others get their turn */
#define DRAIN_NS (5 * NS_PER_S)
#define RETAIN_NS (30 * NS_PER_S)
#define ALIVE_NS (5 * NS_PER_S)
#define FORGET_NS (600 * NS_PER_S)
#define META_ALIVE "last_alive"

static void stop(struct engine_role *r);

void engine_role_send(struct engine_role *r, enum msg_type type, const struct buf *body)
{
	int rc = -ENOMEM;

	if (!body || !buf_failed(body))
		rc = channel_send(r->parent, type, body ? body->data : NULL, body ? body->len : 0);
	if (rc == 0 && channel_pending(r->parent))
		loop_io_set(r->loop, ROLE_FD_CHANNEL, EPOLLIN | EPOLLOUT);
	if (rc == 0 || rc == -EPIPE || r->stopping)
		return;
	/* What it has not heard it would wait for in vain: an order, or that everything was told. */
	log_err("the parent cannot be told something (%s): ending, a fresh engine tells it again", strerror(-rc));
	stop(r);
}

void engine_role_notice(struct engine_role *r, uint64_t when_ns, bool problem, const char *text)
{
	if (r->n_notices == ENGINE_NOTICES_MAX) {
		memmove(r->notices, r->notices + 1, sizeof(r->notices[0]) * (ENGINE_NOTICES_MAX - 1));
		r->n_notices--;
	}
	r->notices[r->n_notices].when_ns = when_ns;
	r->notices[r->n_notices].problem = problem;
	snprintf(r->notices[r->n_notices].text, sizeof(r->notices[0].text), "%s", text);
	r->n_notices++;
}

void engine_role_commit(struct engine_role *r)
{
	uint64_t now = time_now_ns();
	struct store_txn *t;
	int rc;

	r->last_commit_ns = now;
	r->loss_pending = false;
	t = engine_txn(r->engine);
	if (t)
		store_meta_put(t, META_ALIVE, &now, sizeof(now));
	if (t && r->counted_ns)
		store_meta_put(t, ENGINE_META_COUNTED, &r->counted_ns, sizeof(r->counted_ns));
	rc = engine_commit(r->engine);
	if (rc && rc != r->last_error) {
		char text[256];

		snprintf(text, sizeof(text), "the store does not take records: %s%s", strerror(-rc),
			 rc == -ENOSPC ? "; free disk space, or set a smaller keep or size_budget" : "");
		log_err("%s", text);
		engine_role_notice(r, now, true, text);
	} else if (!rc && r->last_error) {
		log_info("the store takes records again");
		engine_role_notice(r, now, false,
				   "the store takes records again; what it did not take is counted as lost");
	}
	if (rc == -ENOSPC || now - r->last_retain_ns > RETAIN_NS) {
		r->last_retain_ns = now;
		engine_retain(r->engine, now);
		names_forget(engine_names(r->engine), now - FORGET_NS);
	}
	r->last_error = rc;
}

/* That something was lost must not be lost with this process. */
void engine_role_coverage(struct engine_role *r, const struct coverage_rec *c)
{
	if (engine_coverage(r->engine, c) == 0 && !coverage_complete(c))
		r->loss_pending = true;
}

/* At the end of a round: a worker that tells of losses without end shall not make each a commit. */
static void commit_losses(struct engine_role *r)
{
	if (r->loss_pending)
		engine_role_commit(r);
}

static void take(struct engine_role *r, unsigned worker, enum ring_msg type, const void *data, size_t len)
{
	struct coverage_rec c;

	switch (type) {
	case RING_FLOW:
		engine_flow(r->engine, data, len, time_now_ns());
		break;
	case RING_ATTEMPTS:
		engine_attempts(r->engine, data, len);
		break;
	case RING_COVERAGE:
		if (coverage_decode(&c, data, len) == 0)
			engine_role_coverage(r, &c);
		break;
	case RING_DONE:
		r->ring_done[worker] = true;
		break;
	case RING_TIME:
		break;
	}
	if (engine_pending(r->engine) >= BATCH_MAX)
		engine_role_commit(r);
}

static void forget_ring(struct engine_role *r, unsigned worker)
{
	if (!r->rings[worker])
		return;
	loop_io_del(r->loop, ring_eventfd(r->rings[worker]));
	ring_free(r->rings[worker]);
	r->rings[worker] = NULL;
}

static void bad_ring(struct engine_role *r, unsigned worker)
{
	struct buf b = BUF_INIT;

	log_err("the ring of capture worker %u is broken", worker);
	forget_ring(r, worker);
	wire_put_u32(&b, worker);
	engine_role_send(r, IPC_RING_BAD, &b);
	buf_fini(&b);
}

/* Takes at most max messages; true when there may be more. */
static bool drain(struct engine_role *r, unsigned worker, size_t max)
{
	enum ring_msg type;
	const void *data;
	size_t len;

	while (r->rings[worker] && max--) {
		int rc = ring_get(r->rings[worker], &type, &data, &len);

		if (rc < 0)
			bad_ring(r, worker);
		else if (rc == 0 && ring_sleep(r->rings[worker]) == 0)
			return false;
		else if (rc > 0)
			take(r, worker, type, data, len);
	}
	return r->rings[worker] != NULL;
}

static void on_ring(void *arg, int fd, uint32_t events)
{
	static const uint64_t one = 1;
	struct engine_role *r = arg;

	(void)events;
	for (unsigned i = 0; i < SETTINGS_WORKERS_MAX; i++) {
		if (!r->rings[i] || ring_eventfd(r->rings[i]) != fd)
			continue;
		if (drain(r, i, ROUND_MAX))
			(void)!write(fd, &one, sizeof(one)); /* others first, then on with it */
		commit_losses(r);
		return;
	}
}

void engine_role_ring(struct engine_role *r, struct msg *m)
{
	struct wire_reader rd;
	uint32_t worker;
	int rc;

	wire_reader_init(&rd, m->data, m->len);
	worker = wire_get_u32(&rd);
	if (m->n_fds != 2 || !wire_ok(&rd) || worker >= SETTINGS_WORKERS_MAX)
		return;
	forget_ring(r, worker);
	rc = ring_attach(&r->rings[worker], m->fds[0], m->fds[1]);
	m->n_fds = 0;
	if (rc) {
		r->rings[worker] = NULL;
		log_err("the ring of capture worker %u cannot be used: %s", worker, strerror(-rc));
		return;
	}
	r->ring_done[worker] = false;
	rc = loop_io_add(r->loop, ring_eventfd(r->rings[worker]), EPOLLIN, on_ring, r);
	if (!rc)
		on_ring(r, ring_eventfd(r->rings[worker]), EPOLLIN);
}

void engine_role_ring_end(struct engine_role *r, unsigned worker)
{
	drain(r, worker, SIZE_MAX);
	commit_losses(r);
	r->ring_done[worker] = true;
	forget_ring(r, worker);
}

static void stop(struct engine_role *r)
{
	if (!r->stopping)
		r->stop_mono_ns = time_mono_ns();
	r->stopping = true;
}

static void on_parent(void *arg, int fd, uint32_t events)
{
	struct engine_role *r = arg;
	struct msg m;
	int rc = 0;

	if (events & EPOLLOUT)
		channel_flush(r->parent);
	for (unsigned n = 0; n < MSG_ROUND_MAX && (rc = channel_recv(r->parent, &m)) == 1; n++) {
		if (m.type == IPC_STOP)
			stop(r);
		else if (r->ready && m.type != IPC_SETTINGS)
			engine_news(r, &m);
		else if (settings_decode(&r->s, m.data, m.len) == 0)
			r->ready = true;
		for (unsigned i = 0; i < m.n_fds; i++)
			close(m.fds[i]);
		if (!r->engine && r->ready)
			return; /* the settings come first; the rest waits until the store is open */
	}
	if (r->engine)
		commit_losses(r);
	if (rc < 0) {
		loop_io_del(r->loop, fd);
		stop(r);
		return;
	}
	loop_io_set(r->loop, fd, channel_pending(r->parent) ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void on_second(void *arg)
{
	struct engine_role *r = arg;

	engine_release(r->engine, time_now_ns(), false);
	engine_orders_second(r);
	/* A quiet host's disk is left alone but for a sign of life now and then. */
	if (engine_pending(r->engine) || time_now_ns() - r->last_commit_ns >= ALIVE_NS || !r->settled)
		engine_role_commit(r);
}

static void ask(void *arg, const struct flow_rec *f, uint64_t token)
{
	const struct body_ask a = {token, f->proto, {f->addr[0], f->addr[1]}, {f->port[0], f->port[1]}};
	struct buf b = BUF_INIT;

	body_ask_encode(&b, &a);
	engine_role_send(arg, IPC_ASK, &b);
	buf_fini(&b);
}

/* Which boot CLOCK_MONOTONIC belongs to. */
static int open_store(struct engine_role *r)
{
	const struct store_options so = {r->s.size_budget, r->s.keep_ns, false};
	const struct engine_options eo = {.live = true, .grace_ns = r->s.grace_ns, .links_named = r->s.links_named,
					  .ask = ask, .arg = r};
	const struct control_events ce = {engine_orders_take, r};
	uint32_t len = sizeof(r->last_alive_ns);
	struct store_txn *t;
	int rc = store_open(&r->store, ".", STORE_WRITE, &so);

	if (rc) {
		log_err("the store cannot be opened: %s%s", strerror(-rc),
			rc == -EPROTO  ? " (written by a newer weir: install that one, or use another --state)"
			: rc == -EBUSY ? " (another process writes it)"
				       : "");
		return rc;
	}
	rc = engine_new(&r->engine, r->store, &eo);
	if (!rc && store_begin(&t, r->store, false) == 0) {
		if (store_meta_get(t, META_ALIVE, &r->last_alive_ns, &len))
			r->last_alive_ns = 0;
		store_abort(t);
	}
	if (!rc)
		rc = control_open(&r->control, r->loop, &ce);
	if (rc)
		log_err("the control socket cannot be made: %s", strerror(-rc));
	return rc;
}

static int set_up(struct engine_role *r)
{
	int rc = channel_new(&r->parent, ROLE_FD_CHANNEL, 64u << 20);

	if (!rc)
		rc = loop_new(&r->loop);
	if (!rc)
		rc = loop_io_add(r->loop, ROLE_FD_CHANNEL, EPOLLIN, on_parent, r);
	if (!rc && fchdir(ROLE_FD_FIRST) < 0)
		rc = -errno;
	if (rc) {
		log_err("could not be set up: %s", strerror(-rc));
		return 1;
	}
	close(ROLE_FD_FIRST);
	while (!rc && !r->ready && !r->stopping)
		rc = loop_step(r->loop, 1000);
	if (rc || r->stopping)
		return 1;
	log_init("engine", (enum log_level)r->s.log_level);
	time_boot_id(r->boot_id);
	rc = open_store(r);
	if (rc)
		return rc == -EAGAIN || rc == -EINTR || rc == -ENOSPC || rc == -ENOMEM ? 1 : ENGINE_EXIT_HOPELESS;
	rc = sandbox_engine();
	if (!rc)
		rc = loop_timer_add(r->loop, NS_PER_S, on_second, r);
	if (rc) {
		log_err("could not be confined: %s", strerror(-rc));
		return 1;
	}
	return 0;
}

static bool rings_done(const struct engine_role *r)
{
	for (unsigned i = 0; i < SETTINGS_WORKERS_MAX; i++)
		if (r->rings[i] && !r->ring_done[i])
			return false;
	return true;
}

int engine_role(void)
{
	struct engine_role *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return 1;
	log_init("engine", LOG_LEVEL_INFO);
	r->started_ns = time_now_ns();
	rc = set_up(r);
	if (!rc) {
		engine_role_send(r, IPC_READY, NULL);
		engine_role_recall(r);
		engine_counters_recall(r);
		engine_orders_start(r);
		on_parent(r, ROLE_FD_CHANNEL, EPOLLIN);
	}
	while (!rc && !r->stopping)
		rc = loop_step(r->loop, -1) ? 1 : 0;
	/* The workers still report what they hold; their rings say when that is all. */
	while (!rc && !rings_done(r) && time_mono_ns() - r->stop_mono_ns < DRAIN_NS)
		rc = loop_step(r->loop, 100) ? 1 : 0;
	if (!rc) {
		for (unsigned i = 0; i < SETTINGS_WORKERS_MAX; i++)
			drain(r, i, SIZE_MAX);
		engine_release(r->engine, 0, true);
		engine_role_commit(r);
	}
	engine_orders_fini(r);
	control_close(r->control);
	for (unsigned i = 0; i < SETTINGS_WORKERS_MAX; i++)
		forget_ring(r, i);
	engine_free(r->engine);
	store_close(r->store);
	channel_free(r->parent);
	loop_free(r->loop);
	free(r);
	return rc;
}
