/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lives of one runtime's containers, pieced together from events, lists and inspections. Private to inventory/docker*.c. */
#ifndef WEIR_INVENTORY_DOCKER_LIVES_H
#define WEIR_INVENTORY_DOCKER_LIVES_H
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
/* Requests in flight were dropped (http_reset). */
void lives_forget_requests(struct lives *l);

#endif
