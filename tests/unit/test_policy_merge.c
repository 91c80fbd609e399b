/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * segment/policy_merge: every byte of the document stays, in order, and the result means the old document plus what was
 * found. By example for the styles people write, then at random: documents in every mixture of styles, judged by the
 * naive reading.
 */
#include "config.h"

#include <errno.h>

#include "tests/unit/policy_writer.h"

/* Are all bytes of text in out, in order? */
static bool is_kept(const char *text, const char *out)
{
	for (; *text; text++, out++) {
		while (*out && *out != *text)
			out++;
		if (!*out)
			return false;
	}
	return true;
}

static struct policy *parse(const char *text)
{
	struct policy_errors errors;
	struct policy *p = NULL;

	CHECK_EQ(policy_parse(&p, text, strlen(text), &errors), 0);
	if (!p)
		fprintf(stderr, "# %u:%u %s\n%s\n", errors.e[0].line, errors.e[0].column, errors.e[0].text, text);
	return p;
}

static const char found_text[] = "weir: 1\n"
				 "groups:\n"
				 "  shop/web: {compose: {project: shop, service: web}}\n"
				 "policy:\n"
				 "  shop/web:\n"
				 "    inbound:\n"
				 "      - {from: shop/lb, ports: [80/tcp, 443/tcp]}\n"
				 "      - {from: world, ports: [80/tcp]}\n";

/* Document, and what it must become when found_text is merged into it. */
static const struct {
	const char *before, *after;
} examples[] = {
	/* Nothing there yet. */
	{"weir: 1\n", "weir: 1\ngroups:\n  shop/web: {compose: {project: shop, service: web}}\npolicy:\n  shop/web:\n  "
		      "  stage: observe\n"
		      "    inbound:\n      - {from: shop/lb, ports: [80/tcp, 443/tcp]}\n      - {from: world,   ports: "
		      "[80/tcp]}\n    outbound: []\n"},
	{"{weir: 1}", "{weir: 1, groups: {shop/web: {compose: {project: shop, service: web}}}, policy: {shop/web: "
		      "{stage: observe, inbound: "
		      "[{from: shop/lb, ports: [80/tcp, 443/tcp]}, {from: world, ports: [80/tcp]}], outbound: []}}}"},
	/* A port joins the rule that is there; comments, quotes and the order of keys stay. */
	{"weir: 1 # mine\n# head\npolicy:\n  shop/web:   # the shop\n    inbound:\n      - {ports: ['80/tcp'], from: "
	 "shop/lb} # lb\n"
	 "      # more to come\n    stage: enforce\ngroups:\n  shop/web: {image: nginx}\n",
	 "weir: 1 # mine\n# head\npolicy:\n  shop/web:   # the shop\n    inbound:\n      - {ports: ['80/tcp', "
	 "443/tcp], from: shop/lb} # lb\n"
	 "      # more to come\n      - {from: world, ports: [80/tcp]}\n    stage: enforce\ngroups:\n  shop/web: "
	 "{image: nginx}\n"},
	/* Rules and ports in blocks, four blanks, lists not indented, no end to the last line. */
	{"weir: 1\ngroups:\n    shop/web: {}\npolicy:\n    shop/web:\n        inbound:\n        - from: shop/lb\n      "
	 "    ports:\n          - 80/tcp",
	 "weir: 1\ngroups:\n    shop/web: {}\npolicy:\n    shop/web:\n        inbound:\n        - from: shop/lb\n      "
	 "    ports:\n          - 80/tcp\n"
	 "          - 443/tcp\n        - from: world\n          ports:\n            - 80/tcp"},
	/* Empty lists and values. */
	{"weir: 1\ngroups: {shop/web: {}}\npolicy:\n  shop/web:\n    inbound: []\n",
	 "weir: 1\ngroups: {shop/web: {}}\npolicy:\n  shop/web:\n"
	 "    inbound: [{from: shop/lb, ports: [80/tcp, 443/tcp]}, {from: world, ports: [80/tcp]}]\n"},
	{"weir: 1\ngroups: {shop/web: {}}\npolicy:\n  shop/web:\n    inbound: # none yet\n    outbound: []\n",
	 "weir: 1\ngroups: {shop/web: {}}\npolicy:\n  shop/web:\n    inbound: # none yet\n      - {from: shop/lb, "
	 "ports: [80/tcp, 443/tcp]}\n"
	 "      - {from: world, ports: [80/tcp]}\n    outbound: []\n"},
	{"weir: 1\ngroups: {shop/web: {}}\npolicy:\n  shop/web:\n",
	 "weir: 1\ngroups: {shop/web: {}}\npolicy:\n  shop/web:\n    inbound:\n"
	 "      - {from: shop/lb, ports: [80/tcp, 443/tcp]}\n      - {from: world, ports: [80/tcp]}\n"},
	/* CRLF. */
	{"weir: 1\r\ngroups: {shop/web: {}}\r\npolicy:\r\n  shop/web:\r\n    stage: dry-run\r\n",
	 "weir: 1\r\ngroups: {shop/web: {}}\r\npolicy:\r\n  shop/web:\r\n    stage: dry-run\r\n    inbound:\r\n"
	 "      - {from: shop/lb, ports: [80/tcp, 443/tcp]}\r\n      - {from: world, ports: [80/tcp]}\r\n"},
	/* A flow list over several lines, with and without the last comma. */
	{"weir: 1\ngroups: {shop/web: {}}\npolicy:\n  shop/web:\n    inbound: [\n        {from: a, ports: [1/tcp]}, # "
	 "a\n        {from: b, ports: [1/tcp]} # b\n    ]\n",
	 "weir: 1\ngroups: {shop/web: {}}\npolicy:\n  shop/web:\n    inbound: [\n        {from: a, ports: [1/tcp]}, # "
	 "a\n        {from: b, ports: [1/tcp]}, # b\n"
	 "        {from: shop/lb, ports: [80/tcp, 443/tcp]},\n        {from: world, ports: [80/tcp]}\n    ]\n"},
	{"weir: 1\ngroups: {shop/web: {}}\npolicy:\n  shop/web:\n    inbound: [\n        {from: a, ports: [1/tcp]}, # "
	 "a\n    ]\n",
	 "weir: 1\ngroups: {shop/web: {}}\npolicy:\n  shop/web:\n    inbound: [\n        {from: a, ports: [1/tcp]}, # "
	 "a\n"
	 "        {from: shop/lb, ports: [80/tcp, 443/tcp]},\n        {from: world, ports: [80/tcp]},\n    ]\n"},
	/* Covered already, by a wider rule and by a list of peers: nothing changes, not a byte. */
	{"weir: 1\ngroups: {shop/web: {image: x}}\npolicy:\n  shop/web:\n    inbound:\n      - {from: any, ports: "
	 "tcp}\n",
	 NULL},
	{"weir: 1\ngroups: {shop/web: {image: x}}\npolicy:\n  shop/web:\n    inbound:\n      - {from: [world, "
	 "shop/lb], ports: [80/tcp, 440-450/tcp]}\n",
	 NULL},
};

static void test_examples(void)
{
	struct policy *found = parse(found_text);

	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		struct buf out = BUF_INIT, added = BUF_INIT;
		struct policy_errors errors;

		CHECK_EQ(policy_merge(&out, examples[i].before, strlen(examples[i].before), found, &added, &errors), 0);
		CHECK_STR(out.data, examples[i].after ? examples[i].after : examples[i].before);
		CHECK_EQ(added.len > 0, examples[i].after != NULL);
		CHECK(is_kept(examples[i].before, out.data ? out.data : ""));
		if (errors.fatal)
			fprintf(stderr, "# example %zu: %s\n", i, errors.e[0].text);
		buf_fini(&out);
		buf_fini(&added);
	}
	policy_free(found);
}

static void test_added(void)
{
	static const char before[] = "weir: 1\npolicy:\n  shop/web: {inbound: [{from: world, ports: [80/tcp]}]}\n";
	struct policy *found = parse(found_text);
	struct buf out = BUF_INIT, added = BUF_INIT;
	struct policy_errors errors;

	CHECK_EQ(policy_merge(&out, before, strlen(before), found, &added, &errors), 0);
	CHECK_STR(added.data, "+ groups: shop/web: {compose: {project: shop, service: web}}\n"
			      "+ shop/web inbound: {from: shop/lb, ports: [80/tcp, 443/tcp]}\n");
	buf_fini(&out);
	buf_fini(&added);
	policy_free(found);
}

/* Evidence goes with a new rule into every style that has room for it; what a person has to decide is only told. */
static void test_evidence(void)
{
	static const char before[] = "weir: 1\npolicy:\n  a:\n    inbound:\n      - from: x\n        ports: [1/tcp]\n";
	static const char after[] =
		"weir: 1\npolicy:\n  a:\n    inbound:\n      - from: x\n        ports: [1/tcp]\n"
		"      - from: k  # seen twice\n        ports: [2/tcp]\n"
		"  b:\n    stage: observe\n    inbound:\n      - from: k  # seen once\n        ports: [3/tcp]\n"
		"    outbound: []\n";
	struct policy *found = parse("weir: 1\npolicy:\n  a: {inbound: [{from: k, ports: [2/tcp]}]}\n"
				     "  b: {inbound: [{from: k, ports: [3/tcp]}]}\n");
	struct policy_group *g = policy_find_group(found, "a");
	struct buf out = BUF_INIT, added = BUF_INIT;
	struct policy_errors errors;

	g->inbound[0].comment = strdup("seen twice");
	policy_find_group(found, "b")->inbound[0].comment = strdup("seen once");
	g->asked = policy_find_group(found, "b")->inbound;
	g->n_asked = 1;
	g->asked[0].inbound = true;
	CHECK_EQ(policy_merge(&out, before, strlen(before), found, &added, &errors), 0);
	CHECK_STR(out.data, after);
	CHECK_STR(added.data, "+ a inbound: {from: k, ports: [2/tcp]}  # seen twice\n+ b gets a policy, at observe\n"
			      "+ b inbound: {from: k, ports: [3/tcp]}  # seen once\n"
			      "? a inbound: {from: k, ports: [3/tcp]}  # seen once\n");
	g->asked = NULL; /* it is b's */
	g->n_asked = 0;
	policy_free(found);
	buf_fini(&out);
	buf_fini(&added);
}

/* What cannot be done by inserting is refused and told; a bad document is, too. */
static void test_refused(void)
{
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{"weir: 1\npolicy:\n  shop/web:\n    inbound: ~\n", -ENOTSUP},
		{"weir: 1\npolicy: null\n", -ENOTSUP},
		{"weir: 1\npolicy:\n  shop/web: ~\n", -ENOTSUP},
		{"weir: 1\npolicy:\n  shop/web: {stage: x}\n", -EINVAL},
		{"", -EINVAL},
	};
	struct policy *found = parse(found_text);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT, added = BUF_INIT;
		struct policy_errors errors;

		CHECK_EQ(policy_merge(&out, cases[i].text, strlen(cases[i].text), found, &added, &errors), cases[i].rc);
		CHECK(errors.fatal && errors.n > 0 && out.len == 0);
		CHECK_EQ(added.len > 0, cases[i].rc == -ENOTSUP);
		buf_fini(&out);
		buf_fini(&added);
	}
	policy_free(found);
}

/* The union, by the naive reading: a list allows what either list allowed. */
static void check_union(uint64_t *seed, const struct policy *old, const struct policy *found, const struct policy *both)
{
	for (unsigned i = 0; i < 60; i++) {
		struct rnd_conn c = rnd_connection(seed, RND_GROUPS);
		bool miss_old, miss_found, miss_both, outside;
		const char *owner;
		struct policy_group *in_old, *in_found;

		naive_verdict(old, &c, &miss_old);
		naive_verdict(found, &c, &miss_found);
		naive_verdict(both, &c, &miss_both);
		outside = strcmp(c.dst.group, "world") == 0 || strcmp(c.dst.group, "host") == 0;
		owner = outside ? c.src.group : c.dst.group;
		in_old = policy_find_group(old, owner);
		in_found = policy_find_group(found, owner);
		if (in_old && in_old->has_policy && in_found && in_found->has_policy)
			CHECK_EQ(miss_both, miss_old && miss_found);
		else
			CHECK_EQ(miss_both, miss_old || miss_found);
	}
}

static void test_random(uint64_t seed)
{
	for (unsigned i = 0; i < 1500; i++) {
		struct policy *a = rnd_policy(&seed, RND_GROUPS), *found = rnd_policy(&seed, RND_GROUPS), *old, *both;
		char *text = write_document(&seed, a);
		struct buf out = BUF_INIT, again = BUF_INIT, added = BUF_INIT;
		struct policy_errors errors;
		unsigned long before = tap_failures;
		int rc;

		old = parse(text);
		rc = policy_merge(&out, text, strlen(text), found, NULL, &errors);
		CHECK_EQ(rc, 0);
		if (old && rc == 0) {
			CHECK(is_kept(text, out.data));
			both = parse(out.data);
			if (both) {
				check_union(&seed, old, found, both);
				for (size_t k = 0; k < old->n_groups; k++) {
					if (old->groups[k].has_policy)
						CHECK_EQ(policy_find_group(both, old->groups[k].name)->stage,
							 old->groups[k].stage);
				}
			}
			/* A second time there is nothing left to add. */
			CHECK_EQ(policy_merge(&again, out.data, out.len, found, &added, &errors), 0);
			CHECK_STR(again.data, out.data);
			CHECK_EQ(added.len, 0);
			policy_free(both);
		}
		if (tap_failures != before) {
			struct buf f = BUF_INIT;

			policy_emit(&f, found, NULL);
			fprintf(stderr, "# round %u rc %d: %s\n--- before\n%s\n--- found\n%s\n--- after\n%s\n---\n", i,
				rc, errors.n ? errors.e[0].text : "", text, f.data, out.data ? out.data : "");
			buf_fini(&f);
		}
		buf_fini(&out);
		buf_fini(&again);
		buf_fini(&added);
		free(text);
		policy_free(a);
		policy_free(found);
		policy_free(old);
		if (tap_failures > 3)
			return;
	}
}

/* Documents with bytes changed, lost and doubled: read or refused, never worse; what can be merged into keeps its
 * bytes. */
static void test_mutated(uint64_t seed)
{
	static const char bytes[] = "{}[]:,-#&*!|>'\"%@` \t\n\r~?a0/.\xc2\x85\xff";
	struct policy *found = parse(found_text);
	unsigned merged = 0;

	for (unsigned i = 0; i < 4000 && tap_failures == 0; i++) {
		struct policy *a = rnd_policy(&seed, 5);
		char *text = write_document(&seed, a);
		struct buf out = BUF_INIT;
		struct policy_errors errors;
		size_t len = strlen(text);
		int rc;

		for (unsigned k = 1 + rnd(&seed, 3); k > 0 && len > 4; k--) {
			size_t at = rnd(&seed, (unsigned)len - 3);

			switch (rnd(&seed, 3)) {
			case 0:
				text[at] = bytes[rnd(&seed, sizeof(bytes) - 1)];
				break;
			case 1:
				memmove(text + at, text + at + 1, len - at);
				len--;
				break;
			default:
				memmove(text + at, text + rnd(&seed, (unsigned)len - 3), 3);
			}
		}
		rc = policy_merge(&out, text, len, found, NULL, &errors);
		CHECK(rc == 0 || rc == -EINVAL || rc == -ENOTSUP);
		CHECK_EQ(rc != 0, errors.fatal);
		for (size_t k = 0; k < errors.n && k < POLICY_ERRORS_MAX; k++)
			CHECK(errors.e[k].text[0] != '\0');
		if (rc == 0) {
			merged++;
			CHECK(is_kept(text, out.data));
		}
		if (tap_failures)
			fprintf(stderr, "# rc %d: %s\n--- before\n%s\n--- after\n%s\n---\n", rc,
				errors.n ? errors.e[0].text : "", text, out.data ? out.data : "");
		buf_fini(&out);
		free(text);
		policy_free(a);
	}
	CHECK(merged > 100);
	policy_free(found);
}

int main(void)
{
	uint64_t seed = tap_seed();

	test_examples();
	test_added();
	test_evidence();
	test_refused();
	test_random(seed);
	test_mutated(seed + 1);
	return tap_done();
}
