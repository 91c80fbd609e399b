/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Insertions into a YAML text: see policy_edit.h. Line ends are what libyaml takes for such, CRLF and Unicode's
 * included. */
#include "config.h"
#include "segment/policy_edit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "segment/policy_text.h"

#define LINE_WIDTH 80

void editor_init(struct editor *ed, const char *text, size_t len)
{
	const char *lf = memchr(text, '\n', len);

	memset(ed, 0, sizeof(*ed));
	ed->text = text;
	ed->len = len;
	ed->eol = lf && lf > text && lf[-1] == '\r' ? "\r\n" : !lf && memchr(text, '\r', len) ? "\r" : "\n";
}

void editor_fini(struct editor *ed)
{
	for (size_t i = 0; i < ed->n; i++)
		free(ed->edits[i].text);
	free(ed->edits);
	memset(ed, 0, sizeof(*ed));
}

/* Bytes of the line end at that offset; 0 for none. */
static size_t break_len(const struct editor *ed, size_t i)
{
	const unsigned char *p = (const unsigned char *)ed->text + i;
	size_t left = ed->len - i;

	if (left >= 2 && p[0] == '\r' && p[1] == '\n')
		return 2;
	if (left >= 1 && (p[0] == '\n' || p[0] == '\r'))
		return 1;
	if (left >= 2 && p[0] == 0xc2 && p[1] == 0x85)
		return 2;
	return left >= 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9) ? 3 : 0;
}

/* Where the line of that offset ends, before its line end. */
static size_t line_end(const struct editor *ed, size_t i)
{
	while (i < ed->len && break_len(ed, i) == 0)
		i++;
	return i;
}

static size_t line_start(const struct editor *ed, size_t i)
{
	while (i > 0 && ed->text[i - 1] != '\n' && ed->text[i - 1] != '\r')
		i--;
	return i;
}

unsigned editor_indent_of(const struct editor *ed, size_t offset)
{
	size_t start = line_start(ed, offset), i = start;

	while (i < ed->len && ed->text[i] == ' ')
		i++;
	return (unsigned)(i - start);
}

static void add_edit(struct editor *ed, size_t at, char *text)
{
	struct edit *e = policy_grow(ed->edits, ed->n, sizeof(*e));

	if (!e || !text) {
		free(text);
		ed->edits = e ? e : ed->edits;
		ed->failed = true;
		return;
	}
	ed->edits = e;
	ed->edits[ed->n].at = at;
	ed->edits[ed->n++].text = text;
}

/* The text with the document's own line ends. */
static void add_with_eol(struct buf *b, const struct editor *ed, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			buf_adds(b, ed->eol);
		else
			buf_addc(b, text[i]);
	}
}

void editor_insert(struct editor *ed, size_t offset, const char *text)
{
	struct buf b = BUF_INIT;

	add_with_eol(&b, ed, text, strlen(text));
	add_edit(ed, offset, buf_take(&b));
}

void editor_insert_lines(struct editor *ed, size_t offset, unsigned indent, const char *lines)
{
	size_t at = line_end(ed, offset), len = strlen(lines);
	struct buf b = BUF_INIT;

	while (at < ed->len) {
		size_t next = at + break_len(ed, at), i = next;

		while (i < ed->len && ed->text[i] == ' ')
			i++;
		if (i == ed->len || ed->text[i] != '#' || i - next < indent)
			break;
		at = line_end(ed, i);
	}
	if (at == ed->len) {
		/* The last line has no end, and is not to have one afterwards. */
		buf_adds(&b, ed->eol);
		add_with_eol(&b, ed, lines, len && lines[len - 1] == '\n' ? len - 1 : len);
	} else {
		at += break_len(ed, at);
		add_with_eol(&b, ed, lines, len);
	}
	add_edit(ed, at, buf_take(&b));
}

/* The next thing behind offset that is neither blank, line end nor comment. */
static size_t skip_space(const struct editor *ed, size_t i)
{
	while (i < ed->len) {
		size_t brk = break_len(ed, i);

		if (brk)
			i += brk;
		else if (ed->text[i] == ' ' || ed->text[i] == '\t')
			i++;
		else if (ed->text[i] == '#')
			i = line_end(ed, i);
		else
			break;
	}
	return i;
}

/* Does the last entry begin a line of its own? */
static bool is_spread(const struct editor *ed, const struct tree_node *flow)
{
	const struct tree_node *last = flow->last->key ? flow->last->key : flow->last;

	return line_start(ed, last->start) > flow->start &&
	       line_start(ed, last->start) + editor_indent_of(ed, last->start) == last->start;
}

/* The end of the line, where nothing but blanks and a comment is left on it; else the place itself. */
static size_t rest_of_line(const struct editor *ed, size_t i)
{
	size_t k = i;

	while (k < ed->len && (ed->text[k] == ' ' || ed->text[k] == '\t'))
		k++;
	return k == ed->len || break_len(ed, k) || ed->text[k] == '#' ? line_end(ed, k) : i;
}

/* Entries, each on a line of its own, with commas between them and, if wanted, behind the last. */
static void add_lines(struct editor *ed, size_t at, const char *before, unsigned indent, char *const *entries, size_t n,
		      bool comma)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, before);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%*s%s%s", ed->eol, (int)indent, "", entries[i], comma || i + 1 < n ? "," : "");
	add_edit(ed, at, buf_take(&b));
}

static void add_inline(struct editor *ed, size_t at, const char *before, char *const *entries, size_t n)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i ? ", " : before, entries[i]);
	add_edit(ed, at, buf_take(&b));
}

void editor_append_flow(struct editor *ed, const struct tree_node *flow, char *const *entries, size_t n)
{
	unsigned indent;
	size_t at, next;

	if (n == 0)
		return;
	if (!flow->last) {
		size_t total = 0;

		for (size_t i = 0; i < n; i++)
			total += strlen(entries[i]) + 2;
		/* What would be too long a line is spread; deeper than the line, as flow content must be. */
		if (n > 1 && total > LINE_WIDTH)
			add_lines(ed, flow->start + 1u, "", editor_indent_of(ed, flow->start) + 4, entries, n, false);
		else
			add_inline(ed, flow->start + 1u, "", entries, n);
		return;
	}
	at = flow->last->end;
	if (!is_spread(ed, flow)) {
		add_inline(ed, at, ", ", entries, n);
		return;
	}
	indent = editor_indent_of(ed, flow->last->start);
	next = skip_space(ed, at);
	if (next < ed->len && ed->text[next] == ',') {
		add_lines(ed, rest_of_line(ed, next + 1), "", indent, entries, n, true);
	} else if (rest_of_line(ed, at) == at) {
		add_lines(ed, at, ",", indent, entries, n, false);
	} else {
		editor_insert(ed, at, ",");
		add_lines(ed, rest_of_line(ed, at), "", indent, entries, n, false);
	}
}

static int by_offset(const void *va, const void *vb)
{
	const struct edit *const *a = va, *const *b = vb;

	if ((*a)->at != (*b)->at)
		return (*a)->at < (*b)->at ? -1 : 1;
	return (*a > *b) - (*a < *b);
}

int editor_apply(struct buf *out, struct editor *ed)
{
	const struct edit **sorted = calloc(ed->n + 1, sizeof(*sorted));
	size_t at = 0;

	if (!sorted || ed->failed) {
		free(sorted);
		return -ENOMEM;
	}
	for (size_t i = 0; i < ed->n; i++)
		sorted[i] = &ed->edits[i];
	qsort(sorted, ed->n, sizeof(*sorted), by_offset);
	for (size_t i = 0; i < ed->n; i++) {
		buf_add(out, ed->text + at, sorted[i]->at - at);
		buf_adds(out, sorted[i]->text);
		at = sorted[i]->at;
	}
	buf_add(out, ed->text + at, ed->len - at);
	free(sorted);
	return buf_failed(out) ? -ENOMEM : 0;
}
