/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the store's test programs and its benchmark share: a directory of their own, and made-up flows. */
#ifndef WEIR_TESTS_STORE_HELP_H
#define WEIR_TESTS_STORE_HELP_H
#include <stdbool.h>
#include <stdint.h>

#include "common/flow.h"

/* An empty directory, the caller's to help_remove (which frees the name too). Ends the program on failure. */
char *help_dir(void);
void help_remove(char *dir);

#define HELP_EPOCH_NS 1767225600000000000ull /* 2026-01-01 */

/* Flow number i: always the same, about 10 ms after the one before, with 200 clients and 20 servers. */
void help_flow(struct flow_rec *out, uint64_t i);
bool help_flow_equal(const struct flow_rec *a, const struct flow_rec *b);

#endif
