/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Policies written as people might: flow and block, deep and shallow, lists indented or not, comments and blank lines
 * anywhere, CRLF, no end to the last line. What merging has to cope with.
 */
#ifndef WEIR_TESTS_POLICY_WRITER_H
#define WEIR_TESTS_POLICY_WRITER_H
#include "tests/unit/segment_random.h"

struct writer {
	struct buf b;
	uint64_t *seed;
	unsigned step;
	bool indented;
};

static inline void noise(struct writer *w, unsigned indent)
{
	switch (rnd(w->seed, 12)) {
	case 0:
		buf_adds(&w->b, "\n");
		break;
	case 1:
		buf_printf(&w->b, "%*s# note: [not, a, {list\n", (int)indent, "");
		break;
	case 2:
		buf_adds(&w->b, "# at the margin\n");
		break;
	default:
		break;
	}
}

static inline void end_line(struct writer *w)
{
	buf_adds(&w->b, rnd(w->seed, 5) ? "\n" : "   # why, '\"}\n");
}

/* Any text as a YAML scalar that every style can hold. */
static inline void scalar(struct buf *b, const char *text)
{
	buf_addc(b, '"');
	buf_adds(b, text);
	buf_addc(b, '"');
}

static inline void ports_flow(struct writer *w, const struct policy_rule *r)
{
	char text[SERVICE_STRLEN];
	bool bare = r->n_services == 1 && rnd(w->seed, 3) == 0;

	buf_adds(&w->b, bare ? "" : "[");
	for (size_t i = 0; i < r->n_services; i++)
		buf_printf(&w->b, "%s%s", i ? ", " : "", service_format(&r->services[i], text));
	buf_adds(&w->b, bare ? "" : rnd(w->seed, 4) ? "]" : ", ]");
}

static inline void rule_flow(struct writer *w, const struct policy_rule *r, bool inbound)
{
	char peer[GROUP_STRLEN];

	buf_adds(&w->b, inbound ? "{from: " : "{to: ");
	scalar(&w->b, policy_peer_format(r, peer));
	buf_adds(&w->b, ", ports: ");
	ports_flow(w, r);
	buf_adds(&w->b, "}");
}

static inline void rule_block(struct writer *w, const struct policy_rule *r, bool inbound, unsigned at)
{
	char text[GROUP_STRLEN];

	buf_adds(&w->b, inbound ? "from: " : "to: ");
	scalar(&w->b, policy_peer_format(r, text));
	end_line(w);
	buf_printf(&w->b, "%*sports:", (int)at, "");
	if (rnd(w->seed, 2)) {
		buf_addc(&w->b, ' ');
		ports_flow(w, r);
		end_line(w);
		return;
	}
	end_line(w);
	for (size_t i = 0; i < r->n_services; i++)
		buf_printf(&w->b, "%*s- %s\n", (int)(at + (w->indented ? w->step : 0)), "",
			   service_format(&r->services[i], text));
}

static inline void list_flow(struct writer *w, const struct policy_rule *rules, size_t n, bool inbound, bool spread,
			     unsigned indent)
{
	buf_addc(&w->b, '[');
	for (size_t i = 0; i < n; i++) {
		if (spread)
			buf_printf(&w->b, "%s%*s", rnd(w->seed, 3) ? "\n" : " # c\n", (int)indent + 3, "");
		rule_flow(w, &rules[i], inbound);
		buf_adds(&w->b, i + 1 < n ? ", " : rnd(w->seed, 3) == 0 && n ? "," : "");
	}
	if (spread && rnd(w->seed, 2))
		buf_printf(&w->b, "\n%*s", (int)indent + 1, "");
	buf_addc(&w->b, ']');
}

static inline void list_any(struct writer *w, const struct policy_rule *rules, size_t n, bool inbound, unsigned indent)
{
	unsigned dash = indent + (w->indented ? w->step : 0), style = rnd(w->seed, 3);

	if (n == 0 && rnd(w->seed, 2))
		return;
	noise(w, indent);
	buf_printf(&w->b, "%*s%s:", (int)indent, "", inbound ? "inbound" : "outbound");
	if (style == 0 || (n == 0 && rnd(w->seed, 2))) {
		buf_addc(&w->b, ' ');
		list_flow(w, rules, n, inbound, n && rnd(w->seed, 2), indent);
		end_line(w);
		return;
	}
	end_line(w);
	for (size_t i = 0; i < n; i++) {
		noise(w, dash);
		buf_printf(&w->b, "%*s- ", (int)dash, "");
		if (style == 1 && rnd(w->seed, 4)) {
			rule_flow(w, &rules[i], inbound);
			end_line(w);
		} else {
			rule_block(w, &rules[i], inbound, dash + 2);
		}
	}
}

static inline void write_policy(struct writer *w, const struct policy *p)
{
	bool flow = rnd(w->seed, 6) == 0, any = false;

	noise(w, 0);
	buf_adds(&w->b, "policy:");
	if (flow)
		buf_adds(&w->b, " {");
	else
		end_line(w);
	for (size_t i = 0; i < p->n_groups; i++) {
		const struct policy_group *g = &p->groups[i];

		if (!g->has_policy)
			continue;
		if (!flow)
			noise(w, w->step);
		if (flow) {
			buf_adds(&w->b, any ? ",\n   " : "");
		} else {
			buf_printf(&w->b, "%*s", (int)w->step, "");
		}
		any = true;
		scalar(&w->b, g->name);
		if (flow || rnd(w->seed, 5) == 0) {
			buf_printf(&w->b, ": {stage: %s, inbound: ", stage_name(g->stage));
			list_flow(w, g->inbound, g->n_inbound, true, false, 0);
			if (g->n_outbound || rnd(w->seed, 2)) {
				buf_adds(&w->b, ", outbound: ");
				list_flow(w, g->outbound, g->n_outbound, false, false, 0);
			}
			buf_adds(&w->b, flow ? "}" : "}\n");
			continue;
		}
		buf_printf(&w->b, ":\n%*sstage: %s\n", (int)w->step * 2, "", stage_name(g->stage));
		list_any(w, g->inbound, g->n_inbound, true, w->step * 2);
		list_any(w, g->outbound, g->n_outbound, false, w->step * 2);
	}
	if (flow)
		buf_adds(&w->b, "}\n");
}

static inline void write_groups(struct writer *w, const struct policy *p)
{
	bool any = false;

	for (size_t i = 0; i < p->n_groups; i++) {
		const struct policy_group *g = &p->groups[i];

		if (g->n_selectors == 0)
			continue;
		buf_adds(&w->b, any ? "" : "groups:\n");
		any = true;
		buf_printf(&w->b, "%*s", (int)w->step, "");
		scalar(&w->b, g->name);
		buf_printf(&w->b, ": [{image: '%s'}", g->selectors[0].image);
		for (size_t k = 1; k < g->n_selectors; k++)
			buf_printf(&w->b, ", {image: '%s', name: x}", g->selectors[k].image);
		buf_addc(&w->b, ']');
		end_line(w);
	}
}

static inline char *write_document(uint64_t *seed, const struct policy *p)
{
	struct writer w = {.b = BUF_INIT, .seed = seed, .step = 1 + rnd(seed, 4), .indented = rnd(seed, 3) > 0};
	struct buf crlf = BUF_INIT;
	char *text;

	noise(&w, 0);
	buf_adds(&w.b, rnd(seed, 8) ? "" : "---\n");
	buf_adds(&w.b, "weir: 1");
	end_line(&w);
	if (rnd(seed, 2))
		write_groups(&w, p);
	if (p->n_groups || rnd(seed, 2))
		write_policy(&w, p);
	noise(&w, 2);
	buf_adds(&w.b, rnd(seed, 10) ? "" : "...\n");
	text = buf_take(&w.b);
	if (rnd(seed, 4) == 0 && text[strlen(text) - 1] == '\n')
		text[strlen(text) - 1] = '\0';
	if (rnd(seed, 4))
		return text;
	for (const char *c = text; *c; c++)
		buf_adds(&crlf, *c == '\n' ? "\r\n" : (char[]){*c, '\0'});
	free(text);
	return buf_take(&crlf);
}

#endif
