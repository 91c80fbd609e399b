/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the policy module share: complaints, suggestions for a slip of the pen, and growing arrays. Private
 * to segment/.
 */
#ifndef WEIR_SEGMENT_POLICY_TEXT_H
#define WEIR_SEGMENT_POLICY_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "segment/policy.h"

/* Notes one complaint; an error sets errors->fatal. Only the first POLICY_ERRORS_MAX are kept, but errors come before
 * warnings. */
void policy_complain(struct policy_errors *errors, bool warning, uint32_t line, uint32_t column, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* The one of the words (NULL-terminated) nearest to what was written, or NULL when none is near. */
const char *policy_nearest(const char *written, const char *const *words);

/* Offset of the first byte that is not UTF-8 as RFC 3629 has it, or len. */
size_t policy_text_bad_utf8(const char *text, size_t len);
/* text made fit for a message: at most size - 1 bytes, cut with "...", nothing unprintable. Returns out. */
const char *policy_text_show(char *out, size_t size, const char *text, size_t len);

/* Room for one more element behind n, where n is full at powers of two. NULL without memory; the array is then as it
 * was. */
void *policy_grow(void *array, size_t n, size_t size);
/* Appends, zeroed; NULL without memory. The group's name is not checked. */
struct policy_group *policy_append_group(struct policy *p, const char *name);
struct policy_rule *policy_append_rule(struct policy_rule **rules, size_t *n);
void policy_rules_free(struct policy_rule *rules, size_t n);
/* Sets the peer from its text. 0 or -EINVAL. */
int policy_set_peer(struct policy_rule *r, const char *peer);
/* Orders rules by their peer; 0 for the same one. */
int policy_peer_cmp(const struct policy_rule *a, const struct policy_rule *b);
int policy_add_name(struct policy_rule *r, const char *name);
/* Letters, digits, '-', '_' and dots, with * for any run: what a DNS name or a pattern of such can be (RFC 1035
 * length). */
bool policy_dns_name_ok(const char *text);

/* A scalar as YAML: plain where every reader of YAML takes it for a string, else quoted. */
void policy_emit_scalar(struct buf *b, const char *text);
/* "[80/tcp, 443/tcp]" and "{image: nginx}" or a list of such. */
void policy_emit_services(struct buf *b, const struct service *services, size_t n);
void policy_emit_selectors(struct buf *b, const struct policy_group *g);
/* Text for a comment's line: control characters and broken UTF-8 become '?'. */
void policy_emit_comment_text(struct buf *b, const char *text, size_t len);
/* A group's part of policy:, and one of its lists, with so many blanks before its name, its keys, and the dashes of its
 * lists. */
void policy_emit_group(struct buf *b, const struct policy_group *g, unsigned name, unsigned key, unsigned list);
void policy_emit_list(struct buf *b, const struct policy_group *g, bool inbound, unsigned key, unsigned list);

#endif
