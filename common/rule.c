/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rulesets as values: memory, lookup, text and encoding. See rule.h. */
#include "config.h"
#include "common/rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

#define RULESET_VERSION 1
#define RULESET_GROUPS_MAX 65536
#define RULESET_RULES_MAX 1048576
#define RULE_SERVICES_MAX 65536

void ruleset_init(struct ruleset *r)
{
	memset(r, 0, sizeof(*r));
}

void ruleset_fini(struct ruleset *r)
{
	for (size_t i = 0; i < r->n_rules; i++)
		free(r->rules[i].services);
	free(r->rules);
	free(r->groups);
	ruleset_init(r);
}

int ruleset_find_group(const struct ruleset *r, const char *name)
{
	size_t lo = 0, hi = r->n_groups;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(r->groups[mid].name, name);

		if (c == 0)
			return (int)mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

const char *rule_peer_format(const struct rule *r, char buf[GROUP_STRLEN])
{
	switch (r->peer_kind) {
	case RULE_PEER_GROUP:
		return strcpy(buf, r->peer_group);
	case RULE_PEER_WORLD:
		return strcpy(buf, GROUP_WORLD);
	case RULE_PEER_HOST:
		return strcpy(buf, GROUP_HOST);
	case RULE_PEER_PREFIX:
		return prefix_format(&r->peer_prefix, buf);
	default:
		return strcpy(buf, "any");
	}
}

void rule_services_format(const struct rule *r, struct buf *b)
{
	char text[SERVICE_STRLEN];

	for (size_t i = 0; i < r->n_services; i++)
		buf_printf(b, "%s%s", i ? ", " : "", service_format(&r->services[i], text));
}

void ruleset_encode(struct buf *b, const struct ruleset *rs)
{
	wire_put_u8(b, RULESET_VERSION);
	wire_put_u64(b, rs->generation);
	wire_put_var(b, rs->n_groups);
	for (size_t i = 0; i < rs->n_groups; i++) {
		wire_put_str(b, rs->groups[i].name);
		wire_put_u8(b, rs->groups[i].stage);
	}
	wire_put_var(b, rs->n_rules);
	for (size_t i = 0; i < rs->n_rules; i++) {
		const struct rule *r = &rs->rules[i];

		wire_put_u32(b, r->id);
		wire_put_var(b, r->group);
		wire_put_u8(b, r->inbound);
		wire_put_u8(b, r->peer_kind);
		wire_put_str(b, r->peer_group);
		buf_add(b, r->peer_prefix.addr.b, 16);
		wire_put_u8(b, r->peer_prefix.len);
		wire_put_var(b, r->line);
		wire_put_var(b, r->n_services);
		for (size_t k = 0; k < r->n_services; k++) {
			wire_put_u8(b, r->services[k].proto);
			wire_put_u16(b, r->services[k].lo);
			wire_put_u16(b, r->services[k].hi);
		}
	}
}

static int decode_rule(struct rule *r, struct wire_reader *in, size_t n_groups)
{
	uint64_t n;

	r->id = wire_get_u32(in);
	r->group = (uint32_t)wire_get_var(in);
	r->inbound = wire_get_u8(in) != 0;
	r->peer_kind = wire_get_u8(in);
	wire_get_str(in, r->peer_group, sizeof(r->peer_group));
	for (unsigned i = 0; i < 16; i++)
		r->peer_prefix.addr.b[i] = wire_get_u8(in);
	r->peer_prefix.len = wire_get_u8(in);
	r->line = (uint32_t)wire_get_var(in);
	n = wire_get_var(in);
	if (!wire_ok(in) || r->group >= n_groups || r->peer_kind > RULE_PEER_ANY || r->peer_prefix.len > 128 ||
	    n > RULE_SERVICES_MAX || n * 5 > wire_left(in))
		return -EBADMSG;
	r->services = calloc(n ? (size_t)n : 1, sizeof(*r->services));
	if (!r->services)
		return -ENOMEM;
	r->n_services = (size_t)n;
	for (size_t k = 0; k < r->n_services; k++) {
		r->services[k].proto = wire_get_u8(in);
		r->services[k].lo = wire_get_u16(in);
		r->services[k].hi = wire_get_u16(in);
		if (r->services[k].lo > r->services[k].hi)
			return -EBADMSG;
	}
	return 0;
}

static int decode_body(struct ruleset *rs, struct wire_reader *in)
{
	uint64_t n;
	int rc;

	rs->generation = wire_get_u64(in);
	n = wire_get_var(in);
	if (!wire_ok(in) || n > RULESET_GROUPS_MAX || n * 2 > wire_left(in))
		return -EBADMSG;
	rs->groups = calloc(n ? (size_t)n : 1, sizeof(*rs->groups));
	if (!rs->groups)
		return -ENOMEM;
	rs->n_groups = (size_t)n;
	for (size_t i = 0; i < rs->n_groups; i++) {
		wire_get_str(in, rs->groups[i].name, sizeof(rs->groups[i].name));
		rs->groups[i].stage = wire_get_u8(in);
		if (rs->groups[i].stage > STAGE_ENFORCE)
			return -EBADMSG;
	}
	n = wire_get_var(in);
	if (!wire_ok(in) || n > RULESET_RULES_MAX || n * 27 > wire_left(in))
		return -EBADMSG;
	rs->rules = calloc(n ? (size_t)n : 1, sizeof(*rs->rules));
	if (!rs->rules)
		return -ENOMEM;
	for (; rs->n_rules < (size_t)n; rs->n_rules++) {
		rc = decode_rule(&rs->rules[rs->n_rules], in, rs->n_groups);
		if (rc < 0) {
			free(rs->rules[rs->n_rules].services);
			return rc;
		}
	}
	return wire_ok(in) ? 0 : -EBADMSG;
}

int ruleset_decode(struct ruleset *out, const void *data, size_t len)
{
	struct wire_reader in;
	struct ruleset rs;
	int rc;

	wire_reader_init(&in, data, len);
	rc = wire_get_version(&in, RULESET_VERSION, RULESET_VERSION, NULL);
	if (rc)
		return rc;
	ruleset_init(&rs);
	rc = decode_body(&rs, &in);
	if (rc < 0)
		ruleset_fini(&rs);
	else
		*out = rs;
	return rc;
}
