/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Edges over a span: who talks to whom. Between groups and over long spans they are read as the engine folded them, by
 * the hour; over a short span, by workload or address, or with a filter they are folded from the flows themselves,
 * exactly.
 */
#ifndef WEIR_UI_GRAPH_H
#define WEIR_UI_GRAPH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/edge.h"
#include "ui-cli/filter.h"
#include "ui-cli/view.h"

enum graph_by { GRAPH_GROUP, GRAPH_WORKLOAD, GRAPH_ADDRESS };

struct graph_query {
	uint64_t since_ns, until_ns; /* 0: all */
	enum graph_by by;
	const struct filter *filter; /* NULL: everything */
	bool exact;                  /* from the flows, however long the span */
	bool icmp_errors;            /* as edges of their own, too; a filter says what is wanted by itself */
};

struct graph {
	struct edge *edges; /* sorted by edge_key_cmp */
	size_t n;
	bool whole_hours;           /* read by the hour: the span was widened to hours */
	uint64_t first_ns, last_ns; /* of what is in it; 0: nothing */
	size_t icmp_errors;         /* edges of ICMP errors alone, left out */
};

/* 0 or negative errno. *out is the caller's to fini. */
int graph_read(struct graph *out, struct view *v, const struct graph_query *q);
void graph_fini(struct graph *g);

/* One aggregate being collected, for whoever walks flows on another purpose. */
struct graph_sum;
int graph_sum_new(struct graph_sum **out);
void graph_sum_free(struct graph_sum *s);
/* Adds one flow record; end as naming_flow gave it; complete: nothing was lost while it lasted. 0 or -ENOMEM. */
int graph_sum_add(struct graph_sum *s, const struct flow_rec *f, const struct output_end end[2], enum graph_by by,
		  bool complete);
/* Hands the edges over, sorted; s is empty afterwards. */
void graph_sum_take(struct graph *out, struct graph_sum *s);

/* What keeps a network going and is nobody's conversation: IGMP, neighbour discovery, multicast listener reports. The
 * engine makes no edges of it, and neither does graph_read unless a filter asks for it. */
bool graph_is_housekeeping(const struct flow_rec *f);

/* Where capture is known to have lost something. */
struct graph_losses;
int graph_losses_new(struct graph_losses **out, struct view *v, uint64_t since_ns, uint64_t until_ns);
void graph_losses_free(struct graph_losses *l);
/* Was nothing lost on the flow's interface while it lasted? */
bool graph_complete(const struct graph_losses *l, const struct flow_rec *f);

#endif
