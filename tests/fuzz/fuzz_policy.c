/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzzes the policy document: whatever is read must be written, read back and mean the same; it must survive compiling
 * and the encoding of rulesets; and what can be merged into must keep every byte and mean old plus found. Anything else
 * aborts.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "segment/diff.h"
#include "segment/policy.h"
#include "tests/fuzz/fuzz.h"

static const char found_text[] =
	"weir: 1\ngroups: {a: {image: x}, c: {name: 'y*'}}\npolicy:\n  a:\n    inbound:\n"
	"      - {from: b, ports: [80/tcp, 443/tcp]}\n      - {from: world, ports: [80/tcp]}\n    outbound:\n"
	"      - {to: world, ports: [443/tcp], names: [x.example]}\n  shop/web: {inbound: [{from: c, ports: "
	"[1/udp]}]}\n";

/* Written and read back: no difference. */
static void check_emit(const struct policy *p)
{
	struct policy_errors errors;
	struct policy *back = NULL;
	struct buf b = BUF_INIT;
	struct diff d;

	FUZZ_MUST(policy_emit(&b, p, NULL) == 0);
	FUZZ_MUST(policy_parse(&back, b.data, b.len, &errors) == 0);
	FUZZ_MUST(diff_policies(&d, p, back) == 0);
	FUZZ_MUST(d.n == 0);
	diff_fini(&d);
	policy_free(back);
	buf_fini(&b);
}

static void check_compile(const struct policy *p)
{
	struct ruleset rs, back;
	struct buf b = BUF_INIT;
	struct diff d;

	FUZZ_MUST(policy_compile(&rs, p) == 0);
	ruleset_encode(&b, &rs);
	FUZZ_MUST(ruleset_decode(&back, b.data, b.len) == 0);
	FUZZ_MUST(diff_rulesets(&d, &rs, &back) == 0 && d.n == 0);
	for (size_t i = 1; i < rs.n_groups; i++)
		FUZZ_MUST(strcmp(rs.groups[i - 1].name, rs.groups[i].name) < 0);
	diff_fini(&d);
	ruleset_fini(&rs);
	ruleset_fini(&back);
	buf_fini(&b);
}

/* Every byte kept, in order; a second merge adds nothing. */
static void check_merge(const char *text, size_t len)
{
	struct buf out = BUF_INIT, again = BUF_INIT, added = BUF_INIT;
	struct policy_errors errors;
	struct policy *found = NULL;
	size_t k = 0;
	int rc;

	FUZZ_MUST(policy_parse(&found, found_text, strlen(found_text), &errors) == 0);
	rc = policy_merge(&out, text, len, found, NULL, &errors);
	FUZZ_MUST(rc == 0 || rc == -ENOTSUP);
	for (size_t i = 0; rc == 0 && i < out.len && k < len; i++)
		k += out.data[i] == text[k];
	FUZZ_MUST(rc < 0 || k == len);
	if (rc == 0) {
		FUZZ_MUST(policy_merge(&again, out.data, out.len, found, &added, &errors) == 0);
		FUZZ_MUST(added.len == 0 && again.len == out.len && memcmp(again.data, out.data, out.len) == 0);
	}
	policy_free(found);
	buf_fini(&out);
	buf_fini(&again);
	buf_fini(&added);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_errors errors;
	struct policy *p = NULL;
	int rc = policy_parse(&p, (const char *)data, size, &errors);

	FUZZ_MUST(rc == 0 || rc == -EINVAL || rc == -E2BIG);
	FUZZ_MUST((rc != 0) == errors.fatal);
	if (rc < 0)
		return 0;
	check_emit(p);
	check_compile(p);
	check_merge((const char *)data, size);
	policy_free(p);
	return 0;
}
