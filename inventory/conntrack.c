/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two questions about a captured conversation only the kernel can answer: who began it, if capture came late, and what
 * address the client really called, if the kernel changed it on the way. Following every connection of a busy host for
 * that would cost more than capture itself, so:
 *
 *	- only translated connections are remembered, by their appearances on the wire: the client's side, the server's, and
 *	  what lies between where both addresses are changed, one on the way into the host, the other on the way out
 *	  (a bridge shows that of a container that calls its own published port). A filter in the kernel keeps
 *	  all other notices from us. They stay for a minute after their end, since flows are reported at theirs;
 *	- anything else is looked up in the kernel's own table when somebody asks: it holds a connection for at least as
 *	  long as capture takes to report one.
 *
 * Memory is bounded: when there is no room, ended connections go first, then the oldest.
 */
#include "config.h"
#include "inventory/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/hash.h"
#include "common/timefmt.h"
#include "inventory/conntrack_msg.h"

#define EVENT_BUFFER (8u << 20)
#define KEEP_ENDED_NS (60 * NS_PER_S)

/* The two ends, the lesser first, so that both directions have one key. */
struct key {
	struct addr addr[2];
	uint16_t port[2];
	uint32_t proto;
};

struct entry;
struct node {
	struct node *next;
	struct key key;
	struct entry *entry;
};

#define VIEWS 3

struct entry {
	struct node node[VIEWS]; /* as the client's side shows it, as the server's side does, and between */
	struct ct_conn conn;
	uint64_t ended_ns;           /* monotonic, 0: still there */
	struct entry *older, *newer; /* in the queue of the living or of the ended */
};

struct queue {
	struct entry *oldest, *newest;
};

struct conntrack {
	struct nl *events, *query;
	struct hash_secret secret;
	size_t max, mask;
	struct node **bucket;
	struct queue living, ended;
	struct conntrack_stats stats;
};

/* ---- keys and queues ------------------------------------------------------------------------------------------- */

static struct key key_of(uint8_t proto, const struct addr *a, uint16_t a_port, const struct addr *b, uint16_t b_port)
{
	int c = addr_cmp(a, b);
	bool swap = c > 0 || (c == 0 && a_port > b_port);
	struct key k = {{swap ? *b : *a, swap ? *a : *b}, {swap ? b_port : a_port, swap ? a_port : b_port}, proto};

	return k;
}

static struct key key_of_tuple(const struct ct_tuple *t)
{
	return key_of(t->proto, &t->src, t->sport, &t->dst, t->dport);
}

static struct node **bucket_of(struct conntrack *c, const struct key *k)
{
	return &c->bucket[hash_bytes(&c->secret, k, sizeof(*k)) & c->mask];
}

static struct entry *find(struct conntrack *c, const struct key *k)
{
	struct node *n = *bucket_of(c, k);

	while (n && memcmp(&n->key, k, sizeof(*k)) != 0)
		n = n->next;
	return n ? n->entry : NULL;
}

static void queue_push(struct queue *q, struct entry *e)
{
	e->newer = NULL;
	e->older = q->newest;
	if (q->newest)
		q->newest->newer = e;
	else
		q->oldest = e;
	q->newest = e;
}

static void queue_remove(struct queue *q, struct entry *e)
{
	if (e->older)
		e->older->newer = e->newer;
	else
		q->oldest = e->newer;
	if (e->newer)
		e->newer->older = e->older;
	else
		q->newest = e->older;
}

static void forget(struct conntrack *c, struct entry *e)
{
	for (unsigned i = 0; i < VIEWS; i++) {
		struct node **at = bucket_of(c, &e->node[i].key);

		while (*at != &e->node[i])
			at = &(*at)->next;
		*at = e->node[i].next;
	}
	queue_remove(e->ended_ns ? &c->ended : &c->living, e);
	c->stats.kept_now--;
	free(e);
}

/* ---- following ------------------------------------------------------------------------------------------------- */

static void remember(struct conntrack *c, const struct ct_conn *conn)
{
	struct key k = key_of_tuple(&conn->orig);
	struct entry *e = find(c, &k);

	if (e && memcmp(&e->conn.orig, &conn->orig, sizeof(conn->orig)) == 0)
		forget(c, e); /* the same ends once more: the latest counts */
	if (c->stats.kept_now >= c->max) {
		forget(c, c->ended.oldest ? c->ended.oldest : c->living.oldest);
		c->stats.evicted++;
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return;
	e->conn = *conn;
	e->node[0].key = k;
	e->node[1].key = key_of_tuple(&conn->reply);
	e->node[2].key = key_of(conn->orig.proto, &conn->orig.src, conn->orig.sport, &conn->reply.src, conn->reply.sport);
	for (unsigned i = 0; i < VIEWS; i++) {
		struct node **at = bucket_of(c, &e->node[i].key);

		e->node[i].entry = e;
		e->node[i].next = *at;
		*at = &e->node[i];
	}
	queue_push(&c->living, e);
	c->stats.kept_now++;
	c->stats.seen++;
}

static void has_ended(struct conntrack *c, const struct ct_conn *conn)
{
	struct key k = key_of_tuple(&conn->orig);
	struct entry *e = find(c, &k);

	if (!e || e->ended_ns || memcmp(&e->conn.orig, &conn->orig, sizeof(conn->orig)) != 0)
		return;
	queue_remove(&c->living, e);
	e->ended_ns = time_mono_ns();
	queue_push(&c->ended, e);
}

static int on_conn(void *arg, const struct nlmsghdr *h)
{
	struct conntrack *c = arg;
	struct ct_conn conn;

	if (ct_parse(&conn, h) < 0 || !ct_translated(&conn))
		return 0;
	if (conn.ended)
		has_ended(c, &conn);
	else
		remember(c, &conn);
	return 0;
}

int conntrack_dispatch(struct conntrack *c)
{
	int r = nl_events(c->events, on_conn, c);
	uint64_t now = time_mono_ns(); /* not before: an end just read must not lie in the future */

	while (c->ended.oldest && now - c->ended.oldest->ended_ns > KEEP_ENDED_NS)
		forget(c, c->ended.oldest);
	if (r == -ENOBUFS) { /* what was lost can still be asked for */
		c->stats.lost++;
		r = 0;
	}
	return r;
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

static bool same_end(const struct addr *a, uint16_t a_port, const struct addr *b, uint16_t b_port)
{
	return a_port == b_port && addr_equal(a, b);
}

static void answer(const struct ct_conn *conn, const struct addr *first, uint16_t first_port,
		   struct conntrack_origin *out)
{
	const struct ct_tuple *o = &conn->orig, *r = &conn->reply;

	out->client = o->src;
	out->client_port = o->sport;
	out->server = r->src;
	out->server_port = r->sport;
	/* On the client's side of a translation it is the original source, on the server's the reply's destination. */
	out->client_is_first =
		same_end(first, first_port, &o->src, o->sport) || same_end(first, first_port, &r->dst, r->dport);
	out->orig_addr = addr_any;
	out->orig_port = 0;
	if (!addr_equal(&o->dst, &r->src) || o->dport != r->sport) {
		out->orig_addr = o->dst;
		out->orig_port = o->dport;
	}
}

int conntrack_lookup(struct conntrack *c, uint8_t proto, const struct addr addr[2], const uint16_t port[2],
		     struct conntrack_origin *out)
{
	bool icmp = proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
	uint16_t second = icmp ? port[0] : port[1];
	struct key k = key_of(proto, &addr[0], port[0], &addr[1], second);
	struct entry *e = find(c, &k);
	struct ct_tuple t = {addr[0], addr[1], port[0], second, proto};
	struct ct_conn conn;
	int r;

	if (e) {
		answer(&e->conn, &addr[0], port[0], out);
		return 0;
	}
	c->stats.asked++;
	r = ct_get(c->query, &t, &conn);
	if (r == -ENOENT && icmp) {
		/* The kernel compares the type too: an echo request goes from the client only. */
		t.src = addr[1];
		t.dst = addr[0];
		r = ct_get(c->query, &t, &conn);
	}
	if (r < 0)
		return r;
	c->stats.answered++;
	answer(&conn, &addr[0], port[0], out);
	return 0;
}

void conntrack_stats(const struct conntrack *c, struct conntrack_stats *out)
{
	*out = c->stats;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static bool events_off(void)
{
	FILE *f = fopen("/proc/sys/net/netfilter/nf_conntrack_events", "re");
	int v = 1;

	if (!f)
		return false;
	if (fscanf(f, "%d", &v) != 1)
		v = 1;
	fclose(f);
	return v == 0;
}

int conntrack_open(struct conntrack **out, size_t max)
{
	struct conntrack *c = calloc(1, sizeof(*c));
	size_t buckets = 1024;
	int r;

	if (!c)
		return -ENOMEM;
	c->max = max ? max : CONNTRACK_MAX_DEFAULT;
	while (buckets < c->max)
		buckets *= 2;
	c->mask = buckets - 1;
	c->bucket = calloc(buckets, sizeof(*c->bucket));
	r = c->bucket ? 0 : -ENOMEM;
	hash_secret_init(&c->secret);
	if (r == 0)
		r = nl_open(&c->query, NETLINK_NETFILTER);
	if (r == 0)
		r = nl_open(&c->events, NETLINK_NETFILTER);
	if (r == 0)
		r = ct_filter_translated(c->events);
	if (r == 0) {
		nl_set_rcvbuf(c->events, EVENT_BUFFER);
		r = nl_join(c->events, NFNLGRP_CONNTRACK_NEW);
	}
	if (r == 0)
		r = nl_join(c->events, NFNLGRP_CONNTRACK_DESTROY);
	/* Notices first, then the list, so that nothing falls between. */
	if (r == 0)
		r = ct_dump(c->query, AF_INET, on_conn, c);
	if (r == 0)
		r = ct_dump(c->query, AF_INET6, on_conn, c);
	if (r < 0) {
		conntrack_close(c);
		return r;
	}
	c->stats.events_off = events_off();
	*out = c;
	return 0;
}

void conntrack_close(struct conntrack *c)
{
	if (!c)
		return;
	while (c->living.oldest)
		forget(c, c->living.oldest);
	while (c->ended.oldest)
		forget(c, c->ended.oldest);
	free(c->bucket);
	nl_close(c->events);
	nl_close(c->query);
	free(c);
}

int conntrack_fd(const struct conntrack *c)
{
	return nl_fd(c->events);
}
