/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the store's test programs and its benchmark share: a directory of their own, and made-up flows. */
#ifndef WEIR_TESTS_STORE_HELP_H
#define WEIR_TESTS_STORE_HELP_H
#include <stdbool.h>
#include <stdint.h>

#include "common/flow.h"
#include "store/db.h"

/* An empty directory, the caller's to help_remove (which frees the name too). Ends the program on failure. */
char *help_dir(void);
void help_remove(char *dir);

#define HELP_EPOCH_NS 1767225600000000000ull /* 2026-01-01 */

/* Flow number i: always the same, about 10 ms after the one before, with 200 clients and 20 servers. */
void help_flow(struct flow_rec *out, uint64_t i);
bool help_flow_equal(const struct flow_rec *a, const struct flow_rec *b);

/* Puts flows from..from+n-1 in one transaction; what commit or the first failure said. */
int help_put_flows(struct store *s, uint64_t from, uint64_t n);
/* All flows, by walking everything there is; negative errno when that fails. */
int64_t help_count_flows(struct store *s);
/* Opens, counts, and as a writer puts some more; the count or negative errno. */
int64_t help_open_and_count(const char *dir, enum store_mode mode);
/* The same in a child: -1000 - signal when it died of one. */
int64_t help_try_open(const char *dir, enum store_mode mode);

/* The data file: its path, its size, all of it in memory, and back. */
char *help_data_path(char out[300], const char *dir);
uint64_t help_file_size(const char *dir);
char *help_slurp(const char *dir, size_t *len);
void help_spill(const char *dir, const char *data, size_t len);

#endif
