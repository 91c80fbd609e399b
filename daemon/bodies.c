/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Encoding and decoding of message bodies: see bodies.h. Both ends are the same program, so there is no version. */
#include "config.h"
#include "daemon/bodies.h"

#include <errno.h>
#include <string.h>

#include "common/wire.h"

#define SELECTORS_MAX 65536u

void body_link_encode(struct buf *b, const struct body_link *l)
{
	wire_put_u32(b, l->ifindex);
	wire_put_str(b, l->name);
	wire_put_u8(b, l->bridge);
	wire_put_u16(b, l->fanout);
	wire_put_u8(b, l->router);
	wire_put_u8(b, l->n_addrs);
	for (unsigned i = 0; i < l->n_addrs; i++) {
		wire_put_addr(b, &l->addrs[i]);
		wire_put_u8(b, l->lens[i]);
	}
}

int body_link_decode(struct body_link *out, const void *data, size_t len)
{
	struct body_link l = {0};
	struct wire_reader r;

	wire_reader_init(&r, data, len);
	l.ifindex = wire_get_u32(&r);
	wire_get_str(&r, l.name, sizeof(l.name));
	l.bridge = wire_get_u8(&r) != 0;
	l.fanout = wire_get_u16(&r);
	l.router = wire_get_u8(&r) != 0;
	l.n_addrs = wire_get_u8(&r);
	if (l.n_addrs > sizeof(l.addrs) / sizeof(l.addrs[0]))
		return -EBADMSG;
	for (unsigned i = 0; i < l.n_addrs; i++) {
		l.addrs[i] = wire_get_addr(&r);
		l.lens[i] = wire_get_u8(&r);
	}
	if (!wire_ok(&r))
		return -EBADMSG;
	*out = l;
	return 0;
}

void body_stats_encode(struct buf *b, const struct body_stats *s)
{
	wire_put_u32(b, s->worker);
	wire_put_var(b, s->packets);
	wire_put_var(b, s->bytes);
	wire_put_var(b, s->flows_live);
	wire_put_var(b, s->dpi_live);
	wire_put_var(b, s->table_size);
}

int body_stats_decode(struct body_stats *out, const void *data, size_t len)
{
	struct body_stats s;
	struct wire_reader r;

	wire_reader_init(&r, data, len);
	s.worker = wire_get_u32(&r);
	s.packets = wire_get_var(&r);
	s.bytes = wire_get_var(&r);
	s.flows_live = wire_get_var(&r);
	s.dpi_live = wire_get_var(&r);
	s.table_size = wire_get_var(&r);
	if (!wire_ok(&r))
		return -EBADMSG;
	*out = s;
	return 0;
}

void body_roles_encode(struct buf *b, const struct body_role *roles, size_t n)
{
	wire_put_u8(b, (uint8_t)n);
	for (size_t i = 0; i < n; i++) {
		const struct body_role *r = &roles[i];

		wire_put_str(b, r->name);
		wire_put_str(b, r->user);
		wire_put_u32(b, (uint32_t)r->pid);
		wire_put_u64(b, r->caps_effective);
		wire_put_u64(b, r->caps_permitted);
		wire_put_u8(b, r->seccomp);
		wire_put_u8(b, r->no_new_privs);
		wire_put_u64(b, r->started_ns);
		wire_put_u64(b, r->rss_bytes);
		wire_put_u32(b, r->restarts);
	}
}

int body_roles_decode(struct body_role *out, size_t *n, const void *data, size_t len)
{
	struct wire_reader r;
	size_t count;

	wire_reader_init(&r, data, len);
	count = wire_get_u8(&r);
	if (!wire_ok(&r) || count > BODY_ROLES_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < count; i++) {
		struct body_role role;

		wire_get_str(&r, role.name, sizeof(role.name));
		wire_get_str(&r, role.user, sizeof(role.user));
		role.pid = (int32_t)wire_get_u32(&r);
		role.caps_effective = wire_get_u64(&r);
		role.caps_permitted = wire_get_u64(&r);
		role.seccomp = wire_get_u8(&r);
		role.no_new_privs = wire_get_u8(&r) != 0;
		role.started_ns = wire_get_u64(&r);
		role.rss_bytes = wire_get_u64(&r);
		role.restarts = wire_get_u32(&r);
		if (!wire_ok(&r))
			return -EBADMSG;
		out[i] = role;
	}
	*n = count;
	return 0;
}

void body_runtimes_encode(struct buf *b, const struct body_runtime *runtimes, size_t n)
{
	wire_put_u8(b, (uint8_t)n);
	for (size_t i = 0; i < n; i++) {
		const struct body_runtime *r = &runtimes[i];

		wire_put_str(b, r->name);
		wire_put_str(b, r->version);
		wire_put_str(b, r->path);
		wire_put_u8(b, r->reached);
		wire_put_u8(b, r->absent);
		wire_put_u64(b, r->since_ns);
		wire_put_u32(b, r->workloads);
		wire_put_u32(b, r->recalled);
	}
}

int body_runtimes_decode(struct body_runtime *out, size_t *n, const void *data, size_t len)
{
	struct wire_reader r;
	size_t count;

	wire_reader_init(&r, data, len);
	count = wire_get_u8(&r);
	if (!wire_ok(&r) || count > BODY_RUNTIMES_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < count; i++) {
		struct body_runtime runtime;

		wire_get_str(&r, runtime.name, sizeof(runtime.name));
		wire_get_str(&r, runtime.version, sizeof(runtime.version));
		wire_get_str(&r, runtime.path, sizeof(runtime.path));
		runtime.reached = wire_get_u8(&r) != 0;
		runtime.absent = wire_get_u8(&r) != 0;
		runtime.since_ns = wire_get_u64(&r);
		runtime.workloads = wire_get_u32(&r);
		runtime.recalled = wire_get_u32(&r);
		if (!wire_ok(&r))
			return -EBADMSG;
		out[i] = runtime;
	}
	*n = count;
	return 0;
}

void body_ask_encode(struct buf *b, const struct body_ask *a)
{
	wire_put_u64(b, a->token);
	wire_put_u8(b, a->proto);
	for (unsigned i = 0; i < 2; i++) {
		wire_put_addr(b, &a->addr[i]);
		wire_put_u16(b, a->port[i]);
	}
}

int body_ask_decode(struct body_ask *out, const void *data, size_t len)
{
	struct body_ask a;
	struct wire_reader r;

	wire_reader_init(&r, data, len);
	a.token = wire_get_u64(&r);
	a.proto = wire_get_u8(&r);
	for (unsigned i = 0; i < 2; i++) {
		a.addr[i] = wire_get_addr(&r);
		a.port[i] = wire_get_u16(&r);
	}
	if (!wire_ok(&r))
		return -EBADMSG;
	*out = a;
	return 0;
}

void body_origin_encode(struct buf *b, const struct body_origin *o)
{
	wire_put_u64(b, o->token);
	wire_put_u8(b, o->known);
	wire_put_u8(b, o->first_began);
	wire_put_addr(b, &o->client);
	wire_put_u16(b, o->client_port);
	wire_put_addr(b, &o->orig_addr);
	wire_put_u16(b, o->orig_port);
	wire_put_addr(b, &o->server);
	wire_put_u16(b, o->server_port);
}

int body_origin_decode(struct body_origin *out, const void *data, size_t len)
{
	struct body_origin o;
	struct wire_reader r;

	wire_reader_init(&r, data, len);
	o.token = wire_get_u64(&r);
	o.known = wire_get_u8(&r) != 0;
	o.first_began = wire_get_u8(&r) != 0;
	o.client = wire_get_addr(&r);
	o.client_port = wire_get_u16(&r);
	o.orig_addr = wire_get_addr(&r);
	o.orig_port = wire_get_u16(&r);
	o.server = wire_get_addr(&r);
	o.server_port = wire_get_u16(&r);
	if (!wire_ok(&r))
		return -EBADMSG;
	*out = o;
	return 0;
}

void body_unnamed_encode(struct buf *b, const struct inventory_unnamed *u)
{
	wire_put_u8(b, u->why);
	wire_put_u64(b, u->from_ns);
	wire_put_u64(b, u->to_ns);
	wire_put_u8(b, u->n_addrs);
	for (unsigned i = 0; i < u->n_addrs; i++)
		wire_put_addr(b, &u->addrs[i]);
}

int body_unnamed_decode(struct inventory_unnamed *out, const void *data, size_t len)
{
	struct inventory_unnamed u = {0};
	struct wire_reader r;

	wire_reader_init(&r, data, len);
	u.why = wire_get_u8(&r);
	u.from_ns = wire_get_u64(&r);
	u.to_ns = wire_get_u64(&r);
	u.n_addrs = wire_get_u8(&r);
	if (u.why >= FLOW_UNNAMED_MAX_ || u.n_addrs > WORKLOAD_ADDRS_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < u.n_addrs; i++)
		u.addrs[i] = wire_get_addr(&r);
	if (!wire_ok(&r))
		return -EBADMSG;
	*out = u;
	return 0;
}

static void selector_encode(struct buf *b, const struct policy_selector *s)
{
	wire_put_str(b, s->project);
	wire_put_str(b, s->service);
	wire_put_str(b, s->pod_namespace);
	wire_put_str(b, s->pod_owner);
	wire_put_str(b, s->image);
	wire_put_str(b, s->name);
	wire_put_str(b, s->label);
}

static void selector_decode(struct policy_selector *s, struct wire_reader *r)
{
	memset(s, 0, sizeof(*s));
	wire_get_str(r, s->project, sizeof(s->project));
	wire_get_str(r, s->service, sizeof(s->service));
	wire_get_str(r, s->pod_namespace, sizeof(s->pod_namespace));
	wire_get_str(r, s->pod_owner, sizeof(s->pod_owner));
	wire_get_str(r, s->image, sizeof(s->image));
	wire_get_str(r, s->name, sizeof(s->name));
	wire_get_str(r, s->label, sizeof(s->label));
}

int body_apply_encode(struct buf *b, uint64_t token, uint32_t confirm_within_s, const struct policy *p,
		      const struct ruleset *rs)
{
	struct buf rules = BUF_INIT;
	int rc;

	wire_put_u64(b, token);
	wire_put_u32(b, confirm_within_s);
	wire_put_u32(b, (uint32_t)p->n_groups);
	for (size_t i = 0; i < p->n_groups; i++) {
		wire_put_str(b, p->groups[i].name);
		wire_put_u32(b, (uint32_t)p->groups[i].n_selectors);
		for (size_t k = 0; k < p->groups[i].n_selectors; k++)
			selector_encode(b, &p->groups[i].selectors[k]);
	}
	ruleset_encode(&rules, rs);
	wire_put_bytes(b, rules.data, rules.len);
	rc = buf_failed(&rules) || buf_failed(b) ? -ENOMEM : 0;
	buf_fini(&rules);
	return rc;
}

static int groups_decode(struct policy *p, struct wire_reader *r)
{
	uint32_t n_groups = wire_get_u32(r);

	for (uint32_t i = 0; i < n_groups && wire_ok(r); i++) {
		char name[GROUP_STRLEN];
		struct policy_group *g;
		uint32_t n;

		wire_get_str(r, name, sizeof(name));
		n = wire_get_u32(r);
		if (!wire_ok(r) || n > SELECTORS_MAX)
			return -EBADMSG;
		g = policy_add_group(p, name);
		if (!g)
			return -EBADMSG;
		for (uint32_t k = 0; k < n; k++) {
			struct policy_selector s;

			selector_decode(&s, r);
			if (!wire_ok(r))
				return -EBADMSG;
			if (policy_add_selector(g, &s))
				return -ENOMEM;
		}
	}
	return wire_ok(r) ? 0 : -EBADMSG;
}

int body_apply_decode(struct body_apply *out, const void *data, size_t len)
{
	struct body_apply a = {0};
	struct wire_reader r;
	const void *rules;
	size_t n;
	int rc;

	wire_reader_init(&r, data, len);
	a.token = wire_get_u64(&r);
	a.confirm_within_s = wire_get_u32(&r);
	a.groups = policy_new();
	if (!a.groups)
		return -ENOMEM;
	rc = groups_decode(a.groups, &r);
	if (!rc) {
		rules = wire_get_bytes(&r, &n);
		rc = wire_ok(&r) ? ruleset_decode(&a.ruleset, rules, n) : -EBADMSG;
	}
	if (rc) {
		policy_free(a.groups);
		return rc;
	}
	*out = a;
	return 0;
}

void body_apply_fini(struct body_apply *a)
{
	policy_free(a->groups);
	a->groups = NULL;
	ruleset_fini(&a->ruleset);
}

void body_done_encode(struct buf *b, const struct body_done *d)
{
	wire_put_u64(b, d->token);
	wire_put_u32(b, (uint32_t)d->rc);
	wire_put_str(b, d->error);
}

int body_done_decode(struct body_done *out, const void *data, size_t len)
{
	struct body_done d;
	struct wire_reader r;

	wire_reader_init(&r, data, len);
	d.token = wire_get_u64(&r);
	d.rc = (int32_t)wire_get_u32(&r);
	wire_get_str(&r, d.error, sizeof(d.error));
	if (!wire_ok(&r))
		return -EBADMSG;
	*out = d;
	return 0;
}
