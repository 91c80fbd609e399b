/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The evaluator: what a ruleset says of one new connection, in user space, with reasons. tests/netns holds it against the
 * kernel. Also explanation: for a miss, the nearest allow rule, the field that failed, and the smallest edit.
 */
#ifndef WEIR_SEGMENT_EVAL_H
#define WEIR_SEGMENT_EVAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/rule.h"
#include "common/verdict.h"

/* One end of a connection: its address and the group it is in ("world" and "host" included). */
struct eval_end {
	struct addr addr;
	const char *group;
};

struct eval_result {
	uint8_t verdict;     /* enum verdict_kind; never NONE */
	uint8_t stage;       /* of the group that decides */
	bool inbound;        /* which list decided */
	int group;           /* index of the group whose list decided; -1: no list applies */
	const struct rule *rule; /* the matching rule; NULL for a miss or where no list applies. Borrowed from the ruleset */
};
void eval(struct eval_result *out, const struct ruleset *rs, const struct eval_end *src, const struct eval_end *dst,
	  uint8_t proto, uint16_t port_or_type);

/* Why, in words, and what would have to change. Lines of text into b; the first is the verdict in one sentence. For a miss:
 * nearest rule and the field that failed, then the edit as a line of policy, then what else that edit would let in. */
struct eval_names {
	const char *src, *dst; /* workload names for the text, or NULL: the address */
};
void eval_explain(struct buf *b, const struct ruleset *rs, const struct eval_end *src, const struct eval_end *dst,
		  uint8_t proto, uint16_t port_or_type, const struct eval_names *names);

#endif
