/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A look into the store: see view.h. */
#include "config.h"
#include "ui-cli/view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/timefmt.h"
#include "store/history.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"
#include "ui-cli/verb.h"

static int complain_open(struct view *v, int rc)
{
	switch (rc) {
	case -ENOENT:
		return command_failed(v->command, "there is no store in %s: has `weir run` or `weir read` written one? "
				      "Another place is named with --state DIR", v->dir);
	case -EACCES:
	case -EPERM:
		return command_failed(v->command, "may not read the store in %s: join its group, or use sudo", v->dir);
	case -EPROTO:
		return command_failed(v->command, "the store in %s was written by a newer weir: read it with that one",
				      v->dir);
	default:
		return command_failed(v->command, "cannot open the store in %s: %s", v->dir, strerror(-rc));
	}
}

int view_open(struct view *v, const struct command *c, const char *dir)
{
	int rc;

	memset(v, 0, sizeof(*v));
	v->command = c;
	v->dir = dir;
	rc = store_open(&v->store, dir, STORE_READ, NULL);
	if (rc < 0)
		return complain_open(v, rc);
	rc = store_begin(&v->txn, v->store, false);
	if (rc == 0)
		rc = naming_new(&v->naming);
	if (rc < 0) {
		command_failed(c, "cannot read the store in %s: %s", dir, strerror(-rc));
		view_close(v);
		return VERB_FAILED;
	}
	return VERB_DONE;
}

void view_close(struct view *v)
{
	naming_free(v->naming);
	store_abort(v->txn);
	store_close(v->store);
	v->naming = NULL;
	v->txn = NULL;
	v->store = NULL;
}

int view_refresh(struct view *v)
{
	struct naming *naming = NULL;
	int rc;

	store_abort(v->txn);
	v->txn = NULL;
	rc = store_begin(&v->txn, v->store, false);
	if (rc == 0)
		rc = naming_new(&naming);
	if (rc < 0)
		return view_failed(v, "store", rc);
	naming_free(v->naming); /* a workload may have got its name meanwhile */
	v->naming = naming;
	return VERB_DONE;
}

int view_failed(struct view *v, const char *what, int rc)
{
	return command_failed(v->command, "reading the %s in %s failed: %s", what, v->dir, strerror(-rc));
}

struct losses {
	struct coverage_rec *sum;
	uint64_t intervals;
};

static int add_loss(void *arg, const struct coverage_rec *c)
{
	struct losses *l = arg;

	if (coverage_complete(c))
		return 0;
	l->intervals++;
	coverage_merge(l->sum, c);
	return 0;
}

int view_coverage(struct view *v, uint64_t since_ns, uint64_t until_ns, struct coverage_rec *sum, uint64_t *intervals)
{
	struct losses l = {sum, 0};
	int rc;

	memset(sum, 0, sizeof(*sum));
	rc = store_coverage_walk(v->txn, since_ns, until_ns, add_loss, &l);
	*intervals = l.intervals;
	return rc;
}

static void add_part(char *out, uint64_t n, const char *what)
{
	size_t len = strlen(out);

	if (n)
		snprintf(out + len, VIEW_LOSS_STRLEN - len, "%s%" PRIu64 " %s", len ? ", " : "", n, what);
}

const char *view_loss(const struct coverage_rec *sum, uint64_t intervals, char out[VIEW_LOSS_STRLEN])
{
	char parts[VIEW_LOSS_STRLEN] = "", span[128];

	*out = '\0';
	if (intervals == 0)
		return out;
	add_part(parts, sum->lost_kernel, "packets dropped by the kernel");
	add_part(parts, sum->lost_interface, "packets dropped by the interface");
	add_part(parts, sum->lost_ring, "records dropped before the store");
	add_part(parts, sum->lost_store, "records not stored");
	add_part(parts, sum->evicted, "flows evicted early");
	if (sum->gap)
		snprintf(parts + strlen(parts), sizeof(parts) - strlen(parts), "%snot watched for a time",
			 *parts ? ", " : "");
	snprintf(out, VIEW_LOSS_STRLEN, "incomplete: %.200s, within %s", *parts ? parts : "something was lost",
		 units_span(sum->start_ns, sum->end_ns, span, sizeof(span)));
	return out;
}

void view_footer(struct view *v, uint64_t since_ns, uint64_t until_ns)
{
	char text[VIEW_LOSS_STRLEN];
	struct coverage_rec sum;
	uint64_t intervals;

	if (view_coverage(v, since_ns, until_ns, &sum, &intervals) < 0 || intervals == 0)
		return;
	table_print(stdout, TABLE_WARN, view_loss(&sum, intervals, text));
	putchar('\n');
}
