/* SPDX-License-Identifier: GPL-3.0-or-later */
/* segment/policy: the document is read, every slip is told with its place and a way out, and what is written reads back. */
#include "config.h"

#include <errno.h>

#include "segment/eval.h"
#include "segment/policy.h"
#include "tests/tap.h"

static const char example[] = "weir: 1\n"
			      "groups:\n"
			      "  shop/web: {compose: {project: shop, service: web}}\n"
			      "policy:\n"
			      "  shop/web:\n"
			      "    stage: dry-run\n"
			      "    inbound:\n"
			      "      - {from: world,   ports: [80/tcp]}\n"
			      "      - {from: shop/lb, ports: [80/tcp, 443/tcp]}\n"
			      "    outbound:\n"
			      "      - {to: world, ports: [443/tcp], names: [api.example.com]}\n";

static struct policy *parse(const char *text)
{
	struct policy_errors errors;
	struct policy *p = NULL;
	int rc = policy_parse(&p, text, strlen(text), &errors);

	CHECK_EQ(rc, 0);
	for (size_t i = 0; i < errors.n && i < POLICY_ERRORS_MAX; i++)
		fprintf(stderr, "# %u:%u %s\n", errors.e[i].line, errors.e[i].column, errors.e[i].text);
	return p;
}

static void test_example(void)
{
	struct policy *p = parse(example);
	struct policy_group *g = policy_find_group(p, "shop/web");
	struct buf b = BUF_INIT;

	CHECK_EQ(p->n_groups, 1);
	CHECK_EQ(g->stage, STAGE_DRY_RUN);
	CHECK_EQ(g->n_selectors, 1);
	CHECK_STR(g->selectors[0].service, "web");
	CHECK_EQ(g->n_inbound, 2);
	CHECK_EQ(g->inbound[1].n_services, 2);
	CHECK_STR(g->inbound[1].peer_group, "shop/lb");
	CHECK_EQ(g->inbound[1].line, 9);
	CHECK_STR(g->outbound[0].names[0], "api.example.com");
	CHECK_EQ(policy_emit(&b, p, NULL), 0);
	CHECK_STR(b.data, example);
	buf_fini(&b);
	policy_free(p);
}

/* A document that must be refused: where, and words that must be in the complaint. */
static const struct {
	const char *text;
	unsigned line, column;
	const char *words;
} bad[] = {
	{"", 0, 0, "empty"},
	{"weir: 2\n", 1, 7, "weir: 1"},
	{"groups: {}\n", 1, 1, "weir: 1"},
	{"weir: 1\npolices: {}\n", 2, 1, "did you mean \"policy\""},
	{"weir: 1\npolicy:\n  a:\n    stage: enforced\n", 4, 12, "did you mean \"enforce\""},
	{"weir: 1\npolicy:\n  a:\n    stage: 7\n", 4, 12, "observe, dry-run or enforce"},
	{"weir: 1\npolicy:\n  a:\n    inbond: []\n", 4, 5, "did you mean \"inbound\""},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: b, ports: [80]}]}\n", 3, 35, "write 80/tcp"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: b, ports: 80-90}]}\n", 3, 34, "write 80-90/tcp"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: b, ports: tcp/80}]}\n", 3, 34, "write 80/tcp"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: b, ports: 90-80/tcp}]}\n", 3, 34, "write 80-90/tcp"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: b, ports: 70000/tcp}]}\n", 3, 34, "65535"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: b, ports: https}]}\n", 3, 34, "write 443/tcp"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: b, ports: [x y]}]}\n", 3, 35, "no service"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: b}]}\n", 3, 17, "no ports"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: b, ports: []}]}\n", 3, 34, "ports: is empty"},
	{"weir: 1\npolicy:\n  a: {inbound: [{ports: [80/tcp]}]}\n", 3, 17, "no from"},
	{"weir: 1\npolicy:\n  a: {inbound: [{to: b, ports: [80/tcp]}]}\n", 3, 18, "wrong list"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: b, ports: [80/tcp], names: [x]}]}\n", 3, 44, "outbound"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: 10.0.3.7/24, ports: [80/tcp]}]}\n", 3, 24, "write 10.0.3.0/24"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: 'fd00::7/64', ports: [80/tcp]}]}\n", 3, 24, "write fd00::/64"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: 10.0.0.0/33, ports: [80/tcp]}]}\n", 3, 24, "32 for IPv4"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: 10.0.3, ports: [80/tcp]}]}\n", 3, 24, "all four numbers"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: World, ports: [80/tcp]}]}\n", 3, 24, "write world"},
	{"weir: 1\npolicy:\n  a: {inbound: [{from: [], ports: [80/tcp]}]}\n", 3, 24, "names nobody"},
	{"weir: 1\npolicy:\n  a: {inbound: {from: b, ports: [80/tcp]}}\n", 3, 16, "list"},
	{"weir: 1\npolicy:\n  a: {outbound: [{to: world, ports: any, names: ['a b']}]}\n", 3, 50, "DNS name"},
	{"weir: 1\npolicy:\n  world: {}\n", 3, 3, "reserved"},
	{"weir: 1\ngroups:\n  host: {image: x}\n", 3, 3, "reserved"},
	{"weir: 1\ngroups:\n  10.0.0.1: {image: x}\n", 3, 3, "cannot be a group's name"},
	{"weir: 1\ngroups:\n  a: {compose: {projekt: x}}\n", 3, 17, "did you mean \"project\""},
	{"weir: 1\ngroups:\n  a: {compose: {}}\n", 3, 16, "project: ..."},
	{"weir: 1\ngroups:\n  a: {label: x}\n", 3, 6, "x=VALUE"},
	{"weir: 1\ngroups:\n  a: {imag: x}\n", 3, 7, "did you mean \"image\""},
	{"weir: 1\npolicy:\n  a: {}\n  b: {}\n  a: {}\n", 5, 3, "first on line 3"},
	{"weir: 1\nweir: 1\n", 2, 1, "twice"},
	{"weir: 1\npolicy:\n\ta: {}\n", 3, 1, "tab"},
	{"weir: 1\npolicy:\n  a: &x {}\n  b: *x\n", 3, 6, "anchor"},
	{"weir: 1\npolicy: *x\n", 2, 9, "alias"},
	{"weir: 1\npolicy: !!map {}\n", 2, 9, "tag"},
	{"weir: 1\n---\nweir: 1\n", 2, 1, "second document"},
	{"weir: 1\npolicy: [[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]\n", 2, 20, "nested"},
	{"weir: 1\npolicy: {\n", 3, 1, "not closed"},
	{"weir: 1\npolicy:\n  a:\n    stage: |\n      enforce\n", 4, 12, "one line"},
	{"weir: 1\npolicy: \xff\n", 2, 9, "UTF-8"},
	{"weir: 1\n# \xc3\xa9\xc3\xa9 \xed\xa0\x80\n", 2, 6, "UTF-8"},
	{"weir: 1\x01\n", 1, 8, "control character"},
	{"- weir\n", 1, 1, "begins with"},
	{"weir: 1\npolicy:\n  a:\n    - x\n", 4, 5, "needs stage:"},
	{"weir: 1\npolicy:\n  [a, b]: {}\n", 3, 3, "key"},
};

static void test_bad(void)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct policy_errors errors;
		struct policy *p = NULL;
		bool found = false;

		CHECK_EQ(policy_parse(&p, bad[i].text, strlen(bad[i].text), &errors), -EINVAL);
		CHECK(p == NULL && errors.fatal);
		for (size_t k = 0; k < errors.n && k < POLICY_ERRORS_MAX; k++)
			found = found || (errors.e[k].line == bad[i].line && errors.e[k].column == bad[i].column &&
					  strstr(errors.e[k].text, bad[i].words) && !errors.e[k].warning);
		CHECK(found);
		if (!found) {
			fprintf(stderr, "# document %zu, wanted %u:%u %s:\n%s", i, bad[i].line, bad[i].column, bad[i].words, bad[i].text);
			for (size_t k = 0; k < errors.n && k < POLICY_ERRORS_MAX; k++)
				fprintf(stderr, "#   %u:%u %s\n", errors.e[k].line, errors.e[k].column, errors.e[k].text);
		}
		policy_free(p);
	}
}

int main(void)
{
	test_example();
	test_bad();
	return tap_done();
}
