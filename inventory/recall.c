/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir may be restarted while the container runtime is down and its containers run on (Docker's live-restore): nobody
 * can say then who has which address, and taking the containers out of their groups for that would open what is
 * enforced and end identities that go on. So what the last run knew is kept as it was, but only for containers whose
 * address is still there: every veth of the host leads into a namespace, and the kernel tells the addresses in it
 * without entering it. Whoever is not seen that way any more has ended. What is kept belongs to the runtime's own lives
 * (docker_recall.c), which puts everything right when it answers again.
 *
 * What this cannot notice: a container that ended while weir was away, whose address another one got before the runtime
 * went down as well, is taken for the first until the runtime is back.
 */
#include "config.h"
#include "inventory/recall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "inventory/netns_inside.h"
#include "inventory/rtnl.h"

#define LOOK_NS NS_PER_S
#define NAMESPACES_MAX 65536
#define KNOWN_MAX 16384u

struct known {
	struct known *next;
	struct workload w;
};

struct recall {
	struct table *table;
	const struct links *links;
	struct nl *query;
	struct docker *runtime[INVENTORY_RUNTIMES_MAX];
	unsigned n_runtimes;
	struct known *list; /* until recall_apply */
	unsigned n_known;
	uint64_t looked_ns; /* monotonic */
	struct addr *seen;  /* sorted */
	size_t n_seen, cap_seen;
	int32_t *nsids;
	size_t n_nsids;
	bool failed; /* memory was short: what is not in seen may be there all the same */
};

/* ---- what is there --------------------------------------------------------------------------------------------- */

static void note_peer(void *arg, int32_t nsid)
{
	struct recall *r = arg;

	if (r->n_nsids < NAMESPACES_MAX)
		r->nsids[r->n_nsids++] = nsid;
	else
		r->failed = true;
}

static int nsid_order(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static void note_addrs(struct recall *r, const struct inside *in)
{
	if (r->n_seen + in->n_addrs > r->cap_seen) {
		size_t cap = 2 * r->cap_seen + INSIDE_ADDRS_MAX;
		struct addr *grown = realloc(r->seen, cap * sizeof(*grown));

		if (!grown) {
			r->failed = true;
			return;
		}
		r->seen = grown;
		r->cap_seen = cap;
	}
	for (unsigned i = 0; i < in->n_addrs; i++)
		r->seen[r->n_seen++] = in->addrs[i].addr;
}

static void look(struct recall *r)
{
	struct inside *in = malloc(sizeof(*in));

	r->n_seen = r->n_nsids = 0;
	r->nsids = malloc(NAMESPACES_MAX * sizeof(*r->nsids));
	r->failed = !in || !r->nsids;
	if (!r->failed) {
		links_each_peer(r->links, note_peer, r);
		qsort(r->nsids, r->n_nsids, sizeof(*r->nsids), nsid_order);
	}
	for (size_t i = 0; !r->failed && i < r->n_nsids; i++) {
		if (i && r->nsids[i] == r->nsids[i - 1])
			continue;
		memset(in, 0, sizeof(*in));
		inside_list_addrs(in, r->query, r->nsids[i]);
		note_addrs(r, in);
	}
	if (r->n_seen)
		qsort(r->seen, r->n_seen, sizeof(*r->seen), addr_order);
	free(r->nsids);
	r->nsids = NULL;
	free(in);
	r->looked_ns = time_mono_ns();
}

static bool seen(const struct recall *r, const struct workload *w)
{
	for (unsigned i = 0; i < w->n_addrs && r->n_seen; i++)
		if (bsearch(&w->addrs[i], r->seen, r->n_seen, sizeof(*r->seen), addr_order))
			return true;
	return false;
}

static bool gone(void *arg, const struct workload *w)
{
	return !seen(arg, w);
}

/* ---- whose it may be ------------------------------------------------------------------------------------------- */

static bool answers_for(const struct recall *r, const char *runtime)
{
	struct inventory_runtime s;

	for (unsigned i = 0; i < r->n_runtimes; i++) {
		docker_state(r->runtime[i], &s);
		if (s.reached && strcmp(s.name, runtime) == 0)
			return true;
	}
	return false;
}

/* The runtime out of reach that w may well be of; NULL: none. Sockets have telling names: /run/podman/podman.sock. */
static struct docker *owner(const struct recall *r, const struct workload *w)
{
	bool answered = answers_for(r, w->runtime);
	struct docker *best = NULL;
	struct inventory_runtime s;

	for (unsigned i = 0; i < r->n_runtimes; i++) {
		struct docker *d = r->runtime[i];

		docker_state(d, &s);
		/* A socket that is not there, and that nobody asked for, is not why a container is not on the list. */
		if (s.reached || (answered && s.absent && !docker_expected(d)))
			continue;
		if (!best || strstr(s.path, w->runtime))
			best = d;
		if (strstr(s.path, w->runtime))
			break;
	}
	return best;
}

static bool keep(struct recall *r, const struct workload *w)
{
	struct docker *d = owner(r, w);

	if (!d || !seen(r, w) || table_find(r->table, w->id) || table_owned(r->table, w->addrs, w->n_addrs))
		return false;
	return docker_recall(d, w) == 0;
}

/* A runtime that came back does not know a container that was kept: it may be another's. */
static bool on_unknown(void *arg, const struct workload *w)
{
	struct recall *r = arg;
	struct workload *copy;
	struct docker *d = owner(r, w);
	bool taken;

	if (!d || !seen(r, w))
		return false;
	copy = malloc(sizeof(*copy)); /* the table's own is replaced meanwhile */
	if (!copy)
		return false;
	*copy = *w;
	taken = docker_recall(d, copy) == 0;
	free(copy);
	return taken;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

int recall_new(struct recall **out, struct table *table, const struct links *links)
{
	struct recall *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	r->table = table;
	r->links = links;
	rc = rtnl_open(&r->query);
	if (rc < 0) {
		free(r);
		return rc;
	}
	*out = r;
	return 0;
}

static void forget(struct recall *r)
{
	for (struct known *k = r->list, *next; k; k = next) {
		next = k->next;
		free(k);
	}
	r->list = NULL;
	r->n_known = 0;
}

void recall_free(struct recall *r)
{
	if (!r)
		return;
	forget(r);
	free(r->seen);
	nl_close(r->query);
	free(r);
}

void recall_runtime(struct recall *r, struct docker *d)
{
	if (r->n_runtimes == INVENTORY_RUNTIMES_MAX)
		return;
	r->runtime[r->n_runtimes++] = d;
	docker_on_unknown(d, on_unknown, r);
}

int recall_add(struct recall *r, const struct workload *w)
{
	struct known *k = r->n_known < KNOWN_MAX ? calloc(1, sizeof(*k)) : NULL;

	if (!k)
		return -ENOMEM;
	r->n_known++;
	k->w = *w;
	k->next = r->list;
	r->list = k;
	return 0;
}

void recall_apply(struct recall *r)
{
	bool any = false;
	size_t kept = 0, lost = 0;

	for (const struct known *k = r->list; k && !any; k = k->next)
		any = owner(r, &k->w) != NULL;
	if (any && r->links)
		look(r);
	for (const struct known *k = r->list; any && r->links && k; k = k->next) {
		bool stays = keep(r, &k->w);

		kept += stays;
		lost += !stays && !table_find(r->table, k->w.id);
	}
	forget(r);
	if (kept)
		table_notice(r->table, true,
			     "the runtime of %zu container%s cannot be reached: kept as last known, for as "
			     "long as the address is seen%s",
			     kept, kept == 1 ? "" : "s", lost ? "; others known before are not there any more" : "");
}

void recall_look(struct recall *r)
{
	struct inventory_runtime s;
	bool any = false;

	if (!r->links || time_mono_ns() - r->looked_ns < LOOK_NS)
		return;
	r->looked_ns = time_mono_ns();
	for (unsigned i = 0; i < r->n_runtimes && !any; i++) {
		docker_state(r->runtime[i], &s);
		any = !s.reached && s.recalled;
	}
	if (!any)
		return;
	look(r);
	for (unsigned i = 0; i < r->n_runtimes && !r->failed; i++)
		docker_recalled_drop(r->runtime[i], gone, r);
}
