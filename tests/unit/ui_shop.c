/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A small made-up shop as a store: see ui_shop.h. Written through the store's own API, as the engine does it. */
#include "config.h"
#include "tests/unit/ui_shop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/coverage.h"
#include "common/edge.h"
#include "common/proto.h"
#include "common/timefmt.h"
#include "common/verdict.h"
#include "segment/policy.h"
#include "store/edges.h"
#include "store/flows.h"
#include "store/history.h"
#include "store/identity.h"

enum { LB, WEB1, WEB2, DB, CRON, INTRUDER, HOST, LATER, N_WORKLOADS };

static const struct {
	const char *name, *group, *image, *project, *service, *addr, *addr6;
	unsigned from_s, to_s; /* 0: still there */
} members[N_WORKLOADS] = {
	{"shop-lb-1", "shop/lb", "nginx:1.25", "shop", "lb", "10.0.3.2", NULL, 1, 0},
	{"shop-web-1", "shop/web", "shop-web:7", "shop", "web", "10.0.3.3", NULL, 2, 0},
	{"shop-web-2", "shop/web", "shop-web:7", "shop", "web", "10.0.3.4", NULL, 2, 0},
	{"shop-db-1", "shop/db", "postgres:15", "shop", "db", "10.0.3.5", "fd00:3::5", 3, 0},
	{"shop-cron-1", "shop/cron", "shop-cron:2", "shop", "cron", "10.0.3.7", "fd00:3::7", 600, 609},
	{"intruder", "busybox", "busybox:1.36", NULL, NULL, "10.0.3.66", NULL, 700, 0},
	{"host", "host", NULL, NULL, NULL, "10.0.3.1", NULL, 1, 0},
	{"shop-later-1", "shop/later", "shop-later:1", "shop", "later", "10.0.3.7", NULL, 900, 0},
};

#define WORLD_CLIENT "203.0.113.9"
#define WORLD_API "93.184.216.34"

/* One conversation. Ends are addresses; bytes are made from the packets. */
struct talk {
	const char *from, *to;
	uint16_t sport, dport;
	uint8_t proto, state;
	unsigned at_ms, lasted_ms, up, down; /* packets */
	const char *app;
	uint8_t confidence;
	enum flow_attr attr; /* FLOW_ATTR_END: none */
	const char *value;
};

static const struct talk talks[] = {
	{WORLD_CLIENT, "10.0.3.2", 50001, 80, 6, FLOW_STATE_CLOSED, 10000, 150, 6, 5, "HTTP", FLOW_CONF_DPI,
	 FLOW_ATTR_HTTP_HOST, "shop.example"},
	{WORLD_CLIENT, "10.0.3.2", 50002, 80, 6, FLOW_STATE_CLOSED, 11000, 170, 6, 5, "HTTP", FLOW_CONF_DPI,
	 FLOW_ATTR_HTTP_HOST, "shop.example"},
	{"10.0.3.2", "10.0.3.3", 40001, 8080, 6, FLOW_STATE_CLOSED, 10020, 100, 7, 6, "HTTP", FLOW_CONF_DPI,
	 FLOW_ATTR_HTTP_HOST, "shop.example"},
	{"10.0.3.2", "10.0.3.4", 3306, 8080, 6, FLOW_STATE_CLOSED, 11020, 120, 7, 6, "MySQL.HTTP", FLOW_CONF_DPI,
	 FLOW_ATTR_END, NULL},
	{"10.0.3.3", "10.0.3.5", 40003, 5432, 6, FLOW_STATE_ESTABLISHED, 10030, 80, 90, 120, "PostgreSQL", FLOW_CONF_DPI,
	 FLOW_ATTR_END, NULL},
	{"10.0.3.4", "10.0.3.5", 40004, 5432, 6, FLOW_STATE_CLOSED, 11030, 80, 9, 12, "PostgreSQL", FLOW_CONF_DPI,
	 FLOW_ATTR_END, NULL},
	{"10.0.3.3", WORLD_API, 40005, 443, 6, FLOW_STATE_CLOSED, 12000, 300, 10, 9, "TLS", FLOW_CONF_DPI, FLOW_ATTR_SNI,
	 "api.example.com"},
	{"10.0.3.3", "10.0.3.1", 40006, 53, 17, FLOW_STATE_ESTABLISHED, 11990, 4, 1, 1, "DNS", FLOW_CONF_DPI,
	 FLOW_ATTR_DNS_QUERY, "api.example.com"},
	{"fd00:3::7", "fd00:3::5", 0, 135, 58, FLOW_STATE_ESTABLISHED, 601999, 0, 1, 1, "ICMPV6", FLOW_CONF_DPI,
	 FLOW_ATTR_END, NULL},
	{"fd00:3::7", "fd00:3::5", 40007, 5432, 6, FLOW_STATE_CLOSED, 602000, 50, 8, 8, "PostgreSQL", FLOW_CONF_PORT,
	 FLOW_ATTR_END, NULL},
	{"10.0.3.66", "10.0.3.5", 40008, 22, 6, FLOW_STATE_REFUSED, 710000, 1, 1, 1, "SSH", FLOW_CONF_PORT,
	 FLOW_ATTR_END, NULL},
	{"10.0.3.66", "10.0.3.3", 40009, 9200, 6, FLOW_STATE_NEW, 711000, 3000, 3, 0, "Unknown", FLOW_CONF_UNKNOWN,
	 FLOW_ATTR_END, NULL},
	{"10.0.3.66", "10.0.3.5", 40010, 161, 17, FLOW_STATE_REFUSED, 711500, 1, 1, 0, "SNMP", FLOW_CONF_PORT,
	 FLOW_ATTR_END, NULL},
	{"10.0.3.5", "10.0.3.66", 3, 3, 1, FLOW_STATE_NEW, 711501, 0, 1, 0, "ICMP", FLOW_CONF_DPI, FLOW_ATTR_END, NULL},
	{"10.0.3.66", "10.0.3.5", 7, 8, 1, FLOW_STATE_ESTABLISHED, 712000, 2, 1, 1, "ICMP", FLOW_CONF_DPI,
	 FLOW_ATTR_END, NULL},
};

static uint64_t at(unsigned ms)
{
	return SHOP_T0_NS + ms * NS_PER_MS;
}

static int put_workloads(struct store_txn *t, uint64_t id[N_WORKLOADS])
{
	static struct workload w;
	int rc = 0;

	for (unsigned i = 0; i < N_WORKLOADS && rc == 0; i++) {
		memset(&w, 0, sizeof(w));
		w.kind = i == HOST ? WORKLOAD_HOST : WORKLOAD_CONTAINER;
		snprintf(w.name, sizeof(w.name), "%s", members[i].name);
		snprintf(w.group, sizeof(w.group), "%s", members[i].group);
		snprintf(w.runtime, sizeof(w.runtime), "%s", i == HOST ? "" : "docker");
		if (i != HOST)
			snprintf(w.runtime_id, sizeof(w.runtime_id), "%064u", i + 1);
		snprintf(w.image, sizeof(w.image), "%s", members[i].image ? members[i].image : "");
		snprintf(w.project, sizeof(w.project), "%s", members[i].project ? members[i].project : "");
		snprintf(w.service, sizeof(w.service), "%s", members[i].service ? members[i].service : "");
		w.start_ns = at(members[i].from_s * 1000);
		w.end_ns = members[i].to_s ? at(members[i].to_s * 1000) : 0;
		w.exit_code = w.end_ns ? 0 : -1;
		w.id = id[i] = workload_id_of("docker", w.name, w.start_ns);
		addr_parse(&w.addrs[w.n_addrs++], members[i].addr);
		if (members[i].addr6)
			addr_parse(&w.addrs[w.n_addrs++], members[i].addr6);
		rc = store_workload_put(t, &w);
		for (unsigned a = 0; a < w.n_addrs && rc == 0; a++) {
			rc = store_addr_bind(t, &w.addrs[a], w.id, w.start_ns);
			if (rc == 0 && w.end_ns)
				rc = store_addr_unbind(t, &w.addrs[a], w.id, w.end_ns);
		}
	}
	return rc;
}

/* Which workload has the address at that time; N_WORKLOADS: none. */
static unsigned owner(const char *addr, unsigned ms)
{
	for (unsigned i = 0; i < N_WORKLOADS; i++) {
		bool has =
			strcmp(members[i].addr, addr) == 0 || (members[i].addr6 && strcmp(members[i].addr6, addr) == 0);

		if (has && members[i].from_s * 1000 <= ms && (!members[i].to_s || ms < members[i].to_s * 1000))
			return i;
	}
	return N_WORKLOADS;
}

static void fill_flow(struct flow_rec *f, const struct talk *k, struct buf *attrs, const uint64_t *id)
{
	const char *const end[2] = {k->from, k->to};

	memset(f, 0, sizeof(*f));
	f->start_ns = at(k->at_ms);
	f->end_ns = at(k->at_ms + k->lasted_ms);
	f->port[0] = k->sport;
	f->port[1] = k->dport;
	f->proto = k->proto;
	f->direction = k->proto == PROTO_TCP ? FLOW_DIR_SYN : FLOW_DIR_FIRST;
	f->state = k->state;
	f->reason = k->state == FLOW_STATE_ESTABLISHED && k->proto == PROTO_TCP ? FLOW_REASON_ACTIVE
		  : k->state == FLOW_STATE_CLOSED ? FLOW_REASON_CLOSED : FLOW_REASON_IDLE;
	f->confidence = k->confidence;
	f->iface = 4;
	f->pkts[0] = k->up;
	f->pkts[1] = k->down;
	f->bytes[0] = 120ull * k->up;
	f->bytes[1] = 900ull * k->down;
	f->payload[0] = 54ull * k->up;
	f->payload[1] = 834ull * k->down;
	if (k->proto == PROTO_TCP) {
		f->tcp_flags[0] = 0x1b;
		f->tcp_flags[1] = k->state == FLOW_STATE_REFUSED ? 0x14 : 0x1b;
	}
	snprintf(f->app, sizeof(f->app), "%s", k->app);
	snprintf(f->category, sizeof(f->category), "%s", strcmp(k->app, "HTTP") == 0 ? "Web" : "");
	for (unsigned i = 0; i < 2; i++) {
		unsigned who = owner(end[i], k->at_ms);

		addr_parse(&f->addr[i], end[i]);
		f->workload[i] = who < N_WORKLOADS ? id[who] : 0;
	}
	if (k->attr)
		flow_attr_add(attrs, k->attr, k->value, strlen(k->value));
	f->attrs = (const uint8_t *)attrs->data;
	f->attrs_len = (uint16_t)attrs->len;
	f->id = f->conv_id = flow_id(f);
}

static int put_flows(struct store_txn *t, const uint64_t *id)
{
	int rc = 0;

	for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]) && rc == 0; i++) {
		const struct talk *k = &talks[i];
		unsigned client = owner(k->from, k->at_ms), server = owner(k->to, k->at_ms);
		struct buf attrs = BUF_INIT;
		struct edge_key key = {.proto = k->proto, .port = k->dport};
		struct edge_agg agg;
		struct flow_rec f;

		fill_flow(&f, k, &attrs, id);
		rc = store_flow_put(t, &f);
		snprintf(key.client, sizeof(key.client), "%s",
			 client < N_WORKLOADS ? members[client].group : GROUP_WORLD);
		snprintf(key.server, sizeof(key.server), "%s",
			 server < N_WORKLOADS ? members[server].group : GROUP_WORLD);
		edge_agg_from_flow(&agg, &f, true);
		if (client < N_WORKLOADS && server < N_WORKLOADS)
			agg.n_peers = 0;
		else if (client == N_WORKLOADS) {
			agg.peer[0].addr = f.addr[0];
			agg.peer[0].name[0] = '\0';
		}
		if (rc == 0 && !proto_is_housekeeping(k->proto, k->dport))
			rc = store_edge_add(t, &key, &agg);
		buf_fini(&attrs);
	}
	return rc;
}

static const char policy_text[] =
	"weir: 1\n"
	"policy:\n"
	"  shop/db:\n"
	"    stage: enforce\n"
	"    inbound:\n"
	"      - {from: shop/web, ports: [5432/tcp]}\n"
	"  shop/web:\n"
	"    stage: dry-run\n"
	"    inbound:\n"
	"      - {from: shop/lb, ports: [8080/tcp]}\n";

static int put_generation(struct store_txn *t)
{
	struct policy_errors errors;
	struct buf encoded = BUF_INIT;
	struct policy *p;
	struct ruleset rs;
	int rc = policy_parse(&p, policy_text, strlen(policy_text), &errors);

	if (rc < 0)
		return rc;
	rc = policy_compile(&rs, p);
	policy_free(p);
	if (rc < 0)
		return rc;
	rs.generation = 1;
	ruleset_encode(&encoded, &rs);
	ruleset_fini(&rs);
	rc = store_generation_put(t, &(struct generation){
		.number = 1, .applied_ns = at(660000), .state = GENERATION_CONFIRMED, .why = "first try", .error = "",
		.policy = policy_text, .policy_len = strlen(policy_text), .ruleset = encoded.data, .ruleset_len = encoded.len});
	buf_fini(&encoded);
	return rc;
}

static int put_verdicts(struct store_txn *t, const uint64_t *id)
{
	static const uint16_t scanned[] = {22, 23, 80, 443, 3306, 6379, 8080};
	int rc = 0;

	for (size_t i = 0; i <= sizeof(scanned) / sizeof(scanned[0]) && rc == 0; i++) {
		bool web = i == sizeof(scanned) / sizeof(scanned[0]);
		struct verdict_rec v = {.first_ns = at(710000 + 100 * (unsigned)i), .last_ns = at(720000 + 100 * (unsigned)i),
					.kind = web ? VERDICT_WOULD_BLOCK : VERDICT_BLOCK, .inbound = 1, .proto = PROTO_TCP,
					.sampled = 1, .src_port = 40008, .dst_port = web ? 9200 : scanned[i], .generation = 1,
					.count = 1 + i};

		addr_parse(&v.src, "10.0.3.66");
		addr_parse(&v.dst, web ? "10.0.3.3" : "10.0.3.5");
		v.workload[0] = id[INTRUDER];
		v.workload[1] = id[web ? WEB1 : DB];
		snprintf(v.group[0], GROUP_STRLEN, "%s", members[INTRUDER].group);
		snprintf(v.group[1], GROUP_STRLEN, "%s", members[web ? WEB1 : DB].group);
		rc = store_verdict_add(t, &v);
	}
	return rc;
}

static int put_rest(struct store_txn *t, int lossy)
{
	struct coverage_rec c = {.start_ns = at(0), .end_ns = at(10000), .iface = 4, .iface_name = "br-shop", .received = 400};
	struct addr api;
	int rc;

	addr_parse(&api, WORLD_API);
	rc = store_name_put(t, &api, "api.example.com", 300, at(11990));
	if (rc == 0)
		rc = store_coverage_add(t, &c);
	if (rc == 0 && lossy) {
		struct flow_attempts a = {.port = 80, .proto = PROTO_TCP, .iface = 4, .start_ns = at(15000), .end_ns = at(19000),
					  .count = 70000, .bytes = 4200000, .sources = 64000, .n_exemplars = 1};

		addr_parse(&a.dst, "10.0.3.2");
		addr_parse(&a.exemplar[0].addr, "198.51.100.4");
		a.exemplar[0].port = 4711;
		rc = store_attempts_put(t, &a);
	}
	if (rc == 0 && lossy) {
		c.start_ns = at(10000);
		c.end_ns = at(20000);
		c.lost_kernel = 42;
		rc = store_coverage_add(t, &c);
	}
	return rc;
}

int shop_make(const char *dir, int lossy)
{
	struct store_txn *t = NULL;
	uint64_t id[N_WORKLOADS];
	struct store *s;
	int rc = store_open(&s, dir, STORE_WRITE, NULL);

	if (rc < 0)
		return rc;
	rc = store_begin(&t, s, true);
	if (rc == 0)
		rc = put_workloads(t, id);
	if (rc == 0)
		rc = put_flows(t, id);
	if (rc == 0)
		rc = put_generation(t);
	if (rc == 0)
		rc = put_verdicts(t, id);
	if (rc == 0)
		rc = put_rest(t, lossy);
	if (rc == 0)
		rc = store_commit(t);
	else
		store_abort(t);
	store_close(s);
	return rc;
}

int shop_change(const char *dir, uint8_t state, const struct confirm_deadline *d)
{
	struct store_txn *t = NULL;
	struct generation g;
	struct store *s;
	int rc = store_open(&s, dir, STORE_WRITE, NULL);

	if (rc < 0)
		return rc;
	rc = store_begin(&t, s, true);
	if (rc == 0)
		rc = store_generation_get(t, 1, &g);
	if (rc == 0) {
		g.state = state;
		g.ended_ns = state == GENERATION_EXPIRED ? at(720000) : 0;
		g.confirm_by_ns = at(720000);
		rc = store_generation_put(t, &g);
	}
	if (rc == 0 && d)
		rc = store_deadline_put(t, d);
	if (rc == 0)
		rc = store_commit(t);
	else
		store_abort(t);
	store_close(s);
	return rc;
}
