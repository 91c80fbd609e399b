/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages between weir's processes: a type, a body of bytes (common/wire.h encodes it) and at most two descriptors,
 * over a SOCK_SEQPACKET socketpair. Sending never blocks: what the socket does not take waits in a queue of bounded
 * size. Receiving trusts nothing: the other end may have been taken over by whoever sent it a packet.
 */
#ifndef WEIR_DAEMON_MSG_H
#define WEIR_DAEMON_MSG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MSG_BODY_MAX (64u << 20)
#define MSG_FDS_MAX 2

/* Who sends what to whom; bodies that are no value of common/ are in daemon/bodies.h. */
enum msg_type {
	IPC_NONE,
	/* enforcer -> engine and capture */
	IPC_SETTINGS, /* first of all: settings_encode */
	IPC_STOP,     /* report what you hold, then end */
	/* enforcer -> capture */
	IPC_ATTACH, /* body_link */
	IPC_DETACH, /* u32 ifindex */
	/* capture -> enforcer */
	IPC_READY,    /* confined and at work; also from the engine */
	IPC_ATTACHED, /* u32 ifindex */
	IPC_REFUSED,  /* u32 ifindex, string: could not attach */
	IPC_GONE,     /* u32 ifindex: vanished under the capture */
	IPC_STATS,    /* body_stats; handed on to the engine */
	/* enforcer -> engine */
	IPC_RING,      /* u32 worker; two descriptors: memfd and eventfd */
	IPC_RING_END,  /* u32 worker: its process is gone, drain and forget */
	IPC_WORKLOAD,  /* u8 ended, u64 bound_ns (inventory_bound_ns), workload_encode */
	IPC_LINK,      /* body_link */
	IPC_LINK_GONE, /* u32 ifindex */
	IPC_WATCHED,   /* u32 ifindex, u8: whether all workers capture there */
	IPC_HOST,      /* u32 count, addresses */
	IPC_NOTICE,    /* u8 problem, string */
	IPC_SETTLED,   /* u64 when the daemon started, u8 1: this engine is not its first; the inventory is complete */
	IPC_ROLES,     /* body_roles_encode */
	IPC_COVERAGE,  /* coverage_encode */
	IPC_VERDICT,   /* verdict_encode */
	/* u8 whether there is one (0: all told so far are void), bytes counter_encode, bytes verdict_encode of what grew
	 * (may be empty) */
	IPC_COUNTER,
	IPC_COUNTED,   /* u64 time: the counters have been read, and told */
	IPC_EXPIRED,   /* u64 generation: nobody confirmed, the kernel opened */
	IPC_KERNEL,    /* u64 generation of the table in the kernel, 0 none */
	IPC_DONE,      /* body_done: the answer to an order below */
	IPC_RUNTIMES,  /* body_runtimes_encode: container runtimes, whenever something about them changes */
	IPC_UNNAMED,   /* body_unnamed_encode: of whom there will be no name */
	IPC_INVENTORY, /* u64: the inventory has read everything that had happened by then */
	IPC_ORIGIN,    /* body_origin: what conntrack knows of a flow asked for */
	/* engine -> enforcer */
	IPC_RECALL,   /* workload_encode: alive when weir was last there, by the store */
	IPC_RECALLED, /* that was all of them */
	/* u64 when the kernel's counters were last read, 0 never; u32 count, each as bytes counter_encode */
	IPC_COUNTERS,
	IPC_APPLY,   /* body_apply */
	IPC_ADOPT,   /* body_apply of the generation that the store says is in force: see daemon/enforcer_policy.c */
	IPC_CONFIRM, /* u64 token */
	IPC_REMOVE,  /* u64 token */
	IPC_ASK,     /* body_ask */
	IPC_RING_BAD, /* u32 worker: its ring is broken, so is it */
	IPC_TYPE_MAX_
};

struct msg {
	enum msg_type type;
	const uint8_t *data; /* borrowed from the channel until the next channel_recv */
	size_t len;
	int fds[MSG_FDS_MAX]; /* the receiver's to close */
	unsigned n_fds;
};

struct channel;

/* Takes over fd (made non-blocking) also on failure. queue_max: bytes that may wait to be sent. */
int channel_new(struct channel **out, int fd, size_t queue_max);
void channel_free(struct channel *c); /* closes; NULL is fine */
int channel_fd(const struct channel *c);

/* 0; -ENOBUFS queue full (nothing queued); -EPIPE the other end is gone; -EMSGSIZE; -ENOMEM. Descriptors are
 * duplicated. */
int channel_send(struct channel *c, enum msg_type type, const void *body, size_t len);
int channel_send_fds(struct channel *c, enum msg_type type, const void *body, size_t len, const int *fds,
		     unsigned n_fds);
/* Whether something waits: then watch for EPOLLOUT and call channel_flush. */
bool channel_pending(const struct channel *c);
int channel_flush(struct channel *c); /* 0 or -EPIPE */

/* A longer body is nonsense, where it is known that none is: MSG_BODY_MAX unless set. */
void channel_set_body_max(struct channel *c, size_t body_max);
/* How many messages are taken from one channel before whoever else waits gets his turn. */
#define MSG_ROUND_MAX 256u
/* 1 a message; 0 nothing more now, or so large a one that others come first; -EPIPE the other end is gone; -EBADMSG it
 * talks nonsense (treat as gone). */
int channel_recv(struct channel *c, struct msg *out);

#endif
