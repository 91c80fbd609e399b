/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Netlink for people who are not netlink programmers: a socket, a message that is built attribute by attribute and
 * cannot overflow, a request whose ack belongs to it, a dump, a transaction of many messages in which an error
 * names the object it is about, and a socket for events that tells when the kernel had to drop some. Used by
 * segment/ (nftables, NFLOG) and inventory/ (links, addresses). Nothing here is thread-safe: one socket, one
 * thread.
 */
#ifndef WEIR_NETLINK_NL_H
#define WEIR_NETLINK_NL_H
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define NL_TIMEOUT_MS 20000 /* how long a request waits for the kernel before it gives up with -ETIMEDOUT */

struct nl; /* one socket */

/* bus: NETLINK_ROUTE, NETLINK_NETFILTER, ... in the network namespace of the calling thread. 0 or negative errno. */
int nl_open(struct nl **out, int bus);
void nl_close(struct nl *s); /* NULL is fine */
int nl_fd(const struct nl *s);
uint32_t nl_port(const struct nl *s); /* our address: what the kernel tells of our changes has it as nlmsg_pid */
int nl_join(struct nl *s, unsigned group); /* a multicast group by number (RTNLGRP_LINK, NFNLGRP_NFTABLES) */
/* Receive buffer in bytes, past the host's limit where CAP_NET_ADMIN allows. Best effort. */
void nl_set_rcvbuf(struct nl *s, unsigned bytes);

/* ---- a message ----------------------------------------------------------------------------------------------- */
struct nl_msg {
	struct buf b; /* nlmsghdr, family header, attributes */
	bool failed;  /* out of memory, or an attribute too long: sending returns -EMSGSIZE */
};
/* type and flags as in nlmsghdr; NLM_F_REQUEST is added. Returns the family's header (extra_len bytes, zeroed: struct
 * ifinfomsg and the like), valid until the next put; NULL when out of memory. nl_msg_fini frees. */
void *nl_msg_init(struct nl_msg *m, uint16_t type, uint16_t flags, size_t extra_len);
void nl_msg_fini(struct nl_msg *m);
void nl_put(struct nl_msg *m, uint16_t type, const void *data, size_t len);
void nl_put_u8(struct nl_msg *m, uint16_t type, uint8_t v);
void nl_put_u16(struct nl_msg *m, uint16_t type, uint16_t v); /* host order, as rtnetlink has it */
void nl_put_u32(struct nl_msg *m, uint16_t type, uint32_t v);
void nl_put_str(struct nl_msg *m, uint16_t type, const char *s); /* with its NUL */
size_t nl_nest_start(struct nl_msg *m, uint16_t type); /* NLA_F_NESTED is added; returns what nl_nest_end needs */
void nl_nest_end(struct nl_msg *m, size_t nest);

/* ---- talking ------------------------------------------------------------------------------------------------- */
/* Called for each message; a negative return ends the exchange and is returned (what is left unread is discarded
 * later). */
typedef int nl_fn(void *arg, const struct nlmsghdr *h);

/* Sends m with NLM_F_ACK and waits for the ack of this very message. fn (may be NULL) gets answers before it. 0, or the
 * kernel's negative errno. */
int nl_request(struct nl *s, struct nl_msg *m, nl_fn *fn, void *arg);
/* Sends m with NLM_F_DUMP and hands every part to fn. -EINTR: the table changed meanwhile and the parts may not fit
 * together; start again with what was collected thrown away. */
int nl_dump(struct nl *s, struct nl_msg *m, nl_fn *fn, void *arg);
/* The kernel's sentence about the last request that failed (NLMSGERR_ATTR_MSG), or "". */
const char *nl_error_text(const struct nl *s);

/*
 * Reads an event socket, without blocking: what had happened when it was called, and next to nothing of what happens
 * meanwhile, so that it returns however fast somebody makes the kernel talk. What is left keeps the descriptor
 * readable. fn may be NULL. 0; -ENOBUFS when the kernel had to drop notices: the listener's picture is stale and it
 * must look again (what was still queued is read first, and from here on nothing is dropped unsaid); what fn returned
 * when that is negative (the rest is left for the next call).
 */
int nl_events(struct nl *s, nl_fn *fn, void *arg);
/* The same for a socket that hears other network namespaces, too (NETLINK_LISTEN_ALL_NSID). nsid: the one that the
 * notice comes from, NL_NSID_OWN for our own. */
#define NL_NSID_OWN (-1)
typedef int nl_nsid_fn(void *arg, int32_t nsid, const struct nlmsghdr *h);
int nl_events_nsid(struct nl *s, nl_nsid_fn *fn, void *arg);

/* ---- reading ------------------------------------------------------------------------------------------------- */
/* The family's header behind h, or NULL when the message is shorter than extra_len. */
const void *nl_body(const struct nlmsghdr *h, size_t extra_len);
/* Attributes by type into tb[0..max], absent ones NULL; unknown types and malformed tails are skipped. */
void nl_attrs(const struct nlattr **tb, uint16_t max, const struct nlmsghdr *h, size_t extra_len);
void nl_attrs_nested(const struct nlattr **tb, uint16_t max, const struct nlattr *nest);
size_t nl_attr_len(const struct nlattr *a);       /* 0 for NULL */
const void *nl_attr_data(const struct nlattr *a); /* NULL for NULL */
/* 0 for NULL or a wrong length. Host order; for the big-endian ones of nfnetlink use be32toh on the result. */
uint8_t nl_attr_u8(const struct nlattr *a);
uint16_t nl_attr_u16(const struct nlattr *a);
uint32_t nl_attr_u32(const struct nlattr *a);
uint64_t nl_attr_u64(const struct nlattr *a);
/* Copies text, cut to size - 1 and always terminated; "" for NULL. Returns out. */
const char *nl_attr_str(const struct nlattr *a, char *out, size_t size);

/* ---- many messages, one transaction (nfnetlink batches) -------------------------------------------------------- */
#define NL_BATCH_ROOM 131072 /* bytes that one message of a batch may have */

struct nl_batch;
int nl_batch_new(struct nl_batch **out);
void nl_batch_free(struct nl_batch *b);
/* Room for one message of up to NL_BATCH_ROOM bytes: build it there with the sequence number *seq (libnftnl's build
 * functions take a bare pointer), then nl_batch_push it with the text that shall name it in an error. Valid until the
 * next nl_batch_ call. NULL when out of memory. */
void *nl_batch_next(struct nl_batch *b, uint32_t *seq);
int nl_batch_push(struct nl_batch *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t nl_batch_count(const struct nl_batch *b);
size_t nl_batch_bytes(const struct nl_batch *b);
/*
 * Sends the batch in one piece and reads every answer. 0 when the kernel took all of it; else the first error, and
 * nothing was changed: *error (size bytes) then says which object was refused and why. The last message but one
 * (the one before the batch's end mark) gets NLM_F_ACK, so that silence is never taken for success.
 */
int nl_batch_send(struct nl *s, struct nl_batch *b, char *error, size_t size);

#endif
