/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Transactions: see nl.h. The kernel takes a batch of nfnetlink messages as one only if it comes in one datagram,
 * so the whole of it is built in memory first. Sequence numbers are consecutive, which makes the label of the
 * message that an error is about a matter of subtraction.
 */
#include "config.h"
#include "netlink/nl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>

#include "common/timefmt.h"
#include "netlink/nl_impl.h"

#define LOST_WAIT_NS 10000000 /* the kernel queues its answers before it returns from the send */

struct nl_batch {
	uint8_t *data;
	size_t len, cap;
	size_t *label_at; /* offset into labels, by message */
	size_t *at;       /* offset into data, by message */
	size_t n, n_cap;
	struct buf labels;
};

int nl_batch_new(struct nl_batch **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void nl_batch_free(struct nl_batch *b)
{
	if (!b)
		return;
	free(b->data);
	free(b->label_at);
	free(b->at);
	buf_fini(&b->labels);
	free(b);
}

size_t nl_batch_count(const struct nl_batch *b)
{
	return b->n;
}

size_t nl_batch_bytes(const struct nl_batch *b)
{
	return b->len;
}

void *nl_batch_next(struct nl_batch *b, uint32_t *seq)
{
	if (b->cap - b->len < NL_BATCH_ROOM) {
		size_t cap = b->cap * 2 + NL_BATCH_ROOM;
		uint8_t *p = realloc(b->data, cap);

		if (!p)
			return NULL;
		b->data = p;
		b->cap = cap;
	}
	*seq = (uint32_t)b->n; /* made unique when sent */
	return b->data + b->len;
}

int nl_batch_push(struct nl_batch *b, const char *fmt, ...)
{
	const struct nlmsghdr *h = (const void *)(b->data + b->len);
	char text[256];
	va_list ap;

	if (b->n == b->n_cap) {
		size_t cap = b->n_cap * 2 + 64;
		size_t *p = realloc(b->label_at, cap * sizeof(*p)), *q;

		if (!p)
			return -ENOMEM;
		b->label_at = p;
		q = realloc(b->at, cap * sizeof(*q));
		if (!q)
			return -ENOMEM;
		b->at = q;
		b->n_cap = cap;
	}
	if (h->nlmsg_len > NL_BATCH_ROOM)
		return -EMSGSIZE;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	b->label_at[b->n] = b->labels.len;
	b->at[b->n++] = b->len;
	buf_add(&b->labels, text, strlen(text) + 1);
	b->len += MNL_ALIGN(h->nlmsg_len);
	return buf_failed(&b->labels) ? -ENOMEM : 0;
}

/* Numbers the messages from s->seq on and asks for the ack of the last but one. Returns the first number. */
static uint32_t number(struct nl *s, struct nl_batch *b)
{
	uint32_t first = s->seq + 1;

	for (size_t i = 0; i < b->n; i++) {
		struct nlmsghdr *h = (void *)(b->data + b->at[i]);

		h->nlmsg_seq = ++s->seq;
		if (i + 2 == b->n)
			h->nlmsg_flags |= NLM_F_ACK;
	}
	return first;
}

static int send_whole(struct nl *s, const struct nl_batch *b)
{
	int size = b->len * 2 > INT32_MAX / 2 ? INT32_MAX / 2 : (int)(b->len * 2 + 65536);

	if (setsockopt(nl_fd(s), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(nl_fd(s), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return mnl_socket_sendto(s->mnl, b->data, b->len) < 0 ? -errno : 0;
}

int nl_batch_send(struct nl *s, struct nl_batch *b, char *error, size_t size)
{
	uint64_t deadline;
	uint32_t first = number(s, b), index;
	int rc, first_error = 0;
	bool lost = false;
	size_t len;

	rc = b->n < 3 ? 0 : send_whole(s, b); /* two are only the marks */
	/* The kernel works inside the send, for seconds if it must: its answers are what is waited for. */
	deadline = time_mono_ns() + (uint64_t)NL_TIMEOUT_MS * 1000000;
	if (rc < 0)
		snprintf(error, size, "sending %zu netlink messages (%zu bytes): %s", b->n, b->len, strerror(-rc));
	for (bool done = rc < 0 || b->n < 3; !done;) {
		const struct nlmsghdr *h = (const void *)s->in;
		int left;

		rc = nl_receive(s, lost ? time_mono_ns() + LOST_WAIT_NS : deadline, &len);
		if (rc == -ENOBUFS) { /* so many errors that some were dropped; the first ones are still queued */
			lost = true;
			continue;
		}
		if (rc < 0) {
			rc = lost && rc == -ETIMEDOUT ? -ENOBUFS : rc;
			if (first_error)
				return first_error;
			snprintf(error, size, "waiting for the kernel's answer to a transaction: %s", strerror(-rc));
			return rc;
		}
		for (left = (int)len; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			index = h->nlmsg_seq - first;
			if (h->nlmsg_type != NLMSG_ERROR || index >= b->n || h->nlmsg_pid != nl_port(s))
				continue;
			rc = nl_error_of(s, h);
			/* An error of the opening mark is about the transaction and may be all that comes. */
			done = done || index + 2 >= b->n || (index == 0 && rc < 0) || (lost && rc < 0);
			if (rc == 0 || first_error)
				continue;
			first_error = rc;
			snprintf(error, size, "%s: %s%s%s", b->labels.data + b->label_at[index], strerror(-rc),
				 s->error[0] ? ": " : "", s->error);
		}
	}
	return first_error ? first_error : rc < 0 ? rc : 0;
}
