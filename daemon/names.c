/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Address and time to workload and group: see names.h. Three small tables: intervals hashed by address (newest first in
 * their chain), live workloads by id, and group names by number. The hash of addresses is keyed, since
 * they come from packets.
 */
#include "config.h"
#include "daemon/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/timefmt.h"

#define SLACK_NS (2 * NS_PER_S) /* how far a name may miss a packet: the runtime tells of starts a little late */
#define BUCKETS_MIN 256
#define NETWORKS_MAX 256

struct interval {
	struct interval *next;
	struct addr addr;
	uint64_t workload, from_ns, to_ns; /* to_ns 0: still open */
	uint32_t group;
};

struct live {
	struct live *next;
	struct workload w;
	uint32_t group;
};

struct network {
	uint32_t ifindex;
	struct prefix prefix;
};

struct names {
	bool any_time;
	struct hash_secret secret;
	struct interval **buckets;
	size_t n_buckets, n_intervals;
	struct live *live[1024];
	size_t n_live;
	struct addr *host;
	size_t n_host;
	struct network networks[NETWORKS_MAX];
	size_t n_networks;
	char **groups;
	size_t n_groups, cap_groups;
};

static size_t bucket_of(const struct names *n, const struct addr *a)
{
	return hash_bytes(&n->secret, a->b, sizeof(a->b)) & (n->n_buckets - 1);
}

static struct live **live_slot(struct names *n, uint64_t id)
{
	struct live **l = &n->live[id % (sizeof(n->live) / sizeof(n->live[0]))];

	while (*l && (*l)->w.id != id)
		l = &(*l)->next;
	return l;
}

int names_new(struct names **out, bool any_time)
{
	struct names *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->any_time = any_time;
	hash_secret_init(&n->secret);
	n->n_buckets = BUCKETS_MIN;
	n->buckets = calloc(n->n_buckets, sizeof(*n->buckets));
	if (!n->buckets || names_group_number(n, GROUP_WORLD) != NAMES_WORLD || n->n_groups != 1 ||
	    names_group_number(n, GROUP_HOST) != NAMES_HOST) {
		names_free(n);
		return -ENOMEM;
	}
	*out = n;
	return 0;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	for (size_t i = 0; n->buckets && i < n->n_buckets; i++) {
		while (n->buckets[i]) {
			struct interval *next = n->buckets[i]->next;

			free(n->buckets[i]);
			n->buckets[i] = next;
		}
	}
	for (size_t i = 0; i < sizeof(n->live) / sizeof(n->live[0]); i++) {
		while (n->live[i]) {
			struct live *next = n->live[i]->next;

			free(n->live[i]);
			n->live[i] = next;
		}
	}
	for (size_t i = 0; i < n->n_groups; i++)
		free(n->groups[i]);
	free(n->groups);
	free(n->buckets);
	free(n->host);
	free(n);
}

uint32_t names_group_number(struct names *n, const char *text)
{
	/* Groups are few (a host has tens); the search is off the path of flows. */
	for (size_t i = 0; i < n->n_groups; i++)
		if (strcmp(n->groups[i], text) == 0)
			return (uint32_t)i;
	if (n->n_groups == n->cap_groups) {
		size_t cap = n->cap_groups ? n->cap_groups * 2 : 64;
		char **grown = realloc(n->groups, cap * sizeof(*grown));

		if (!grown)
			return NAMES_WORLD;
		n->groups = grown;
		n->cap_groups = cap;
	}
	n->groups[n->n_groups] = strdup(text);
	return n->groups[n->n_groups] ? (uint32_t)n->n_groups++ : NAMES_WORLD;
}

const char *names_group(const struct names *n, uint32_t group)
{
	return group < n->n_groups ? n->groups[group] : GROUP_WORLD;
}

static void grow(struct names *n)
{
	size_t count = n->n_buckets * 2;
	struct interval **fresh = calloc(count, sizeof(*fresh)), **old = n->buckets;
	size_t n_old = n->n_buckets;

	if (!fresh)
		return; /* longer chains, still right */
	n->buckets = fresh;
	n->n_buckets = count;
	for (size_t i = 0; i < n_old; i++) {
		struct interval *reversed = NULL, *v, *next;

		for (v = old[i]; v; v = next) { /* twice reversed: the newest stays first */
			next = v->next;
			v->next = reversed;
			reversed = v;
		}
		for (v = reversed; v; v = next) {
			size_t b = bucket_of(n, &v->addr);

			next = v->next;
			v->next = fresh[b];
			fresh[b] = v;
		}
	}
	free(old);
}

/* Opens an interval unless this workload has it open already; whoever else had the address loses it now. */
static int bind_addr(struct names *n, const struct addr *a, uint64_t workload, uint32_t group, uint64_t from_ns)
{
	struct interval *v;
	size_t b = bucket_of(n, a);

	for (v = n->buckets[b]; v; v = v->next) {
		if (v->to_ns || !addr_equal(&v->addr, a))
			continue;
		if (v->workload == workload) {
			v->group = group;
			return 0;
		}
		v->to_ns = from_ns > v->from_ns ? from_ns : v->from_ns + 1;
	}
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	*v = (struct interval){n->buckets[b], *a, workload, from_ns, 0, group};
	n->buckets[b] = v;
	if (++n->n_intervals > n->n_buckets)
		grow(n);
	return 0;
}

static void unbind_addr(struct names *n, const struct addr *a, uint64_t workload, uint64_t to_ns)
{
	for (struct interval *v = n->buckets[bucket_of(n, a)]; v; v = v->next)
		if (!v->to_ns && v->workload == workload && addr_equal(&v->addr, a))
			v->to_ns = to_ns > v->from_ns ? to_ns : v->from_ns + 1;
}

static bool has_addr(const struct workload *w, const struct addr *a)
{
	for (unsigned i = 0; i < w->n_addrs; i++)
		if (addr_equal(&w->addrs[i], a))
			return true;
	return false;
}

int names_up(struct names *n, const struct workload *w, const char *group, uint64_t bound_ns)
{
	struct live **slot = live_slot(n, w->id), *l = *slot;
	int rc = 0;

	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return -ENOMEM;
		*slot = l;
		n->n_live++;
	}
	for (unsigned i = 0; i < l->w.n_addrs; i++)
		if (!has_addr(w, &l->w.addrs[i]))
			unbind_addr(n, &l->w.addrs[i], w->id, bound_ns);
	l->group = names_group_number(n, group);
	for (unsigned i = 0; i < w->n_addrs && rc == 0; i++)
		rc = bind_addr(n, &w->addrs[i], w->id, l->group, bound_ns);
	l->w = *w;
	return rc;
}

void names_down(struct names *n, uint64_t id, uint64_t end_ns)
{
	struct live **slot = live_slot(n, id), *l = *slot;

	if (!l)
		return;
	for (unsigned i = 0; i < l->w.n_addrs; i++)
		unbind_addr(n, &l->w.addrs[i], id, end_ns);
	*slot = l->next;
	free(l);
	n->n_live--;
}

int names_host(struct names *n, const struct addr *addrs, size_t count)
{
	struct addr *copy = count ? malloc(count * sizeof(*copy)) : NULL;

	if (count && !copy)
		return -ENOMEM;
	if (count)
		memcpy(copy, addrs, count * sizeof(*copy));
	free(n->host);
	n->host = copy;
	n->n_host = count;
	return 0;
}

int names_network(struct names *n, uint32_t ifindex, const struct addr *addrs, const uint8_t *lens, size_t count)
{
	names_network_gone(n, ifindex);
	for (size_t i = 0; i < count; i++) {
		struct prefix p = {addrs[i], lens[i]};

		/* One that stands alone (a gateway's on a veth) tells no network; a guess does for a short wait. */
		if (p.len >= 128)
			p.len = addr_is_v4(&addrs[i]) ? 96 + 16 : 64;
		if (n->n_networks == NETWORKS_MAX)
			return -ENOSPC;
		for (unsigned bit = p.len; bit < 128; bit++)
			p.addr.b[bit / 8] &= (uint8_t)~(0x80u >> (bit % 8));
		n->networks[n->n_networks++] = (struct network){ifindex, p};
	}
	return 0;
}

void names_network_gone(struct names *n, uint32_t ifindex)
{
	size_t kept = 0;

	for (size_t i = 0; i < n->n_networks; i++)
		if (n->networks[i].ifindex != ifindex)
			n->networks[kept++] = n->networks[i];
	n->n_networks = kept;
}

/* Ranges that are nobody's on the Internet: where an address on a bridge is likely a container's. */
static bool is_private(const struct addr *a)
{
	const uint8_t *v4 = a->b + 12;

	if (!addr_is_v4(a))
		return (a->b[0] & 0xfe) == 0xfc || addr_is_linklocal(a);
	return v4[0] == 10 || (v4[0] == 172 && (v4[1] & 0xf0) == 16) || (v4[0] == 192 && v4[1] == 168) ||
	       (v4[0] == 100 && (v4[1] & 0xc0) == 64) || addr_is_linklocal(a);
}

bool names_on_link(const struct names *n, const struct addr *a, uint32_t but_ifindex)
{
	for (size_t i = 0; i < n->n_networks; i++)
		if (n->networks[i].ifindex != but_ifindex && prefix_contains(&n->networks[i].prefix, a))
			return true;
	return false;
}

/* How far at_ns lies outside the interval; 0 inside. */
static uint64_t distance_ns(const struct interval *v, uint64_t at_ns)
{
	if (at_ns < v->from_ns)
		return v->from_ns - at_ns;
	return v->to_ns && at_ns > v->to_ns ? at_ns - v->to_ns : 0;
}

void names_find(const struct names *n, const struct addr *a, uint64_t at_ns, struct names_end *out)
{
	const struct interval *best = NULL;
	uint64_t best_ns = n->any_time ? UINT64_MAX : SLACK_NS + 1;

	for (const struct interval *v = n->buckets[bucket_of(n, a)]; v; v = v->next) {
		uint64_t d;

		if (!addr_equal(&v->addr, a))
			continue;
		d = distance_ns(v, at_ns);
		if (d < best_ns) {
			best = v;
			best_ns = d;
		}
	}
	*out = (struct names_end){0, NAMES_WORLD, false, false};
	if (best) {
		out->workload = best->workload;
		out->group = best->group;
		return;
	}
	for (size_t i = 0; i < n->n_host; i++) {
		if (addr_equal(&n->host[i], a)) {
			out->group = NAMES_HOST;
			return;
		}
	}
	if (addr_is_loopback(a)) {
		out->group = NAMES_HOST;
	} else if (!addr_is_multicast(a)) {
		out->watched = names_on_link(n, a, 0);
		out->late = out->watched || is_private(a);
	}
}

const struct workload *names_workload(const struct names *n, uint64_t id)
{
	const struct live *l = n->live[id % (sizeof(n->live) / sizeof(n->live[0]))];

	while (l && l->w.id != id)
		l = l->next;
	return l ? &l->w : NULL;
}

size_t names_count(const struct names *n)
{
	return n->n_live;
}

void names_each(const struct names *n, void (*fn)(void *arg, const struct workload *w), void *arg)
{
	for (size_t i = 0; i < sizeof(n->live) / sizeof(n->live[0]); i++)
		for (const struct live *l = n->live[i]; l; l = l->next)
			fn(arg, &l->w);
}

int names_regroup(struct names *n, const char *(*group_of)(void *arg, const struct workload *w), void *arg)
{
	int rc = 0;

	for (size_t i = 0; i < sizeof(n->live) / sizeof(n->live[0]); i++) {
		for (struct live *l = n->live[i]; l && rc == 0; l = l->next) {
			l->group = names_group_number(n, group_of(arg, &l->w));
			for (unsigned a = 0; a < l->w.n_addrs && rc == 0; a++)
				rc = bind_addr(n, &l->w.addrs[a], l->w.id, l->group, l->w.start_ns);
		}
	}
	return rc;
}

void names_forget(struct names *n, uint64_t before_ns)
{
	for (size_t i = 0; i < n->n_buckets; i++) {
		struct interval **v = &n->buckets[i];

		while (*v) {
			struct interval *old = *v;

			if (!old->to_ns || old->to_ns >= before_ns) {
				v = &old->next;
				continue;
			}
			*v = old->next;
			free(old);
			n->n_intervals--;
		}
	}
}

size_t names_groups(const struct names *n)
{
	uint8_t *seen = calloc(n->n_groups, 1);
	size_t count = 0;

	for (size_t i = 0; seen && i < sizeof(n->live) / sizeof(n->live[0]); i++) {
		for (const struct live *l = n->live[i]; l; l = l->next) {
			count += !seen[l->group];
			seen[l->group] = 1;
		}
	}
	free(seen);
	return count;
}
