/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verdicts: names and encoding. See verdict.h. */
#include "config.h"
#include "common/verdict.h"

#include <errno.h>
#include <string.h>

#include "common/wire.h"

#define VERDICT_VERSION 2 /* 1 had no away */
#define COUNTER_VERSION 1

static const char *const verdict_names[] = {"none", "allow", "would-block", "block"};
static const char *const stage_names[] = {"observe", "dry-run", "enforce"};

const char *verdict_name(unsigned v)
{
	return v <= VERDICT_BLOCK ? verdict_names[v] : "?";
}

const char *stage_name(unsigned v)
{
	return v <= STAGE_ENFORCE ? stage_names[v] : "?";
}

int stage_parse(uint8_t *out, const char *text)
{
	for (uint8_t i = 0; i <= STAGE_ENFORCE; i++) {
		if (strcmp(stage_names[i], text) == 0) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

void verdict_encode(struct buf *b, const struct verdict_rec *v)
{
	wire_put_u8(b, VERDICT_VERSION);
	wire_put_u64(b, v->first_ns);
	wire_put_u64(b, v->last_ns);
	wire_put_u8(b, v->kind);
	wire_put_u8(b, v->inbound);
	wire_put_u8(b, v->proto);
	wire_put_u8(b, v->sampled);
	wire_put_addr(b, &v->src);
	wire_put_addr(b, &v->dst);
	wire_put_u16(b, v->src_port);
	wire_put_u16(b, v->dst_port);
	wire_put_u64(b, v->workload[0]);
	wire_put_u64(b, v->workload[1]);
	wire_put_str(b, v->group[0]);
	wire_put_str(b, v->group[1]);
	wire_put_var(b, v->generation);
	wire_put_var(b, v->count);
	wire_put_u8(b, v->away);
}

int verdict_decode(struct verdict_rec *out, const void *data, size_t len)
{
	struct verdict_rec v = {0};
	struct wire_reader r;
	uint8_t version;
	int rc;

	wire_reader_init(&r, data, len);
	rc = wire_get_version(&r, 1, VERDICT_VERSION, &version);
	if (rc)
		return rc;
	v.first_ns = wire_get_u64(&r);
	v.last_ns = wire_get_u64(&r);
	v.kind = wire_get_u8(&r);
	v.inbound = wire_get_u8(&r);
	v.proto = wire_get_u8(&r);
	v.sampled = wire_get_u8(&r);
	v.src = wire_get_addr(&r);
	v.dst = wire_get_addr(&r);
	v.src_port = wire_get_u16(&r);
	v.dst_port = wire_get_u16(&r);
	v.workload[0] = wire_get_u64(&r);
	v.workload[1] = wire_get_u64(&r);
	wire_get_str(&r, v.group[0], sizeof(v.group[0]));
	wire_get_str(&r, v.group[1], sizeof(v.group[1]));
	v.generation = wire_get_var(&r);
	v.count = wire_get_var(&r);
	if (version > 1)
		v.away = wire_get_u8(&r) != 0;
	if (!wire_ok(&r) || v.kind > VERDICT_BLOCK)
		return -EBADMSG;
	*out = v;
	return 0;
}

void counter_encode(struct buf *b, const struct counter_rec *c)
{
	wire_put_u8(b, COUNTER_VERSION);
	wire_put_u8(b, c->set);
	wire_put_bytes(b, c->key, c->key_len);
	wire_put_var(b, c->packets);
}

int counter_decode(struct counter_rec *out, const void *data, size_t len)
{
	struct counter_rec c = {0};
	struct wire_reader r;
	const void *key;
	size_t n;
	int rc;

	wire_reader_init(&r, data, len);
	rc = wire_get_version(&r, COUNTER_VERSION, COUNTER_VERSION, NULL);
	if (rc)
		return rc;
	c.set = wire_get_u8(&r);
	key = wire_get_bytes(&r, &n);
	c.packets = wire_get_var(&r);
	if (!wire_ok(&r) || n > sizeof(c.key))
		return -EBADMSG;
	if (n)
		memcpy(c.key, key, n);
	c.key_len = (uint8_t)n;
	*out = c;
	return 0;
}
