/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The policy document: groups, allow lists, stages; YAML, written for people and kept in git. This module reads it
 * (with line numbers for every complaint), writes it, and merges new findings into an existing file without touching
 * what a person wrote there. docs/policy.md is the language's manual. yaml.h is included in segment/policy_*.c only.
 */
#ifndef WEIR_SEGMENT_POLICY_H
#define WEIR_SEGMENT_POLICY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/proto.h"
#include "common/rule.h"

/* How a workload is recognised as a member: every field that is not empty must match, and in each a * stands for any
 * run of characters. A group without a selector takes the workloads that weir names so by itself. */
struct policy_selector {
	char project[64], service[64];		/* compose: {project:, service:} */
	char pod_namespace[64], pod_owner[128]; /* kubernetes: {namespace:, owner:} */
	char image[256];			/* image: name, with or without tag and digest */
	char name[128];				/* name: workload name */
	char label[256];			/* label: key=value */
};

struct policy_rule {
	uint8_t peer_kind; /* enum rule_peer_kind */
	char peer_group[GROUP_STRLEN];
	struct prefix peer_prefix;
	struct service *services;
	size_t n_services;
	char **names; /* names: [api.example.com]; told, checked against DNS and SNI, not enforced by address */
	size_t n_names;
	char *comment; /* the evidence, written behind the rule by policy_emit; NULL: none. Never read back, never
			  compared */
	bool inbound; /* of an entry of policy_group.asked: which list it would go to; elsewhere the list itself says so
		       */
	uint32_t line;
};

struct policy_group {
	char name[GROUP_STRLEN];
	uint8_t stage;
	bool has_policy;		   /* appears under policy: */
	struct policy_selector *selectors; /* any of them; from groups: */
	size_t n_selectors;
	struct policy_rule *inbound, *outbound;
	size_t n_inbound, n_outbound;
	struct policy_rule *asked; /* proposals that need a person's yes: policy_emit writes them as comments, nothing
				      else uses them */
	size_t n_asked;
	char *comment; /* written above the group by policy_emit; NULL: none */
	uint32_t line;
};

struct policy {
	struct policy_group *groups; /* in document order */
	size_t n_groups;
};

#define POLICY_ERRORS_MAX 20
struct policy_error {
	uint32_t line, column; /* from 1; 0: the document, or the line, as a whole */
	bool warning;	       /* the document can be used all the same */
	char text[240];	       /* what, and what to do */
};
struct policy_errors {
	struct policy_error e[POLICY_ERRORS_MAX];
	size_t n; /* may exceed POLICY_ERRORS_MAX: only the first are kept */
	bool fatal;
};

/* 0, or -EINVAL with errors (at least one not a warning), -E2BIG over 16 MiB (errors says so), -ENOMEM. errors is
 * initialised here; after 0 it may hold warnings. Aliases and anchors are refused. */
#define POLICY_TEXT_MAX (16u << 20)
int policy_parse(struct policy **out, const char *text, size_t len, struct policy_errors *errors);
struct policy *policy_new(void);
void policy_free(struct policy *p);

/* Warns of peers that the document names, but that are neither described in it nor among seen (names of groups weir has
 * ever seen): most likely a slip of the pen. Appends to errors. */
void policy_check_seen(const struct policy *p, const char *const *seen, size_t n_seen, struct policy_errors *errors);

/* "line 7, column 12: error: text": one complaint as a line for people, without newline. file: name to begin with, or
 * NULL. */
void policy_error_format(struct buf *b, const struct policy_error *e, const char *file);

/*
 * Building a policy by hand. policy_add_group: the group of that name, new if need be; borrowed until the next call;
 * NULL without memory or for a name that cannot be a group's. policy_add_rule: appends to that group's list, copying
 * services; peer: as in the document ("world", a range, a group). 0, -EINVAL for a peer or services that cannot be,
 * -ENOMEM.
 */
struct policy_group *policy_add_group(struct policy *p, const char *name);
struct policy_group *policy_find_group(const struct policy *p, const char *name);
int policy_add_rule(struct policy_group *g, bool inbound, const char *peer, const struct service *services, size_t n);
int policy_add_selector(struct policy_group *g, const struct policy_selector *s);
/* "world", "host", "any", the group's name or the range. Returns buf. */
const char *policy_peer_format(const struct policy_rule *r, char buf[GROUP_STRLEN]);
/* Can it be a group's name: not reserved, not an address, printable UTF-8, not too long? */
bool policy_name_ok(const char *name);

/* Appends the document, commented, stable in order. comment: lines for its head, or NULL. 0 or -ENOMEM. */
int policy_emit(struct buf *b, const struct policy *p, const char *comment);
/* One rule as it stands in a list: "{from: shop/lb, ports: [80/tcp, 443/tcp]}". */
void policy_emit_rule(struct buf *b, const struct policy_rule *r, bool inbound);

/*
 * Adds to an existing document what found has and it has not: groups, rules, services. Every byte that is there stays,
 * in order, comments too; nothing is removed; stages stay. added: a line of text for each addition. 0, or as
 * policy_parse for a document that is not one. The result is read again before it is handed out: -ENOTSUP, with errors
 * saying where and what to write by hand (and added telling what was to be added), when it would not mean the old
 * document plus what was found.
 */
int policy_merge(struct buf *out, const char *text, size_t len, const struct policy *found, struct buf *added,
		 struct policy_errors *errors);

struct workload;
/* Does the selector match the workload? */
bool policy_selector_match(const struct policy_selector *s, const struct workload *w);
/* The selector that describes the workload's role: Compose service, Kubernetes owner, else image, else name. */
void policy_selector_of(struct policy_selector *out, const struct workload *w);
/* The name of the policy's group the workload belongs to: first group whose selectors match, else its own name for
 * itself. */
const char *policy_group_of(const struct policy *p, const struct workload *w);

/* Policy to ruleset: sorts, merges duplicate rules, unites overlapping services, gives rule ids. Groups without an
 * entry under policy: are not in it. Rules of an outbound list that name a group decide nothing (docs/policy.md) and
 * are left out. generation is left 0. *out needs no init; ruleset_fini it after 0. 0 or -ENOMEM. */
int policy_compile(struct ruleset *out, const struct policy *p);

#endif
