/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tree of a YAML document, see policy_tree.h. The text is hostile: it is checked for bytes that no text has before
 * libyaml sees it, depth and number of nodes are bounded, anchors, aliases and tags are refused (they make a document
 * mean what it does not show), and libyaml's own complaints are put into words with the place. libyaml counts
 * characters where we need bytes, so its marks are converted by a table with one entry for every 256 characters.
 */
#include "config.h"
#include "segment/policy_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "segment/policy_text.h"

#define BLOCK_BYTES 65536u
#define MARK_STEP 256u

struct block {
	struct block *next;
	size_t used;
	_Alignas(16) char data[];
};

struct tree {
	struct block *blocks;
	size_t n_nodes;
	const char *text;
	size_t len;
	uint32_t *marks; /* byte offset of every MARK_STEP-th character */
	size_t n_marks;
	uint32_t base; /* bytes of a byte order mark */
	struct policy_errors *errors;
};

void tree_free(struct tree *t)
{
	if (!t)
		return;
	while (t->blocks) {
		struct block *b = t->blocks;

		t->blocks = b->next;
		free(b);
	}
	free(t->marks);
	free(t);
}

/* Zeroed memory that lives as long as the tree; NULL without memory. */
static void *tree_alloc(struct tree *t, size_t size)
{
	size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
	struct block *b = t->blocks;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (!b || b->used + size > BLOCK_BYTES) {
		b = calloc(1, sizeof(*b) + ((room + 15) & ~(size_t)15));
		if (!b)
			return NULL;
		b->next = t->blocks;
		t->blocks = b;
	}
	p = b->data + b->used;
	b->used += size;
	return p;
}

/* Line and column (both from 1, columns in characters) of a byte. */
static void place_of(const char *text, size_t offset, uint32_t *line, uint32_t *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n' || (text[i] == '\r' && text[i + 1] != '\n')) {
			++*line;
			*column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			++*column;
		}
	}
}

/* Bytes that cannot be part of a text, told with their place. 0 or -EINVAL. */
static int check_bytes(const char *text, size_t len, struct policy_errors *errors)
{
	size_t bad = policy_text_bad_utf8(text, len), i;
	uint32_t line, column;

	for (i = 0; i < bad; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f)
			break;
	}
	if (i == len)
		return 0;
	place_of(text, i, &line, &column);
	if (i == bad && (((unsigned char)text[i] == 0xff && i == 0) || ((unsigned char)text[i] == 0xfe && i == 0)))
		policy_complain(errors, false, line, column, "the text is UTF-16: save it as UTF-8");
	else if (i == bad)
		policy_complain(errors, false, line, column, "byte 0x%02x is not UTF-8: save the file as UTF-8",
				(unsigned char)text[i]);
	else if (text[i] == '\0')
		policy_complain(errors, false, line, column, "a NUL byte: this is not a text; remove it");
	else
		policy_complain(errors, false, line, column, "control character 0x%02x: remove it",
				(unsigned char)text[i]);
	return -EINVAL;
}

static int make_marks(struct tree *t)
{
	uint32_t chars = 0;

	t->marks = calloc((t->len - t->base) / MARK_STEP + 2, sizeof(*t->marks));
	if (!t->marks)
		return -ENOMEM;
	for (size_t i = t->base; i < t->len; i++) {
		if (((unsigned char)t->text[i] & 0xc0) == 0x80)
			continue;
		if (chars++ % MARK_STEP == 0)
			t->marks[t->n_marks++] = (uint32_t)i;
	}
	return 0;
}

/* Byte offset of libyaml's character index. */
static uint32_t offset_of(const struct tree *t, size_t index)
{
	size_t at = index / MARK_STEP, i;

	if (at >= t->n_marks)
		return (uint32_t)t->len;
	i = t->marks[at];
	for (size_t left = index % MARK_STEP; left > 0 && i < t->len; left--) {
		i++;
		while (i < t->len && ((unsigned char)t->text[i] & 0xc0) == 0x80)
			i++;
	}
	return (uint32_t)i;
}

/* Does the line of that offset begin with a tab among its blanks? */
static bool line_has_tab(const struct tree *t, size_t offset)
{
	size_t i = offset < t->len ? offset : t->len;

	while (i > 0 && t->text[i - 1] != '\n' && t->text[i - 1] != '\r')
		i--;
	while (i < t->len && t->text[i] == ' ')
		i++;
	return i < t->len && t->text[i] == '\t';
}

/* libyaml's complaint in our words. */
static int yaml_complain(struct tree *t, const yaml_parser_t *yp)
{
	yaml_mark_t m = yp->problem_mark;
	const char *why = yp->problem ? yp->problem : "it is not YAML";
	uint32_t line = (uint32_t)m.line + 1, column = (uint32_t)m.column + 1;

	if (yp->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (yp->error == YAML_READER_ERROR) {
		place_of(t->text, t->base + yp->problem_offset, &line, &column);
		policy_complain(t->errors, false, line, column, "%s: remove that character", why);
	} else if (line_has_tab(t, offset_of(t, m.index))) {
		policy_complain(t->errors, false, line, column,
				"a tab in the indentation: YAML allows spaces only; replace it");
	} else if (strstr(why, "mapping values are not allowed")) {
		policy_complain(t->errors, false, line, column,
				"a ':' where none can be: is the line before complete, and is this one indented like "
				"its siblings?");
	} else if (strstr(why, "did not find expected key") || strstr(why, "did not find expected '-'")) {
		policy_complain(t->errors, false, line, column,
				"this line does not line up with the ones above: indent it like its siblings");
	} else if (strstr(why, "expected node content")) {
		policy_complain(t->errors, false, line, column,
				"a value is missing here, or a '[' or '{' before it is not closed");
	} else if (strstr(why, "expected ',' or")) {
		policy_complain(t->errors, false, line, column,
				"a '[' or '{' is not closed, or a comma is missing (opened on line %zu)",
				yp->context_mark.line + 1);
	} else {
		policy_complain(t->errors, false, line, column, "not readable as YAML: %s%s%s", why,
				yp->context ? ", " : "", yp->context ? yp->context : "");
	}
	return -EINVAL;
}

static bool is_null(const char *text, size_t len)
{
	return len == 0 || (len == 1 && text[0] == '~') ||
	       (len == 4 && (!memcmp(text, "null", 4) || !memcmp(text, "Null", 4) || !memcmp(text, "NULL", 4)));
}

/* What the language does not use. 0 or -EINVAL. */
static int check_event(struct tree *t, const yaml_event_t *ev)
{
	uint32_t line = (uint32_t)ev->start_mark.line + 1, column = (uint32_t)ev->start_mark.column + 1;
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (ev->type) {
	case YAML_ALIAS_EVENT:
		policy_complain(t->errors, false, line, column,
				"alias *%.40s: write the value out, a policy says what it means",
				(const char *)ev->data.alias.anchor);
		return -EINVAL;
	case YAML_SCALAR_EVENT:
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
		break;
	default:
		return 0;
	}
	if (anchor)
		policy_complain(t->errors, false, line, column, "anchor &%.40s: anchors are not used here; remove it",
				(const char *)anchor);
	else if (tag)
		policy_complain(t->errors, false, line, column, "tag %.60s: tags are not used here; remove it",
				(const char *)tag);
	if (ev->type == YAML_SCALAR_EVENT && memchr(ev->data.scalar.value, '\0', ev->data.scalar.length)) {
		policy_complain(t->errors, false, line, column, "\\0 inside a text: remove it");
		return -EINVAL;
	}
	if (ev->type == YAML_SCALAR_EVENT &&
	    (ev->data.scalar.style == YAML_LITERAL_SCALAR_STYLE || ev->data.scalar.style == YAML_FOLDED_SCALAR_STYLE)) {
		policy_complain(t->errors, false, line, column,
				"a block text ('|' or '>'): write the value on one line");
		return -EINVAL;
	}
	return anchor || tag ? -EINVAL : 0;
}

static struct tree_node *node_new(struct tree *t, const yaml_event_t *ev)
{
	struct tree_node *n = tree_alloc(t, sizeof(*n));

	if (!n)
		return NULL;
	t->n_nodes++;
	n->line = (uint32_t)ev->start_mark.line + 1;
	n->column = (uint32_t)ev->start_mark.column + 1;
	n->start = offset_of(t, ev->start_mark.index);
	n->end = offset_of(t, ev->end_mark.index);
	if (ev->type == YAML_SEQUENCE_START_EVENT) {
		n->kind = TREE_LIST;
		n->flow = ev->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	} else if (ev->type == YAML_MAPPING_START_EVENT) {
		n->kind = TREE_MAP;
		n->flow = ev->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
	} else {
		n->len = (uint32_t)ev->data.scalar.length;
		n->text = tree_alloc(t, n->len + 1u);
		if (!n->text)
			return NULL;
		memcpy(n->text, ev->data.scalar.value, n->len);
		n->null = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && is_null(n->text, n->len);
		n->written = n->len > 0 || n->end > n->start;
	}
	return n;
}

/* Where the walk over the events stands. */
struct walk {
	struct tree_node *open[TREE_DEPTH_MAX], *key[TREE_DEPTH_MAX];
	size_t depth, documents;
	struct tree_node *root;
};

/* Puts a node where it belongs: root, entry of a list, key or value of a map. 0 or -EINVAL. */
static int place_node(struct tree *t, struct walk *w, struct tree_node *n)
{
	struct tree_node *in;

	if (w->depth == 0) {
		w->root = n;
		return 0;
	}
	in = w->open[w->depth - 1];
	if (in->kind == TREE_MAP && !w->key[w->depth - 1]) {
		if (n->kind != TREE_SCALAR || n->null) {
			policy_complain(t->errors, false, n->line, n->column, "a key must be a plain word");
			return -EINVAL;
		}
		w->key[w->depth - 1] = n;
		return 0;
	}
	if (in->kind == TREE_MAP) {
		n->key = w->key[w->depth - 1];
		w->key[w->depth - 1] = NULL;
	}
	if (in->last)
		in->last->next = n;
	else
		in->first = n;
	in->last = n;
	in->n++;
	return 0;
}

static int take_node(struct tree *t, struct walk *w, const yaml_event_t *ev)
{
	uint32_t line = (uint32_t)ev->start_mark.line + 1, column = (uint32_t)ev->start_mark.column + 1;
	struct tree_node *n;
	int rc = check_event(t, ev);

	if (rc < 0)
		return rc;
	if (t->n_nodes >= TREE_NODES_MAX) {
		policy_complain(t->errors, false, line, column, "more than %u values: split the policy",
				TREE_NODES_MAX);
		return -E2BIG;
	}
	n = node_new(t, ev);
	if (!n)
		return -ENOMEM;
	rc = place_node(t, w, n);
	if (rc < 0 || n->kind == TREE_SCALAR)
		return rc;
	if (w->depth == TREE_DEPTH_MAX) {
		policy_complain(t->errors, false, line, column,
				"nested more than %d deep: a policy never is; remove a level", TREE_DEPTH_MAX);
		return -EINVAL;
	}
	w->open[w->depth] = n;
	w->key[w->depth++] = NULL;
	return 0;
}

/* End of a list or map: a block ends with its last entry, not where libyaml notices the next line. */
static void close_node(struct tree *t, struct walk *w, const yaml_event_t *ev)
{
	struct tree_node *n = w->open[--w->depth];

	if (n->flow)
		n->end = offset_of(t, ev->end_mark.index);
	else if (n->last)
		n->end = n->last->end;
}

/* One event. 1 at the end of the stream, 0 to go on, or negative errno. */
static int take_event(struct tree *t, struct walk *w, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_STREAM_END_EVENT:
		return 1;
	case YAML_DOCUMENT_START_EVENT:
		if (w->documents++ == 0)
			return 0;
		policy_complain(t->errors, false, (uint32_t)ev->start_mark.line + 1, 1,
				"a second document begins here: a policy is one document; remove the '---'");
		return -EINVAL;
	case YAML_ALIAS_EVENT:
	case YAML_SCALAR_EVENT:
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return take_node(t, w, ev);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		close_node(t, w, ev);
		return 0;
	default:
		return 0;
	}
}

static int read_events(struct tree *t, struct tree_node **root)
{
	struct walk w = {.depth = 0};
	yaml_parser_t yp;
	yaml_event_t ev;
	int rc = 0;

	if (!yaml_parser_initialize(&yp))
		return -ENOMEM;
	yaml_parser_set_encoding(&yp, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&yp, (const unsigned char *)t->text + t->base, t->len - t->base);
	while (rc == 0) {
		if (!yaml_parser_parse(&yp, &ev)) {
			rc = yaml_complain(t, &yp);
			break;
		}
		rc = take_event(t, &w, &ev);
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&yp);
	if (rc < 0)
		return rc;
	*root = w.root && w.root->kind == TREE_SCALAR && w.root->null ? NULL : w.root;
	return 0;
}

int tree_parse(struct tree **out, struct tree_node **root, const char *text, size_t len, struct policy_errors *errors)
{
	struct tree *t;
	int rc;

	if (len > POLICY_TEXT_MAX) {
		policy_complain(errors, false, 0, 0, "the document has %zu MiB, more than 16: split the policy",
				len >> 20);
		return -E2BIG;
	}
	rc = check_bytes(text, len, errors);
	if (rc < 0)
		return rc;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->text = text;
	t->len = len;
	t->errors = errors;
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		t->base = 3;
	rc = make_marks(t);
	if (rc == 0)
		rc = read_events(t, root);
	if (rc < 0)
		tree_free(t);
	else
		*out = t;
	return rc;
}

struct tree_node *tree_get(const struct tree_node *map, const char *key)
{
	for (struct tree_node *n = map ? map->first : NULL; n; n = n->next) {
		if (n->key && strcmp(n->key->text, key) == 0)
			return n;
	}
	return NULL;
}
