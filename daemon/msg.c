/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages over SOCK_SEQPACKET: see msg.h. A body may be larger than the kernel takes in one packet (a ruleset of ten
 * thousand edges is a megabyte), so it travels as fragments of 32 KiB that each carry type, total length and whether
 * more follow; descriptors come with the first. The queue holds whole packets, ready to send.
 */
#include "config.h"
#include "daemon/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"

#define FRAGMENT_MAX (32u << 10)
#define FRAGMENTS_AT_ONCE 256u /* of a large message, read in one go */

struct packet_head {
	uint16_t type;
	uint8_t first, n_fds;
	uint32_t total; /* length of the whole body */
};

struct packet {
	struct packet *next;
	int fds[MSG_FDS_MAX];
	unsigned n_fds;
	size_t len;
	uint8_t data[]; /* head and fragment */
};

struct channel {
	int fd;
	size_t queue_max, queued, body_max;
	struct packet *head, **tail;
	/* What is being put together. */
	struct buf body;
	enum msg_type type;
	size_t total;
	bool partial;
	int fds[MSG_FDS_MAX];
	unsigned n_fds;
};

static void close_all(int *fds, unsigned *n)
{
	for (unsigned i = 0; i < *n; i++)
		close(fds[i]);
	*n = 0;
}

int channel_new(struct channel **out, int fd, size_t queue_max)
{
	struct channel *c = calloc(1, sizeof(*c));
	int flags = fcntl(fd, F_GETFL);

	if (!c || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		int rc = c ? -errno : -ENOMEM;

		close(fd);
		free(c);
		return rc;
	}
	c->fd = fd;
	c->queue_max = queue_max;
	c->body_max = MSG_BODY_MAX;
	c->tail = &c->head;
	*out = c;
	return 0;
}

void channel_set_body_max(struct channel *c, size_t body_max)
{
	c->body_max = body_max < MSG_BODY_MAX ? body_max : MSG_BODY_MAX;
}

static void packet_free(struct packet *p)
{
	close_all(p->fds, &p->n_fds);
	free(p);
}

void channel_free(struct channel *c)
{
	if (!c)
		return;
	while (c->head) {
		struct packet *next = c->head->next;

		packet_free(c->head);
		c->head = next;
	}
	close_all(c->fds, &c->n_fds);
	buf_fini(&c->body);
	close(c->fd);
	free(c);
}

int channel_fd(const struct channel *c)
{
	return c->fd;
}

bool channel_pending(const struct channel *c)
{
	return c->head != NULL;
}

/* One fragment with its own duplicates of the descriptors; NULL when memory or descriptors are short. */
static struct packet *packet_new(const struct packet_head *head, const uint8_t *data, size_t len, const int *fds)
{
	struct packet *p = malloc(sizeof(*p) + sizeof(*head) + len);

	if (!p)
		return NULL;
	p->next = NULL;
	p->n_fds = 0;
	for (; p->n_fds < head->n_fds; p->n_fds++) {
		p->fds[p->n_fds] = fcntl(fds[p->n_fds], F_DUPFD_CLOEXEC, 0);
		if (p->fds[p->n_fds] < 0) {
			packet_free(p);
			return NULL;
		}
	}
	p->len = sizeof(*head) + len;
	memcpy(p->data, head, sizeof(*head));
	if (len)
		memcpy(p->data + sizeof(*head), data, len);
	return p;
}

static int packet_send(int fd, struct packet *p)
{
	struct iovec iov = {p->data, p->len};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
	} control;
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (p->n_fds) {
		struct cmsghdr *cm;

		memset(&control, 0, sizeof(control));
		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * p->n_fds);
		cm = CMSG_FIRSTHDR(&m);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * p->n_fds);
		memcpy(CMSG_DATA(cm), p->fds, sizeof(int) * p->n_fds);
	}
	/* Without descriptors send(2) will do, which a confined process may call where sendmsg(2) is too much. */
	while ((p->n_fds ? sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT)
			 : send(fd, p->data, p->len, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0) {
		if (errno == EINTR)
			continue;
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? -EAGAIN : -EPIPE;
	}
	return 0;
}

int channel_flush(struct channel *c)
{
	while (c->head) {
		struct packet *p = c->head;
		int rc = packet_send(c->fd, p);

		if (rc == -EAGAIN)
			return 0;
		if (rc)
			return rc;
		c->head = p->next;
		if (!c->head)
			c->tail = &c->head;
		c->queued -= p->len;
		packet_free(p);
	}
	return 0;
}

int channel_send_fds(struct channel *c, enum msg_type type, const void *body, size_t len, const int *fds,
		     unsigned n_fds)
{
	struct packet_head head = {(uint16_t)type, 1, (uint8_t)n_fds, (uint32_t)len};
	struct packet *chain = NULL, **end = &chain;
	const uint8_t *p = body;
	size_t left = len, added = 0;

	if (len > MSG_BODY_MAX || n_fds > MSG_FDS_MAX)
		return -EMSGSIZE;
	if (c->queued + len > c->queue_max)
		return -ENOBUFS;
	do {
		size_t n = left > FRAGMENT_MAX ? FRAGMENT_MAX : left;
		struct packet *one = packet_new(&head, p, n, fds);

		if (!one) {
			while (chain) {
				one = chain->next;
				packet_free(chain);
				chain = one;
			}
			return -ENOMEM;
		}
		*end = one;
		end = &one->next;
		added += one->len;
		p = n ? p + n : p;
		left -= n;
		head.first = head.n_fds = 0;
	} while (left);
	*c->tail = chain;
	c->tail = end;
	c->queued += added;
	return channel_flush(c);
}

int channel_send(struct channel *c, enum msg_type type, const void *body, size_t len)
{
	return channel_send_fds(c, type, body, len, NULL, 0);
}

/* One packet from the socket into data. Its length, 0 nothing there, or negative errno; descriptors go to c->fds. */
static ssize_t packet_recv(struct channel *c, uint8_t *data, size_t size)
{
	struct iovec iov = {data, size};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
	} control;
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space,
			   .msg_controllen = sizeof(control.space)};
	ssize_t n;

	do {
		n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -EPIPE;
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(&m); cm; cm = CMSG_NXTHDR(&m, cm)) {
		size_t got = cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS
				     ? (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int)
				     : 0;

		for (size_t i = 0; i < got; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
			if (c->n_fds < MSG_FDS_MAX)
				c->fds[c->n_fds++] = fd;
			else
				close(fd);
		}
	}
	if (n == 0)
		return -EPIPE;
	return m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EBADMSG : n;
}

/* Adds one packet to the message being put together. 1 complete, 0 more to come, -EBADMSG. */
static int packet_add(struct channel *c, const uint8_t *data, size_t len)
{
	struct packet_head head;

	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, data, sizeof(head));
	len -= sizeof(head);
	if (head.type == IPC_NONE || head.type >= IPC_TYPE_MAX_ || head.total > c->body_max ||
	    head.first == c->partial || c->n_fds != (head.first ? head.n_fds : c->n_fds))
		return -EBADMSG;
	if (head.first) {
		buf_clear(&c->body);
		c->type = (enum msg_type)head.type;
		c->total = head.total;
	} else if (head.type != c->type || head.total != c->total || len == 0 || head.n_fds) {
		return -EBADMSG;
	}
	if (len > c->total - c->body.len)
		return -EBADMSG;
	buf_add(&c->body, data + sizeof(head), len);
	if (buf_failed(&c->body))
		return -ENOMEM;
	c->partial = c->body.len < c->total;
	return !c->partial;
}

int channel_recv(struct channel *c, struct msg *out)
{
	uint8_t data[sizeof(struct packet_head) + FRAGMENT_MAX];

	if (!c->partial)
		close_all(c->fds, &c->n_fds);
	for (unsigned i = 0; i < FRAGMENTS_AT_ONCE; i++) {
		ssize_t n = packet_recv(c, data, sizeof(data));
		int rc;

		if (n <= 0)
			return (int)n;
		rc = packet_add(c, data, (size_t)n);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		out->type = c->type;
		out->data = (const uint8_t *)(c->body.len ? c->body.data : "");
		out->len = c->body.len;
		out->n_fds = c->n_fds;
		memcpy(out->fds, c->fds, sizeof(out->fds));
		c->n_fds = 0;
		return 1;
	}
	return 0;
}
