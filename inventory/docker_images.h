/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which registry digest an image id stands for. Private to inventory/docker*.c. */
#ifndef WEIR_INVENTORY_DOCKER_IMAGES_H
#define WEIR_INVENTORY_DOCKER_IMAGES_H
#include "inventory/docker_http.h"
#include "inventory/inspect.h"
#include "inventory/table.h"

struct images;
int images_new(struct images **out, struct http *http, struct table *table); /* borrowed. 0 or -ENOMEM */
void images_free(struct images *im);
/* Puts the digest into in->w if it is known; else asks, and the table is told of the workload again once it is. */
void images_digest(struct images *im, struct inspected *in);
void images_forget_requests(struct images *im);

#endif
