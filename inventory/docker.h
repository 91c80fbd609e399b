/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One container runtime behind a Unix socket: Docker, or Podman's service, which speaks the same. */
#ifndef WEIR_INVENTORY_DOCKER_H
#define WEIR_INVENTORY_DOCKER_H
#include <stdbool.h>

#include "inventory/table.h"

struct docker;
/* expected: somebody asked for this very socket, so that its absence is worth a notice. The socket may come later and
 * may come and go. 0 or negative errno. */
int docker_new(struct docker **out, const char *socket_path, bool expected, struct table *table);
void docker_free(struct docker *d);
int docker_fd(const struct docker *d); /* readable: call docker_dispatch */
int docker_dispatch(struct docker *d);
/* True once it has answered its first list and every question that led to, or is known not to be there. */
bool docker_settled(const struct docker *d);

/* What an earlier run knew of it, while it cannot be reached: see recall.c and docker_lives.h. */
int docker_recall(struct docker *d, const struct workload *w);
void docker_recalled_drop(struct docker *d, bool (*gone)(void *arg, const struct workload *w), void *arg);
void docker_on_unknown(struct docker *d, bool (*fn)(void *arg, const struct workload *w), void *arg);
bool docker_expected(const struct docker *d);
void docker_state(const struct docker *d, struct inventory_runtime *out);

#endif
