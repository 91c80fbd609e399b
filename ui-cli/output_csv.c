/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A flow as a line of CSV (RFC 4180, but lines end with LF alone). Names in it come from containers and payloads, and
 * CSV ends up in spreadsheets: a text that begins like a formula gets an apostrophe in front.
 */
#include "config.h"
#include "ui-cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "capture/classify.h"
#include "common/proto.h"
#include "common/timefmt.h"
#include "common/verdict.h"

void output_csv_field(struct buf *b, const char *text)
{
	bool formula = *text && strchr("=+-@\t\r", *text) != NULL;

	if (!formula && !strpbrk(text, ",\"\r\n")) {
		buf_adds(b, text);
		return;
	}
	buf_adds(b, formula ? "\"'" : "\"");
	for (const char *p = text; *p; p++) {
		if (*p == '"')
			buf_addc(b, '"');
		buf_addc(b, *p);
	}
	buf_addc(b, '"');
}

static void field(struct buf *b, const char *text)
{
	output_csv_field(b, text ? text : "");
	buf_addc(b, ',');
}

static void number(struct buf *b, uint64_t v)
{
	buf_printf(b, "%" PRIu64 ",", v);
}

void output_flow_csv_header(struct buf *b)
{
	buf_adds(b, "start,end,flow_id,community_id,src_ip,src_port,src_workload,src_group,dest_ip,dest_port,"
		    "dest_workload,dest_group,dest_name,proto,app,app_confidence,sni,http_host,dns_query,pkts_toserver,"
		    "pkts_toclient,bytes_toserver,bytes_toclient,state,reason,direction,verdict\n");
}

static void csv_end(struct buf *b, const struct flow_rec *f, unsigned i, const struct output_end *e)
{
	char text[ADDR_STRLEN];

	field(b, addr_format(&f->addr[i], text));
	number(b, i == 0 && !proto_has_ports(f->proto) ? 0 : f->port[i]);
	field(b, e && e->workload ? e->workload->name : NULL);
	field(b, e ? e->group : NULL);
	if (i == 1)
		field(b, e ? e->name : NULL);
}

int output_flow_csv(struct buf *b, const struct flow_rec *f, const struct output_end end[2])
{
	static const enum flow_attr attrs[] = {FLOW_ATTR_SNI, FLOW_ATTR_HTTP_HOST, FLOW_ATTR_DNS_QUERY};
	char text[512], community[COMMUNITY_ID_STRLEN], proto[PROTO_STRLEN];

	field(b, time_format_utc(f->start_ns, text));
	field(b, time_format_utc(f->end_ns, text));
	buf_printf(b, "%016" PRIx64 ",", f->conv_id ? f->conv_id : f->id);
	field(b, community_id(f, community) == 0 ? community : NULL);
	csv_end(b, f, 0, end ? &end[0] : NULL);
	csv_end(b, f, 1, end ? &end[1] : NULL);
	field(b, proto_format_json(f->proto, proto));
	field(b, f->app);
	field(b, flow_confidence_name(f->confidence));
	for (unsigned i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		field(b, flow_attr_text(f, attrs[i], text, sizeof(text)));
	number(b, f->pkts[0]);
	number(b, f->pkts[1]);
	number(b, f->bytes[0]);
	number(b, f->bytes[1]);
	field(b, flow_state_name(f->state));
	field(b, flow_reason_name(f->reason));
	field(b, flow_direction_name(f->direction));
	output_csv_field(b, f->verdict ? verdict_name(f->verdict) : "");
	buf_addc(b, '\n');
	return buf_failed(b) ? -ENOMEM : 0;
}
