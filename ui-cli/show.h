/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small pieces that several verbs print alike: applications, the name in a payload, a filter's complaint. */
#ifndef WEIR_UI_SHOW_H
#define WEIR_UI_SHOW_H
#include <stdbool.h>
#include <stddef.h>

#include "common/flow.h"
#include "ui-cli/filter.h"
#include "ui-cli/options.h"

/* "HTTP" as seen, "(HTTP?)" as guessed, "-" unknown. Returns out. */
const char *show_app(const char *app, unsigned confidence, char *out, size_t size, bool *guess);
/* The name a payload gave: SNI, HTTP host, DNS query or other; "". Returns out. */
const char *show_flow_name(const struct flow_rec *f, char *out, size_t size);
/* filter_parse, with a complaint that points at the column. VERB_DONE or VERB_MISUSED. */
int show_filter_parse(struct filter **out, const struct command *c, const char *text, struct filter_error *error);

#endif
