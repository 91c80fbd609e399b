/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes the policy document in the one style that docs/policy.md shows: a rule a line, peers aligned, evidence behind
 * the rule as a comment. Order is the policy's own, so that the same policy always gives the same text. Comments carry
 * names that came from the network: nothing unprintable gets out, and no comment can end its line.
 */
#include "config.h"
#include "segment/policy.h"

#include <errno.h>
#include <string.h>

#include "segment/policy_text.h"

void policy_emit_comment_text(struct buf *b, const char *text, size_t len)
{
	size_t bad = policy_text_bad_utf8(text, len);

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		/* U+0080 to U+009F, U+2028 and U+2029 are control characters or line breaks too. */
		bool sep = (c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0) ||
			   (c == 0xe2 && i + 2 < len && (unsigned char)text[i + 1] == 0x80 &&
			    ((unsigned char)text[i + 2] & 0xfe) == 0xa8);

		if (i == bad) {
			buf_addc(b, '?');
			bad = i + 1 + policy_text_bad_utf8(text + i + 1, len - i - 1);
		} else if (c < 0x20 || c == 0x7f) {
			buf_addc(b, '?');
		} else if (sep) {
			buf_addc(b, '?');
			i += c == 0xc2 ? 1 : 2;
		} else {
			buf_addc(b, (char)c);
		}
	}
}

/* A block of comment lines, each at that indentation. */
static void emit_comment(struct buf *b, const char *text, unsigned indent)
{
	while (text && *text) {
		size_t len = strcspn(text, "\n");

		buf_printf(b, "%*s#%s", (int)indent, "", len ? " " : "");
		policy_emit_comment_text(b, text, len);
		buf_addc(b, '\n');
		text += len;
		text += *text == '\n';
	}
}

/* "{compose: {project: shop, service: web}}" */
static void emit_selector(struct buf *b, const struct policy_selector *s)
{
	const struct {
		const char *key, *sub[2], *value[2];
	} parts[] = {
		{"compose", {"project", "service"}, {s->project, s->service}},
		{"kubernetes", {"namespace", "owner"}, {s->pod_namespace, s->pod_owner}},
		{"image", {NULL, NULL}, {s->image, ""}},
		{"name", {NULL, NULL}, {s->name, ""}},
		{"label", {NULL, NULL}, {s->label, ""}},
	};
	bool first = true;

	buf_addc(b, '{');
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!parts[i].value[0][0] && !parts[i].value[1][0])
			continue;
		buf_printf(b, "%s%s: ", first ? "" : ", ", parts[i].key);
		first = false;
		if (!parts[i].sub[0]) {
			policy_emit_scalar(b, parts[i].value[0]);
			continue;
		}
		buf_addc(b, '{');
		for (unsigned k = 0; k < 2; k++) {
			if (!parts[i].value[k][0])
				continue;
			buf_printf(b, "%s%s: ", k && parts[i].value[0][0] ? ", " : "", parts[i].sub[k]);
			policy_emit_scalar(b, parts[i].value[k]);
		}
		buf_addc(b, '}');
	}
	buf_addc(b, '}');
}

void policy_emit_selectors(struct buf *b, const struct policy_group *g)
{
	if (g->n_selectors != 1)
		buf_addc(b, '[');
	for (size_t i = 0; i < g->n_selectors; i++) {
		if (i)
			buf_adds(b, ", ");
		emit_selector(b, &g->selectors[i]);
	}
	if (g->n_selectors != 1)
		buf_addc(b, ']');
}

void policy_emit_services(struct buf *b, const struct service *services, size_t n)
{
	char text[SERVICE_STRLEN];

	buf_addc(b, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_adds(b, ", ");
		policy_emit_scalar(b, service_format(&services[i], text));
	}
	buf_addc(b, ']');
}

/* The peer as it is written, quotes included; returns its length. */
static size_t emit_peer(struct buf *b, const struct policy_rule *r)
{
	char peer[GROUP_STRLEN];
	size_t before = b->len;

	policy_emit_scalar(b, policy_peer_format(r, peer));
	return b->len - before;
}

/* width: of the widest peer in the list, for aligning. */
static void emit_rule(struct buf *b, const struct policy_rule *r, bool inbound, size_t width)
{
	size_t len;

	buf_printf(b, "{%s: ", inbound ? "from" : "to");
	len = emit_peer(b, r);
	buf_printf(b, ",%*s ports: ", len < width ? (int)(width - len) : 0, "");
	policy_emit_services(b, r->services, r->n_services);
	for (size_t i = 0; i < r->n_names; i++) {
		buf_adds(b, i ? ", " : ", names: [");
		policy_emit_scalar(b, r->names[i]);
	}
	buf_adds(b, r->n_names ? "]}" : "}");
}

void policy_emit_rule(struct buf *b, const struct policy_rule *r, bool inbound)
{
	emit_rule(b, r, inbound, 0);
}

/* A rule with its evidence behind it. */
static void emit_rule_line(struct buf *b, const struct policy_rule *r, bool inbound, size_t width)
{
	emit_rule(b, r, inbound, width);
	if (r->comment) {
		buf_adds(b, "  # ");
		policy_emit_comment_text(b, r->comment, strlen(r->comment));
	}
	buf_addc(b, '\n');
}

static void emit_asked(struct buf *b, const struct policy_group *g, bool inbound, unsigned indent)
{
	bool first = true;

	for (size_t i = 0; i < g->n_asked; i++) {
		if (g->asked[i].inbound != inbound)
			continue;
		if (first)
			buf_printf(b, "%*s# For you to decide (take out the \"# \", and a [] above, to allow):\n",
				   (int)indent, "");
		first = false;
		buf_printf(b, "%*s# - ", (int)indent, "");
		emit_rule_line(b, &g->asked[i], inbound, 0);
	}
}

void policy_emit_list(struct buf *b, const struct policy_group *g, bool inbound, unsigned key, unsigned list)
{
	const struct policy_rule *rules = inbound ? g->inbound : g->outbound;
	size_t n = inbound ? g->n_inbound : g->n_outbound, width = 0;
	struct buf scratch = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		size_t len = emit_peer(&scratch, &rules[i]);

		width = len > width ? len : width;
	}
	buf_fini(&scratch);
	buf_printf(b, "%*s%s:%s\n", (int)key, "", inbound ? "inbound" : "outbound", n ? "" : " []");
	for (size_t i = 0; i < n; i++) {
		buf_printf(b, "%*s- ", (int)list, "");
		emit_rule_line(b, &rules[i], inbound, width);
	}
	emit_asked(b, g, inbound, list);
}

void policy_emit_group(struct buf *b, const struct policy_group *g, unsigned name, unsigned key, unsigned list)
{
	emit_comment(b, g->comment, name);
	buf_printf(b, "%*s", (int)name, "");
	policy_emit_scalar(b, g->name);
	buf_printf(b, ":\n%*sstage: %s\n", (int)key, "", stage_name(g->stage));
	policy_emit_list(b, g, true, key, list);
	policy_emit_list(b, g, false, key, list);
}

int policy_emit(struct buf *b, const struct policy *p, const char *comment)
{
	bool any = false;

	emit_comment(b, comment, 0);
	buf_adds(b, "weir: 1\n");
	for (size_t i = 0; i < p->n_groups; i++) {
		const struct policy_group *g = &p->groups[i];

		if (g->n_selectors == 0 && g->has_policy)
			continue;
		buf_adds(b, any ? "  " : "groups:\n  ");
		any = true;
		policy_emit_scalar(b, g->name);
		buf_adds(b, ": ");
		if (g->n_selectors)
			policy_emit_selectors(b, g);
		else
			buf_adds(b, "{}");
		buf_addc(b, '\n');
	}
	any = false;
	for (size_t i = 0; i < p->n_groups; i++) {
		const struct policy_group *g = &p->groups[i];

		if (!g->has_policy)
			continue;
		if (!any)
			buf_adds(b, "policy:\n");
		any = true;
		policy_emit_group(b, g, 2, 4, 6);
	}
	if (!any)
		buf_adds(b, "policy: {}\n");
	return buf_failed(b) ? -ENOMEM : 0;
}
