/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Coverage records: see coverage.h. */
#include "config.h"
#include "common/coverage.h"

#include <errno.h>

#include "common/wire.h"

#define COVERAGE_VERSION 1

bool coverage_complete(const struct coverage_rec *c)
{
	return !c->gap && c->lost_kernel + c->lost_interface + c->lost_ring + c->lost_store == 0;
}

void coverage_merge(struct coverage_rec *sum, const struct coverage_rec *more)
{
	if (sum->start_ns == 0 || (more->start_ns && more->start_ns < sum->start_ns))
		sum->start_ns = more->start_ns;
	if (more->end_ns > sum->end_ns)
		sum->end_ns = more->end_ns;
	sum->received += more->received;
	sum->lost_kernel += more->lost_kernel;
	sum->lost_interface += more->lost_interface;
	sum->lost_ring += more->lost_ring;
	sum->lost_store += more->lost_store;
	sum->evicted += more->evicted;
	sum->folded += more->folded;
	sum->not_ip += more->not_ip;
	sum->malformed += more->malformed;
	sum->gap |= more->gap;
}

void coverage_encode(struct buf *b, const struct coverage_rec *c)
{
	const uint64_t counters[] = {c->received, c->lost_kernel, c->lost_interface, c->lost_ring, c->lost_store,
				     c->evicted,  c->folded,      c->not_ip,         c->malformed};

	wire_put_u8(b, COVERAGE_VERSION);
	wire_put_u64(b, c->start_ns);
	wire_put_u64(b, c->end_ns);
	wire_put_var(b, c->iface);
	wire_put_str(b, c->iface_name);
	for (unsigned i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		wire_put_var(b, counters[i]);
	wire_put_u8(b, c->gap);
}

int coverage_decode(struct coverage_rec *out, const void *data, size_t len)
{
	struct coverage_rec c = {0};
	uint64_t *const counters[] = {&c.received, &c.lost_kernel, &c.lost_interface, &c.lost_ring, &c.lost_store,
				      &c.evicted,  &c.folded,      &c.not_ip,         &c.malformed};
	struct wire_reader r;
	int rc;

	wire_reader_init(&r, data, len);
	rc = wire_get_version(&r, COVERAGE_VERSION, COVERAGE_VERSION, NULL);
	if (rc)
		return rc;
	c.start_ns = wire_get_u64(&r);
	c.end_ns = wire_get_u64(&r);
	c.iface = (uint32_t)wire_get_var(&r);
	wire_get_str(&r, c.iface_name, sizeof(c.iface_name));
	for (unsigned i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		*counters[i] = wire_get_var(&r);
	c.gap = wire_get_u8(&r);
	if (!wire_ok(&r))
		return -EBADMSG;
	*out = c;
	return 0;
}
