/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A look into the store, as every reading verb takes it: open, one read transaction, names. Following verbs take a
 * fresh look every second. Also the notes that stand under an answer: the span it covers, and what capture is known to
 * have missed in it.
 */
#ifndef WEIR_UI_VIEW_H
#define WEIR_UI_VIEW_H
#include <stdint.h>

#include "common/coverage.h"
#include "store/db.h"
#include "ui-cli/naming.h"
#include "ui-cli/options.h"

struct view {
	const struct command *command; /* for messages */
	const char *dir;
	struct store *store;
	struct store_txn *txn;
	struct naming *naming;
};

/* Opens the store in dir. VERB_DONE, or another exit code with the complaint printed; then nothing is open. */
int view_open(struct view *v, const struct command *c, const char *dir);
void view_close(struct view *v); /* also of one that is not open */
/* Sees what was written meanwhile. VERB_DONE, or an exit code with the complaint printed. */
int view_refresh(struct view *v);
/* Complains of a read that failed; what: "flows". Returns VERB_FAILED. */
int view_failed(struct view *v, const char *what, int rc);

/* Everything lost on any interface in the span; *intervals: how many of the ledger's intervals lost something. 0 or
 * negative errno. */
int view_coverage(struct view *v, uint64_t since_ns, uint64_t until_ns, struct coverage_rec *sum, uint64_t *intervals);
/* One line for people, or "" where nothing was lost. Returns out. */
#define VIEW_LOSS_STRLEN 400
const char *view_loss(const struct coverage_rec *sum, uint64_t intervals, char out[VIEW_LOSS_STRLEN]);
/* Prints the warning line for the span on standard output, if there is one to print. */
void view_footer(struct view *v, uint64_t since_ns, uint64_t until_ns);

#endif
