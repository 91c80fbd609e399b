/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From edges to a proposed policy. Edges are sorted so that what becomes one rule lies together: by the group whose
 * list decides, its list, the peer, protocol and port. Each run becomes one rule with the ports seen, or, where they
 * are too many to be a list, with a range (see learn.h, widening).
 */
#include "config.h"
#include "segment/learn.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment/policy_text.h"
#include "segment/service_set.h"

#define WIDEN_FLOOR 1024 /* lower ports are services' own and never widened */

/* An edge with where it goes. */
struct item {
	const char *owner, *peer; /* borrowed from the edge */
	bool inbound, named;
	uint8_t decision;
	const struct edge *edge;
};

/* A run of items that could become a range. */
struct candidate {
	size_t first, end;
	struct service range;
	bool applied;
};

struct lesson {
	struct item *items;
	size_t n;
	struct candidate *candidates; /* in the order of the items */
	size_t n_candidates, next_candidate;
	struct learn_readiness *readiness; /* one an owner, same order */
	size_t n_readiness;
};

static int by_rule(const struct item *a, const struct item *b)
{
	int c = strcmp(a->owner, b->owner);

	if (c == 0)
		c = (int)b->inbound - (int)a->inbound;
	if (c == 0)
		c = (a->decision == LEARN_ASK) - (b->decision == LEARN_ASK);
	if (c == 0)
		c = strcmp(a->peer, b->peer);
	return c ? c : (int)a->named - (int)b->named;
}

static int by_service(const void *va, const void *vb)
{
	const struct item *a = va, *b = vb;
	int c = by_rule(a, b);

	if (c == 0)
		c = (int)a->edge->key.proto - (int)b->edge->key.proto;
	return c ? c : (int)a->edge->key.port - (int)b->edge->key.port;
}

/* Are the names behind all addresses of world known? A full sample may have left some out. */
static bool has_names(const struct edge *e)
{
	if (strcmp(e->key.server, GROUP_WORLD) != 0 || e->agg.n_peers == 0 || e->agg.n_peers >= EDGE_PEERS_MAX)
		return false;
	for (unsigned i = 0; i < e->agg.n_peers; i++) {
		if (!policy_dns_name_ok(e->agg.peer[i].name) || strchr(e->agg.peer[i].name, '*'))
			return false;
	}
	return true;
}

/* The edges that become something, in order. */
static int gather(struct lesson *l, const struct edge *edges, size_t n_edges)
{
	uint8_t *decisions = calloc(n_edges + 1, 1);
	int rc = decisions ? learn_decide_all(decisions, edges, n_edges) : -ENOMEM;

	l->items = calloc(n_edges + 1, sizeof(*l->items));
	if (rc < 0 || !l->items) {
		free(decisions);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_edges; i++) {
		struct item *it = &l->items[l->n];

		it->owner = learn_owner(&edges[i], &it->inbound);
		if (!it->owner || (decisions[i] != LEARN_ALLOW && decisions[i] != LEARN_ASK))
			continue;
		it->peer = it->inbound ? edges[i].key.client : edges[i].key.server;
		it->decision = decisions[i];
		it->edge = &edges[i];
		it->named = !it->inbound && has_names(&edges[i]);
		l->n++;
	}
	free(decisions);
	qsort(l->items, l->n, sizeof(*l->items), by_service);
	return learn_readiness(&l->readiness, &l->n_readiness, edges, n_edges);
}

/* The range that n sorted ports stand for: as they are where they lie densely, else the range systems take such ports
 * from (Linux's ip_local_port_range, or IANA's dynamic ports, RFC 6335), else from first to last. */
static struct service range_of(uint8_t proto, unsigned lo, unsigned hi, size_t n)
{
	struct service s = {(uint16_t)lo, (uint16_t)hi, proto};

	if (n * 2 < hi - lo + 1u) {
		if (lo >= 32768 && hi <= 60999)
			s = (struct service){32768, 60999, proto};
		else if (lo >= 49152)
			s = (struct service){49152, 65535, proto};
	}
	return s;
}

static int fuller(const void *va, const void *vb)
{
	const struct candidate *const *a = va, *const *b = vb;
	size_t n_a = (*a)->end - (*a)->first, n_b = (*b)->end - (*b)->first;

	if (n_a != n_b)
		return n_a > n_b ? -1 : 1;
	return (*a)->first < (*b)->first ? -1 : 1;
}

/* The runs with too many ports to list; the fullest are marked as applied until the budget is spent. */
static int find_candidates(struct lesson *l, const struct learn_settings *set)
{
	struct candidate **ranked = NULL;

	for (size_t i = 0, k; i < l->n && set->widen_ports; i = k) {
		const struct edge_key *key = &l->items[i].edge->key;
		struct candidate *c;

		for (k = i + 1;
		     k < l->n && by_rule(&l->items[i], &l->items[k]) == 0 && l->items[k].edge->key.proto == key->proto;)
			k++;
		while (i < k && l->items[i].edge->key.port < WIDEN_FLOOR)
			i++;
		if (k - i <= set->widen_ports || !proto_has_ports(key->proto) || l->items[i].named ||
		    l->items[i].decision == LEARN_ASK)
			continue;
		c = policy_grow(l->candidates, l->n_candidates, sizeof(*c));
		if (!c)
			return -ENOMEM;
		l->candidates = c;
		c = &c[l->n_candidates++];
		c->first = i;
		c->end = k;
		c->applied = false;
		c->range = range_of(key->proto, l->items[i].edge->key.port, l->items[k - 1].edge->key.port, k - i);
	}
	ranked = calloc(l->n_candidates + 1, sizeof(*ranked));
	if (!ranked)
		return -ENOMEM;
	for (size_t i = 0; i < l->n_candidates; i++)
		ranked[i] = &l->candidates[i];
	qsort(ranked, l->n_candidates, sizeof(*ranked), fuller);
	for (size_t i = 0; i < l->n_candidates && i < set->widen_budget; i++)
		ranked[i]->applied = true;
	free(ranked);
	return 0;
}

/* The services of a run of items, ranges in the place of what they widen. Says into note which those are. */
static int take_services(struct lesson *l, struct policy_rule *r, size_t i, size_t end, struct buf *note)
{
	char text[SERVICE_STRLEN];

	r->services = calloc(end - i, sizeof(*r->services));
	if (!r->services)
		return -ENOMEM;
	while (i < end) {
		const struct edge_key *key = &l->items[i].edge->key;
		struct candidate *c = l->next_candidate < l->n_candidates ? &l->candidates[l->next_candidate] : NULL;

		if (c && c->first == i) {
			l->next_candidate++;
			if (c->applied) {
				r->services[r->n_services++] = c->range;
				buf_printf(note, "; widened: %zu ports seen became %s", c->end - c->first,
					   service_format(&c->range, text));
				i = c->end;
				continue;
			}
		}
		r->services[r->n_services++] = service_of(key->proto, key->port);
		i++;
	}
	r->n_services = service_set_normalise(r->services, r->n_services);
	return 0;
}

static int name_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names behind the run's addresses: small letters, sorted, each once. */
static int take_names(struct policy_rule *r, const struct item *items, size_t n)
{
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		const struct edge_agg *a = &items[i].edge->agg;

		for (unsigned k = 0; k < a->n_peers && rc == 0; k++) {
			rc = policy_add_name(r, a->peer[k].name);
			for (char *c = rc == 0 ? r->names[r->n_names - 1] : NULL; c && *c; c++)
				*c = (char)tolower((unsigned char)*c);
		}
	}
	if (rc < 0 || r->n_names == 0)
		return rc;
	qsort(r->names, r->n_names, sizeof(*r->names), name_cmp);
	for (size_t i = 1; i < r->n_names; i++) {
		if (strcmp(r->names[kept], r->names[i]) == 0)
			free(r->names[i]);
		else
			r->names[++kept] = r->names[i];
	}
	r->n_names = kept + 1;
	return 0;
}

/* One rule out of the items [i, end), appended to where it belongs. */
static int make_rule(struct lesson *l, struct policy_group *g, size_t i, size_t end)
{
	const struct item *first = &l->items[i];
	struct buf note = BUF_INIT, comment = BUF_INIT;
	struct policy_rule *r;
	struct edge *sum;
	int rc;

	r = first->decision == LEARN_ASK ? policy_append_rule(&g->asked, &g->n_asked)
	    : first->inbound		 ? policy_append_rule(&g->inbound, &g->n_inbound)
					 : policy_append_rule(&g->outbound, &g->n_outbound);
	sum = calloc(1, sizeof(*sum));
	if (!r || !sum) {
		free(sum);
		return -ENOMEM;
	}
	r->inbound = first->inbound;
	rc = policy_set_peer(r, first->peer);
	if (rc == 0)
		rc = take_services(l, r, i, end, &note);
	if (rc == 0 && first->named)
		rc = take_names(r, first, end - i);
	for (size_t k = i; k < end; k++)
		edge_agg_merge(&sum->agg, &l->items[k].edge->agg);
	learn_evidence(&comment, sum);
	if (note.data)
		buf_adds(&comment, note.data);
	r->comment = buf_take(&comment);
	if (!r->comment || buf_failed(&note))
		rc = -ENOMEM;
	buf_fini(&note);
	free(sum);
	return rc;
}

static int make_group(struct policy *p, const struct learn_readiness *ready, struct lesson *l, size_t *at)
{
	struct policy_group *g = policy_append_group(p, ready->group);
	struct buf comment = BUF_INIT;
	size_t i = *at, k;
	int rc = 0;

	if (!g)
		return -ENOMEM;
	g->has_policy = true;
	g->stage = STAGE_OBSERVE;
	learn_readiness_format(&comment, ready);
	g->comment = buf_take(&comment);
	if (!g->comment)
		return -ENOMEM;
	for (; i < l->n && strcmp(l->items[i].owner, ready->group) == 0 && rc == 0; i = k) {
		/* Names belong to one port; proposals are decided one by one. */
		bool alone = l->items[i].named || l->items[i].decision == LEARN_ASK;

		for (k = i + 1; !alone && k < l->n && by_rule(&l->items[i], &l->items[k]) == 0;)
			k++;
		rc = make_rule(l, g, i, k);
	}
	*at = i;
	return rc;
}

static int list_widenings(struct learn_widening **out, size_t *n, const struct lesson *l)
{
	struct learn_widening *w = calloc(l->n_candidates + 1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	for (size_t i = 0; i < l->n_candidates; i++) {
		const struct candidate *c = &l->candidates[i];

		memcpy(w[i].client, l->items[c->first].edge->key.client, sizeof(w[i].client));
		memcpy(w[i].server, l->items[c->first].edge->key.server, sizeof(w[i].server));
		w[i].range = c->range;
		w[i].seen = (unsigned)(c->end - c->first);
		w[i].applied = c->applied;
	}
	*out = w;
	*n = l->n_candidates;
	return 0;
}

int learn_policy_with(struct policy **out, struct learn_widening **widenings, size_t *n_widenings,
		      const struct learn_settings *settings, const struct edge *edges, size_t n_edges)
{
	static const struct learn_settings usual = LEARN_SETTINGS_DEFAULT;
	struct lesson l = {.items = NULL};
	struct policy *p = policy_new();
	size_t at = 0;
	int rc = p ? gather(&l, edges, n_edges) : -ENOMEM;

	if (rc == 0)
		rc = find_candidates(&l, settings ? settings : &usual);
	for (size_t i = 0; i < l.n_readiness && rc == 0; i++)
		rc = make_group(p, &l.readiness[i], &l, &at);
	if (rc == 0 && widenings)
		rc = list_widenings(widenings, n_widenings, &l);
	free(l.items);
	free(l.candidates);
	free(l.readiness);
	if (rc < 0)
		policy_free(p);
	else
		*out = p;
	return rc;
}

int learn_policy(struct policy **out, const struct edge *edges, size_t n_edges)
{
	return learn_policy_with(out, NULL, NULL, NULL, edges, n_edges);
}

void learn_widening_format(struct buf *b, const struct learn_widening *w)
{
	char range[SERVICE_STRLEN];

	service_format(&w->range, range);
	buf_printf(b, "%s from %s: ", w->server, w->client);
	if (w->applied)
		buf_printf(b, "%s for %u ports seen, %u never seen", range, w->seen,
			   w->range.hi - w->range.lo + 1u - w->seen);
	else
		buf_printf(b, "%u ports seen are listed one by one, the budget for ranges is spent (it would be %s)",
			   w->seen, range);
}
