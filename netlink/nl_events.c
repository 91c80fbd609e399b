/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whoever may change links or addresses in a container makes the kernel talk as fast as a processor can, so "read until
 * it is empty" may never end, and a fixed number of messages says nothing about how far one has got. So each round
 * sends the kernel a message that means nothing and asks for its ack (NLMSG_NOOP): the ack is queued behind all that
 * had happened by then, and ends the round.
 *
 * When the queue overflows, the kernel says ENOBUFS once, at once, and then drops everything, acks too, until the queue
 * is empty. Whoever looks again before that misses what is dropped afterwards. So after ENOBUFS it is read on until the
 * queue must have been empty, which is when it is, or when as many datagrams have been read as it can hold.
 */
#include "config.h"
#include "netlink/nl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>

#include "netlink/nl_impl.h"

/* Its sequence number; 0: it cannot be sent, and the round is bounded by what the queue can hold. */
static uint32_t send_mark(struct nl *s)
{
	struct nlmsghdr h = {.nlmsg_len = sizeof(h), .nlmsg_type = NLMSG_NOOP, .nlmsg_flags = NLM_F_ACK};

	h.nlmsg_seq = ++s->seq;
	return mnl_socket_sendto(s->mnl, &h, h.nlmsg_len) < 0 ? 0 : h.nlmsg_seq;
}

/* One datagram into s->in: its length, or negative errno. */
static ssize_t receive(struct nl *s, int32_t *nsid)
{
	union {
		char room[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct nl_pktinfo))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {s->in, sizeof(s->in)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t n;

	do {
		n = recvmsg(nl_fd(s), &m, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -ENOTCONN;
	*nsid = NL_NSID_OWN;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID)
			memcpy(nsid, CMSG_DATA(c), sizeof(*nsid));
	return n;
}

/* Hands on what one datagram holds. 1 when it was the mark, 0, or what fn returned. */
static int hand_on(const struct nl *s, ssize_t n, uint32_t mark, int32_t nsid, nl_nsid_fn *fn, void *arg)
{
	const struct nlmsghdr *h = (const void *)s->in;
	int rc;

	for (int left = (int)n; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		if (h->nlmsg_type == NLMSG_ERROR && mark && h->nlmsg_seq == mark && h->nlmsg_pid == nl_port(s))
			return 1;
		if (h->nlmsg_type < NLMSG_MIN_TYPE)
			continue;
		rc = fn ? fn(arg, nsid, h) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

int nl_events_nsid(struct nl *s, nl_nsid_fn *fn, void *arg)
{
	bool lost = s->lost;
	uint32_t mark = lost ? 0 : send_mark(s);
	unsigned left = s->queue_most;
	int32_t nsid = NL_NSID_OWN;
	ssize_t n;
	int rc = 0;

	s->lost = false;
	while (left && rc == 0) {
		n = receive(s, &nsid);
		if (n == -ENOBUFS) {
			if (!lost)
				left = s->queue_most;
			s->lost = lost; /* since the last one it was empty: that one is told now, this one next time */
			lost = true;
			mark = 0;
		} else if (n == -EAGAIN || n == -EWOULDBLOCK) {
			s->lost = false;
			break;
		} else if (n < 0) {
			rc = (int)n;
		} else {
			rc = hand_on(s, n, mark, nsid, fn, arg);
			left--;
		}
	}
	if (rc < 0)
		s->lost |= lost;
	return rc < 0 ? rc : lost ? -ENOBUFS : 0;
}

struct plain {
	nl_fn *fn;
	void *arg;
};

static int without_nsid(void *arg, int32_t nsid, const struct nlmsghdr *h)
{
	const struct plain *p = arg;

	(void)nsid;
	return p->fn(p->arg, h);
}

int nl_events(struct nl *s, nl_fn *fn, void *arg)
{
	struct plain p = {fn, arg};

	return nl_events_nsid(s, fn ? without_nsid : NULL, &p);
}
