/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket: see control_server.h. The file's mode decides who may connect; the kernel's word on the peer
 * (SO_PEERCRED, SO_PEERGROUPS) is checked again and recorded with the order. One order a client at a time: its next
 * line is looked at when the answer is out, also when it came in together with this one.
 */
#include "config.h"
#include "daemon/control_server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/timefmt.h"
#include "daemon/control.h"

#define CLIENTS_MAX 32
#define MEMORY_MAX (2u * CONTROL_MESSAGE_MAX) /* all clients together */
#define IDLE_NS (30 * NS_PER_S)               /* without a byte from it, or one taken by it */
#define ORDER_NS (120 * NS_PER_S)             /* while it waits for an answer, or has not said a whole order yet */
#define BACKLOG 128

struct client {
	uint64_t id; /* 0: free */
	int fd;
	uid_t uid;
	bool waits; /* an order of it is being carried out */
	size_t lines; /* whole ones in in */
	uint64_t moved_mono_ns;
	uint64_t since_mono_ns; /* when it connected, or got its last answer */
	struct buf in, out;
	size_t out_sent;
};

struct control {
	int fd;
	struct loop *loop;
	struct control_events ev;
	uint64_t last_id;
	struct client clients[CLIENTS_MAX];
};

static const char full[] = "{\"schema\":1,\"ok\":false,\"error\":\"too many connections, or not allowed: root and "
			   "members of weir's group may give orders\"}\n";

static void drop(struct control *c, struct client *k)
{
	loop_io_del(c->loop, k->fd);
	close(k->fd);
	buf_fini(&k->in);
	buf_fini(&k->out);
	k->id = 0;
}

static void watch(struct control *c, struct client *k)
{
	bool answering = k->out.len > k->out_sent;
	uint32_t events = 0;

	/* A line that is here already brings no event of its own: being able to write is one. */
	if (answering || (!k->waits && k->lines))
		events |= EPOLLOUT;
	else if (!k->waits)
		events |= EPOLLIN;
	loop_io_set(c->loop, k->fd, events);
}

static size_t memory(const struct control *c)
{
	size_t sum = 0;

	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i].id)
			sum += c->clients[i].in.cap;
	return sum;
}

/* Nobody owes it anything: it has said no whole order, and taken what it was answered. */
static bool owes_an_order(const struct client *k)
{
	return k->id && !k->waits && !k->lines && k->out.len == k->out_sent;
}

/* A place for one more: whoever has owed an order for the longest goes. Those who speak at once are never that one, so
 * a crowd of silent connections keeps nobody out. NULL: all are being served. */
static struct client *make_place(struct control *c)
{
	struct client *first = NULL;

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *k = &c->clients[i];

		if (!k->id)
			return k;
		if (owes_an_order(k) && (!first || k->since_mono_ns < first->since_mono_ns))
			first = k;
	}
	if (first) {
		(void)send(first->fd, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		drop(c, first);
	}
	return first;
}

/* Memory for n bytes more of k's: at the cost of who has gathered most without a whole order. False: that is k. */
static bool make_memory(struct control *c, struct client *k, size_t n)
{
	while (memory(c) + n > MEMORY_MAX) {
		struct client *most = k;

		for (unsigned i = 0; i < CLIENTS_MAX; i++)
			if (owes_an_order(&c->clients[i]) && c->clients[i].in.cap > most->in.cap)
				most = &c->clients[i];
		drop(c, most);
		if (most == k)
			return false;
	}
	return true;
}

/* Takes a whole line out of what came in and hands it on. */
static void take_line(struct control *c, struct client *k)
{
	const char *end = memchr(k->in.data, '\n', k->in.len);
	size_t used = (size_t)(end - k->in.data) + 1;
	json_error_t error;
	json_t *order;

	order = json_loadb(k->in.data, used - 1, JSON_REJECT_DUPLICATES, &error);
	memmove(k->in.data, k->in.data + used, k->in.len - used);
	k->in.len -= used;
	k->lines--;
	if (k->in.len == 0)
		buf_fini(&k->in); /* a policy may have been large */
	k->waits = true;
	if (!json_is_object(order))
		control_refuse(c, k->id, "an order is one JSON object on one line%s%s", order ? "" : ": ",
			       order ? "" : error.text);
	else
		c->ev.order(c->ev.arg, k->id, k->uid, order);
	json_decref(order);
}

static void read_client(struct control *c, struct client *k)
{
	char data[65536];
	ssize_t n = recv(k->fd, data, sizeof(data), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		drop(c, k);
		return;
	}
	if (n < 0)
		return;
	k->moved_mono_ns = time_mono_ns();
	if (!make_memory(c, k, (size_t)n))
		return;
	buf_add(&k->in, data, (size_t)n);
	if (buf_failed(&k->in)) {
		drop(c, k);
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		k->lines += data[i] == '\n';
	if (k->lines) {
		take_line(c, k);
	} else if (k->in.len >= CONTROL_MESSAGE_MAX) {
		buf_clear(&k->in);
		k->waits = true;
		control_refuse(c, k->id, "an order may be %u bytes long at most", CONTROL_MESSAGE_MAX);
	}
}

static void write_client(struct control *c, struct client *k)
{
	while (k->out_sent < k->out.len) {
		ssize_t n = send(k->fd, k->out.data + k->out_sent, k->out.len - k->out_sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			drop(c, k);
			return;
		}
		k->out_sent += (size_t)n;
		k->moved_mono_ns = time_mono_ns();
	}
	if (k->out_sent == k->out.len) {
		buf_clear(&k->out);
		k->out_sent = 0;
	}
	watch(c, k);
}

static void on_client(void *arg, int fd, uint32_t events)
{
	struct control *c = arg;

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *k = &c->clients[i];
		uint64_t id = k->id;

		if (!id || k->fd != fd)
			continue;
		if (events & EPOLLOUT)
			write_client(c, k);
		if (k->id == id && !k->waits && k->lines && k->out.len == k->out_sent)
			take_line(c, k);
		else if (k->id == id && events & EPOLLIN)
			read_client(c, k);
		else if (k->id == id && events & (EPOLLHUP | EPOLLERR))
			drop(c, k);
		if (k->id == id)
			watch(c, k);
		return;
	}
}

/* Root, the daemon's own user, and members of the group that the socket belongs to. */
static bool may_order(int fd, uid_t *uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	gid_t groups[256];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	*uid = peer.uid;
	if (peer.uid == 0 || peer.uid == geteuid() || peer.gid == getegid())
		return true;
	len = sizeof(groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == getegid())
			return true;
	return false;
}

static void on_connect(void *arg, int fd, uint32_t events)
{
	struct control *c = arg;
	struct client *k = NULL;
	uid_t uid = 0;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (peer < 0)
		return;
	if (may_order(peer, &uid))
		k = make_place(c);
	if (!k) {
		(void)send(peer, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		close(peer);
		return;
	}
	memset(k, 0, sizeof(*k));
	k->fd = peer;
	k->uid = uid;
	k->id = ++c->last_id;
	k->moved_mono_ns = k->since_mono_ns = time_mono_ns();
	if (loop_io_add(c->loop, peer, EPOLLIN, on_client, c)) {
		close(peer);
		k->id = 0;
	}
}

static void on_tick(void *arg)
{
	struct control *c = arg;
	uint64_t now = time_mono_ns();

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *k = &c->clients[i];

		if (!k->id)
			continue;
		if (now - k->moved_mono_ns > (k->waits ? ORDER_NS : IDLE_NS) ||
		    (owes_an_order(k) && now - k->since_mono_ns > ORDER_NS))
			drop(c, k);
	}
}

int control_open(struct control **out, struct loop *loop, const struct control_events *ev)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = CONTROL_SOCKET};
	struct control *c = calloc(1, sizeof(*c));
	mode_t mask;
	int rc = 0;

	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->ev = *ev;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0) {
		rc = -errno;
		free(c);
		return rc;
	}
	unlink(CONTROL_SOCKET); /* of a daemon that is gone: the directory is locked, so there is no other */
	mask = umask(0117);
	if (bind(c->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(c->fd, BACKLOG) < 0)
		rc = -errno;
	umask(mask);
	if (!rc)
		rc = loop_io_add(loop, c->fd, EPOLLIN, on_connect, c);
	if (!rc)
		rc = loop_timer_add(loop, 5 * NS_PER_S, on_tick, c);
	if (rc) {
		close(c->fd);
		free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i].id)
			drop(c, &c->clients[i]);
	loop_io_del(c->loop, c->fd);
	close(c->fd);
	free(c);
}

void control_reply(struct control *c, uint64_t client, json_t *reply)
{
	char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;

	json_decref(reply);
	for (unsigned i = 0; i < CLIENTS_MAX && client; i++) {
		struct client *k = &c->clients[i];

		if (k->id != client)
			continue;
		k->waits = false;
		k->since_mono_ns = time_mono_ns();
		buf_adds(&k->out, text ? text : "{\"schema\":1,\"ok\":false,\"error\":\"out of memory\"}");
		buf_addc(&k->out, '\n');
		if (buf_failed(&k->out))
			drop(c, k);
		else
			write_client(c, k);
		break;
	}
	free(text);
}

void control_refuse(struct control *c, uint64_t client, const char *fmt, ...)
{
	char text[CONTROL_ERROR_STRLEN * 4];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	control_reply(c, client, json_pack("{s:i,s:b,s:s}", "schema", 1, "ok", 0, "error", text));
}
