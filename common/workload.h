/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A workload: one container instance, pod sandbox or bare network namespace, with a lifetime. A restart of a container
 * is a new workload, since its addresses and its program may be others. The group is the role it plays, the
 * unit of policy.
 */
#ifndef WEIR_COMMON_WORKLOAD_H
#define WEIR_COMMON_WORKLOAD_H
#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/buf.h"

#define GROUP_STRLEN 128
#define GROUP_WORLD "world" /* any address that is no workload and not the host */
#define GROUP_HOST "host"   /* the host's own addresses */

enum workload_kind { WORKLOAD_CONTAINER, WORKLOAD_NETNS, WORKLOAD_HOST };

#define WORKLOAD_ADDRS_MAX 16
#define WORKLOAD_LABELS_MAX 4096

struct workload {
	uint64_t id; /* workload_id_of; never 0 */
	uint8_t kind;
	char name[128];      /* container name without the slash, or network namespace name */
	char group[GROUP_STRLEN];
	char runtime[16];    /* "docker", "podman", "netns", "file" */
	char runtime_id[72]; /* container id as the runtime writes it */
	char image[256], image_digest[80];
	char project[64], service[64]; /* Compose */
	char pod[128], pod_namespace[64]; /* Kubernetes */
	char labels[WORKLOAD_LABELS_MAX]; /* "key=value" lines, sorted; what does not fit is left out, whole */
	uint64_t start_ns, end_ns; /* end_ns 0: still there */
	int32_t exit_code;         /* -1: not known */
	uint8_t n_addrs;
	struct addr addrs[WORKLOAD_ADDRS_MAX];
};

/* The stable id of one instance: hash_fixed of runtime, runtime id and start. */
uint64_t workload_id_of(const char *runtime, const char *runtime_id, uint64_t start_ns);

/* The versioned encoding. 0, -EPROTO or -EBADMSG as in flow.h. */
void workload_encode(struct buf *b, const struct workload *w);
int workload_decode(struct workload *out, const void *data, size_t len);

#endif
