/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An edge as JSON: see edge_json.h. */
#include "config.h"
#include "ui-cli/edge_json.h"

#include "common/flow.h"
#include "common/proto.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/units.h"

static json_t *end_of(const char *key, const char *name)
{
	json_t *o = json_object();

	jsonl_set_text(o, key, name);
	return o;
}

static json_t *apps(const struct edge_agg *a)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < a->n_apps; i++) {
		json_t *app = json_object();

		jsonl_set_text(app, "proto", a->app[i].name);
		jsonl_set_text(app, "confidence", flow_confidence_name(a->app[i].confidence));
		jsonl_set_number(app, "flows", a->app[i].flows);
		json_array_append_new(list, app);
	}
	return list;
}

static json_t *peers(const struct edge_agg *a)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < a->n_peers; i++) {
		json_t *peer = json_object();

		jsonl_set_addr(peer, "ip", &a->peer[i].addr);
		jsonl_set_text(peer, "name", a->peer[i].name);
		jsonl_set_number(peer, "flows", a->peer[i].flows);
		json_array_append_new(list, peer);
	}
	return list;
}

static json_t *exemplars(const struct edge_agg *a)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < a->n_exemplars; i++) {
		json_t *flow = json_object();

		jsonl_set_id(flow, "record_id", a->exemplar[i].id);
		jsonl_set_time(flow, "start", a->exemplar[i].start_ns);
		json_array_append_new(list, flow);
	}
	return list;
}

json_t *edge_json(const struct edge *e, const char *event_type, const char *name)
{
	const struct edge_agg *a = &e->agg;
	json_t *o = json_object();
	char proto[PROTO_STRLEN], service[SERVICE_STRLEN];

	json_object_set_new(o, "schema", json_integer(JSONL_SCHEMA));
	jsonl_set_time(o, "timestamp", a->last_ns);
	jsonl_set_text(o, "event_type", event_type);
	json_object_set_new(o, "src", end_of(name, e->key.client));
	json_object_set_new(o, "dest", end_of(name, e->key.server));
	jsonl_set_text(o, "proto", proto_format_json(e->key.proto, proto));
	if (proto_has_ports(e->key.proto))
		jsonl_set_number(o, "dest_port", e->key.port);
	else if (proto_is_icmp(e->key.proto))
		jsonl_set_number(o, "icmp_type", e->key.port);
	jsonl_set_text(o, "service", units_service(e->key.proto, e->key.port, service));
	jsonl_set_members(o, "apps", apps(a));
	jsonl_set_number(o, "flows", a->flows);
	jsonl_set_number(o, "answered", a->answered);
	jsonl_set_number(o, "teaching", a->teaching);
	jsonl_set_number(o, "refused", a->refused);
	jsonl_set_number(o, "unanswered", a->unanswered);
	jsonl_set_number(o, "pkts_toserver", a->pkts[0]);
	jsonl_set_number(o, "pkts_toclient", a->pkts[1]);
	jsonl_set_number(o, "bytes_toserver", a->bytes[0]);
	jsonl_set_number(o, "bytes_toclient", a->bytes[1]);
	jsonl_set_time(o, "first", a->first_ns);
	jsonl_set_time(o, "last", a->last_ns);
	jsonl_set_number(o, "hours_of_week",
			 (uint64_t)(__builtin_popcountll(a->hours[0]) + __builtin_popcountll(a->hours[1]) +
				    __builtin_popcountll(a->hours[2])));
	jsonl_set_members(o, "peers", peers(a));
	jsonl_set_members(o, "exemplars", exemplars(a));
	return o;
}
