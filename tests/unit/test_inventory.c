/* SPDX-License-Identifier: GPL-3.0-or-later */
/* inventory/: how workloads are named, and what is made of inspect JSON and inventory files, good, bad and
 * mutilated. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "inventory/inspect.h"
#include "inventory/inventory.h"
#include "inventory/links.h"
#include "inventory/names.h"
#include "tests/tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_image_repository(void)
{
	static const char *const table[][2] = {
		{"postgres", "postgres"},
		{"postgres:15", "postgres"},
		{"docker.io/library/postgres:15", "postgres"},
		{"library/redis", "redis"},
		{"prom/node-exporter:v1", "prom/node-exporter"},
		{"localhost/worker:latest", "worker"},
		{"localhost:5000/team/app", "localhost:5000/team/app"},
		{"registry.example.com:5000/team/web:1.4", "registry.example.com:5000/team/web"},
		{"ghcr.io/acme/api@sha256:0011", "ghcr.io/acme/api"},
		{"ghcr.io/acme/api:2@sha256:0011", "ghcr.io/acme/api"},
		{"sha256:84664bc55b7e9ba06e38e3f033b9bc6f8e3f70cc935d541e427224a8a23d7f56", ""},
		{"84664bc55b7e", ""},
		{"cafe", "cafe"},
		{"", ""},
		{":", ""},
		{"@", ""},
		{"/", "/"},
	};
	char out[256];

	for (size_t i = 0; i < COUNT(table); i++) {
		image_repository(table[i][0], out, sizeof(out));
		CHECK_STR(out, table[i][1]);
	}
}

static void test_pod_owner(void)
{
	static const char *const table[][2] = {
		{"web-7d4b9c6f5d-x2x7z", "web"},            /* Deployment */
		{"shop-front-6799fc88d8-8kgpt", "shop-front"},
		{"node-exporter-x2x7z", "node-exporter"},   /* DaemonSet, Job */
		{"postgres-0", "postgres"},                 /* StatefulSet */
		{"kafka-broker-12", "kafka-broker"},
		{"backup-28345200-k9d2m", "backup"},        /* CronJob */
		{"etcd-control-plane", "etcd-control-plane"},
		{"web", "web"},
		{"web-apple", "web-apple"}, /* vowels: no suffix of Kubernetes' */
		{"-0", "-0"},
		{"", ""},
	};
	char out[128];

	for (size_t i = 0; i < COUNT(table); i++) {
		pod_owner(table[i][0], out, sizeof(out));
		CHECK_STR(out, table[i][1]);
	}
}

static void test_instance_stem(void)
{
	static const char *const table[][2] = {
		{"web-1", "web"},     {"web_2", "web"},       {"web3", "web"},        {"web-01", "web"},
		{"shop_web_1", "shop_web"}, {"db2", "db"},    {"web", "web"},         {"h1", "h1"},
		{"n-1", "n-1"},       {"ipv6", "ipv6"},       {"gw-ipv6", "gw-ipv6"}, {"sha256", "sha256"},
		{"job-20261121", "job-20261121"},             {"10.0.0.1", "10.0.0.1"},
		{"42", "42"},         {"web-1-2", "web-1"},   {"a--1", "a--1"},       {"web.7", "web"}, {"", ""},
	};
	char out[128];

	for (size_t i = 0; i < COUNT(table); i++) {
		instance_stem(table[i][0], out, sizeof(out));
		CHECK_STR(out, table[i][1]);
	}
}

static void test_template(void)
{
	static const struct {
		const char *pattern, *name, *want; /* want NULL: no match */
	} table[] = {
		{"web-* -> web", "web-17", "web"},
		{"web-* -> web", "db-17", NULL},
		{"* -> all", "", "all"},
		{"*-prod-* -> $1/prod", "shop-prod-3", "shop/prod"},
		{"*-*->$2.$1", "a-b-c", "b-c.a"},
		{"exact->x", "exact", "x"},
		{"exact->x", "exactly", NULL},
		{"no arrow", "no arrow", NULL},
		{"* ->", "a", NULL},
		{"*a*a*a*a*a*a*a*a*b -> slow",
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
	};
	char out[128];

	for (size_t i = 0; i < COUNT(table); i++) {
		bool hit = template_match(table[i].pattern, table[i].name, out, sizeof(out));

		CHECK(hit == (table[i].want != NULL));
		if (hit && table[i].want)
			CHECK_STR(out, table[i].want);
	}
}

static const char *group(struct workload *w, const char *const *templates)
{
	inventory_group_name(w, templates, w->group);
	return w->group;
}

static void test_group_order(void)
{
	static const char *const templates[] = {"special-* -> tpl/$1", "world* -> world", NULL};
	struct workload w = {.kind = WORKLOAD_CONTAINER, .name = "web-1", .image = "nginx:1"};
	char expected[GROUP_STRLEN];

	CHECK_STR(group(&w, NULL), "nginx");
	CHECK_STR(group(&w, templates), "nginx");
	strcpy(w.name, "special-a");
	CHECK_STR(group(&w, templates), "tpl/a");
	strcpy(w.pod, "api-7d4b9c6f5d-x2x7z");
	CHECK_STR(group(&w, templates), "default/api");
	strcpy(w.pod_namespace, "prod");
	CHECK_STR(group(&w, templates), "prod/api");
	strcpy(w.labels, "com.docker.stack.namespace=st\ncom.docker.swarm.service.name=st_api");
	CHECK_STR(group(&w, templates), "st/api");
	strcpy(w.project, "shop");
	CHECK_STR(group(&w, templates), "st/api"); /* half a Compose label is none */
	strcpy(w.service, "web");
	CHECK_STR(group(&w, templates), "shop/web");
	w.kind = WORKLOAD_HOST;
	CHECK_STR(group(&w, templates), "host");

	memset(&w, 0, sizeof(w));
	w.kind = WORKLOAD_NETNS;
	strcpy(w.name, "web-2");
	CHECK_STR(group(&w, NULL), "web");
	/* Reserved words are never a group's name by accident; odd characters never get into one. */
	strcpy(w.name, "world-1");
	CHECK_STR(group(&w, NULL), "world_");
	CHECK_STR(group(&w, templates), "world_");
	strcpy(w.name, "Host");
	CHECK_STR(group(&w, NULL), "Host_");
	strcpy(w.name, "a b\"c\nd{e}");
	CHECK_STR(group(&w, NULL), "a_b_c_d_e_");
	strcpy(w.name, "-rf");
	CHECK_STR(group(&w, NULL), "_rf");
	strcpy(w.name, "");
	CHECK_STR(group(&w, NULL), "unnamed");
	/* Too long: cut in front, and still told apart. */
	w.kind = WORKLOAD_CONTAINER;
	memset(w.image, 'x', 200);
	CHECK_EQ(strlen(group(&w, NULL)), GROUP_STRLEN - 1);
	strcpy(expected, w.group);
	w.image[0] = 'y';
	CHECK(strcmp(group(&w, NULL), expected) != 0);
}

static void test_runtime_bridge(void)
{
	static const char *const yes[] = {"docker0", "br-81dff7a45b55", "podman0", "podman12",
					  "cni0",    "cni-podman0",	"nerdctl0"};
	static const char *const no[] = {"br0",	   "br-lan", "br-81dff7a45b5", "br-81dff7a45b5g",
					 "virbr0", "eth0",   "docker",	       ""};

	for (size_t i = 0; i < COUNT(yes); i++)
		CHECK(links_runtime_bridge(yes[i]));
	for (size_t i = 0; i < COUNT(no); i++)
		CHECK(!links_runtime_bridge(no[i]));
}

/* ---- inspect JSON ----------------------------------------------------------------------------------------------- */

struct got {
	struct workload w[16];
	size_t n;
};

static void keep(void *arg, const struct workload *w)
{
	struct got *g = arg;

	if (g->n < COUNT(g->w))
		g->w[g->n] = *w;
	g->n++;
}

static bool has_addr(const struct workload *w, const char *text)
{
	struct addr a;

	if (addr_parse(&a, text) < 0)
		return false;
	for (unsigned i = 0; i < w->n_addrs; i++)
		if (addr_equal(&w->addrs[i], &a))
			return true;
	return false;
}

static char *slurp(const char *name, size_t *len)
{
	const char *top = getenv("top_srcdir");
	char path[512], *data;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/unit/inventory_data/%s", top ? top : ".", name);
	f = fopen(path, "r");
	if (!f) {
		perror(path);
		exit(1);
	}
	data = malloc(1 << 20);
	*len = data ? fread(data, 1, (1 << 20) - 1, f) : 0;
	fclose(f);
	if (!data)
		exit(1);
	data[*len] = '\0';
	return data;
}

static void test_inspect_docker(void)
{
	static struct got g;
	char error[INVENTORY_ERROR_STRLEN], t[TIME_STRLEN];
	size_t len;
	char *json = slurp("docker_inspect.json", &len);

	g.n = 0;
	CHECK_EQ(inventory_parse_inspect(json, len, "docker", keep, &g, error), 0);
	CHECK_EQ(g.n, 5);
	CHECK_STR(g.w[0].name, "shop-web-1");
	CHECK_STR(g.w[0].group, "shop/web");
	CHECK_STR(g.w[0].project, "shop");
	CHECK_STR(g.w[0].image, "registry.example.com:5000/team/web:1.4");
	CHECK_STR(g.w[0].image_digest, "sha256:84664bc55b7e9ba06e38e3f033b9bc6f8e3f70cc935d541e427224a8a23d7f56");
	CHECK_STR(g.w[0].labels, "a.first=line one_line two\ncom.docker.compose.project=shop\n"
				 "com.docker.compose.service=web\nzz.last=yes");
	CHECK_STR(time_format_utc(g.w[0].start_ns, t), "2026-11-21T01:02:03.123456789Z");
	CHECK_EQ(g.w[0].end_ns, 0);
	CHECK_EQ(g.w[0].n_addrs, 4);
	CHECK(has_addr(&g.w[0], "172.20.0.3") && has_addr(&g.w[0], "172.21.0.9") && has_addr(&g.w[0], "fd00:20::3"));
	CHECK(has_addr(&g.w[0], "fe80::42:acff:fe14:3")); /* of the MAC address, where there is IPv6 */
	CHECK(g.w[0].id == workload_id_of("docker", g.w[0].runtime_id, g.w[0].start_ns));

	CHECK_STR(g.w[1].group, "postgres");
	CHECK_STR(g.w[1].image_digest, "sha256:1111111111111111111111111111111111111111111111111111111111111111");
	CHECK_EQ(g.w[1].exit_code, 137);
	CHECK_EQ(g.w[1].end_ns - g.w[1].start_ns, 9 * NS_PER_S);
	CHECK(has_addr(&g.w[1], "172.17.0.5"));

	CHECK_EQ(g.w[2].kind, WORKLOAD_HOST);
	CHECK_STR(g.w[2].group, "host");
	CHECK_EQ(g.w[2].n_addrs, 0);

	CHECK_STR(g.w[3].group, "sidecar"); /* its image is a bare id */
	CHECK_EQ(g.w[3].n_addrs, 0);
	CHECK(strncmp(g.w[3].labels, "weir.network=container:4d5c", 27) == 0);
	CHECK(g.w[3].start_ns == g.w[2].start_ns); /* 03:00+01:00 */

	CHECK_STR(g.w[4].group, "prod/web");
	CHECK_STR(g.w[4].pod, "web-7d4b9c6f5d-x2x7z");
	CHECK(has_addr(&g.w[4], "10.244.1.7"));
	free(json);
}

static void test_inspect_podman(void)
{
	static struct got g;
	char error[INVENTORY_ERROR_STRLEN], t[TIME_STRLEN];
	size_t len;
	char *json = slurp("podman_inspect.json", &len);

	g.n = 0;
	CHECK_EQ(inventory_parse_inspect(json, len, "podman", keep, &g, error), 0);
	CHECK_EQ(g.n, 1);
	CHECK_STR(g.w[0].group, "farm/worker");
	CHECK_STR(g.w[0].image_digest, "sha256:2222222222222222222222222222222222222222222222222222222222222222");
	CHECK_STR(time_format_utc(g.w[0].start_ns, t), "2026-11-21T01:02:03.500000000Z");
	CHECK_EQ(g.w[0].n_addrs, 2);
	free(json);
}

static void test_inspect_wrong(void)
{
	static struct got g;
	static const char *const refused[] = {"", "[", "{}", "[1]", "[{\"Id\": 5}]", "[{\"Id\": \"../../etc\"}]", "null",
					      "\"x\"", "[{\"Id\": \"4d5c1f0a9b8e7\", \"Name\": \"\\ud800\"}]"};
	/* Every member of a wrong type: still a container, with nothing known of it. */
	static const char odd[] =
		"{\"Id\": \"4d5c1f0a9b8e7d6c\", \"Name\": {}, \"State\": [1], \"Config\": \"x\", \"Image\": 1,"
		"\"HostConfig\": 0, \"NetworkSettings\": {\"Networks\": [{\"IPAddress\": \"1.2.3.4\"}],"
		"\"IPAddress\": \"999.1.1.1\"}}";
	char error[INVENTORY_ERROR_STRLEN];
	char *deep = malloc(200001);

	for (size_t i = 0; i < COUNT(refused); i++) {
		g.n = 0;
		error[0] = '\0';
		CHECK_EQ(inventory_parse_inspect(refused[i], strlen(refused[i]), "docker", keep, &g, error), -EINVAL);
		CHECK(error[0] != '\0');
		CHECK_EQ(g.n, 0);
	}
	g.n = 0;
	CHECK_EQ(inventory_parse_inspect(odd, strlen(odd), "docker", keep, &g, error), 0);
	CHECK_EQ(g.n, 1);
	CHECK_STR(g.w[0].name, "4d5c1f0a9b8e7d6c");
	CHECK_EQ(g.w[0].n_addrs, 0);
	CHECK_EQ(g.w[0].start_ns, 0);
	if (deep) { /* an attack on the stack */
		memset(deep, '[', 200000);
		CHECK_EQ(inventory_parse_inspect(deep, 200000, "docker", keep, &g, error), -EINVAL);
	}
	free(deep);
}

/* Bytes changed, cut out and doubled in good JSON: any answer will do, as long as it is one, and encodes. */
static void test_inspect_mutated(void)
{
	static struct got g;
	uint64_t seed = tap_seed();
	size_t len, parsed = 0;
	char *json = slurp("docker_inspect.json", &len), *copy = malloc(2 * len + 1), error[INVENTORY_ERROR_STRLEN];

	for (int round = 0; copy && round < 3000; round++) {
		size_t n = len;

		memcpy(copy, json, len);
		for (uint64_t changes = 1 + tap_random(&seed) % 4; changes; changes--) {
			size_t at = tap_random(&seed) % n, piece = tap_random(&seed) % 40;

			if (at + piece > n)
				piece = n - at;
			switch (tap_random(&seed) % 4) {
			case 0:
				copy[at] = (char)tap_random(&seed);
				break;
			case 1:
				memmove(copy + at, copy + at + piece, n - at - piece);
				n -= n > piece + 1 ? piece : 0;
				break;
			case 2:
				if (n + piece <= 2 * len) {
					memmove(copy + at + piece, copy + at, n - at);
					n += piece;
				}
				break;
			default:
				copy[at] = "{}[]\",:0-\\"[tap_random(&seed) % 10];
			}
		}
		g.n = 0;
		if (inventory_parse_inspect(copy, n, "docker", keep, &g, error) == 0)
			parsed++;
		for (size_t i = 0; i < g.n && i < COUNT(g.w); i++) {
			static struct workload back;
			struct buf b = BUF_INIT;

			workload_encode(&b, &g.w[i]);
			CHECK_EQ(workload_decode(&back, b.data, b.len), 0);
			buf_fini(&b);
		}
	}
	CHECK(parsed > 0);
	free(copy);
	free(json);
}

/* A flood of labels pushes none of those out that name things. */
static void test_many_labels(void)
{
	static struct got g;
	struct buf b = BUF_INIT;
	char error[INVENTORY_ERROR_STRLEN];

	buf_adds(&b, "{\"Id\": \"4d5c1f0a9b8e7d6c\", \"Config\": {\"Labels\": {");
	for (int i = 0; i < 5000; i++)
		buf_printf(&b, "\"label-%d\": \"value %d\", ", i, i);
	buf_adds(&b, "\"com.docker.compose.project\": \"p\", \"com.docker.compose.service\": \"s\"}}}");
	g.n = 0;
	CHECK_EQ(inventory_parse_inspect(b.data, b.len, "docker", keep, &g, error), 0);
	CHECK_STR(g.w[0].group, "p/s");
	CHECK(strlen(g.w[0].labels) > WORKLOAD_LABELS_MAX - 100 && strlen(g.w[0].labels) < WORKLOAD_LABELS_MAX);
	buf_fini(&b);
}

/* ---- inventory files -------------------------------------------------------------------------------------------- */

static int read_text(const char *text, struct got *g, char *error)
{
	char path[] = "/tmp/weir-inventory-XXXXXX";
	int fd = mkstemp(path), r;

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		exit(1);
	close(fd);
	g->n = 0;
	r = inventory_read_file(path, keep, g, error);
	unlink(path);
	return r;
}

static void test_file(void)
{
	static struct got g;
	char error[INVENTORY_ERROR_STRLEN];
	static const struct {
		const char *text, *error;
	} bad[] = {
		{"10.0.0.1 web\n10.0.0.300 db\n", "line 2: not an IPv4 or IPv6 address: \"10.0.0.300\""},
		{"10.0.0.1\n", "line 1: no name after the address; a line is ADDRESS NAME [GROUP]: \"10.0.0.1\""},
		{"\n\n10.0.0.1 a b c\n", "line 3: more than ADDRESS NAME [GROUP]: \"c\""},
		{"10.0.0.1 a\n10.0.0.1 b\n", "line 2: its address already has another name in line 1: \"b\""},
		{"10.0.0.1 a\n10.0.0.9 c\n10.0.0.1 b\n",
		 "line 3: its address already has another name in line 1: \"b\""},
		{"10.0.0.1 a x\n10.0.0.2 a y\n", "line 2: this workload is in another group in line 1: \"y\""},
		{"10.0.0.1 a world\n", "line 1: \"world\" is what has no name; leave the line out: \"world\""},
		{"# nothing\n", "no line \"ADDRESS NAME [GROUP]\" in it"},
		{"", "is empty"},
	};

	CHECK_EQ(read_text("# hosts\n10.0.0.2 web-2\n\n10.0.0.1\tweb-1 # first\nfd00::1 web-1\n10.0.0.9 gw host\r\n"
			   "10.0.0.5 api front/api", &g, error), 0);
	CHECK_EQ(g.n, 4);
	CHECK_STR(g.w[0].name, "api");
	CHECK_STR(g.w[0].group, "front/api");
	CHECK_STR(g.w[1].name, "gw");
	CHECK_EQ(g.w[1].kind, WORKLOAD_HOST);
	CHECK_STR(g.w[2].name, "web-1");
	CHECK_STR(g.w[2].group, "web");
	CHECK_STR(g.w[2].runtime, "file");
	CHECK_EQ(g.w[2].n_addrs, 2);
	CHECK(has_addr(&g.w[2], "fd00::1"));
	CHECK_STR(g.w[3].name, "web-2");
	for (size_t i = 0; i < COUNT(bad); i++) {
		CHECK_EQ(read_text(bad[i].text, &g, error), -EINVAL);
		CHECK_STR(error, bad[i].error);
		CHECK_EQ(g.n, 0);
	}
	CHECK_EQ(read_text(" {\"Id\": \"4d5c1f0a9b8e7d6c\", \"Name\": \"/x\"}", &g, error), 0);
	CHECK_STR(g.w[0].name, "x");
	CHECK_EQ(inventory_read_file("/nonexistent", keep, &g, error), -ENOENT);
	CHECK(strstr(error, "No such file") != NULL);
}

int main(void)
{
	test_image_repository();
	test_pod_owner();
	test_instance_stem();
	test_template();
	test_group_order();
	test_runtime_bridge();
	test_inspect_docker();
	test_inspect_podman();
	test_inspect_wrong();
	test_inspect_mutated();
	test_many_labels();
	test_file();
	return tap_done();
}
