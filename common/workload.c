/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Workloads: identity and byte encoding. See workload.h. */
#include "config.h"
#include "common/workload.h"

#include <errno.h>
#include <stdio.h>

#include "common/hash.h"
#include "common/wire.h"

#define WORKLOAD_VERSION 1

uint64_t workload_id_of(const char *runtime, const char *runtime_id, uint64_t start_ns)
{
	char key[160];
	int n = snprintf(key, sizeof(key), "%s/%s/%llu", runtime, runtime_id, (unsigned long long)start_ns);
	uint64_t h = hash_fixed(key, n < (int)sizeof(key) ? (size_t)n : sizeof(key) - 1);

	return h ? h : 1;
}

void workload_encode(struct buf *b, const struct workload *w)
{
	wire_put_u8(b, WORKLOAD_VERSION);
	wire_put_u64(b, w->id);
	wire_put_u8(b, w->kind);
	wire_put_str(b, w->name);
	wire_put_str(b, w->group);
	wire_put_str(b, w->runtime);
	wire_put_str(b, w->runtime_id);
	wire_put_str(b, w->image);
	wire_put_str(b, w->image_digest);
	wire_put_str(b, w->project);
	wire_put_str(b, w->service);
	wire_put_str(b, w->pod);
	wire_put_str(b, w->pod_namespace);
	wire_put_str(b, w->labels);
	wire_put_u64(b, w->start_ns);
	wire_put_u64(b, w->end_ns);
	wire_put_u32(b, (uint32_t)w->exit_code);
	wire_put_u8(b, w->n_addrs);
	for (unsigned i = 0; i < w->n_addrs; i++)
		wire_put_addr(b, &w->addrs[i]);
}

int workload_decode(struct workload *out, const void *data, size_t len)
{
	struct workload w = {0};
	struct wire_reader r;
	int rc;

	wire_reader_init(&r, data, len);
	rc = wire_get_version(&r, WORKLOAD_VERSION, WORKLOAD_VERSION, NULL);
	if (rc)
		return rc;
	w.id = wire_get_u64(&r);
	w.kind = wire_get_u8(&r);
	wire_get_str(&r, w.name, sizeof(w.name));
	wire_get_str(&r, w.group, sizeof(w.group));
	wire_get_str(&r, w.runtime, sizeof(w.runtime));
	wire_get_str(&r, w.runtime_id, sizeof(w.runtime_id));
	wire_get_str(&r, w.image, sizeof(w.image));
	wire_get_str(&r, w.image_digest, sizeof(w.image_digest));
	wire_get_str(&r, w.project, sizeof(w.project));
	wire_get_str(&r, w.service, sizeof(w.service));
	wire_get_str(&r, w.pod, sizeof(w.pod));
	wire_get_str(&r, w.pod_namespace, sizeof(w.pod_namespace));
	wire_get_str(&r, w.labels, sizeof(w.labels));
	w.start_ns = wire_get_u64(&r);
	w.end_ns = wire_get_u64(&r);
	w.exit_code = (int32_t)wire_get_u32(&r);
	w.n_addrs = wire_get_u8(&r);
	if (w.n_addrs > WORKLOAD_ADDRS_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < w.n_addrs; i++)
		w.addrs[i] = wire_get_addr(&r);
	if (!wire_ok(&r) || w.kind > WORKLOAD_HOST || w.id == 0)
		return -EBADMSG;
	*out = w;
	return 0;
}
