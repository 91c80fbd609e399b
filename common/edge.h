/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An edge: (client group, server group, protocol, server port) with the evidence for it, aggregated over a span of
 * time. Edges are kept by the hour and added up; everything in struct edge_agg is therefore made to be merged.
 */
#ifndef WEIR_COMMON_EDGE_H
#define WEIR_COMMON_EDGE_H
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/flow.h"
#include "common/workload.h"

struct edge_key {
	char client[GROUP_STRLEN], server[GROUP_STRLEN]; /* group names, "world" and "host" among them */
	uint8_t proto;
	uint16_t port; /* server port; ICMP: type; 0 where the protocol has neither */
};

#define EDGE_APPS_MAX 4
#define EDGE_EXEMPLARS_MAX 3
#define EDGE_PEERS_MAX 4

struct edge_agg {
	uint64_t first_ns, last_ns;   /* start of the first, end of the last flow */
	uint64_t flows;               /* conversations that began */
	uint64_t answered;            /* of these, the server end answered */
	uint64_t teaching;            /* of these, with known direction and complete coverage: what learning may use */
	/* of answered: direction known, but packets were lost meanwhile; they do not teach */
	uint64_t lossy;
	uint64_t refused, unanswered; /* of flows: said no; said nothing */
	uint64_t pkts[2], bytes[2];   /* client to server, server to client */
	uint64_t hours[3];            /* bitmap of the 168 hours of the week seen (UTC, Monday 00 is bit 0) */
	uint8_t n_apps, n_exemplars, n_peers;
	struct {
		char name[FLOW_APP_STRLEN];
		uint64_t flows;
		uint8_t confidence; /* best seen */
	} app[EDGE_APPS_MAX];       /* most frequent kept */
	struct {
		uint64_t start_ns, id; /* key of a flow in the store */
	} exemplar[EDGE_EXEMPLARS_MAX]; /* the first ones */
	struct {
		struct addr addr;
		char name[64]; /* SNI, HTTP host or DNS answer's name; may be "" */
		uint64_t flows;
	} peer[EDGE_PEERS_MAX]; /* for an edge with world: a sample of the addresses, most frequent kept */
};

struct edge {
	struct edge_key key;
	struct edge_agg agg;
};

/* 0 for the same edge; orders by client, server, proto, port. */
int edge_key_cmp(const struct edge_key *a, const struct edge_key *b);

/* Adds more to sum. Sums of counts are exact; samples keep the most frequent. */
void edge_agg_merge(struct edge_agg *sum, const struct edge_agg *more);

/* The applications that are worth telling of, most frequent first, as indexes into app; returns how many. "Unknown" is
 * none. Where one was seen, no guess stands beside it. nDPI takes for the master of what it saw whatever either port is
 * registered for, the client's own too ("MySQL.HTTP" of a client that happens to have port 3306): where the application
 * is seen on the edge by itself, it stands for these as well. */
unsigned edge_apps(const struct edge_agg *a, unsigned out[EDGE_APPS_MAX]);
/* Is name some master's, a dot, and that application? "MySQL.HTTP" is of "HTTP". */
bool edge_app_is_in(const char *app, const char *name);

/* What one finished flow contributes. complete: nothing was lost on its interface while it lasted. */
void edge_agg_from_flow(struct edge_agg *out, const struct flow_rec *f, bool complete);

/* The versioned encoding of the aggregate. 0, -EPROTO or -EBADMSG as in flow.h. */
void edge_agg_encode(struct buf *b, const struct edge_agg *a);
int edge_agg_decode(struct edge_agg *out, const void *data, size_t len);

#endif
