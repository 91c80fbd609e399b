/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The policy in force by the store: see in_force.h. */
#include "config.h"
#include "ui-cli/in_force.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ui-cli/jsonl.h"
#include "ui-cli/units.h"

/* Did the last generation end because nobody confirmed it? */
static int read_lapsed(struct in_force *f, struct store_txn *t)
{
	struct generation last;
	uint64_t number;
	int rc = store_generation_last(t, &number);

	if (rc < 0 || number == 0)
		return rc;
	rc = store_generation_get(t, number, &last);
	if (rc == 0 && last.state == GENERATION_EXPIRED) {
		f->lapsed = number;
		f->lapsed_ns = last.ended_ns ? last.ended_ns : last.confirm_by_ns;
	}
	return rc;
}

int in_force_read(struct in_force *out, struct store_txn *t)
{
	struct policy_errors errors;
	struct in_force f = {0};
	int rc = store_generation_current(t, &f.generation);

	if (rc == -ENOENT) {
		memset(&f.generation, 0, sizeof(f.generation));
		ruleset_init(&f.ruleset);
		rc = read_lapsed(&f, t);
	} else if (rc == 0) {
		rc = ruleset_decode(&f.ruleset, f.generation.ruleset, f.generation.ruleset_len);
	}
	if (rc < 0)
		return rc;
	if (!f.generation.number || policy_parse(&f.policy, f.generation.policy, f.generation.policy_len, &errors) < 0)
		f.policy = policy_new();
	if (!f.policy) {
		ruleset_fini(&f.ruleset);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}

void in_force_print_lapsed(const struct in_force *f, FILE *out)
{
	char when[UNITS_STRLEN];

	if (f->lapsed)
		fprintf(out,
			"generation %" PRIu64 " ran out unconfirmed at %s: what it refused is let through and counted as "
			"would-block; weir apply puts it back\n", f->lapsed, units_moment(f->lapsed_ns, when));
}

void in_force_set_lapsed(json_t *o, const struct in_force *f)
{
	json_t *lapsed;

	if (!f->lapsed)
		return;
	lapsed = json_object();
	jsonl_set_number(lapsed, "generation", f->lapsed);
	jsonl_set_time(lapsed, "at", f->lapsed_ns);
	json_object_set_new(o, "lapsed", lapsed);
}

void in_force_fini(struct in_force *f)
{
	ruleset_fini(&f->ruleset);
	policy_free(f->policy);
	f->policy = NULL;
}
