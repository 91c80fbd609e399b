/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A flow as one line of JSON, with the field names of Suricata's EVE where it has them, so that tools which read those
 * read these. A guess is labelled as one: app.confidence is always there when an application is named.
 */
#include "config.h"
#include "ui-cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "capture/classify.h"
#include "common/proto.h"
#include "common/timefmt.h"
#include "common/verdict.h"
#include "ui-cli/jsonl.h"

/* Attributes that are one text each, and their members. */
static const struct {
	enum flow_attr attr;
	const char *key;
} text_attrs[] = {
	{FLOW_ATTR_SNI, "sni"},
	{FLOW_ATTR_HTTP_HOST, "http_host"},
	{FLOW_ATTR_HTTP_URL, "http_url"},
	{FLOW_ATTR_HTTP_AGENT, "http_user_agent"},
	{FLOW_ATTR_DNS_QUERY, "dns_query"},
	{FLOW_ATTR_JA3, "ja3"},
	{FLOW_ATTR_JA3S, "ja3s"},
	{FLOW_ATTR_JA4, "ja4"},
	{FLOW_ATTR_HASSH_CLIENT, "hassh"},
	{FLOW_ATTR_HASSH_SERVER, "hassh_server"},
	{FLOW_ATTR_TLS_VERSION, "tls_version"},
	{FLOW_ATTR_TLS_CERT_SHA1, "tls_cert_sha1"},
	{FLOW_ATTR_ALPN, "alpn"},
	{FLOW_ATTR_HOSTNAME, "hostname"},
};

static void set_ends(json_t *o, const struct flow_rec *f)
{
	static const char *const ip[2] = {"src_ip", "dest_ip"}, *const port[2] = {"src_port", "dest_port"};
	char text[PROTO_STRLEN];

	for (unsigned i = 0; i < 2; i++) {
		jsonl_set_addr(o, ip[i], &f->addr[i]);
		if (proto_has_ports(f->proto))
			jsonl_set_number(o, port[i], f->port[i]);
	}
	jsonl_set_text(o, "proto", proto_format_json(f->proto, text));
	if (proto_is_icmp(f->proto)) {
		jsonl_set_number(o, "icmp_type", f->port[1]);
		jsonl_set_number(o, "icmp_code", f->icmp_code);
	}
	if (f->vlan)
		jsonl_set_number(o, "vlan", f->vlan);
}

static void set_app(json_t *o, const struct flow_rec *f)
{
	json_t *app = json_object();
	char master[FLOW_APP_STRLEN];

	snprintf(master, sizeof(master), "%.*s", (int)strcspn(f->app, "."), f->app);
	jsonl_set_text(app, "proto", f->app);
	jsonl_set_text(app, "master", master);
	jsonl_set_text(app, "category", f->category);
	jsonl_set_text(app, "confidence", flow_confidence_name(f->confidence));
	json_object_set_new(o, "app", app);
}

/* A big-endian attribute of 16 bits; false when there is none. */
static bool attr_u16(const struct flow_rec *f, enum flow_attr type, unsigned *out)
{
	size_t cursor = 0, len;
	const uint8_t *p = flow_attr_next(f, type, &cursor, &len);

	if (!p || len != 2)
		return false;
	*out = (unsigned)(p[0] << 8 | p[1]);
	return true;
}

static json_t *dns_answers(const struct flow_rec *f)
{
	json_t *list = json_array();
	size_t cursor = 0, len;
	const uint8_t *p;

	while ((p = flow_attr_next(f, FLOW_ATTR_DNS_ANSWER, &cursor, &len))) {
		json_t *answer;
		struct addr a;

		if (len != 8 && len != 20)
			continue;
		a = len == 8 ? addr_from_v4(p + 4) : addr_from_v6(p + 4);
		answer = json_object();
		jsonl_set_addr(answer, "ip", &a);
		jsonl_set_number(answer, "ttl",
				(uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3]);
		json_array_append_new(list, answer);
	}
	return list;
}

static void set_attrs(json_t *o, const struct flow_rec *f)
{
	char text[FLOW_ATTRS_MAX];
	unsigned v;

	if (f->attrs_len == 0)
		return;
	for (size_t i = 0; i < sizeof(text_attrs) / sizeof(text_attrs[0]); i++)
		jsonl_set_text(o, text_attrs[i].key, flow_attr_text(f, text_attrs[i].attr, text, sizeof(text)));
	if (attr_u16(f, FLOW_ATTR_DNS_QTYPE, &v))
		jsonl_set_number(o, "dns_qtype", v);
	if (attr_u16(f, FLOW_ATTR_DNS_RCODE, &v))
		jsonl_set_number(o, "dns_rcode", v);
	jsonl_set_members(o, "dns_answers", dns_answers(f));
}

static json_t *risks(const struct flow_rec *f)
{
	json_t *list = json_array();

	for (unsigned bit = 0; f->risk && bit < 64; bit++) {
		json_t *risk;

		if (!(f->risk >> bit & 1))
			continue;
		risk = json_object();
		jsonl_set_number(risk, "id", bit);
		jsonl_set_text(risk, "name", classify_risk_name(bit));
		jsonl_set_text(risk, "severity", classify_risk_severity(bit));
		json_array_append_new(list, risk);
	}
	return list;
}

static json_t *counters(const struct flow_rec *f)
{
	json_t *flow = json_object();

	jsonl_set_time(flow, "start", f->start_ns);
	jsonl_set_time(flow, "end", f->end_ns);
	jsonl_set_number(flow, "pkts_toserver", f->pkts[0]);
	jsonl_set_number(flow, "pkts_toclient", f->pkts[1]);
	jsonl_set_number(flow, "bytes_toserver", f->bytes[0]);
	jsonl_set_number(flow, "bytes_toclient", f->bytes[1]);
	jsonl_set_number(flow, "payload_toserver", f->payload[0]);
	jsonl_set_number(flow, "payload_toclient", f->payload[1]);
	jsonl_set_text(flow, "state", flow_state_name(f->state));
	jsonl_set_text(flow, "reason", flow_reason_name(f->reason));
	return flow;
}

static json_t *tcp_flags(const struct flow_rec *f)
{
	json_t *tcp = json_object();
	char hex[4];

	snprintf(hex, sizeof(hex), "%02x", f->tcp_flags[0]);
	jsonl_set_text(tcp, "flags_toserver", hex);
	snprintf(hex, sizeof(hex), "%02x", f->tcp_flags[1]);
	jsonl_set_text(tcp, "flags_toclient", hex);
	return tcp;
}

int output_flow_json(struct buf *b, const struct flow_rec *f, const struct output_end end[2])
{
	json_t *o = json_object();
	char community[COMMUNITY_ID_STRLEN];

	json_object_set_new(o, "schema", json_integer(JSONL_SCHEMA));
	jsonl_set_time(o, "timestamp", f->end_ns);
	jsonl_set_text(o, "event_type", "flow");
	jsonl_set_id(o, "flow_id", f->conv_id ? f->conv_id : f->id);
	if (f->conv_id && f->conv_id != f->id)
		jsonl_set_id(o, "record_id", f->id);
	if (community_id(f, community) == 0)
		jsonl_set_text(o, "community_id", community);
	if (f->iface)
		jsonl_set_number(o, "iface", f->iface);
	set_ends(o, f);
	set_app(o, f);
	set_attrs(o, f);
	jsonl_set_members(o, "risks", risks(f));
	json_object_set_new(o, "flow", counters(f));
	if (f->proto == PROTO_TCP)
		json_object_set_new(o, "tcp", tcp_flags(f));
	for (unsigned i = 0; end && i < 2; i++)
		jsonl_set_members(o, i ? "dest" : "src", jsonl_end(&end[i]));
	jsonl_set_text(o, "direction", flow_direction_name(f->direction));
	if (f->tunnel) {
		jsonl_set_text(o, "tunnel", flow_tunnel_name(f->tunnel));
		jsonl_set_number(o, "tunnel_id", f->tunnel_id);
	}
	if (!addr_is_zero(&f->nat_addr)) {
		json_t *nat = json_object();

		jsonl_set_addr(nat, "dest_ip", &f->nat_addr);
		jsonl_set_number(nat, "dest_port", f->nat_port);
		json_object_set_new(o, "nat", nat);
	}
	if (f->verdict)
		jsonl_set_text(o, "verdict", verdict_name(f->verdict));
	return jsonl_line(b, o);
}

int output_attempts_json(struct buf *b, const struct flow_attempts *a, const struct output_end *dst)
{
	json_t *o = json_object(), *from = json_array();
	char text[PROTO_STRLEN];

	json_object_set_new(o, "schema", json_integer(JSONL_SCHEMA));
	jsonl_set_time(o, "timestamp", a->end_ns);
	jsonl_set_text(o, "event_type", "attempts");
	if (a->iface)
		jsonl_set_number(o, "iface", a->iface);
	jsonl_set_addr(o, "dest_ip", &a->dst);
	jsonl_set_number(o, proto_is_icmp(a->proto) ? "icmp_type" : "dest_port", a->port);
	jsonl_set_text(o, "proto", proto_format_json(a->proto, text));
	jsonl_set_time(o, "start", a->start_ns);
	jsonl_set_time(o, "end", a->end_ns);
	jsonl_set_number(o, "attempts", a->count);
	jsonl_set_number(o, "bytes", a->bytes);
	jsonl_set_number(o, "sources_estimated", a->sources);
	for (unsigned i = 0; i < a->n_exemplars; i++) {
		json_t *src = json_object();

		jsonl_set_addr(src, "src_ip", &a->exemplar[i].addr);
		jsonl_set_number(src, "src_port", a->exemplar[i].port);
		json_array_append_new(from, src);
	}
	jsonl_set_members(o, "exemplars", from);
	if (dst)
		jsonl_set_members(o, "dest", jsonl_end(dst));
	return jsonl_line(b, o);
}
