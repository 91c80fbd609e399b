/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the parts of inventory/: how text from outside becomes a name. The order of names is in names.c. */
#ifndef WEIR_INVENTORY_NAMES_H
#define WEIR_INVENTORY_NAMES_H
#include <stdbool.h>
#include <stddef.h>

#include "common/workload.h"

/* Copies text into out[size], cut to fit, with everything that could break a line, a table or a terminal replaced by
 * '_' (control characters and bytes that are not UTF-8). */
void name_copy(char *out, size_t size, const char *text);
/* The value of a label in the workload's "key=value" lines, into out[size]; false if there is none. */
bool workload_label(const struct workload *w, const char *key, char *out, size_t size);
/* The repository of an image reference, without tag, digest and Docker's default registry; "" for a bare image id. */
void image_repository(const char *image, char *out, size_t size);
/* The owner of a pod by Kubernetes' own naming: Deployment, DaemonSet, StatefulSet, CronJob suffixes taken off. */
void pod_owner(const char *pod, char *out, size_t size);
/* "web-1", "web_2", "web3" -> "web". */
void instance_stem(const char *name, char *out, size_t size);
/* "pattern -> group" against a name: '*' matches any run, and $1..$9 in the group stand for what the stars matched. */
bool template_match(const char *name_template, const char *name, char *out, size_t size);

#endif
