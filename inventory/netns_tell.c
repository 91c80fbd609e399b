/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is told of network namespaces: which of them are workloads of this host and which address is whose, and of those
 * that nobody could look into in time, that they were there.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "inventory/names.h"
#include "inventory/netns_impl.h"

static bool attached(const struct netns *n, struct ns *s)
{
	if (!s->attached)
		s->attached = links_reach(n->links, s->nsid, false);
	for (unsigned i = 0; i < s->inside.n_peers && !s->attached; i++) {
		const struct ns *other = netns_set_find(&n->set, s->inside.peers[i]);

		s->attached = other && other->attached;
	}
	return s->attached;
}

void netns_tell_gone(struct netns *n, struct ns *s)
{
	table_down(n->table, s->told, time_now_ns(), -1);
	s->told = 0;
}

/* "cni-UUID" and "netns-UUID" are containerd's and Podman's. */
static bool runtime_made(const char *name)
{
	const char *uuid = strncmp(name, "cni-", 4) == 0 ? name + 4 : strncmp(name, "netns-", 6) == 0 ? name + 6 : "";

	return strlen(uuid) == 36 && strspn(uuid, "0123456789abcdef-") == 36;
}

bool netns_left_to_runtime(const struct ns *s, uint64_t now)
{
	return !s->told && runtime_made(s->name) && now - s->seen_ns < NETNS_RUNTIME_FIRST_NS;
}

static bool is_news(const struct netns *n, const struct ns *s, const struct workload *w, bool owned)
{
	const struct workload *told = s->told ? table_find(n->table, s->told) : NULL;

	if (owned || !told)
		return owned ? s->told != 0 : w->n_addrs != 0;
	return told->n_addrs != w->n_addrs || memcmp(told->addrs, w->addrs, w->n_addrs * sizeof(w->addrs[0])) != 0;
}

/* One more change may be told now. */
static bool may_tell(struct ns *s)
{
	uint64_t now = time_mono_ns(), least = now - NETNS_TELL_AT_ONCE * NETNS_TELL_EVERY_NS;

	if (now > NETNS_TELL_AT_ONCE * NETNS_TELL_EVERY_NS && s->told_for_ns < least)
		s->told_for_ns = least;
	s->tell_waits = s->told_for_ns > now;
	if (!s->tell_waits)
		s->told_for_ns += NETNS_TELL_EVERY_NS;
	return !s->tell_waits;
}

int netns_tell(struct netns *n, struct ns *s, bool at_once)
{
	struct workload *w;
	bool owned;
	int r = 0;

	if (!attached(n, s) || (!at_once && netns_left_to_runtime(s, time_mono_ns())))
		return 0;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	inside_addrs(&s->inside, w);
	w->kind = WORKLOAD_NETNS;
	name_copy(w->name, sizeof(w->name), s->name);
	snprintf(w->runtime, sizeof(w->runtime), "netns");
	snprintf(w->runtime_id, sizeof(w->runtime_id), "net:[%llu]", (unsigned long long)s->inode);
	w->start_ns = s->start_ns;
	w->exit_code = -1;
	w->id = workload_id_of(w->runtime, w->runtime_id, w->start_ns);
	owned = table_owned(n->table, w->addrs, w->n_addrs);
	if (!is_news(n, s, w, owned)) {
		s->tell_waits = false;
	} else if (!at_once && !may_tell(s)) {
		/* in a moment, as it is then */
	} else if (owned) {
		netns_tell_gone(n, s); /* a container's own namespace: the container has told its name */
	} else if (s->told || w->n_addrs) {
		/* Seen first with the address: it cannot be older than the namespace. */
		r = table_up(n->table, w, s->told ? time_now_ns() : s->start_ns);
		s->told = w->id;
	}
	free(w);
	return r;
}

/* Who never had a file is a container, or nobody's business to name: the engine says "never announced" of those. */
void netns_tell_unnamed(struct netns *n, const struct ns *s, bool ended)
{
	struct inventory_unnamed u = {.why = FLOW_UNNAMED_GONE, .from_ns = s->start_ns,
				      .to_ns = ended ? time_now_ns() : UINT64_MAX};
	struct workload *w;

	if (!s->file_missed || !s->inside.n_addrs || !links_reach(n->links, s->nsid, true))
		return;
	w = calloc(1, sizeof(*w));
	if (!w)
		return;
	inside_addrs(&s->inside, w);
	u.n_addrs = w->n_addrs;
	memcpy(u.addrs, w->addrs, sizeof(u.addrs));
	free(w);
	if (u.n_addrs)
		table_unnamed(n->table, &u);
}

void netns_tell_unknown(struct netns *n, enum flow_unnamed why, uint64_t from_ns, uint64_t until_ns)
{
	const struct inventory_unnamed u = {.why = (uint8_t)why, .from_ns = from_ns,
					    .to_ns = until_ns ? until_ns : time_now_ns()};

	table_unnamed(n->table, &u);
}

int netns_tell_all(struct netns *n)
{
	bool changed = true;
	int r = 0;

	/* One may be attached through another further down the list: until nothing changes. */
	while (changed) {
		changed = false;
		for (struct ns *s = n->set.named; s; s = s->next)
			if (!s->attached && attached(n, s))
				changed = true;
	}
	for (struct ns *s = n->set.named; s && r == 0; s = s->next)
		r = netns_tell(n, s, false);
	return r;
}
