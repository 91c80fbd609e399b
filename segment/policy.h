/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The policy document: groups, allow lists, stages; YAML, written for people and kept in git. This module reads it (with line
 * numbers for every complaint), writes it, and merges new findings into an existing file without touching what a person
 * wrote there. docs/policy.md is the language's manual. yaml.h is included in segment/policy_*.c only.
 */
#ifndef WEIR_SEGMENT_POLICY_H
#define WEIR_SEGMENT_POLICY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/proto.h"
#include "common/rule.h"

/* How a workload is recognised as a member; empty fields match anything. A group without a selector takes the workloads
 * that weir names so by itself. */
struct policy_selector {
	char project[64], service[64];           /* compose: {project:, service:} */
	char pod_namespace[64], pod_owner[128];  /* kubernetes: {namespace:, owner:} */
	char image[256];                         /* image: name, with or without tag; * matches any run */
	char name[128];                          /* name: workload name, * matches any run */
	char label[256];                         /* label: key=value */
};

struct policy_rule {
	uint8_t peer_kind; /* enum rule_peer_kind */
	char peer_group[GROUP_STRLEN];
	struct prefix peer_prefix;
	struct service *services;
	size_t n_services;
	char **names; /* names: [api.example.com]; told, checked against DNS and SNI, not enforced by address */
	size_t n_names;
	uint32_t line;
};

struct policy_group {
	char name[GROUP_STRLEN];
	uint8_t stage;
	bool has_policy; /* appears under policy: */
	struct policy_selector *selectors; /* any of them; from groups: */
	size_t n_selectors;
	struct policy_rule *inbound, *outbound;
	size_t n_inbound, n_outbound;
	uint32_t line;
};

struct policy {
	struct policy_group *groups; /* in document order */
	size_t n_groups;
};

#define POLICY_ERRORS_MAX 20
struct policy_error {
	uint32_t line, column; /* from 1; 0: the document as a whole */
	bool warning;          /* the document can be used all the same */
	char text[240];        /* what, and what to do */
};
struct policy_errors {
	struct policy_error e[POLICY_ERRORS_MAX];
	size_t n; /* may exceed POLICY_ERRORS_MAX: only the first are kept */
	bool fatal;
};

/* 0, or -EINVAL with errors (at least one not a warning), -E2BIG over 16 MiB, -ENOMEM. Aliases and anchors are refused. */
int policy_parse(struct policy **out, const char *text, size_t len, struct policy_errors *errors);
struct policy *policy_new(void);
void policy_free(struct policy *p);

/* Appends the document, commented, stable in order. */
int policy_emit(struct buf *b, const struct policy *p, const char *comment);

/*
 * Adds to an existing document what found has and it has not: groups, rules, services. Every byte that is there stays, in
 * place, comments too; nothing is removed. added: a line of text for each addition. 0, or as policy_parse.
 */
int policy_merge(struct buf *out, const char *text, size_t len, const struct policy *found, struct buf *added,
		 struct policy_errors *errors);

/* Does the selector match the workload? */
struct workload;
bool policy_selector_match(const struct policy_selector *s, const struct workload *w);
/* The name of the policy's group the workload belongs to: first group whose selectors match, else its own name for itself. */
const char *policy_group_of(const struct policy *p, const struct workload *w);

/* Policy to ruleset: sorts, merges duplicate rules, unites overlapping services, gives rule ids. generation is left 0.
 * 0 or -ENOMEM. */
int policy_compile(struct ruleset *out, const struct policy *p);

#endif
