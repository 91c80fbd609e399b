/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sockets and exchanges: see nl.h. A request is known by its sequence number, and whatever else arrives on the socket
 * (the rest of an exchange that was given up, a notice) is skipped, so that an answer is never taken for another's.
 */
#include "config.h"
#include "netlink/nl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>

#include "common/timefmt.h"
#include "netlink/nl_impl.h"

#define DATAGRAM_LEAST 512u

/* The kernel charges a queued datagram with at least the room of its two control structures. */
static void find_queue_most(struct nl *s)
{
	socklen_t len = sizeof(int);
	int bytes;

	if (getsockopt(nl_fd(s), SOL_SOCKET, SO_RCVBUF, &bytes, &len) < 0 || bytes <= 0)
		bytes = INT32_MAX;
	s->queue_most = (unsigned)bytes / DATAGRAM_LEAST + 1;
}

int nl_open(struct nl **out, int bus)
{
	struct nl *s = calloc(1, sizeof(*s));
	int rc, on = 1;

	if (!s)
		return -ENOMEM;
	s->mnl = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!s->mnl) {
		rc = -errno;
		goto out;
	}
	if (mnl_socket_bind(s->mnl, 0, MNL_SOCKET_AUTOPID) < 0) {
		rc = -errno;
		goto out;
	}
	/* Both are refinements of old interfaces: a kernel without them still answers. */
	mnl_socket_setsockopt(s->mnl, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(s->mnl, NETLINK_CAP_ACK, &on, sizeof(on));
	s->seq = (uint32_t)time_now_ns();
	find_queue_most(s);
	*out = s;
	return 0;
out:
	nl_close(s);
	return rc;
}

void nl_close(struct nl *s)
{
	if (!s)
		return;
	if (s->mnl)
		mnl_socket_close(s->mnl);
	free(s);
}

int nl_fd(const struct nl *s)
{
	return mnl_socket_get_fd(s->mnl);
}

uint32_t nl_port(const struct nl *s)
{
	return mnl_socket_get_portid(s->mnl);
}

int nl_join(struct nl *s, unsigned group)
{
	return mnl_socket_setsockopt(s->mnl, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0 ? -errno : 0;
}

void nl_set_rcvbuf(struct nl *s, unsigned bytes)
{
	int v = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;

	if (setsockopt(nl_fd(s), SOL_SOCKET, SO_RCVBUFFORCE, &v, sizeof(v)) < 0)
		setsockopt(nl_fd(s), SOL_SOCKET, SO_RCVBUF, &v, sizeof(v));
	find_queue_most(s);
}

const char *nl_error_text(const struct nl *s)
{
	return s->error;
}

int nl_error_of(struct nl *s, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = nl_body(h, sizeof(*e));
	const struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];
	size_t skip = sizeof(*e);

	s->error[0] = '\0';
	if (!e)
		return -EBADMSG;
	if (h->nlmsg_flags & NLM_F_ACK_TLVS) {
		/* NLM_F_CAPPED: only the header of our message was sent back, as NETLINK_CAP_ACK asks. */
		if (!(h->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > sizeof(e->msg))
			skip += MNL_ALIGN(e->msg.nlmsg_len - sizeof(e->msg));
		nl_attrs(tb, NLMSGERR_ATTR_MAX, h, skip);
		nl_attr_str(tb[NLMSGERR_ATTR_MSG], s->error, sizeof(s->error));
	}
	return e->error > 0 ? -EBADMSG : e->error;
}

int nl_receive(struct nl *s, uint64_t deadline_ns, size_t *len)
{
	struct pollfd p = {.fd = nl_fd(s), .events = POLLIN};
	uint64_t now;
	ssize_t n;

	for (;;) {
		now = time_mono_ns();
		if (now >= deadline_ns)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)((deadline_ns - now) / 1000000) + 1) < 0 && errno != EINTR)
			return -errno;
		if (!p.revents)
			continue;
		n = recv(p.fd, s->in, sizeof(s->in), MSG_DONTWAIT | MSG_TRUNC);
		if (n >= 0) {
			*len = (size_t)n;
			return *len > sizeof(s->in) ? -EMSGSIZE : 0;
		}
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

/* One message of an exchange: 1 when it was the last, 0 to go on, negative errno. */
static int exchange_step(struct nl *s, const struct nlmsghdr *h, nl_fn *fn, void *arg, bool *torn)
{
	int rc;

	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		*torn = true;
	switch (h->nlmsg_type) {
	case NLMSG_NOOP:
		return 0;
	case NLMSG_ERROR:
		rc = nl_error_of(s, h);
		return rc < 0 ? rc : 1;
	case NLMSG_DONE:
		rc = mnl_nlmsg_get_payload_len(h) >= sizeof(int) ? *(const int *)mnl_nlmsg_get_payload(h) : 0;
		return rc < 0 ? rc : 1;
	default:
		rc = fn ? fn(arg, h) : 0;
		return rc < 0 ? rc : 0;
	}
}

static int exchange(struct nl *s, struct nl_msg *m, uint16_t flags, nl_fn *fn, void *arg)
{
	uint64_t deadline;
	struct nlmsghdr *out;
	bool torn = false;
	size_t len;
	int rc;

	if (m->failed || buf_failed(&m->b) || !m->b.data)
		return -EMSGSIZE;
	out = (struct nlmsghdr *)(void *)m->b.data;
	out->nlmsg_len = (uint32_t)m->b.len;
	out->nlmsg_seq = ++s->seq;
	out->nlmsg_flags |= flags;
	s->error[0] = '\0';
	if (mnl_socket_sendto(s->mnl, out, out->nlmsg_len) < 0)
		return -errno;
	deadline = time_mono_ns() + (uint64_t)NL_TIMEOUT_MS * 1000000;
	for (;;) {
		const struct nlmsghdr *h = (const void *)s->in;
		int left;

		rc = nl_receive(s, deadline, &len);
		if (rc < 0)
			return rc;
		for (left = (int)len; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_seq != s->seq || h->nlmsg_pid != nl_port(s))
				continue;
			rc = exchange_step(s, h, fn, arg, &torn);
			if (rc)
				return rc < 0 ? rc : torn ? -EINTR : 0;
		}
	}
}

int nl_request(struct nl *s, struct nl_msg *m, nl_fn *fn, void *arg)
{
	return exchange(s, m, NLM_F_ACK, fn, arg);
}

int nl_dump(struct nl *s, struct nl_msg *m, nl_fn *fn, void *arg)
{
	return exchange(s, m, NLM_F_DUMP, fn, arg);
}
