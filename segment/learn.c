/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What one edge teaches. Only answered flows of known direction, seen while nothing was lost, become rules by
 * themselves. What is never answered may be a scan, or it may be syslog: what keeps coming over time is put before a
 * person, with thresholds that are low, since a proposal too many costs a glance and one too few costs an outage.
 */
#include "config.h"
#include "segment/learn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/timefmt.h"
#include "segment/eval.h"

#define HOUR_NS (3600 * NS_PER_S)
/* Steady: at least this many packets over at least this long... */
#define ASK_PACKETS 10
#define ASK_SPAN_NS (600 * NS_PER_S)
/* ...and far more from a client that has tried this many doors in vain. */
#define SCAN_DOORS 16
#define SCAN_PACKETS 100
#define SCAN_SPAN_NS HOUR_NS

static const struct {
	const char *name, *text;
} decisions[] = {
	{"allow", "answered, direction known, nothing lost: it becomes a rule"},
	{"ask", "nobody answers, but it is steady and lasting (like syslog or statsd): say yes and it becomes a rule"},
	{"unanswered", "refused, or not answered: an attempt is no reason for a rule"},
	{"direction", "capture began in mid-conversation, so it is not known who is the server: no rule"},
	{"coverage", "seen only while packets were being lost: no rule until it is seen whole"},
	{"no-policy", "no group's list would decide on it: no rule"},
};

const char *learn_decision_name(unsigned v)
{
	return v <= LEARN_SELF ? decisions[v].name : "?";
}

const char *learn_decision_text(unsigned v)
{
	return v <= LEARN_SELF ? decisions[v].text : "?";
}

static bool is_outside(const char *group)
{
	return strcmp(group, GROUP_WORLD) == 0 || strcmp(group, GROUP_HOST) == 0;
}

const char *learn_owner(const struct edge *e, bool *inbound)
{
	const char *owner = is_outside(e->key.server) ? e->key.client : e->key.server;

	*inbound = owner == e->key.server;
	/* The answer to another conversation, which brings it along: no list is asked. */
	if (proto_is_icmp_error(e->key.proto, e->key.port))
		return NULL;
	if (eval_is_needed(e->key.client, e->key.proto, e->key.port))
		return NULL;
	/* Both must be names the policy can say. */
	if (!policy_name_ok(owner) || (*inbound && !is_outside(e->key.client) && !policy_name_ok(e->key.client)))
		return NULL;
	return owner;
}

static unsigned hours_seen(const struct edge_agg *a)
{
	return (unsigned)(__builtin_popcountll(a->hours[0]) + __builtin_popcountll(a->hours[1]) +
			  __builtin_popcountll(a->hours[2]));
}

/* A protocol in which it is normal that nobody answers. TCP and SCTP shake hands; ICMP that matters is answered. */
static bool may_be_one_way(uint8_t proto)
{
	return proto != PROTO_TCP && proto != PROTO_SCTP && !proto_is_icmp(proto);
}

static bool is_steady(const struct edge *e, bool scanner)
{
	const struct edge_agg *a = &e->agg;
	uint64_t span = a->last_ns > a->first_ns ? a->last_ns - a->first_ns : 0;
	uint64_t hours = span / HOUR_NS + 1;
	unsigned seen = hours_seen(a);

	if (!may_be_one_way(e->key.proto) || a->refused > 0)
		return false;
	if (a->pkts[0] < (scanner ? SCAN_PACKETS : ASK_PACKETS) || span < (scanner ? SCAN_SPAN_NS : ASK_SPAN_NS))
		return false;
	/* A long conversation is kept under the hour it began in; its packets say that it lasted. */
	if (hours > 168)
		hours = 168;
	return seen * 2 >= hours || seen >= 3 || a->pkts[0] >= hours * ASK_PACKETS;
}

static enum learn_decision decide(const struct edge *e, bool scanner)
{
	bool inbound;

	if (!learn_owner(e, &inbound))
		return LEARN_SELF;
	if (e->agg.teaching > 0)
		return LEARN_ALLOW;
	if (e->agg.answered > 0)
		return e->agg.lossy > 0 ? LEARN_COVERAGE : LEARN_DIRECTION;
	return is_steady(e, scanner) ? LEARN_ASK : LEARN_UNANSWERED;
}

enum learn_decision learn_decide(const struct edge *e)
{
	return decide(e, false);
}

static int by_client(const void *va, const void *vb)
{
	const struct edge *const *a = va, *const *b = vb;

	return strcmp((*a)->key.client, (*b)->key.client);
}

/* A door tried in vain, and not for long. */
static bool is_vain(const struct edge *e)
{
	return e->agg.answered == 0 && (e->agg.flows <= 3 || e->agg.refused > 0);
}

int learn_decide_all(uint8_t *out, const struct edge *edges, size_t n)
{
	const struct edge **sorted = calloc(n + 1, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &edges[i];
	qsort(sorted, n, sizeof(*sorted), by_client);
	for (size_t i = 0, k; i < n; i = k) {
		size_t doors = 0;

		for (k = i; k < n && by_client(&sorted[i], &sorted[k]) == 0; k++)
			doors += is_vain(sorted[k]);
		for (size_t j = i; j < k; j++)
			out[sorted[j] - edges] = (uint8_t)decide(sorted[j], doors > SCAN_DOORS);
	}
	free(sorted);
	return 0;
}

/* "1,204" */
static void put_number(struct buf *b, uint64_t v)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, v);

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			buf_addc(b, ',');
		buf_addc(b, digits[i]);
	}
}

static void put_date(struct buf *b, uint64_t ns)
{
	time_t t = (time_t)(ns / NS_PER_S);
	struct tm tm;
	char text[16];

	if (gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d", &tm))
		buf_adds(b, text);
}

/* What was only guessed is not written as if it had been seen. */
static const char *guess_name(uint8_t confidence)
{
	return confidence == FLOW_CONF_PORT ? " by port" : confidence == FLOW_CONF_IP ? " by address" : "";
}

void learn_evidence(struct buf *b, const struct edge *e)
{
	const struct edge_agg *a = &e->agg;
	uint64_t times = a->flows ? a->flows : a->answered;
	unsigned app[EDGE_APPS_MAX], n;

	buf_adds(b, "seen ");
	if (times == 1) {
		buf_adds(b, "once");
	} else {
		put_number(b, times);
		buf_adds(b, " times");
	}
	if (a->answered == 0) {
		buf_adds(b, " (");
		put_number(b, a->pkts[0]);
		buf_adds(b, " packets, never answered)");
	}
	if (times == 1) {
		buf_adds(b, ", ");
	} else {
		buf_adds(b, ", last ");
	}
	put_date(b, a->last_ns);
	n = edge_apps(a, app);
	for (unsigned i = 0; i < n; i++)
		buf_printf(b, ", %s%s", a->app[app[i]].name, guess_name(a->app[app[i]].confidence));
}
