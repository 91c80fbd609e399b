/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An edge as JSON: docs/records.md, "edge". */
#ifndef WEIR_UI_EDGE_JSON_H
#define WEIR_UI_EDGE_JSON_H
#include <jansson.h>

#include "common/edge.h"

/* A new object; name: what the ends are called, "group" or "workload". NULL when memory ran out. */
json_t *edge_json(const struct edge *e, const char *event_type, const char *name);

#endif
