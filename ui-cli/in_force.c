/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The policy in force by the store: see in_force.h. */
#include "config.h"
#include "ui-cli/in_force.h"

#include <errno.h>
#include <string.h>

int in_force_read(struct in_force *out, struct store_txn *t)
{
	struct policy_errors errors;
	struct in_force f = {0};
	int rc = store_generation_current(t, &f.generation);

	if (rc == -ENOENT) {
		memset(&f.generation, 0, sizeof(f.generation));
		ruleset_init(&f.ruleset);
		rc = 0;
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

void in_force_fini(struct in_force *f)
{
	ruleset_fini(&f->ruleset);
	policy_free(f->policy);
	f->policy = NULL;
}
