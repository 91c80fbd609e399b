/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target: encoded values, as they come out of a damaged store or from a process that was taken over. Input: which
 * kind (one byte), then the bytes. What is accepted must be encoded again, be read back and then be the same bytes; a
 * flow must also make sound JSON and CSV, whatever its texts are.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "common/coverage.h"
#include "common/edge.h"
#include "common/flow.h"
#include "common/rule.h"
#include "common/verdict.h"
#include "common/workload.h"
#include "daemon/bodies.h"
#include "daemon/settings.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/record_kinds.h"
#include "ui-cli/output.h"

/* TRY(type, name): a function that decodes, and if that succeeds encodes into b; -errno of decoding. */
#define TRY(type, name)                                                                                                \
	static int try_##name(struct buf *b, const void *data, size_t len)                                             \
	{                                                                                                              \
		static type value;                                                                                     \
		int rc = name##_decode(&value, data, len);                                                             \
                                                                                                                       \
		if (rc == 0)                                                                                           \
			name##_encode(b, &value);                                                                      \
		return rc;                                                                                             \
	}
TRY(struct flow_attempts, flow_attempts)
TRY(struct coverage_rec, coverage)
TRY(struct edge_agg, edge_agg)
TRY(struct verdict_rec, verdict)
TRY(struct workload, workload)
TRY(struct body_link, body_link)
TRY(struct body_stats, body_stats)
TRY(struct body_ask, body_ask)
TRY(struct body_origin, body_origin)
TRY(struct body_done, body_done)

static void check_json(const struct buf *b)
{
	json_error_t error;
	json_t *o;

	FUZZ_MUST(!buf_failed(b) && b->len && b->data[b->len - 1] == '\n');
	FUZZ_MUST(!memchr(b->data, '\n', b->len - 1)); /* one line */
	o = json_loadb(b->data, b->len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	FUZZ_MUST(json_is_object(o));
	json_decref(o);
}

static int try_flow(struct buf *b, const void *data, size_t len)
{
	struct buf text = BUF_INIT;
	struct flow_rec f;
	int rc = flow_decode(&f, data, len);

	if (rc)
		return rc;
	FUZZ_MUST(output_flow_json(&text, &f, NULL) == 0);
	check_json(&text);
	buf_clear(&text);
	FUZZ_MUST(output_flow_csv(&text, &f, NULL) == 0 && text.len);
	buf_fini(&text);
	flow_encode(b, &f);
	return 0;
}

static int try_attempts(struct buf *b, const void *data, size_t len)
{
	struct buf text = BUF_INIT;
	struct flow_attempts a;
	int rc = flow_attempts_decode(&a, data, len);

	if (rc)
		return rc;
	FUZZ_MUST(output_attempts_json(&text, &a, NULL) == 0);
	check_json(&text);
	buf_fini(&text);
	return try_flow_attempts(b, data, len);
}

static int try_roles(struct buf *b, const void *data, size_t len)
{
	static struct body_role roles[BODY_ROLES_MAX];
	size_t n = 0;
	int rc = body_roles_decode(roles, &n, data, len);

	FUZZ_MUST(n <= BODY_ROLES_MAX);
	if (rc == 0)
		body_roles_encode(b, roles, n);
	return rc;
}

static int try_apply(struct buf *b, const void *data, size_t len)
{
	struct body_apply a;
	int rc = body_apply_decode(&a, data, len);

	if (rc)
		return rc;
	rc = body_apply_encode(b, a.token, a.confirm_within_s, a.groups, &a.ruleset);
	FUZZ_MUST(rc == 0);
	body_apply_fini(&a);
	return 0;
}

static int try_ruleset(struct buf *b, const void *data, size_t len)
{
	struct ruleset rs;
	int rc = ruleset_decode(&rs, data, len);

	if (rc)
		return rc;
	for (size_t i = 0; i < rs.n_rules; i++) {
		char peer[GROUP_STRLEN];
		struct buf text = BUF_INIT;

		FUZZ_MUST(rs.rules[i].group < rs.n_groups);
		rule_peer_format(&rs.rules[i], peer);
		rule_services_format(&rs.rules[i], &text);
		buf_fini(&text);
	}
	ruleset_encode(b, &rs);
	ruleset_fini(&rs);
	return 0;
}

static int try_settings(struct buf *b, const void *data, size_t len)
{
	struct settings s; /* numbers only: nothing to free */
	int rc = settings_decode(&s, data, len);

	if (rc == 0)
		settings_encode(b, &s);
	return rc;
}

static int (*const tries[RECORD_KINDS])(struct buf *b, const void *data, size_t len) = {
	[RECORD_FLOW] = try_flow,
	[RECORD_ATTEMPTS] = try_attempts,
	[RECORD_COVERAGE] = try_coverage,
	[RECORD_EDGE] = try_edge_agg,
	[RECORD_VERDICT] = try_verdict,
	[RECORD_WORKLOAD] = try_workload,
	[RECORD_RULESET] = try_ruleset,
	[RECORD_LINK] = try_body_link,
	[RECORD_STATS] = try_body_stats,
	[RECORD_ROLES] = try_roles,
	[RECORD_ASK] = try_body_ask,
	[RECORD_ORIGIN] = try_body_origin,
	[RECORD_APPLY] = try_apply,
	[RECORD_DONE] = try_body_done,
	[RECORD_SETTINGS] = try_settings,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once = BUF_INIT, twice = BUF_INIT;
	unsigned kind;
	int rc;

	if (!size)
		return 0;
	kind = data[0] % RECORD_KINDS;
	rc = tries[kind](&once, data + 1, size - 1);
	FUZZ_MUST(rc == 0 || rc == -EBADMSG || rc == -EPROTO || rc == -EINVAL);
	if (rc == 0) {
		FUZZ_MUST(!buf_failed(&once));
		FUZZ_MUST(tries[kind](&twice, once.data, once.len) == 0);
		FUZZ_MUST(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
	}
	buf_fini(&once);
	buf_fini(&twice);
	return 0;
}
