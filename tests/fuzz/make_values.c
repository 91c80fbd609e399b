/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Builds the seed corpora of the fuzz targets that read encoded values: make_values OUT writes OUT/record, engine, ipc
 * and store. Each value is one of a kind that processes tell each other or that the store keeps, encoded by the same
 * code.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/coverage.h"
#include "common/edge.h"
#include "common/flow.h"
#include "common/wire.h"
#include "daemon/bodies.h"
#include "daemon/msg.h"
#include "daemon/settings.h"
#include "segment/policy.h"
#include "tests/fuzz/record_kinds.h"
#include "tests/fuzz/seed_dir.h"

#define START_NS 1767225600000000000ull

static const char policy_text[] =
	"weir: 1\ngroups: {a: {image: 'nginx*'}, b: {name: db-1}}\npolicy:\n  a:\n    stage: enforce\n    inbound:\n"
	"      - {from: [b, \"10.0.0.0/8\", world], ports: [80/tcp, 8000-8100/tcp, echo-request/icmp]}\n    outbound: []\n";

static void write_seed(const char *kind, const struct buf *b)
{
	if (seed_dir_write(kind, b->data, b->len) < 0)
		exit(1);
}

/* As fuzz_record takes it, as fuzz_engine does where the engine is told of such, and as the ring and the channel carry
 * it. */
static void add(enum record_kind kind, int engine_kind, struct buf *value)
{
	const uint8_t len[2] = {(uint8_t)(value->len >> 8), (uint8_t)value->len};
	const struct {
		uint16_t type;
		uint8_t first, n_fds;
		uint32_t total;
	} head = {(uint16_t)(1 + kind), 1, 0, (uint32_t)value->len};
	const uint8_t packet[2] = {(uint8_t)((value->len + sizeof(head)) >> 8), (uint8_t)(value->len + sizeof(head))};
	struct buf b = BUF_INIT;

	buf_addc(&b, (char)kind);
	buf_add(&b, value->data, value->len);
	write_seed("record", &b);
	for (unsigned live = 0; live < 2 && engine_kind >= 0; live++) {
		buf_clear(&b);
		buf_addc(&b, (char)live);
		buf_addc(&b, (char)engine_kind);
		buf_add(&b, len, 2);
		buf_add(&b, value->data, value->len);
		buf_add(&b, "\5\0\1", 3); /* let go and commit */
		buf_addc(&b, (char)engine_kind); /* and once more */
		buf_add(&b, len, 2);
		buf_add(&b, value->data, value->len);
		write_seed("engine", &b);
	}
	buf_clear(&b);
	buf_add(&b, "\0\0", 2);
	buf_add(&b, packet, 2);
	buf_add(&b, &head, sizeof(head));
	buf_add(&b, value->data, value->len);
	write_seed("ipc", &b);
	buf_fini(&b);
	buf_clear(value);
}

static struct flow_rec make_flow(struct buf *attrs, bool v6)
{
	static const uint8_t answer[8] = {0, 0, 0, 60, 93, 184, 216, 34};
	struct flow_rec f = {.start_ns = START_NS, .end_ns = START_NS + 5000000, .port = {40000, 443}, .proto = 6, .vlan = 5,
			     .direction = FLOW_DIR_SYN, .state = FLOW_STATE_CLOSED, .reason = FLOW_REASON_CLOSED,
			     .confidence = FLOW_CONF_DPI, .tcp_flags = {0x1b, 0x1b}, .iface = 3, .pkts = {6, 5},
			     .bytes = {600, 5000}, .payload = {200, 4000}, .app_master = 91, .risk = 1ull << 10,
			     .app = "TLS.Google", .category = "Web"};

	addr_parse(&f.addr[0], v6 ? "fd00::1" : "10.0.0.1");
	addr_parse(&f.addr[1], v6 ? "fd00::2" : "10.0.9.1");
	flow_attr_add(attrs, FLOW_ATTR_SNI, "www.example.com", 15);
	flow_attr_add(attrs, FLOW_ATTR_DNS_QUERY, "www.example.com", 15);
	flow_attr_add(attrs, FLOW_ATTR_DNS_ANSWER, answer, sizeof(answer));
	flow_attr_add(attrs, FLOW_ATTR_JA3, "0123456789abcdef0123456789abcdef", 32);
	f.attrs = (const uint8_t *)attrs->data;
	f.attrs_len = (uint16_t)attrs->len;
	f.id = f.conv_id = flow_id(&f);
	return f;
}

static void add_told(struct buf *b)
{
	struct flow_attempts a = {.port = 22, .proto = 6, .iface = 3, .start_ns = START_NS, .end_ns = START_NS + 9,
				  .count = 99, .bytes = 6000, .sources = 7, .n_exemplars = 2};
	struct coverage_rec c = {.start_ns = START_NS, .end_ns = START_NS + 1000, .iface = 3, .iface_name = "br0",
				 .received = 10, .evicted = 1};
	struct verdict_rec v = {.first_ns = START_NS, .last_ns = START_NS + 5, .kind = VERDICT_BLOCK, .proto = 6,
				.dst_port = 80, .generation = 1, .count = 3, .group = {"shop/web", "shop/db"}};
	struct body_origin o = {.token = 1, .known = true, .client_port = 40000, .server_port = 80};
	struct edge_agg agg;

	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct buf attrs = BUF_INIT;
		struct flow_rec f = make_flow(&attrs, v6);

		flow_encode(b, &f);
		add(RECORD_FLOW, 0, b);
		edge_agg_from_flow(&agg, &f, true);
		edge_agg_encode(b, &agg);
		add(RECORD_EDGE, -1, b);
		a.dst = v.src = o.client = f.addr[0];
		a.exemplar[0].addr = v.dst = o.server = f.addr[1];
		flow_attempts_encode(b, &a);
		add(RECORD_ATTEMPTS, 1, b);
		verdict_encode(b, &v);
		add(RECORD_VERDICT, 4, b);
		body_origin_encode(b, &o);
		add(RECORD_ORIGIN, 3, b);
		buf_fini(&attrs);
	}
	coverage_encode(b, &c);
	add(RECORD_COVERAGE, 2, b);
}

static void add_workload(struct buf *b)
{
	struct workload w = {.name = "shop-web-1", .group = "shop/web", .runtime = "docker", .runtime_id = "0123456789abcdef",
			     .image = "nginx:1", .project = "shop", .service = "web", .labels = "a=b\nc=d\n",
			     .start_ns = START_NS, .n_addrs = 2, .exit_code = -1};

	addr_parse(&w.addrs[0], "10.0.9.1");
	addr_parse(&w.addrs[1], "fd00::2");
	w.id = workload_id_of(w.runtime, w.runtime_id, w.start_ns);
	workload_encode(b, &w);
	add(RECORD_WORKLOAD, -1, b);
}

static void add_bodies(struct buf *b)
{
	struct body_link l = {.ifindex = 3, .name = "br0", .bridge = true, .fanout = 7, .n_addrs = 1};
	struct body_stats s = {.worker = 1, .packets = 1000, .bytes = 100000, .table_size = 1024};
	struct body_role roles[2] = {{.name = "enforcer", .user = "weir", .pid = 5, .caps_effective = 4096, .seccomp = 2},
				     {.name = "engine", .user = "weir", .pid = 6, .no_new_privs = true}};
	struct body_ask k = {.token = 9, .proto = 6, .port = {40000, 80}};
	struct body_done d = {.token = 9, .rc = -1, .error = "no"};
	struct settings set;

	addr_parse(&l.addrs[0], "10.0.0.1");
	body_link_encode(b, &l);
	add(RECORD_LINK, -1, b);
	body_stats_encode(b, &s);
	add(RECORD_STATS, -1, b);
	body_roles_encode(b, roles, 2);
	add(RECORD_ROLES, -1, b);
	body_ask_encode(b, &k);
	add(RECORD_ASK, -1, b);
	body_done_encode(b, &d);
	add(RECORD_DONE, -1, b);
	if (settings_init(&set) == 0)
		settings_encode(b, &set);
	add(RECORD_SETTINGS, -1, b);
	settings_fini(&set);
}

static void add_policy(struct buf *b)
{
	struct policy_errors errors;
	struct policy *p;
	struct ruleset rs;

	if (policy_parse(&p, policy_text, strlen(policy_text), &errors) || policy_compile(&rs, p)) {
		fprintf(stderr, "the policy of the seeds is none\n");
		exit(1);
	}
	ruleset_encode(b, &rs);
	add(RECORD_RULESET, -1, b);
	if (body_apply_encode(b, 9, 60, p, &rs) == 0)
		add(RECORD_APPLY, -1, b);
	ruleset_fini(&rs);
	policy_free(p);
}

/* Steps of the ring and of the store: short, since their inputs say what to do, not what to read. */
static void add_steps(void)
{
#define STEPS(text) {text, sizeof(text) - 1}
	static const struct {
		const char *text;
		size_t len;
	} steps[] = {
		STEPS("\1\3\0\1\5hello\4\0\0\0\3\0\2\2xx\0\0\0\4\xff\xff\0\0\4\0\0\0"),
		STEPS("\1\2\0\x10\0\4\0\0\0\1\0\x40\4\1\2\3\4\4\0\0\0"),
		STEPS("\2\x39ri"),
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		buf_clear(&b);
		buf_add(&b, steps[i].text, steps[i].len);
		write_seed("ipc", &b);
	}
	for (unsigned db = 0; db < 16; db++)
		for (unsigned how = 0; how < 5; how++) {
			const uint8_t step[9] = {(uint8_t)db, (uint8_t)how, (uint8_t)how, 1, 4, 0xff, 0, 0x80, 1};

			buf_clear(&b);
			buf_add(&b, step, sizeof(step));
			write_seed("store", &b);
		}
	buf_fini(&b);
}

int main(int argc, char **argv)
{
	static const char *const kinds[] = {"record", "engine", "ipc", "store"};
	struct buf b = BUF_INIT;

	if (argc != 2) {
		fprintf(stderr, "usage: make_values OUT\n");
		return 2;
	}
	if (seed_dir_open(argv[1], kinds, sizeof(kinds) / sizeof(kinds[0])) < 0)
		return 1;
	add_told(&b);
	add_workload(&b);
	add_bodies(&b);
	add_policy(&b);
	add_steps();
	buf_fini(&b);
	return 0;
}
