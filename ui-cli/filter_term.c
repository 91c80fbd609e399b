/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The fields that a filter's terms may name, how each is read off a flow, and the check of the value it is compared
 * with: a number where a number is due, and one of the words where there is a fixed vocabulary.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture/classify.h"
#include "common/proto.h"
#include "common/timefmt.h"
#include "common/verdict.h"
#include "ui-cli/filter_tree.h"

#define TEXT_FN(name)                                                                                                  \
	static const char *name(const struct flow_rec *r, const struct output_end *e, unsigned end, unsigned i,        \
				char *scratch)
#define NUMBER_FN(name) static uint64_t name(const struct flow_rec *r, const struct output_end *e, unsigned end)
#define UNUSED (void)r, (void)e, (void)end

/* ---- texts of an end ---- */
#define END_TEXT(fn, expression)                                                                                       \
	TEXT_FN(fn)                                                                                                    \
	{                                                                                                              \
		(void)r, (void)scratch;                                                                                \
		return i == 0 && e ? (expression) : NULL;                                                              \
	}                                                                                                              \
	struct filter_field /* takes the semicolon */
#define OF_WORKLOAD(member) (e[end].workload ? e[end].workload->member : NULL)

END_TEXT(end_group, e[end].group);
END_TEXT(end_name, e[end].name);
END_TEXT(end_workload, OF_WORKLOAD(name));
END_TEXT(end_image, OF_WORKLOAD(image));
END_TEXT(end_project, OF_WORKLOAD(project));
END_TEXT(end_service, OF_WORKLOAD(service));
END_TEXT(end_pod, OF_WORKLOAD(pod));
END_TEXT(end_namespace, OF_WORKLOAD(pod_namespace));
END_TEXT(end_container, OF_WORKLOAD(runtime_id));

TEXT_FN(end_ip)
{
	(void)e;
	return i == 0 ? addr_format(&r->addr[end], scratch) : NULL;
}

/* "key=value" lines, one at a time. */
TEXT_FN(end_label)
{
	const char *line = e && e[end].workload ? e[end].workload->labels : "";
	size_t len;

	(void)r;
	for (; i && *line; i--) {
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	len = strcspn(line, "\n");
	if (len == 0)
		return NULL;
	snprintf(scratch, FILTER_SCRATCH, "%.*s", (int)(len < FILTER_SCRATCH ? len : FILTER_SCRATCH - 1), line);
	return scratch;
}

/* ---- texts of the flow ---- */
TEXT_FN(flow_app) /* the whole notation, then each side of the dot */
{
	const char *dot = strchr(r->app, '.');

	UNUSED;
	if (i == 0)
		return r->app;
	if (!dot || i > 2)
		return NULL;
	if (i == 2)
		return dot + 1;
	snprintf(scratch, FILTER_SCRATCH, "%.*s", (int)(dot - r->app), r->app);
	return scratch;
}

TEXT_FN(flow_app_master)
{
	UNUSED;
	if (i)
		return NULL;
	snprintf(scratch, FILTER_SCRATCH, "%.*s", (int)strcspn(r->app, "."), r->app);
	return scratch;
}

TEXT_FN(flow_category)
{
	UNUSED, (void)scratch;
	return i == 0 ? r->category : NULL;
}

TEXT_FN(flow_proto)
{
	UNUSED;
	return i == 0 ? proto_format_json(r->proto, scratch) : NULL;
}

TEXT_FN(flow_community)
{
	UNUSED;
	return i == 0 && community_id(r, scratch) == 0 ? scratch : NULL;
}

TEXT_FN(flow_id_text)
{
	UNUSED;
	if (i > 1)
		return NULL;
	snprintf(scratch, FILTER_SCRATCH, "%016" PRIx64, i ? r->id : r->conv_id);
	return scratch;
}

TEXT_FN(flow_risk)
{
	UNUSED, (void)scratch;
	for (unsigned bit = 0; bit < 64; bit++) {
		if ((r->risk >> bit & 1) && i-- == 0)
			return classify_risk_name(bit);
	}
	return NULL;
}

#define ATTR_TEXT(fn, attr)                                                                                            \
	TEXT_FN(fn)                                                                                                    \
	{                                                                                                              \
		UNUSED;                                                                                                \
		return i == 0 ? flow_attr_text(r, attr, scratch, FILTER_SCRATCH) : NULL;                               \
	}                                                                                                              \
	struct filter_field

ATTR_TEXT(attr_sni, FLOW_ATTR_SNI);
ATTR_TEXT(attr_http_host, FLOW_ATTR_HTTP_HOST);
ATTR_TEXT(attr_http_url, FLOW_ATTR_HTTP_URL);
ATTR_TEXT(attr_dns_query, FLOW_ATTR_DNS_QUERY);
ATTR_TEXT(attr_ja3, FLOW_ATTR_JA3);
ATTR_TEXT(attr_ja3s, FLOW_ATTR_JA3S);
ATTR_TEXT(attr_ja4, FLOW_ATTR_JA4);
ATTR_TEXT(attr_tls_version, FLOW_ATTR_TLS_VERSION);

/* ---- numbers ---- */
#define NUMBER(fn, expression)                                                                                         \
	NUMBER_FN(fn)                                                                                                  \
	{                                                                                                              \
		UNUSED;                                                                                                \
		return (expression);                                                                                   \
	}                                                                                                              \
	struct filter_field

NUMBER(number_port, r->port[end]);
NUMBER(number_bytes, r->bytes[0] + r->bytes[1]);
NUMBER(number_pkts, r->pkts[0] + r->pkts[1]);
NUMBER(number_payload, r->payload[0] + r->payload[1]);
NUMBER(number_bytes_up, r->bytes[0]);
NUMBER(number_bytes_down, r->bytes[1]);
NUMBER(number_pkts_up, r->pkts[0]);
NUMBER(number_pkts_down, r->pkts[1]);
NUMBER(number_duration, r->end_ns > r->start_ns ? r->end_ns - r->start_ns : 0);
NUMBER(number_vlan, r->vlan);
NUMBER(number_iface, r->iface);
NUMBER(number_state, r->state);
NUMBER(number_reason, r->reason);
NUMBER(number_direction, r->direction);
NUMBER(number_verdict, r->verdict);
NUMBER(number_tunnel, r->tunnel);
NUMBER(number_confidence, r->confidence);

static const char *tunnel_word(unsigned v)
{
	return v ? flow_tunnel_name(v) : "none";
}

#define END_FIELD(name, fn) {name, true, NULL, fn, NULL, 0, false}
#define TEXT_FIELD(name, fn) {name, false, NULL, fn, NULL, 0, false}
#define NUMBER_FIELD(name, fn) {name, false, fn, NULL, NULL, 0, false}
#define WORD_FIELD(name, fn, words, n) {name, false, fn, NULL, words, n, false}

const struct filter_field filter_fields[] = {
	END_FIELD("group", end_group),
	END_FIELD("workload", end_workload),
	END_FIELD("name", end_name),
	END_FIELD("image", end_image),
	END_FIELD("project", end_project),
	END_FIELD("service", end_service),
	END_FIELD("pod", end_pod),
	END_FIELD("namespace", end_namespace),
	END_FIELD("container_id", end_container),
	END_FIELD("label", end_label),
	END_FIELD("ip", end_ip),
	{"port", true, number_port, NULL, NULL, 0, false},
	TEXT_FIELD("app", flow_app),
	TEXT_FIELD("app.proto", flow_app),
	TEXT_FIELD("app.master", flow_app_master),
	TEXT_FIELD("app.category", flow_category),
	WORD_FIELD("app.confidence", number_confidence, flow_confidence_name, FLOW_CONF_OTHER + 1),
	TEXT_FIELD("proto", flow_proto),
	TEXT_FIELD("sni", attr_sni),
	TEXT_FIELD("http_host", attr_http_host),
	TEXT_FIELD("http_url", attr_http_url),
	TEXT_FIELD("dns_query", attr_dns_query),
	TEXT_FIELD("ja3", attr_ja3),
	TEXT_FIELD("ja3s", attr_ja3s),
	TEXT_FIELD("ja4", attr_ja4),
	TEXT_FIELD("tls_version", attr_tls_version),
	TEXT_FIELD("risk", flow_risk),
	TEXT_FIELD("community_id", flow_community),
	TEXT_FIELD("flow_id", flow_id_text),
	NUMBER_FIELD("bytes", number_bytes),
	NUMBER_FIELD("pkts", number_pkts),
	NUMBER_FIELD("payload", number_payload),
	NUMBER_FIELD("bytes_toserver", number_bytes_up),
	NUMBER_FIELD("bytes_toclient", number_bytes_down),
	NUMBER_FIELD("pkts_toserver", number_pkts_up),
	NUMBER_FIELD("pkts_toclient", number_pkts_down),
	{"duration", false, number_duration, NULL, NULL, 0, true},
	NUMBER_FIELD("vlan", number_vlan),
	NUMBER_FIELD("iface", number_iface),
	WORD_FIELD("state", number_state, flow_state_name, FLOW_STATE_MID + 1),
	WORD_FIELD("reason", number_reason, flow_reason_name, FLOW_REASON_EOF + 1),
	WORD_FIELD("direction", number_direction, flow_direction_name, FLOW_DIR_LISTENER + 1),
	WORD_FIELD("verdict", number_verdict, verdict_name, VERDICT_BLOCK + 1),
	WORD_FIELD("tunnel", number_tunnel, tunnel_word, FLOW_TUNNEL_MAX_),
};
const size_t filter_n_fields = sizeof(filter_fields) / sizeof(filter_fields[0]);

int filter_field_find(const char *name)
{
	for (size_t i = 0; i < filter_n_fields; i++) {
		if (strcasecmp(filter_fields[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

/* Splits "src.group" into the end and the rest. */
static const char *split_end(const char *name, uint8_t *ends)
{
	static const struct {
		const char *prefix;
		uint8_t ends;
	} prefixes[] = {{"src.", FILTER_SRC}, {"dst.", FILTER_DST}, {"dest.", FILTER_DST}};

	*ends = FILTER_EITHER;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t len = strlen(prefixes[i].prefix);

		if (strncasecmp(name, prefixes[i].prefix, len) == 0) {
			*ends = prefixes[i].ends;
			return name + len;
		}
	}
	return name;
}

bool filter_is_field(const char *name)
{
	uint8_t ends;
	int i = filter_field_find(split_end(name, &ends));

	return i >= 0 && (ends == FILTER_EITHER || filter_fields[i].of_end);
}

/* 10k, 1.5M, 2G; for spans 200ms, 5s. 0 or -EINVAL. */
static int parse_number(uint64_t *out, const char *text, bool span)
{
	double v;
	char *end;

	if (span)
		return duration_parse(out, text);
	if (*text < '0' || *text > '9')
		return -EINVAL;
	v = strtod(text, &end);
	if (*end && strchr("kKmMgG", *end)) {
		v *= *end == 'k' || *end == 'K' ? 1e3 : *end == 'm' || *end == 'M' ? 1e6 : 1e9;
		end++;
	}
	if (*end == 'B')
		end++;
	if (*end || !(v < 9e18))
		return -EINVAL;
	*out = (uint64_t)v;
	return 0;
}

/* A value of a fixed vocabulary. 0, or -EINVAL with the words in text. */
static int parse_word(struct filter_node *n, const struct filter_field *f, const char *value, char *text)
{
	size_t used;

	for (unsigned v = 0; v < f->n_values; v++) {
		if (strcasecmp(f->value_name(v), value) == 0) {
			n->number = v;
			return 0;
		}
	}
	used = (size_t)snprintf(text, FILTER_ERROR_STRLEN, "%s is one of ", f->name);
	for (unsigned v = 0; v < f->n_values && used < FILTER_ERROR_STRLEN; v++)
		used += (size_t)snprintf(text + used, FILTER_ERROR_STRLEN - used, "%s%s", v ? ", " : "",
					 f->value_name(v));
	return -EINVAL;
}

int filter_term(struct filter_node *n, const char *field, enum filter_op op, const char *value, char *text,
		bool *at_value)
{
	bool order = op == FILTER_LT || op == FILTER_LE || op == FILTER_GT || op == FILTER_GE;
	bool glob = op == FILTER_GLOB || op == FILTER_NOT_GLOB;
	int i = filter_field_find(split_end(field, &n->ends));
	const struct filter_field *f;

	*at_value = false;
	if (i < 0 || (n->ends != FILTER_EITHER && !filter_fields[i].of_end)) {
		snprintf(text, FILTER_ERROR_STRLEN,
			 "there is no field \"%s\"; fields are src.group, dest.workload, app, bytes, "
			 "state and others (man weir, FILTER)",
			 field);
		return -EINVAL;
	}
	f = &filter_fields[i];
	n->field = (uint8_t)i;
	n->op = (uint8_t)op;
	n->kind = f->number ? FILTER_NUMBER : FILTER_TEXT;
	if (f->text && order) {
		snprintf(text, FILTER_ERROR_STRLEN,
			 "%s is a text: compare it with ==, != or ~ (a pattern with * and ?)", field);
		return -EINVAL;
	}
	if (f->number && glob) {
		snprintf(text, FILTER_ERROR_STRLEN, "~ compares texts; %s is none: use ==, !=, <, <=, > or >=", field);
		return -EINVAL;
	}
	*at_value = true;
	snprintf(n->text, sizeof(n->text), "%s", value);
	if (f->value_name)
		return parse_word(n, f, value, text);
	if (f->number && parse_number(&n->number, value, f->span) < 0) {
		snprintf(text, FILTER_ERROR_STRLEN,
			 f->span ? "\"%s\" is no span of time; write 200ms, 5s or 10m"
				 : "\"%s\" is no number; write 1500, 10k, 1.5M or 2G",
			 value);
		return -EINVAL;
	}
	return 0;
}
