/* SPDX-License-Identifier: GPL-3.0-or-later */
/* segment/policy: the document is read, every slip is told with its place and a way out, and what is written reads
 * back. */
#include "config.h"

#include <errno.h>

#include "common/workload.h"
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
			fprintf(stderr, "# document %zu, wanted %u:%u %s:\n%s", i, bad[i].line, bad[i].column,
				bad[i].words, bad[i].text);
			for (size_t k = 0; k < errors.n && k < POLICY_ERRORS_MAX; k++)
				fprintf(stderr, "#   %u:%u %s\n", errors.e[k].line, errors.e[k].column,
					errors.e[k].text);
		}
		policy_free(p);
	}
}

/* Documents that are odd and right. */
static void test_good(void)
{
	static const char *const good[] = {
		"weir: 1\n",
		"{weir: 1}",
		"\xef\xbb\xbfweir: 1\r\npolicy:\r\n  a: {}\r\n",
		"---\nweir: 1\npolicy:\n...\n",
		"weir: '1'\ngroups:\npolicy: {a: {inbound: , outbound: }}\n",
		"weir: 1\ngroups: {a: {}, b: , c: [{image: x}, {name: y}]}\n",
		"weir: 1\npolicy:\n  ? a\n  : {inbound: [{from: any, ports: any}]}\n",
		"weir: 1\npolicy:\n  \"a\\x20b\": {inbound: [{from: [a, 'fd00::/8', world], ports: icmp}]}\n",
		"weir: 1\npolicy:\n  a:\n    inbound:\n    - from: b\n      ports:\n      - 80/tcp\n",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		policy_free(parse(good[i]));
}

/* Many complaints: errors push warnings out, the order is that of the document, and the number is told. */
static void test_many(void)
{
	struct policy_errors errors;
	struct policy *p = NULL;
	struct buf b = BUF_INIT;

	buf_adds(&b, "weir: 1\npolicy:\n");
	for (unsigned i = 0; i < 30; i++)
		buf_printf(&b, "  g%u: {stage: enforce}\n", i);
	for (unsigned i = 0; i < 30; i++)
		buf_printf(&b, "  h%u: {stage: x}\n", i);
	CHECK_EQ(policy_parse(&p, b.data, b.len, &errors), -EINVAL);
	CHECK_EQ(errors.n, 60);
	for (unsigned i = 0; i < POLICY_ERRORS_MAX; i++) {
		CHECK(!errors.e[i].warning);
		CHECK_EQ(errors.e[i].line, 33 + i);
	}
	buf_clear(&b);
	policy_error_format(&b, &errors.e[0], "p.yaml");
	CHECK_STR(b.data, "p.yaml: line 33, column 15: error: unknown stage \"x\": it is observe, dry-run or enforce");
	buf_fini(&b);
}

static void test_warnings(void)
{
	static const char *const seen[] = {"shop/web", "shop/db"};
	static const char text[] =
		"weir: 1\npolicy:\n  a:\n    stage: enforce\n    inbound:\n      - {from: [shop/wbe, a, shop/db], "
		"ports: [80/tcp]}\n"
		"      - {from: shop/wbe, ports: [81/tcp]}\n    outbound:\n      - {to: b, ports: any}\n";
	struct policy_errors errors;
	struct policy *p = NULL;

	CHECK_EQ(policy_parse(&p, text, strlen(text), &errors), 0);
	CHECK_EQ(errors.n, 1);
	CHECK(strstr(errors.e[0].text, "Write {from: a, ...} under inbound of b"));
	policy_check_seen(p, seen, 2, &errors);
	CHECK_EQ(errors.n, 3);
	CHECK_STR(errors.e[1].text,
		  "no group \"shop/wbe\" is described here or was ever seen: did you mean \"shop/web\"?");
	CHECK_STR(errors.e[2].text, "no group \"b\" is described here or was ever seen; if it is to come, all is well");
	CHECK(!errors.fatal);
	policy_free(p);
}

static void test_too_big(void)
{
	size_t len = POLICY_TEXT_MAX + 1;
	struct policy_errors errors;
	struct policy *p = NULL;
	char *text = malloc(len);

	memset(text, '\n', len);
	memcpy(text, "weir: 1", 7);
	CHECK_EQ(policy_parse(&p, text, len, &errors), -E2BIG);
	CHECK(errors.n == 1 && strstr(errors.e[0].text, "16"));
	CHECK_EQ(policy_parse(&p, text, len - 1, &errors), 0);
	policy_free(p);
	CHECK_EQ(policy_parse(&p, "weir: 1\0", 8, &errors), -EINVAL);
	CHECK(strstr(errors.e[0].text, "NUL"));
	free(text);
}

static bool matches(const char *selector, const struct workload *w)
{
	char text[512];
	struct policy *p;
	bool yes;

	snprintf(text, sizeof(text), "weir: 1\ngroups:\n  it: %s\n", selector);
	p = parse(text);
	yes = p && strcmp(policy_group_of(p, w), "it") == 0;
	policy_free(p);
	return yes;
}

static void test_selectors(void)
{
	static struct workload w = {.name = "shop-web-1",
				    .group = "shop/web",
				    .image = "docker.io/library/nginx:1.25@sha256:abc",
				    .project = "shop",
				    .service = "web",
				    .labels = "a=1\nteam=pay ments\nz="};
	static struct workload pod = {.name = "k8s",
				      .group = "prod/pay",
				      .pod = "pay-7d4b9c-x2z",
				      .pod_namespace = "prod",
				      .image = "reg:5000/x/y:2"};
	struct policy_selector s;

	CHECK(matches("{compose: {project: shop, service: web}}", &w));
	CHECK(matches("{compose: {service: 'w*b'}}", &w));
	CHECK(!matches("{compose: {project: shop, service: we}}", &w));
	CHECK(matches("{image: nginx}", &w) && matches("{image: 'nginx:1.25'}", &w) &&
	      matches("{image: 'nginx:1.*'}", &w));
	CHECK(matches("{image: library/nginx}", &w) && matches("{image: '*@sha256:abc'}", &w));
	CHECK(!matches("{image: 'nginx:1.2'}", &w) && !matches("{image: evil/nginx}", &w) &&
	      !matches("{image: ngin}", &w));
	CHECK(matches("{image: 'reg:5000/x/y'}", &pod) && matches("{image: 'reg:5000/*:2'}", &pod) &&
	      !matches("{image: y}", &pod));
	CHECK(matches("{name: 'shop-*-1'}", &w) && matches("{name: '*'}", &w) && !matches("{name: shop}", &w));
	CHECK(matches("{label: team=pay ments}", &w) && matches("{label: 'team=*'}", &w) && matches("{label: z=}", &w));
	CHECK(!matches("{label: team=pay}", &w) && !matches("{label: eam=pay ments}", &w));
	CHECK(matches("{image: nginx, name: 'shop-*'}", &w) && !matches("{image: nginx, name: x}", &w));
	CHECK(matches("[{image: x}, {name: shop-web-1}]", &w));
	CHECK(matches("{kubernetes: {namespace: prod, owner: pay}}", &pod) &&
	      !matches("{kubernetes: {namespace: dev, owner: pay}}", &pod));
	CHECK(!matches("{kubernetes: {owner: pa}}", &pod) &&
	      !matches("{kubernetes: {namespace: '*'}}", &(struct workload){.name = "x", .group = "y"}));
	policy_selector_of(&s, &w);
	CHECK(strcmp(s.service, "web") == 0 && policy_selector_match(&s, &w) && !policy_selector_match(&s, &pod));
	policy_selector_of(&s, &pod);
	CHECK(strcmp(s.pod_owner, "pay") == 0 && policy_selector_match(&s, &pod) && !policy_selector_match(&s, &w));
	w.project[0] = '\0';
	policy_selector_of(&s, &w);
	CHECK_STR(s.image, "docker.io/library/nginx");
	CHECK(policy_selector_match(&s, &w));
}

/* Evidence comes from the network: it stays inside its comment. */
static void test_comments(void)
{
	struct policy *p = policy_new(), *back;
	struct policy_group *g = policy_add_group(p, "a");
	struct service s = {80, 80, 6};
	struct buf b = BUF_INIT;

	CHECK_EQ(policy_add_rule(g, true, "b", &s, 1), 0);
	g->inbound[0].comment = strdup("seen\n      - {from: evil, ports: any}\r\xe2\x80\xa8- x\xc2\x85- y\xff\x1b[0m");
	g->comment = strdup("two\nlines");
	CHECK_EQ(policy_emit(&b, p, "head\n\nmore"), 0);
	CHECK(strstr(b.data, "# head\n#\n# more\nweir: 1\n") == b.data);
	CHECK(strstr(b.data, "  # two\n  # lines\n  a:\n"));
	CHECK(strstr(b.data, "  # seen?      - {from: evil, ports: any}?\?- x?- y?\?[0m\n"));
	back = parse(b.data);
	CHECK_EQ(back->groups[0].n_inbound, 1);
	policy_free(back);
	policy_free(p);
	buf_fini(&b);
}

/* Every YAML example of the manual is a policy without a complaint. */
static void test_manual(void)
{
	const char *top = getenv("top_srcdir");
	struct buf path = BUF_INIT, doc = BUF_INIT;
	unsigned examples = 0;
	bool in = false;
	char line[1024];
	FILE *f;

	buf_printf(&path, "%s/docs/policy.md", top ? top : ".");
	f = fopen(path.data, "r");
	CHECK(f != NULL);
	while (f && fgets(line, sizeof(line), f)) {
		if (strcmp(line, "```yaml\n") == 0) {
			in = true;
		} else if (in && strcmp(line, "```\n") == 0) {
			struct policy_errors errors;
			struct policy *p = NULL;

			CHECK_EQ(policy_parse(&p, doc.data, doc.len, &errors), 0);
			CHECK_EQ(errors.n, 0);
			policy_free(p);
			buf_clear(&doc);
			examples++;
			in = false;
		} else if (in) {
			buf_adds(&doc, line);
		}
	}
	CHECK(examples >= 4);
	if (f)
		fclose(f);
	buf_fini(&path);
	buf_fini(&doc);
}

int main(void)
{
	test_good();
	test_many();
	test_warnings();
	test_too_big();
	test_selectors();
	test_comments();
	test_manual();
	test_example();
	test_bad();
	return tap_done();
}
