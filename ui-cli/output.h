/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records as text for machines: one flow, or one folded run of attempts, as a line of JSON or CSV. docs/records.md
 * describes every field. Whoever knows the names of both ends passes them; nothing is looked up here.
 */
#ifndef WEIR_UI_OUTPUT_H
#define WEIR_UI_OUTPUT_H
#include "common/buf.h"
#include "common/flow.h"
#include "common/workload.h"

/* What is known of one end of a flow. All borrowed; all may be missing. */
struct output_end {
	const struct workload *workload; /* NULL: none */
	const char *group;               /* "world" and "host" included; NULL or "": not known */
	const char *name;                /* what DNS called the address; NULL or "": not known */
	const char *unnamed;             /* why it has no name (flow_unnamed_name); NULL: it has, or is the world's */
};

/* Appends one line of JSON with its newline. end: client, server; NULL: nothing known. 0 or -ENOMEM. */
int output_flow_json(struct buf *b, const struct flow_rec *f, const struct output_end end[2]);
int output_attempts_json(struct buf *b, const struct flow_attempts *a, const struct output_end *dst);

/* CSV after RFC 4180 (lines end with LF); the columns are a fixed choice of the JSON fields, named alike. */
void output_flow_csv_header(struct buf *b);
int output_flow_csv(struct buf *b, const struct flow_rec *f, const struct output_end end[2]);
/* One field, quoted where it must be; a text that a spreadsheet would take for a formula is kept from being one. */
void output_csv_field(struct buf *b, const char *text);

#endif
