/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two lists and a hash over one kind of element: see netns_set.h. */
#include "config.h"
#include "inventory/netns_set.h"

#include <stdlib.h>

#include "inventory/netns_impl.h"

static struct ns **bucket_of(struct netns_set *set, int32_t nsid)
{
	return &set->bucket[(uint32_t)nsid % NETNS_SET_BUCKETS];
}

static void push(struct ns **list, struct ns *s)
{
	s->next = *list;
	s->at = list;
	if (s->next)
		s->next->at = &s->next;
	*list = s;
}

static void pull(struct ns *s)
{
	*s->at = s->next;
	if (s->next)
		s->next->at = s->at;
}

struct ns *netns_set_find(const struct netns_set *set, int32_t nsid)
{
	struct ns *s = set->bucket[(uint32_t)nsid % NETNS_SET_BUCKETS];

	while (s && s->nsid != nsid)
		s = s->same;
	return s;
}

struct ns *netns_set_add(struct netns_set *set, int32_t nsid)
{
	struct ns *s = calloc(1, sizeof(*s)), **b = bucket_of(set, nsid);

	if (!s)
		return NULL;
	s->nsid = nsid;
	s->same = *b;
	s->same_at = b;
	if (s->same)
		s->same->same_at = &s->same;
	*b = s;
	push(&set->nameless, s);
	set->n_nameless++;
	return s;
}

void netns_set_named(struct netns_set *set, struct ns *s)
{
	pull(s);
	set->n_nameless--;
	push(&set->named, s);
}

void netns_set_remove(struct netns_set *set, struct ns *s)
{
	pull(s);
	*s->same_at = s->same;
	if (s->same)
		s->same->same_at = s->same_at;
	if (!s->inode)
		set->n_nameless--;
	free(s);
}
