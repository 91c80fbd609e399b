/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Edges: merging and encoding. See edge.h. Samples are merged by frequency, counts by addition. */
#include "config.h"
#include "common/edge.h"

#include <errno.h>
#include <string.h>

#include "common/timefmt.h"
#include "common/wire.h"

#define EDGE_VERSION 1

int edge_key_cmp(const struct edge_key *a, const struct edge_key *b)
{
	int c = strcmp(a->client, b->client);

	if (c == 0)
		c = strcmp(a->server, b->server);
	if (c == 0)
		c = (int)a->proto - (int)b->proto;
	return c ? c : (int)a->port - (int)b->port;
}

static void add_app(struct edge_agg *sum, const char *name, uint64_t flows, uint8_t confidence)
{
	unsigned least = 0;

	for (unsigned i = 0; i < sum->n_apps; i++) {
		if (strcmp(sum->app[i].name, name) == 0) {
			sum->app[i].flows += flows;
			if (confidence > sum->app[i].confidence)
				sum->app[i].confidence = confidence;
			return;
		}
		if (sum->app[i].flows < sum->app[least].flows)
			least = i;
	}
	if (sum->n_apps < EDGE_APPS_MAX)
		least = sum->n_apps++;
	else if (sum->app[least].flows >= flows)
		return;
	memset(&sum->app[least], 0, sizeof(sum->app[least]));
	strncpy(sum->app[least].name, name, sizeof(sum->app[least].name) - 1);
	sum->app[least].flows = flows;
	sum->app[least].confidence = confidence;
}

static void add_peer(struct edge_agg *sum, const struct addr *addr, const char *name, uint64_t flows)
{
	unsigned least = 0;

	for (unsigned i = 0; i < sum->n_peers; i++) {
		if (addr_equal(&sum->peer[i].addr, addr)) {
			sum->peer[i].flows += flows;
			if (name[0])
				memcpy(sum->peer[i].name, name, sizeof(sum->peer[i].name));
			return;
		}
		if (sum->peer[i].flows < sum->peer[least].flows)
			least = i;
	}
	if (sum->n_peers < EDGE_PEERS_MAX)
		least = sum->n_peers++;
	else if (sum->peer[least].flows >= flows)
		return;
	sum->peer[least].addr = *addr;
	memcpy(sum->peer[least].name, name, sizeof(sum->peer[least].name));
	sum->peer[least].flows = flows;
}

void edge_agg_merge(struct edge_agg *sum, const struct edge_agg *more)
{
	if (sum->first_ns == 0 || (more->first_ns && more->first_ns < sum->first_ns))
		sum->first_ns = more->first_ns;
	if (more->last_ns > sum->last_ns)
		sum->last_ns = more->last_ns;
	sum->flows += more->flows;
	sum->answered += more->answered;
	sum->teaching += more->teaching;
	sum->lossy += more->lossy;
	sum->refused += more->refused;
	sum->unanswered += more->unanswered;
	for (unsigned i = 0; i < 2; i++) {
		sum->pkts[i] += more->pkts[i];
		sum->bytes[i] += more->bytes[i];
	}
	for (unsigned i = 0; i < 3; i++)
		sum->hours[i] |= more->hours[i];
	for (unsigned i = 0; i < more->n_apps; i++)
		add_app(sum, more->app[i].name, more->app[i].flows, more->app[i].confidence);
	for (unsigned i = 0; i < more->n_exemplars && sum->n_exemplars < EDGE_EXEMPLARS_MAX; i++)
		sum->exemplar[sum->n_exemplars++] = more->exemplar[i];
	for (unsigned i = 0; i < more->n_peers; i++)
		add_peer(sum, &more->peer[i].addr, more->peer[i].name, more->peer[i].flows);
}

static bool is_seen(const struct edge_agg *a, unsigned i)
{
	return strcmp(a->app[i].name, "Unknown") != 0 && a->app[i].name[0] &&
	       !flow_confidence_is_guess(a->app[i].confidence);
}

bool edge_app_is_in(const char *app, const char *name)
{
	const char *dot = strchr(name, '.');

	return dot && strcmp(dot + 1, app) == 0;
}

/* Is the application of that name seen on the edge without its master, too? */
static bool seen_alone(const struct edge_agg *a, const char *name)
{
	for (unsigned i = 0; i < a->n_apps; i++)
		if (is_seen(a, i) && edge_app_is_in(a->app[i].name, name))
			return true;
	return false;
}

unsigned edge_apps(const struct edge_agg *a, unsigned out[EDGE_APPS_MAX])
{
	bool any_seen = false;
	unsigned n = 0;

	for (unsigned i = 0; i < a->n_apps; i++)
		any_seen = any_seen || is_seen(a, i);
	for (unsigned i = 0; i < a->n_apps; i++) {
		const char *name = a->app[i].name;
		unsigned at = n;

		if (!name[0] || strcmp(name, "Unknown") == 0 || (any_seen && !is_seen(a, i)) ||
		    seen_alone(a, name))
			continue;
		for (; at && a->app[out[at - 1]].flows < a->app[i].flows; at--)
			out[at] = out[at - 1];
		out[at] = i;
		n++;
	}
	return n;
}

void edge_agg_from_flow(struct edge_agg *out, const struct flow_rec *f, bool complete)
{
	/* 1970-01-01 was a Thursday: three days behind Monday. */
	unsigned hour = (unsigned)((f->start_ns / (3600 * NS_PER_S) + 72) % 168);
	char name[64];

	memset(out, 0, sizeof(*out));
	out->first_ns = f->start_ns;
	out->last_ns = f->end_ns;
	out->flows = f->conv_id == f->id; /* a continuation is no new conversation */
	if (flow_answered(f)) {
		out->answered = 1;
		out->teaching = complete && f->direction != FLOW_DIR_UNKNOWN;
		out->lossy = !complete && f->direction != FLOW_DIR_UNKNOWN;
	} else if (f->state == FLOW_STATE_REFUSED) {
		out->refused = 1;
	} else {
		out->unanswered = 1;
	}
	memcpy(out->pkts, f->pkts, sizeof(out->pkts));
	memcpy(out->bytes, f->bytes, sizeof(out->bytes));
	out->hours[hour / 64] |= 1ull << (hour % 64);
	add_app(out, f->app, 1, f->confidence);
	out->n_exemplars = 1;
	out->exemplar[0].start_ns = f->start_ns;
	out->exemplar[0].id = f->id;
	flow_attr_text(f, FLOW_ATTR_SNI, name, sizeof(name));
	if (!name[0])
		flow_attr_text(f, FLOW_ATTR_HTTP_HOST, name, sizeof(name));
	if (addr_is_literal(name)) /* "Host: 192.0.2.7" names nobody */
		name[0] = '\0';
	add_peer(out, &f->addr[1], name, 1);
}

void edge_agg_encode(struct buf *b, const struct edge_agg *a)
{
	wire_put_u8(b, EDGE_VERSION);
	wire_put_u64(b, a->first_ns);
	wire_put_u64(b, a->last_ns);
	wire_put_var(b, a->flows);
	wire_put_var(b, a->answered);
	wire_put_var(b, a->teaching);
	wire_put_var(b, a->lossy);
	wire_put_var(b, a->refused);
	wire_put_var(b, a->unanswered);
	for (unsigned i = 0; i < 2; i++) {
		wire_put_var(b, a->pkts[i]);
		wire_put_var(b, a->bytes[i]);
	}
	for (unsigned i = 0; i < 3; i++)
		wire_put_u64(b, a->hours[i]);
	wire_put_u8(b, a->n_apps);
	for (unsigned i = 0; i < a->n_apps; i++) {
		wire_put_str(b, a->app[i].name);
		wire_put_var(b, a->app[i].flows);
		wire_put_u8(b, a->app[i].confidence);
	}
	wire_put_u8(b, a->n_exemplars);
	for (unsigned i = 0; i < a->n_exemplars; i++) {
		wire_put_u64(b, a->exemplar[i].start_ns);
		wire_put_u64(b, a->exemplar[i].id);
	}
	wire_put_u8(b, a->n_peers);
	for (unsigned i = 0; i < a->n_peers; i++) {
		wire_put_addr(b, &a->peer[i].addr);
		wire_put_str(b, a->peer[i].name);
		wire_put_var(b, a->peer[i].flows);
	}
}

int edge_agg_decode(struct edge_agg *out, const void *data, size_t len)
{
	struct edge_agg a = {0};
	struct wire_reader r;
	int rc;

	wire_reader_init(&r, data, len);
	rc = wire_get_version(&r, EDGE_VERSION, EDGE_VERSION, NULL);
	if (rc)
		return rc;
	a.first_ns = wire_get_u64(&r);
	a.last_ns = wire_get_u64(&r);
	a.flows = wire_get_var(&r);
	a.answered = wire_get_var(&r);
	a.teaching = wire_get_var(&r);
	a.lossy = wire_get_var(&r);
	a.refused = wire_get_var(&r);
	a.unanswered = wire_get_var(&r);
	for (unsigned i = 0; i < 2; i++) {
		a.pkts[i] = wire_get_var(&r);
		a.bytes[i] = wire_get_var(&r);
	}
	for (unsigned i = 0; i < 3; i++)
		a.hours[i] = wire_get_u64(&r);
	a.n_apps = wire_get_u8(&r);
	if (a.n_apps > EDGE_APPS_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < a.n_apps; i++) {
		wire_get_str(&r, a.app[i].name, sizeof(a.app[i].name));
		a.app[i].flows = wire_get_var(&r);
		a.app[i].confidence = wire_get_u8(&r);
	}
	a.n_exemplars = wire_get_u8(&r);
	if (a.n_exemplars > EDGE_EXEMPLARS_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < a.n_exemplars; i++) {
		a.exemplar[i].start_ns = wire_get_u64(&r);
		a.exemplar[i].id = wire_get_u64(&r);
	}
	a.n_peers = wire_get_u8(&r);
	if (a.n_peers > EDGE_PEERS_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < a.n_peers; i++) {
		a.peer[i].addr = wire_get_addr(&r);
		wire_get_str(&r, a.peer[i].name, sizeof(a.peer[i].name));
		a.peer[i].flows = wire_get_var(&r);
	}
	if (!wire_ok(&r))
		return -EBADMSG;
	*out = a;
	return 0;
}
