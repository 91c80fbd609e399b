/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Unanswered attempts that were folded while the flow table was under pressure, as weir flows shows them. */
#ifndef WEIR_UI_ATTEMPTS_H
#define WEIR_UI_ATTEMPTS_H
#include <stdint.h>

#include "ui-cli/view.h"

/* Lines of JSON on standard output. 0 or negative errno. */
int attempts_print_json(struct view *v, uint64_t since_ns, uint64_t until_ns);
/* A table under that of the flows, where there are any. 0 or negative errno. */
int attempts_print_table(struct view *v, uint64_t since_ns, uint64_t until_ns, uint64_t now_ns);

#endif
