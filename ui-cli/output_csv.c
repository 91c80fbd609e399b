/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A flow as a line of CSV (RFC 4180, but lines end with LF alone). Names in it come from containers and payloads, and
 * CSV ends up in terminals and spreadsheets: control characters and what is no UTF-8 become "?", and a text that begins
 * like a formula gets an apostrophe in front.
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

/* Bytes of the UTF-8 character at p; 0 for what is none, or a control character. */
static size_t printable(const char *p)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* shorter forms exist below */
	const uint8_t *u = (const uint8_t *)p;
	size_t n = u[0] < 0x80		       ? 1
		   : u[0] >= 0xc2 && u[0] < 0xe0 ? 2
		   : (u[0] & 0xf0) == 0xe0       ? 3
		   : (u[0] & 0xf8) == 0xf0       ? 4
						 : 0;
	uint32_t c;

	if (n == 0 || u[0] < 0x20 || u[0] == 0x7f)
		return 0;
	c = n == 1 ? u[0] : u[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (u[i] & 0x3f);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || (c >= 0x80 && c < 0xa0) ? 0 : n;
}

void output_csv_field(struct buf *b, const char *text)
{
	bool formula = *text && strchr("=+-@\t\r", *text) != NULL, quoted = formula || strpbrk(text, ",\"") != NULL;

	if (quoted)
		buf_adds(b, formula ? "\"'" : "\"");
	for (size_t n; *text; text += n ? n : 1) {
		n = printable(text);
		if (n == 0)
			buf_addc(b, '?');
		else if (*text == '"')
			buf_adds(b, "\"\"");
		else
			buf_add(b, text, n);
	}
	if (quoted)
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
