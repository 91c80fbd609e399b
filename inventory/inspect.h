/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the runtime says about one container (or image), checked field by field. Any field may be missing or of the
 * wrong type: then it is empty. Only a container without a plausible id is refused. */
#ifndef WEIR_INVENTORY_INSPECT_H
#define WEIR_INVENTORY_INSPECT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/workload.h"

struct json_t; /* jansson */

struct inspected {
	struct workload w; /* id by StartedAt; group is left empty */
	bool running;      /* paused, too */
	uint64_t finished_ns;
	char image_id[80];
};

/* The JSON document in text, with bounds on size and depth; NULL with *error set. Free with json_decref. */
struct json_t *inspect_load(const char *text, size_t len, char *error);
/* One object of `docker inspect`. 0 or -EINVAL. */
int inspect_container(struct inspected *out, const struct json_t *o, const char *runtime);
/* The digest that the image was pulled by, out of `docker image inspect`, for the repository that image names; the
 * image id where it was built here. */
void inspect_image_digest(const struct json_t *o, const char *image, char out[80]);
/* One object of the container list: name, image and labels, which it tells also of a container that is being
 * started. */
void inspect_listed(struct workload *w, const struct json_t *o);
/* The addresses of one container out of `docker network inspect`; adds what w has not. */
void inspect_network(const struct json_t *o, const char *container_id, struct workload *w);

/* Text of a string member, name_copy'd, else "". */
void inspect_text(char *out, size_t size, const struct json_t *o, const char *key);
/* Labels out of an object of strings: w->labels and the fields taken from labels. skip: keys to leave out, or NULL. */
void inspect_labels(struct workload *w, const struct json_t *labels, const char *const *skip);
bool container_id_valid(const char *id); /* 12 to 64 hexadecimal digits */
/* Adds an address unless it is there, unspecified, loopback or there is no room. */
void workload_add_addr(struct workload *w, const struct addr *a);

#endif
