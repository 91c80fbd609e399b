/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An inspected container has its image's id, which is local to one host. The digest that a registry, a scanner or
 * another host knows is one more question away. A workload is not kept waiting for it: it is told with the id, and
 * once more when the digest has come. Answers are kept, since a host runs few images and many containers.
 */
#include "config.h"
#include "inventory/docker_images.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "inventory/inventory.h"

#define IMAGES_MAX 512 /* then the oldest is forgotten */
#define WAITING_MAX 64 /* workloads told late; more of the same image within one question go without */
#define REPLY_MAX (4u << 20)

struct image {
	struct images *all;
	char id[80], name[256]; /* the name matters: one id may be in several repositories */
	char digest[80];        /* "": being asked for */
	uint64_t waiting[WAITING_MAX];
	unsigned n_waiting;
};

struct images {
	struct http *http;
	struct table *table;
	unsigned n;
	struct image *image[IMAGES_MAX]; /* newest last */
};

int images_new(struct images **out, struct http *http, struct table *table)
{
	struct images *im = calloc(1, sizeof(*im));

	if (!im)
		return -ENOMEM;
	im->http = http;
	im->table = table;
	*out = im;
	return 0;
}

void images_free(struct images *im)
{
	for (unsigned i = 0; im && i < im->n; i++)
		free(im->image[i]);
	free(im);
}

static void remove_image(struct images *im, unsigned i)
{
	free(im->image[i]);
	im->n--;
	memmove(&im->image[i], &im->image[i + 1], (im->n - i) * sizeof(im->image[0]));
}

void images_forget_requests(struct images *im)
{
	for (unsigned i = im->n; i-- > 0;)
		if (!im->image[i]->digest[0])
			remove_image(im, i);
}

/* To the last byte, since the table compares workloads byte by byte. */
static void set_digest(struct workload *w, const struct image *m)
{
	memset(w->image_digest, 0, sizeof(w->image_digest));
	strcpy(w->image_digest, m->digest);
}

static void tell_waiting(struct image *m)
{
	struct workload *w = malloc(sizeof(*w));

	for (unsigned i = 0; w && i < m->n_waiting; i++) {
		const struct workload *known = table_find(m->all->table, m->waiting[i]);

		if (!known)
			continue;
		*w = *known;
		set_digest(w, m);
		(void)table_up(m->all->table, w, 0);
	}
	free(w);
	m->n_waiting = 0;
}

static void answered(void *arg, long status, int error, const char *body, size_t len)
{
	struct image *m = arg;
	char text[INVENTORY_ERROR_STRLEN];
	json_t *j = status == 200 && !error ? inspect_load(body, len, text) : NULL;

	if (j)
		inspect_image_digest(j, m->name, m->digest);
	json_decref(j);
	if (!m->digest[0]) /* it does not know its own image: the id must do */
		memcpy(m->digest, m->id, sizeof(m->digest));
	tell_waiting(m);
}

static bool plain(const char *id)
{
	return *id && strspn(id, "sha256:0123456789abcdef") == strlen(id);
}

void images_digest(struct images *im, struct inspected *in)
{
	struct image *m;
	char path[128];

	/* Docker's event names digests only as ids; a name with its own digest needs no question. */
	if (!plain(in->image_id) || strchr(in->w.image, '@'))
		return;
	for (unsigned i = im->n; i-- > 0;) {
		m = im->image[i];
		if (strcmp(m->id, in->image_id) != 0 || strcmp(m->name, in->w.image) != 0)
			continue;
		if (m->digest[0])
			set_digest(&in->w, m);
		else if (m->n_waiting < WAITING_MAX)
			m->waiting[m->n_waiting++] = in->w.id;
		return;
	}
	if (im->n == IMAGES_MAX) {
		if (!im->image[0]->digest[0])
			return; /* a runtime that answers nothing: ask no more of it */
		remove_image(im, 0);
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return;
	m->all = im;
	memcpy(m->id, in->image_id, sizeof(m->id));
	memcpy(m->name, in->w.image, sizeof(m->name));
	m->waiting[m->n_waiting++] = in->w.id;
	snprintf(path, sizeof(path), "/images/%s/json", m->id);
	if (http_get(im->http, path, REPLY_MAX, answered, m) < 0) {
		free(m);
		return;
	}
	im->image[im->n++] = m;
}
