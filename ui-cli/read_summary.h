/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a person wants to know of a capture file at once: how much, from when to when, what was lost or could not be
 * read, and who talked to whom most. Ends are groups where an inventory names them, addresses otherwise.
 */
#ifndef WEIR_UI_READ_SUMMARY_H
#define WEIR_UI_READ_SUMMARY_H
#include <stddef.h>

#include "common/coverage.h"
#include "common/flow.h"
#include "daemon/engine.h"
#include "daemon/names.h"

struct read_summary;

int read_summary_new(struct read_summary **out); /* 0 or -ENOMEM */
void read_summary_free(struct read_summary *s);
void read_summary_flow(struct read_summary *s, const struct names *names, const struct flow_rec *f,
		       const struct names_end end[2]);
void read_summary_attempts(struct read_summary *s, const struct flow_attempts *a);
/* On standard output. state: where it was kept, or NULL. */
void read_summary_print(struct read_summary *s, const struct names *names, const struct coverage_rec *ifaces,
			size_t n_ifaces, const struct engine_stats *stats, const char *file, size_t n_files,
			const char *state);

#endif
