/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lives of one runtime's containers, pieced together from events, lists and inspections. Private to
 * inventory/docker*.c. */
#ifndef WEIR_INVENTORY_DOCKER_LIVES_H
#define WEIR_INVENTORY_DOCKER_LIVES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inventory/docker_http.h"
#include "inventory/table.h"

struct json_t;
struct lives;
/* http and table are borrowed. 0 or -ENOMEM. */
int lives_new(struct lives **out, struct http *http, struct table *table);
void lives_free(struct lives *l);
void lives_set_runtime(struct lives *l, const char *runtime); /* "docker", "podman" */

/* One event. Returns its time, 0 for none. */
uint64_t lives_event(struct lives *l, const char *text, size_t len);
/* A list is about to be asked for: whoever is alive and is not on it has ended unseen. */
void lives_list_begin(struct lives *l);
/* The list's reply. Containers on it, or -EINVAL. */
int lives_list(struct lives *l, const char *text, size_t len);
/* A life known from an earlier run, told as going on until the runtime or lives_recalled_drop says otherwise. 0 or
 * -ENOMEM. */
int lives_recall(struct lives *l, const struct workload *w);
/* Those recalled and not yet confirmed by the runtime end now if gone says so of them. */
void lives_recalled_drop(struct lives *l, bool (*gone)(void *arg, const struct workload *w), void *arg);
/* Asked about a recalled life that this runtime does not know: true if it is somebody else's to tell. */
void lives_on_unknown(struct lives *l, bool (*fn)(void *arg, const struct workload *w), void *arg);
/* Lives told; of them recalled ones. */
size_t lives_count(const struct lives *l, size_t *recalled);
/* Asks for networks whose traffic cannot be seen, and gives notice of them. */
void lives_ask_unseen(struct lives *l);
/* Requests in flight were dropped (http_reset). */
void lives_forget_requests(struct lives *l);

#endif
