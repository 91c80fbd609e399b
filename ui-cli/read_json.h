/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The flows of capture files as JSON lines, in order of their start: they are gathered in their encoded form, which is
 * small, and sorted. What does not fit the memory set aside is printed in portions, each in order.
 */
#ifndef WEIR_UI_READ_JSON_H
#define WEIR_UI_READ_JSON_H
#include <stddef.h>

#include "common/flow.h"
#include "common/workload.h"

/* The workloads of --inventory. */
struct read_workloads {
	struct workload *w;
	size_t n, cap;
};

struct read_json;

/* workloads: borrowed; NULL where nothing is known of anybody. 0 or -ENOMEM. */
int read_json_new(struct read_json **out, const struct read_workloads *workloads);
void read_json_free(struct read_json *j);
void read_json_flow(struct read_json *j, const struct flow_rec *f);
void read_json_attempts(struct read_json *j, const struct flow_attempts *a);
/* Prints what was gathered. 0 or negative errno (also of an earlier portion). */
int read_json_flush(struct read_json *j);

#endif
