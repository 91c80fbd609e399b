/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON lines: see jsonl.h. jansson ignores a NULL member, so that memory that ran out shows up once, at the end. */
#include "config.h"
#include "ui-cli/jsonl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"

json_t *jsonl_event(const char *type)
{
	json_t *o = json_object();

	json_object_set_new(o, "schema", json_integer(JSONL_SCHEMA));
	if (type)
		json_object_set_new(o, "event_type", json_string(type));
	return o;
}

void jsonl_set_text(json_t *object, const char *key, const char *text)
{
	struct buf b = BUF_INIT;
	json_t *v;

	if (!text || !*text)
		return;
	v = json_string(text);
	if (!v) { /* not UTF-8: a label or a name from outside */
		for (const char *p = text; *p; p++)
			buf_addc(&b, (unsigned char)*p < 0x80 ? *p : '?');
		v = b.data ? json_string(b.data) : NULL;
		buf_fini(&b);
	}
	json_object_set_new(object, key, v);
}

void jsonl_set_number(json_t *object, const char *key, uint64_t v)
{
	json_object_set_new(object, key, json_integer((json_int_t)(v > INT64_MAX ? INT64_MAX : v)));
}

void jsonl_set_id(json_t *object, const char *key, uint64_t id)
{
	char text[24];

	if (id == 0)
		return;
	snprintf(text, sizeof(text), "%016" PRIx64, id);
	json_object_set_new(object, key, json_string(text));
}

void jsonl_set_time(json_t *object, const char *key, uint64_t ns)
{
	char text[TIME_STRLEN];

	if (ns)
		json_object_set_new(object, key, json_string(time_format_utc(ns, text)));
}

void jsonl_set_addr(json_t *object, const char *key, const struct addr *a)
{
	char text[ADDR_STRLEN];

	json_object_set_new(object, key, json_string(addr_format(a, text)));
}

void jsonl_set_real(json_t *object, const char *key, double v)
{
	json_object_set_new(object, key, json_real(v));
}

void jsonl_set_members(json_t *object, const char *key, json_t *member)
{
	if (json_object_size(member) + json_array_size(member) == 0)
		json_decref(member);
	else
		json_object_set_new(object, key, member);
}

void jsonl_set_workload(json_t *o, const struct workload *w)
{
	jsonl_set_text(o, "workload", w->name);
	jsonl_set_id(o, "workload_id", w->id);
	jsonl_set_text(o, "runtime", w->runtime);
	jsonl_set_text(o, "container_id", w->runtime_id);
	jsonl_set_text(o, "image", w->image);
	jsonl_set_text(o, "image_digest", w->image_digest);
	jsonl_set_text(o, "project", w->project);
	jsonl_set_text(o, "service", w->service);
	jsonl_set_text(o, "pod", w->pod);
	jsonl_set_text(o, "namespace", w->pod_namespace);
}

json_t *jsonl_end(const struct output_end *e)
{
	json_t *o = json_object();

	jsonl_set_text(o, "group", e->group);
	jsonl_set_text(o, "name", e->name);
	jsonl_set_text(o, "unnamed", e->unnamed);
	if (e->workload)
		jsonl_set_workload(o, e->workload);
	return o;
}

static int append(const char *data, size_t len, void *arg)
{
	buf_add(arg, data, len);
	return 0;
}

int jsonl_line(struct buf *b, json_t *object)
{
	int rc = object ? json_dump_callback(object, append, b, JSON_COMPACT | JSON_REAL_PRECISION(6)) : -1;

	json_decref(object);
	buf_addc(b, '\n');
	return rc < 0 || buf_failed(b) ? -ENOMEM : 0;
}

int jsonl_print(json_t *object)
{
	struct buf b = BUF_INIT;
	int rc = jsonl_line(&b, object);

	if (rc == 0)
		fwrite(b.data, 1, b.len, stdout);
	buf_fini(&b);
	return rc;
}
