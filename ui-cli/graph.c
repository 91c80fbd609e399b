/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Edges over a span: see graph.h. Collecting is an open-addressed table of edges by key; where nobody knows which end
 * began, the lower port is taken for the service, as the engine does when it folds.
 */
#include "config.h"
#include "ui-cli/graph.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/proto.h"
#include "common/timefmt.h"
#include "store/edges.h"
#include "store/flows.h"
#include "store/history.h"

/* Up to here a span with an end or a beginning is folded from its flows, to the nanosecond. */
#define GRAPH_EXACT_NS (24 * 3600 * NS_PER_S)

struct graph_sum {
	struct hash_secret secret;
	size_t *slot; /* index into edges + 1; 0: free */
	size_t n_slots;
	struct edge *edges;
	size_t n, max;
};

int graph_sum_new(struct graph_sum **out)
{
	struct graph_sum *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	hash_secret_init(&s->secret);
	*out = s;
	return 0;
}

void graph_sum_free(struct graph_sum *s)
{
	if (!s)
		return;
	free(s->slot);
	free(s->edges);
	free(s);
}

static size_t slot_of(const struct graph_sum *s, const struct edge_key *k)
{
	size_t i = hash_bytes(&s->secret, k, sizeof(*k)) & (s->n_slots - 1);

	while (s->slot[i] && memcmp(&s->edges[s->slot[i] - 1].key, k, sizeof(*k)) != 0)
		i = (i + 1) & (s->n_slots - 1);
	return i;
}

static int grow(struct graph_sum *s)
{
	size_t max = s->max ? 2 * s->max : 64, *slot = calloc(4 * max, sizeof(*slot));
	struct edge *edges = realloc(s->edges, max * sizeof(*edges));

	if (edges)
		s->edges = edges;
	if (!edges || !slot) {
		free(slot);
		return -ENOMEM;
	}
	free(s->slot);
	s->slot = slot;
	s->max = max;
	s->n_slots = 4 * max;
	for (size_t i = 0; i < s->n; i++)
		s->slot[slot_of(s, &s->edges[i].key)] = i + 1;
	return 0;
}

static int sum_add(struct graph_sum *s, const struct edge_key *key, const struct edge_agg *agg)
{
	size_t i;

	if (s->n == s->max && grow(s) < 0)
		return -ENOMEM;
	i = slot_of(s, key);
	if (s->slot[i]) {
		edge_agg_merge(&s->edges[s->slot[i] - 1].agg, agg);
		return 0;
	}
	s->edges[s->n] = (struct edge){*key, *agg};
	s->slot[i] = ++s->n;
	return 0;
}

static void key_name(char out[GROUP_STRLEN], const struct output_end *e, const struct addr *a, enum graph_by by)
{
	const char *name = e->group && *e->group ? e->group : GROUP_WORLD;
	char text[ADDR_STRLEN];

	if (by == GRAPH_ADDRESS)
		name = addr_format(a, text);
	else if (by == GRAPH_WORKLOAD && e->workload && e->workload->kind != WORKLOAD_HOST)
		name = e->workload->name;
	snprintf(out, GROUP_STRLEN, "%s", name);
}

static void swap(uint64_t v[2])
{
	uint64_t first = v[0];

	v[0] = v[1];
	v[1] = first;
}

/* Only an edge with world keeps addresses, those of the world's end; an edge of addresses keeps the server's name. */
static void choose_peer(struct edge_agg *a, const struct edge_key *key, const struct flow_rec *f,
			const struct output_end *end, unsigned server)
{
	bool world = strcmp(key->server, GROUP_WORLD) == 0 || strcmp(key->client, GROUP_WORLD) == 0;
	bool from_world = strcmp(key->client, GROUP_WORLD) == 0 && strcmp(key->server, GROUP_WORLD) != 0;
	unsigned outside = from_world ? !server : server;

	a->peer[0].addr = f->addr[outside];
	if (outside != server)
		a->peer[0].name[0] = '\0';
	if (!a->peer[0].name[0] && end[outside].name)
		snprintf(a->peer[0].name, sizeof(a->peer[0].name), "%s", end[outside].name);
	if (!world && !a->peer[0].name[0])
		a->n_peers = 0;
}

int graph_sum_add(struct graph_sum *s, const struct flow_rec *f, const struct output_end end[2], enum graph_by by,
		  bool complete)
{
	bool turned = f->direction == FLOW_DIR_UNKNOWN && proto_has_ports(f->proto) && f->port[0] < f->port[1];
	unsigned server = !turned;
	struct edge_key key;
	struct edge_agg agg;

	memset(&key, 0, sizeof(key)); /* compared as bytes */
	key_name(key.client, &end[!server], &f->addr[!server], by);
	key_name(key.server, &end[server], &f->addr[server], by);
	key.proto = f->proto;
	key.port = f->port[server];
	edge_agg_from_flow(&agg, f, complete);
	if (turned) {
		swap(agg.pkts);
		swap(agg.bytes);
	}
	if (f->reason == FLOW_REASON_ACTIVE)
		agg.refused = agg.unanswered = 0; /* not yet */
	if (by == GRAPH_ADDRESS || strcmp(key.client, GROUP_WORLD) == 0 || strcmp(key.server, GROUP_WORLD) == 0)
		choose_peer(&agg, &key, f, end, server);
	else
		agg.n_peers = 0;
	return sum_add(s, &key, &agg);
}

static int compare(const void *a, const void *b)
{
	return edge_key_cmp(&((const struct edge *)a)->key, &((const struct edge *)b)->key);
}

void graph_sum_take(struct graph *out, struct graph_sum *s)
{
	*out = (struct graph){.edges = s->edges, .n = s->n};
	if (out->n)
		qsort(out->edges, out->n, sizeof(*out->edges), compare);
	free(s->slot);
	s->slot = NULL;
	s->edges = NULL;
	s->n = s->max = s->n_slots = 0;
}

struct graph_losses {
	struct loss {
		uint64_t start_ns, end_ns;
		uint32_t iface;
	} *loss;
	size_t n, max;
};

static int add_loss(void *arg, const struct coverage_rec *c)
{
	struct graph_losses *l = arg;

	if (coverage_complete(c))
		return 0;
	if (l->n == l->max) {
		size_t max = l->max ? 2 * l->max : 64;
		struct loss *more = realloc(l->loss, max * sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->loss = more;
		l->max = max;
	}
	l->loss[l->n++] = (struct loss){c->start_ns, c->end_ns, c->iface};
	return 0;
}

static int compare_losses(const void *a, const void *b)
{
	const struct loss *x = a, *y = b;

	if (x->iface != y->iface)
		return x->iface < y->iface ? -1 : 1;
	return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

int graph_losses_new(struct graph_losses **out, struct view *v, uint64_t since_ns, uint64_t until_ns)
{
	struct graph_losses *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return -ENOMEM;
	rc = store_coverage_walk(v->txn, since_ns, until_ns, add_loss, l);
	if (rc < 0) {
		graph_losses_free(l);
		return rc;
	}
	if (l->n)
		qsort(l->loss, l->n, sizeof(*l->loss), compare_losses);
	*out = l;
	return 0;
}

void graph_losses_free(struct graph_losses *l)
{
	if (!l)
		return;
	free(l->loss);
	free(l);
}

/* Intervals of one interface do not overlap: of those that began before the flow ended, only the last can meet it. */
bool graph_complete(const struct graph_losses *l, const struct flow_rec *f)
{
	struct loss last = {f->end_ns, 0, f->iface};
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare_losses(&l->loss[mid], &last) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo == 0 || l->loss[lo - 1].iface != f->iface || l->loss[lo - 1].end_ns < f->start_ns;
}

#define PROTO_IGMP_NUMBER 2

bool graph_is_housekeeping(const struct flow_rec *f)
{
	uint16_t type = f->port[1]; /* RFC 4861: 133 to 137; RFC 2710, 3810: 130 to 132, 143 */

	return f->proto == PROTO_IGMP_NUMBER ||
	       (f->proto == PROTO_ICMP6 && ((type >= 130 && type <= 137) || type == 143));
}

struct collecting {
	struct view *view;
	const struct graph_query *query;
	struct graph_sum *sum;
	struct graph_losses *losses;
};

static int on_flow(void *arg, const struct flow_rec *f)
{
	struct collecting *c = arg;
	struct output_end end[2];

	if (!c->query->filter && graph_is_housekeeping(f))
		return 0;
	naming_flow(c->view->naming, c->view->txn, f, end);
	if (!filter_match(c->query->filter, f, end))
		return 0;
	return graph_sum_add(c->sum, f, end, c->query->by, graph_complete(c->losses, f));
}

static int read_flows(struct graph *out, struct view *v, const struct graph_query *q)
{
	struct flow_query flows = {.since_ns = q->since_ns, .until_ns = q->until_ns};
	struct collecting c = {v, q, NULL, NULL};
	int rc = graph_sum_new(&c.sum);

	filter_pins_addr(q->filter, &flows.addr);
	if (rc == 0)
		rc = graph_losses_new(&c.losses, v, q->since_ns, q->until_ns);
	if (rc == 0)
		rc = store_flow_walk(v->txn, &flows, on_flow, &c);
	if (rc == 0)
		graph_sum_take(out, c.sum);
	graph_losses_free(c.losses);
	graph_sum_free(c.sum);
	return rc;
}

static void note_span(struct graph *g)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct edge_agg *a = &g->edges[i].agg;

		if (!g->first_ns || a->first_ns < g->first_ns)
			g->first_ns = a->first_ns;
		if (a->last_ns > g->last_ns)
			g->last_ns = a->last_ns;
	}
}

/* An ICMP error is the answer to another conversation, which says already that it was refused: as an edge of its own it
 * would make a server out of a client. Such an edge may be as old as the first refusal, however short the span. */
static void drop_icmp_errors(struct graph *g)
{
	size_t kept = 0;

	for (size_t i = 0; i < g->n; i++)
		if (!proto_is_icmp_error(g->edges[i].key.proto, g->edges[i].key.port))
			g->edges[kept++] = g->edges[i];
	g->icmp_errors = g->n - kept;
	g->n = kept;
}

static int read_hours(struct graph *out, struct view *v, const struct graph_query *q)
{
	struct graph g = {.whole_hours = q->since_ns || q->until_ns};
	int rc = store_edges_read(v->txn, q->since_ns, q->until_ns, &g.edges, &g.n);

	if (rc == 0)
		*out = g;
	return rc;
}

int graph_read(struct graph *out, struct view *v, const struct graph_query *q)
{
	uint64_t now_ns = time_now_ns(), until_ns = q->until_ns ? q->until_ns : now_ns;
	bool bounded = q->since_ns || q->until_ns;
	bool brief = bounded && until_ns - (q->since_ns < until_ns ? q->since_ns : until_ns) <= GRAPH_EXACT_NS;
	bool exact = q->by != GRAPH_GROUP || q->filter || q->exact || brief;
	int rc = exact ? read_flows(out, v, q) : read_hours(out, v, q);

	if (rc < 0)
		return rc;
	if (!q->icmp_errors && !q->filter)
		drop_icmp_errors(out);
	note_span(out);
	return 0;
}

void graph_fini(struct graph *g)
{
	free(g->edges);
	*g = (struct graph){0};
}
