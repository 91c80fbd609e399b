/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Building JSON lines over jansson: members that are not known are left out, text that is not UTF-8 is made so, counts
 * that JSON's signed integers cannot hold stop at the largest they can. Times are RFC 3339 in UTC; 64-bit ids are
 * text of 16 hex digits, since many readers of JSON keep numbers in 53 bits.
 */
#ifndef WEIR_UI_JSONL_H
#define WEIR_UI_JSONL_H
#include <jansson.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/buf.h"
#include "ui-cli/output.h"

#define JSONL_SCHEMA 1

/* A new object that begins as every line does: "schema":1 and, with type, "event_type". */
json_t *jsonl_event(const char *type);
void jsonl_set_text(json_t *object, const char *key, const char *text); /* nothing for NULL and "" */
void jsonl_set_number(json_t *object, const char *key, uint64_t v);
void jsonl_set_id(json_t *object, const char *key, uint64_t id);       /* nothing for 0 */
void jsonl_set_time(json_t *object, const char *key, uint64_t ns);     /* nothing for 0 */
void jsonl_set_addr(json_t *object, const char *key, const struct addr *a);
void jsonl_set_real(json_t *object, const char *key, double v);
/* Who stands at an end, as "src" and "dest" have it everywhere; may be empty. */
json_t *jsonl_end(const struct output_end *e);
void jsonl_set_workload(json_t *object, const struct workload *w);
/* Takes over member; nothing (and member freed) when it is an object or array without members. */
void jsonl_set_members(json_t *object, const char *key, json_t *member);
/* Appends the object as one line and frees it. 0 or -ENOMEM. */
int jsonl_line(struct buf *b, json_t *object);
/* The same, to standard output. */
int jsonl_print(json_t *object);

#endif
