/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flow records: names of their enums, attributes, and the byte encoding that ring and store share. The encoding is
 * varints after a version byte, so that a short flow costs about 80 bytes instead of the struct's 400.
 */
#include "config.h"
#include "common/flow.h"

#include <errno.h>
#include <string.h>

#include "common/hash.h"
#include "common/proto.h"
#include "common/wire.h"

#define FLOW_VERSION 1
#define ATTEMPTS_VERSION 1

bool flow_answered(const struct flow_rec *f)
{
	return f->pkts[1] > 0 && f->state != FLOW_STATE_REFUSED && f->state != FLOW_STATE_NEW;
}

uint64_t flow_id(const struct flow_rec *f)
{
	unsigned a = addr_cmp(&f->addr[0], &f->addr[1]) > 0 ||
		     (addr_equal(&f->addr[0], &f->addr[1]) && f->port[0] > f->port[1]);
	uint8_t key[48] = {0};
	uint64_t h;

	memcpy(key, f->addr[a].b, 16);
	memcpy(key + 16, f->addr[!a].b, 16);
	memcpy(key + 32, &f->port[a], 2);
	memcpy(key + 34, &f->port[!a], 2);
	memcpy(key + 36, &f->vlan, 2);
	key[38] = f->proto;
	memcpy(key + 40, &f->start_ns, 8);
	h = hash_fixed(key, sizeof(key));
	return h ? h : 1;
}

#define NAME(table, v) ((v) < sizeof(table) / sizeof((table)[0]) ? (table)[v] : "?")

const char *flow_direction_name(unsigned v)
{
	static const char *const names[] = {"unknown", "syn", "first-packet", "conntrack", "listener"};

	return NAME(names, v);
}

const char *flow_state_name(unsigned v)
{
	static const char *const names[] = {"new", "established", "closed", "reset", "refused", "half-open", "mid"};

	return NAME(names, v);
}

const char *flow_reason_name(unsigned v)
{
	static const char *const names[] = {"active", "closed", "idle", "cut", "evicted", "eof"};

	return NAME(names, v);
}

const char *flow_tunnel_name(unsigned v)
{
	static const char *const names[] = {NULL, "vxlan", "geneve", "gre", "ipip", "gtp", "capwap", "tzsp"};

	return NAME(names, v);
}

const char *flow_confidence_name(unsigned v)
{
	static const char *const names[] =
		{"Unknown", "Match by port", "Match by IP",	    "DPI (cache)",	"DPI",
		 "nBPF",    "DPI (partial)", "DPI (partial cache)", "DPI (aggressive)", "Other"};

	return NAME(names, v);
}

bool flow_confidence_is_guess(unsigned v)
{
	return v == FLOW_CONF_PORT || v == FLOW_CONF_IP;
}

const char *flow_unnamed_name(unsigned v)
{
	static const char *const names[] = {NULL, "never-announced", "gone-before-lookup", "lookup-failed",
					    "notices-missed",
					    "inventory-silent", "private-address"};

	return NAME(names, v);
}

const char *flow_unnamed_text(unsigned v)
{
	static const char *const texts[] = {
		NULL,
		"neither the kernel nor a container runtime told of a workload with this address",
		"a workload had this address, and was gone before it could be asked for its name",
		"a workload came at that time, and looking it up failed",
		"notices of the kernel or of the runtime were lost at that time",
		"the inventory had not got as far when the flow was stored",
		"a private address in no network of a bridge that is watched: a machine elsewhere, or a workload of "
		"such a bridge that nobody told of"};

	return NAME(texts, v);
}

bool flow_attr_add(struct buf *b, enum flow_attr type, const void *data, size_t len)
{
	if (len == 0 || len > 0xffff || b->len + 3 + len > FLOW_ATTRS_MAX)
		return false;
	wire_put_u8(b, (uint8_t)type);
	wire_put_u16(b, (uint16_t)len);
	buf_add(b, data, len);
	return true;
}

const uint8_t *flow_attr_next(const struct flow_rec *f, enum flow_attr type, size_t *cursor, size_t *len)
{
	while (*cursor + 3 <= f->attrs_len) {
		const uint8_t *p = f->attrs + *cursor;
		size_t n = (size_t)(p[1] << 8 | p[2]);

		if (*cursor + 3 + n > f->attrs_len)
			break;
		*cursor += 3 + n;
		if (p[0] == type) {
			*len = n;
			return p + 3;
		}
	}
	return NULL;
}

const char *flow_attr_text(const struct flow_rec *f, enum flow_attr type, char *out, size_t size)
{
	size_t cursor = 0, len = 0;
	const uint8_t *p = flow_attr_next(f, type, &cursor, &len);

	if (len > size - 1)
		len = size - 1;
	for (size_t i = 0; p && i < len; i++)
		out[i] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '?';
	out[p ? len : 0] = '\0';
	return out;
}

void flow_encode(struct buf *b, const struct flow_rec *f)
{
	wire_put_u8(b, FLOW_VERSION);
	wire_put_u64(b, f->id);
	wire_put_u64(b, f->start_ns);
	wire_put_var(b, f->end_ns - f->start_ns);
	wire_put_u64(b, f->conv_id == f->id ? 0 : f->conv_id);
	for (unsigned i = 0; i < 2; i++) {
		wire_put_addr(b, &f->addr[i]);
		wire_put_u16(b, f->port[i]);
		wire_put_var(b, f->pkts[i]);
		wire_put_var(b, f->bytes[i]);
		wire_put_var(b, f->payload[i]);
		wire_put_u8(b, f->tcp_flags[i]);
		wire_put_var(b, f->workload[i]);
	}
	wire_put_u8(b, f->proto);
	wire_put_u8(b, f->icmp_code);
	wire_put_var(b, f->vlan);
	wire_put_u8(b, (uint8_t)(f->direction << 4 | f->state));
	wire_put_u8(b, (uint8_t)(f->reason << 4 | f->confidence));
	wire_put_u8(b, (uint8_t)(f->tunnel << 4 | f->verdict));
	wire_put_var(b, f->tunnel_id);
	wire_put_var(b, f->iface);
	wire_put_var(b, f->app_master);
	wire_put_var(b, f->app_proto);
	wire_put_var(b, f->risk);
	wire_put_str(b, f->app);
	wire_put_str(b, f->category);
	wire_put_u8(b, !addr_equal(&f->nat_addr, &addr_any));
	if (!addr_equal(&f->nat_addr, &addr_any)) {
		wire_put_addr(b, &f->nat_addr);
		wire_put_u16(b, f->nat_port);
	}
	wire_put_bytes(b, f->attrs, f->attrs_len);
	/* Behind all else and only where it says something: readers of before this field see the records they know. */
	if (f->unnamed[0] || f->unnamed[1])
		wire_put_u8(b, (uint8_t)(f->unnamed[0] << 4 | f->unnamed[1]));
}

static bool enums_known(const struct flow_rec *f)
{
	return f->direction <= FLOW_DIR_LISTENER && f->state <= FLOW_STATE_MID && f->reason <= FLOW_REASON_EOF &&
	       f->tunnel < FLOW_TUNNEL_MAX_ && f->confidence <= FLOW_CONF_OTHER && f->unnamed[0] < FLOW_UNNAMED_MAX_ &&
	       f->unnamed[1] < FLOW_UNNAMED_MAX_;
}

int flow_decode(struct flow_rec *out, const void *data, size_t len)
{
	struct flow_rec f = {0};
	struct wire_reader r;
	size_t n;
	uint8_t v;
	int rc;

	wire_reader_init(&r, data, len);
	rc = wire_get_version(&r, FLOW_VERSION, FLOW_VERSION, NULL);
	if (rc)
		return rc;
	f.id = wire_get_u64(&r);
	f.start_ns = wire_get_u64(&r);
	f.end_ns = f.start_ns + wire_get_var(&r);
	f.conv_id = wire_get_u64(&r);
	if (f.conv_id == 0)
		f.conv_id = f.id;
	for (unsigned i = 0; i < 2; i++) {
		f.addr[i] = wire_get_addr(&r);
		f.port[i] = wire_get_u16(&r);
		f.pkts[i] = wire_get_var(&r);
		f.bytes[i] = wire_get_var(&r);
		f.payload[i] = wire_get_var(&r);
		f.tcp_flags[i] = wire_get_u8(&r);
		f.workload[i] = wire_get_var(&r);
	}
	f.proto = wire_get_u8(&r);
	f.icmp_code = wire_get_u8(&r);
	f.vlan = (uint16_t)wire_get_var(&r);
	v = wire_get_u8(&r);
	f.direction = v >> 4;
	f.state = v & 15;
	v = wire_get_u8(&r);
	f.reason = v >> 4;
	f.confidence = v & 15;
	v = wire_get_u8(&r);
	f.tunnel = v >> 4;
	f.verdict = v & 15;
	f.tunnel_id = (uint32_t)wire_get_var(&r);
	f.iface = (uint32_t)wire_get_var(&r);
	f.app_master = (uint16_t)wire_get_var(&r);
	f.app_proto = (uint16_t)wire_get_var(&r);
	f.risk = wire_get_var(&r);
	wire_get_str(&r, f.app, sizeof(f.app));
	wire_get_str(&r, f.category, sizeof(f.category));
	if (wire_get_u8(&r)) {
		f.nat_addr = wire_get_addr(&r);
		f.nat_port = wire_get_u16(&r);
	}
	f.attrs = wire_get_bytes(&r, &n);
	v = wire_ok(&r) && wire_left(&r) ? wire_get_u8(&r) : 0;
	f.unnamed[0] = v >> 4;
	f.unnamed[1] = v & 15;
	if (!wire_ok(&r) || n > FLOW_ATTRS_MAX || !enums_known(&f))
		return -EBADMSG;
	f.attrs_len = (uint16_t)n;
	if (n == 0)
		f.attrs = NULL;
	*out = f;
	return 0;
}

void flow_attempts_encode(struct buf *b, const struct flow_attempts *a)
{
	wire_put_u8(b, ATTEMPTS_VERSION);
	wire_put_addr(b, &a->dst);
	wire_put_u16(b, a->port);
	wire_put_u8(b, a->proto);
	wire_put_var(b, a->iface);
	wire_put_u64(b, a->start_ns);
	wire_put_var(b, a->end_ns - a->start_ns);
	wire_put_var(b, a->count);
	wire_put_var(b, a->bytes);
	wire_put_var(b, a->sources);
	wire_put_u8(b, a->n_exemplars);
	for (unsigned i = 0; i < a->n_exemplars; i++) {
		wire_put_addr(b, &a->exemplar[i].addr);
		wire_put_u16(b, a->exemplar[i].port);
	}
}

int flow_attempts_get(struct flow_attempts *out, struct wire_reader *r)
{
	struct flow_attempts a = {0};
	int rc = wire_get_version(r, ATTEMPTS_VERSION, ATTEMPTS_VERSION, NULL);

	if (rc)
		return rc;
	a.dst = wire_get_addr(r);
	a.port = wire_get_u16(r);
	a.proto = wire_get_u8(r);
	a.iface = (uint32_t)wire_get_var(r);
	a.start_ns = wire_get_u64(r);
	a.end_ns = a.start_ns + wire_get_var(r);
	a.count = wire_get_var(r);
	a.bytes = wire_get_var(r);
	a.sources = wire_get_var(r);
	a.n_exemplars = wire_get_u8(r);
	if (a.n_exemplars > sizeof(a.exemplar) / sizeof(a.exemplar[0]))
		return -EBADMSG;
	for (unsigned i = 0; i < a.n_exemplars; i++) {
		a.exemplar[i].addr = wire_get_addr(r);
		a.exemplar[i].port = wire_get_u16(r);
	}
	if (!wire_ok(r))
		return -EBADMSG;
	*out = a;
	return 0;
}

int flow_attempts_decode(struct flow_attempts *out, const void *data, size_t len)
{
	struct wire_reader r;

	wire_reader_init(&r, data, len);
	return flow_attempts_get(out, &r);
}
