/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fragments of one datagram share sender, receiver, protocol and identification (RFC 791; RFC 8200 section 4.5, where
 * the protocol is not part of it but does no harm). A set-associative table of 4 x 1024 remembers them for 30 s, the
 * time Linux gives to reassembly. A flood of fragments can push an entry out: then what follows is counted as an
 * orphan, which shows in coverage as malformed, and nothing grows.
 */
#include "config.h"
#include "capture/frag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/timefmt.h"

#define WAYS 4
#define SETS 1024
#define LIFETIME_NS (30 * NS_PER_S)

struct frag_key {
	struct addr addr[2];
	uint32_t id, tunnel_id;
	uint16_t vlan;
	uint8_t proto, tunnel;
};

struct frag_entry {
	struct frag_key key;
	uint64_t seen_ns; /* 0: free */
	bool known;       /* the first fragment was seen: the fields below hold */
	uint8_t icmp_type, icmp_code;
	uint16_t icmp_id;
	uint16_t port[2];
	struct frag_early early;
};

struct frag_table {
	struct hash_secret secret;
	uint64_t orphans;
	bool used;
	struct frag_entry set[SETS][WAYS];
};

int frag_new(struct frag_table **out)
{
	struct frag_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	hash_secret_init(&t->secret);
	*out = t;
	return 0;
}

void frag_free(struct frag_table *t)
{
	free(t);
}

uint64_t frag_orphans(const struct frag_table *t)
{
	return t->orphans;
}

void frag_forget(struct frag_table *t)
{
	if (!t->used)
		return;
	for (unsigned i = 0; i < SETS * WAYS; i++) {
		const struct frag_entry *e = &t->set[i / WAYS][i % WAYS];

		if (!e->known)
			t->orphans += e->early.pkts;
	}
	memset(t->set, 0, sizeof(t->set));
	t->used = false;
}

/* The entry of p's datagram, or a fresh one in the place of the oldest of its set. */
static struct frag_entry *entry(struct frag_table *t, const struct packet *p, uint64_t now_ns)
{
	struct frag_key key;
	struct frag_entry *set, *oldest;

	t->used = true;
	memset(&key, 0, sizeof(key));
	key.addr[0] = p->addr[0];
	key.addr[1] = p->addr[1];
	key.id = p->fragment_id;
	key.vlan = p->vlan;
	key.proto = p->proto;
	key.tunnel = p->tunnel;
	key.tunnel_id = p->tunnel_id; /* tenants of an overlay may have the same addresses */
	set = t->set[hash_bytes(&t->secret, &key, sizeof(key)) % SETS];
	oldest = &set[0];
	for (unsigned i = 0; i < WAYS; i++) {
		struct frag_entry *e = &set[i];

		if (e->seen_ns && memcmp(&e->key, &key, sizeof(key)) == 0 &&
		    (now_ns < e->seen_ns || now_ns - e->seen_ns < LIFETIME_NS))
			return e;
		if (e->seen_ns < oldest->seen_ns)
			oldest = e;
	}
	if (!oldest->known)
		t->orphans += oldest->early.pkts;
	memset(oldest, 0, sizeof(*oldest));
	oldest->key = key;
	oldest->seen_ns = now_ns ? now_ns : 1;
	return oldest;
}

void frag_first(struct frag_table *t, const struct packet *p, uint64_t now_ns, struct frag_early *early)
{
	struct frag_entry *e = entry(t, p, now_ns);

	*early = e->known ? (struct frag_early){0} : e->early;
	memset(&e->early, 0, sizeof(e->early));
	e->known = true;
	e->port[0] = p->port[0];
	e->port[1] = p->port[1];
	e->icmp_type = p->icmp_type;
	e->icmp_code = p->icmp_code;
	e->icmp_id = p->icmp_id;
}

bool frag_later(struct frag_table *t, struct packet *p, uint64_t now_ns, uint32_t wirelen)
{
	struct frag_entry *e = entry(t, p, now_ns);

	if (!e->known) {
		e->early.pkts++;
		e->early.bytes += wirelen;
		return false;
	}
	p->port[0] = e->port[0];
	p->port[1] = e->port[1];
	p->icmp_type = e->icmp_type;
	p->icmp_code = e->icmp_code;
	p->icmp_id = e->icmp_id;
	return true;
}
