/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `weir run`: the parent of all roles. In this order: prepare the state directory and whatever else needs the caller's
 * rights, give up all of them but two capabilities, start the children, look at the host. Then an event loop: the
 * inventory's news go to the engine and the capture workers, the engine's orders go to the kernel. A child that dies is
 * started again; the kernel's table is nobody's child and stays.
 */
#include "config.h"
#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/ring.h"
#include "common/timefmt.h"
#include "common/wire.h"
#include "daemon/enforcer_impl.h"
#include "daemon/state_dir.h"

#define STOP_CAPTURE_NS (3 * NS_PER_S)  /* how long workers may take to report what they hold */
#define CAPTURE_BODY_MAX 4096u         /* the longest that a worker has to say is why it cannot attach */
#define STOP_ENGINE_NS (15 * NS_PER_S)  /* and the engine to commit it */

static void start_children(struct enforcer *e);

void enforcer_tell(struct enforcer *e, enum msg_type type, const struct buf *body)
{
	int rc;

	if (!e->engine.channel || (body && buf_failed(body)))
		return;
	rc = channel_send(e->engine.channel, type, body ? body->data : NULL, body ? body->len : 0);
	if (rc == 0 && channel_pending(e->engine.channel))
		loop_io_set(e->loop, channel_fd(e->engine.channel), EPOLLIN | EPOLLOUT);
	if (rc && rc != -EPIPE) {
		/* It has not read for very long. A fresh one is told everything again. */
		log_err("the engine does not listen (%s): starting it again", strerror(-rc));
		role_kill(&e->engine);
	}
}

static void log_notice(const struct enforcer_notice *n)
{
	if (n->problem)
		log_warn("%s", n->text);
	else
		log_info("%s", n->text);
}

/* Until the lines on start are out, notices wait to stand among them. */
void enforcer_notice(struct enforcer *e, bool problem, const char *fmt, ...)
{
	struct enforcer_notice n = {time_now_ns(), problem, NULL};
	struct buf b = BUF_INIT;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vasprintf(&n.text, fmt, ap);
	va_end(ap);
	if (rc < 0)
		return;
	if (e->said_hello)
		log_notice(&n);
	if (e->n_notices == ENFORCER_NOTICES_MAX) {
		if (!e->said_hello)
			log_notice(&e->notices[0]);
		free(e->notices[0].text);
		memmove(e->notices, e->notices + 1, (ENFORCER_NOTICES_MAX - 1) * sizeof(n));
		e->n_notices--;
	}
	e->notices[e->n_notices++] = n;
	wire_put_u64(&b, n.when_ns);
	wire_put_u8(&b, problem);
	wire_put_str(&b, n.text);
	enforcer_tell(e, IPC_NOTICE, &b);
	buf_fini(&b);
}

static void role_gone(struct enforcer *e, struct role *r)
{
	if (r->channel)
		loop_io_del(e->loop, channel_fd(r->channel));
	role_ended(r);
}

static void bad_ring(struct enforcer *e, const struct msg *m)
{
	struct wire_reader r;
	uint32_t worker;

	wire_reader_init(&r, m->data, m->len);
	worker = wire_get_u32(&r);
	if (!wire_ok(&r) || worker >= e->n_capture)
		return;
	enforcer_notice(e, true, "capture worker %u wrote nonsense to the engine: it is ended and started afresh",
			worker);
	role_kill(&e->capture[worker]);
}

static void on_engine(void *arg, int fd, uint32_t events)
{
	struct enforcer *e = arg;
	struct msg m;
	int rc = 0;

	if (events & EPOLLOUT)
		channel_flush(e->engine.channel);
	for (unsigned n = 0;
	     n < MSG_ROUND_MAX && e->engine.channel && (rc = channel_recv(e->engine.channel, &m)) == 1; n++) {
		for (unsigned i = 0; i < m.n_fds; i++)
			close(m.fds[i]); /* the engine has nothing to give */
		if (m.type == IPC_READY) {
			e->engine.ready = true;
			enforcer_report_roles(e);
		} else if (m.type == IPC_RING_BAD) {
			bad_ring(e, &m);
		} else if (m.type == IPC_ASK) {
			enforcer_ask(e, &m);
		} else if (!enforcer_recall(e, &m) && !enforcer_counters(e, &m)) {
			enforcer_order(e, &m);
		}
	}
	if (!e->engine.channel)
		return;
	if (rc < 0) {
		loop_io_del(e->loop, fd);
		if (!e->engine.stopping)
			role_kill(&e->engine); /* reaped by SIGCHLD */
		return;
	}
	loop_io_set(e->loop, fd, channel_pending(e->engine.channel) ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void on_capture(void *arg, int fd, uint32_t events)
{
	struct enforcer *e = arg;
	unsigned i = 0;
	struct msg m;
	int rc = 0;

	while (i < e->n_capture && (!e->capture[i].channel || channel_fd(e->capture[i].channel) != fd))
		i++;
	if (i == e->n_capture)
		return;
	if (events & EPOLLOUT)
		channel_flush(e->capture[i].channel);
	for (unsigned n = 0; n < MSG_ROUND_MAX && (rc = channel_recv(e->capture[i].channel, &m)) == 1; n++) {
		for (unsigned k = 0; k < m.n_fds; k++)
			close(m.fds[k]);
		enforcer_capture_said(e, i, &m);
	}
	if (rc < 0) {
		loop_io_del(e->loop, fd);
		if (!e->capture[i].stopping)
			role_kill(&e->capture[i]);
		return;
	}
	loop_io_set(e->loop, fd, channel_pending(e->capture[i].channel) ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void tell_ring(struct enforcer *e, unsigned worker)
{
	const int fds[] = {ring_memfd(e->rings[worker]), ring_eventfd(e->rings[worker])};
	struct buf b = BUF_INIT;

	wire_put_u32(&b, worker);
	if (e->engine.channel && !buf_failed(&b))
		channel_send_fds(e->engine.channel, IPC_RING, b.data, b.len, fds, 2);
	buf_fini(&b);
}

static int send_settings(struct enforcer *e, struct role *r)
{
	struct buf b = BUF_INIT;
	int rc;

	settings_encode(&b, e->s);
	rc = buf_failed(&b) ? -ENOMEM : channel_send(r->channel, IPC_SETTINGS, b.data, b.len);
	buf_fini(&b);
	return rc;
}

static int start_engine(struct enforcer *e)
{
	int rc = role_start(&e->engine, &e->state_fd, 1);

	if (rc)
		return rc;
	rc = loop_io_add(e->loop, channel_fd(e->engine.channel), EPOLLIN, on_engine, e);
	if (!rc)
		rc = send_settings(e, &e->engine);
	if (!rc)
		enforcer_replay(e);
	/* Names come before the records that need them. */
	for (unsigned i = 0; !rc && i < e->n_capture; i++)
		if (e->rings[i])
			tell_ring(e, i);
	return rc;
}

static int start_capture(struct enforcer *e, unsigned i)
{
	struct role *r = &e->capture[i];
	int fds[2], rc = 0;

	if (!e->rings[i]) {
		rc = ring_new(&e->rings[i], e->s->ring_bytes);
		if (rc)
			return rc;
		tell_ring(e, i);
	}
	fds[0] = ring_memfd(e->rings[i]);
	fds[1] = ring_eventfd(e->rings[i]);
	rc = role_start(r, fds, 2);
	if (rc)
		return rc;
	channel_set_body_max(r->channel, CAPTURE_BODY_MAX);
	rc = loop_io_add(e->loop, channel_fd(r->channel), EPOLLIN, on_capture, e);
	if (!rc)
		rc = send_settings(e, r);
	if (!rc)
		enforcer_attach_all(e, i);
	return rc;
}

/* Starts what does not run and is due. */
static void start_children(struct enforcer *e)
{
	uint64_t now = time_mono_ns();
	int rc = 0;

	if (e->stopping)
		return;
	if (!e->engine.pid && e->engine.again_mono_ns <= now)
		rc = start_engine(e);
	for (unsigned i = 0; i < e->n_capture; i++)
		if (!e->capture[i].pid && e->capture[i].again_mono_ns <= now && !rc)
			rc = start_capture(e, i);
	if (rc)
		log_err("starting a child process failed: %s", strerror(-rc));
}

static void describe_end(const struct role *r, int status)
{
	if (WIFSIGNALED(status))
		log_err("%s (pid %d) was ended by signal %d (%s)", r->name, (int)r->pid, WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		log_err("%s (pid %d) ended with status %d", r->name, (int)r->pid, WEXITSTATUS(status));
}

static void engine_ended(struct enforcer *e, int status)
{
	bool hopeless = WIFEXITED(status) && WEXITSTATUS(status) == ENGINE_EXIT_HOPELESS;

	if (!e->engine.stopping)
		describe_end(&e->engine, status);
	role_gone(e, &e->engine);
	e->counters_known = false; /* what it was told last may not be in the store */
	if (e->stopping) {
		loop_stop(e->loop);
	} else if (hopeless) {
		e->exit_status = 1; /* it has said why */
		loop_stop(e->loop);
	} else {
		e->engine.restarts++;
	}
}

static void capture_ended(struct enforcer *e, unsigned i, int status)
{
	struct buf b = BUF_INIT;

	if (!e->capture[i].stopping)
		describe_end(&e->capture[i], status);
	role_gone(e, &e->capture[i]);
	/* What it had put into the ring is drained by the engine; the next worker gets a ring of its own. */
	wire_put_u32(&b, i);
	enforcer_tell(e, IPC_RING_END, &b);
	buf_fini(&b);
	ring_free(e->rings[i]);
	e->rings[i] = NULL;
	if (!e->stopping) {
		e->capture[i].restarts++;
		enforcer_capture_lost(e, i);
	}
}

static void stop_engine(struct enforcer *e)
{
	if (e->engine.stopping)
		return;
	enforcer_policy_second(e); /* the last counts */
	e->engine.stopping = true;
	if (e->engine.channel)
		enforcer_tell(e, IPC_STOP, NULL);
	else
		loop_stop(e->loop);
}

static void on_child(void *arg)
{
	struct enforcer *e = arg;
	bool captures = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == e->engine.pid)
			engine_ended(e, status);
		for (unsigned i = 0; i < e->n_capture; i++)
			if (pid == e->capture[i].pid)
				capture_ended(e, i, status);
	}
	for (unsigned i = 0; i < e->n_capture; i++)
		captures |= e->capture[i].pid != 0;
	if (e->stopping && !captures)
		stop_engine(e);
	start_children(e);
	enforcer_report_roles(e);
}

static void on_stop(void *arg)
{
	struct enforcer *e = arg;

	if (e->stopping) { /* asked twice: now */
		loop_stop(e->loop);
		return;
	}
	e->stopping = true;
	e->stop_mono_ns = time_mono_ns();
	log_info("stopping: the kernel's table stays as it is");
	for (unsigned i = 0; i < e->n_capture; i++) {
		e->capture[i].stopping = true;
		if (e->capture[i].channel)
			channel_send(e->capture[i].channel, IPC_STOP, NULL, 0);
	}
	on_child(e); /* there may be none to wait for */
}

static void on_tick(void *arg)
{
	struct enforcer *e = arg;
	uint64_t now = time_mono_ns();

	enforcer_inventory_tick(e);
	start_children(e);
	if (!e->said_hello && !e->stopping && e->engine.ready &&
	    (e->settled || now - e->started_mono_ns > 3 * NS_PER_S))
		enforcer_hello(e);
	if (e->stopping && !e->engine.stopping && now - e->stop_mono_ns > STOP_CAPTURE_NS) {
		for (unsigned i = 0; i < e->n_capture; i++)
			role_kill(&e->capture[i]);
		stop_engine(e);
	}
	if (e->stopping && now - e->stop_mono_ns > STOP_ENGINE_NS) {
		log_err("the engine did not end in time");
		e->exit_status = 1;
		loop_stop(e->loop);
	}
}

static void on_second(void *arg)
{
	struct enforcer *e = arg;
	static unsigned second;

	enforcer_inventory_second(e);
	enforcer_policy_second(e);
	if (second++ % 5 == 0)
		enforcer_report_roles(e);
}

/* Everything that needs what the caller may do; then no more of it. */
static int prepare(struct enforcer *e)
{
	char error[STATE_DIR_ERROR_STRLEN] = "";
	gid_t groups[8];
	size_t n_groups = 0;
	int rc = sandbox_find_user(&e->user, e->s->user, error), null;

	if (!rc)
		rc = state_dir_open(&e->state_fd, e->s->state, e->user.uid, e->user.gid, error);
	if (!rc) {
		n_groups = state_dir_runtime_groups(e->s, groups, sizeof(groups) / sizeof(groups[0]));
		rc = sandbox_parent(&e->user, groups, n_groups, &e->has_admin, &e->has_raw, error);
	}
	if (!rc && !e->has_raw) {
		rc = -EPERM;
		snprintf(error, sizeof(error),
			 "no CAP_NET_RAW: without it no packet can be seen. Run as root, or as a service "
			 "(systemctl start weir), which passes the two capabilities that weir needs");
	}
	if (rc) {
		log_err("%s", error);
		return rc;
	}
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null > 0) {
		dup2(null, STDIN_FILENO);
		close(null);
	}
	return 0;
}

static int set_up(struct enforcer *e)
{
	int rc = loop_new(&e->loop);

	if (!rc)
		rc = loop_signal_add(e->loop, SIGCHLD, on_child, e);
	if (!rc)
		rc = loop_signal_add(e->loop, SIGTERM, on_stop, e);
	if (!rc)
		rc = loop_signal_add(e->loop, SIGINT, on_stop, e);
	if (!rc)
		rc = loop_timer_add(e->loop, 100 * NS_PER_MS, on_tick, e);
	if (!rc)
		rc = loop_timer_add(e->loop, NS_PER_S, on_second, e);
	if (rc)
		return rc;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	snprintf(e->engine.name, sizeof(e->engine.name), "engine");
	e->n_capture = (unsigned)e->s->workers;
	for (unsigned i = 0; i < e->n_capture; i++) {
		snprintf(e->capture[i].name, sizeof(e->capture[i].name), "capture-%u", i);
		e->capture[i].raw = true;
	}
	/* The engine first: what the inventory tells has somewhere to go. */
	start_children(e);
	enforcer_policy_open(e);
	rc = enforcer_inventory_open(e);
	if (rc)
		log_err("the host's links cannot be read: %s", strerror(-rc));
	if (!rc)
		rc = sandbox_parent_open();
	return rc ? rc : sandbox_filter_parent();
}

int daemon_run(const struct settings *s)
{
	struct enforcer *e = calloc(1, sizeof(*e));
	int rc, status;

	if (!e)
		return 1;
	log_init(NULL, (enum log_level)s->log_level);
	e->s = s;
	e->state_fd = -1;
	e->started_ns = time_now_ns();
	e->started_mono_ns = time_mono_ns();
	rc = prepare(e);
	if (!rc)
		rc = set_up(e);
	if (!rc)
		rc = loop_run(e->loop);
	for (unsigned i = 0; i < e->n_capture; i++) {
		role_kill(&e->capture[i]);
		channel_free(e->capture[i].channel);
		ring_free(e->rings[i]);
	}
	if (rc)
		role_kill(&e->engine);
	channel_free(e->engine.channel);
	enforcer_inventory_close(e);
	enforcer_policy_close(e);
	for (size_t i = 0; i < e->n_notices; i++) {
		if (!e->said_hello)
			log_notice(&e->notices[i]);
		free(e->notices[i].text);
	}
	loop_free(e->loop);
	if (e->state_fd >= 0)
		close(e->state_fd);
	status = rc ? 1 : e->exit_status;
	free(e);
	return status;
}
