/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Words for people: complaints with their place, "did you mean", hostile bytes made fit to print, and quoting. See
 * policy_text.h.
 */
#include "config.h"
#include "segment/policy_text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX 64 /* longer words get no suggestion */

void policy_complain(struct policy_errors *errors, bool warning, uint32_t line, uint32_t column, const char *fmt, ...)
{
	struct policy_error *e = NULL;
	char text[sizeof(e->text)];
	va_list ap;

	if (!warning)
		errors->fatal = true;
	if (errors->n < POLICY_ERRORS_MAX) {
		e = &errors->e[errors->n];
	} else if (!warning) {
		for (size_t i = POLICY_ERRORS_MAX; i-- > 0 && !e;) {
			if (errors->e[i].warning) {
				memmove(&errors->e[i], &errors->e[i + 1], (POLICY_ERRORS_MAX - 1 - i) * sizeof(*e));
				e = &errors->e[POLICY_ERRORS_MAX - 1];
			}
		}
	}
	errors->n++;
	if (!e)
		return;
	e->line = line;
	e->column = column;
	e->warning = warning;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* What is quoted from the document may be cut inside a character. */
	policy_text_show(e->text, sizeof(e->text), text, strlen(text));
}

void policy_error_format(struct buf *b, const struct policy_error *e, const char *file)
{
	if (file)
		buf_printf(b, "%s: ", file);
	if (e->line)
		buf_printf(b, "line %u", e->line);
	if (e->line && e->column)
		buf_printf(b, ", column %u", e->column);
	if (e->line)
		buf_adds(b, ": ");
	buf_printf(b, "%s: %s", e->warning ? "warning" : "error", e->text);
}

/* Damerau-Levenshtein distance with case ignored: one edit for a letter added, lost, changed, or swapped with its
 * neighbour. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[3][WORD_MAX + 1], *before = row[0], *last = row[1], *now = row[2], *spare;
	size_t n = strlen(a), m = strlen(b);

	if (n > WORD_MAX || m > WORD_MAX)
		return WORD_MAX;
	memset(row, 0, sizeof(row));
	for (unsigned k = 0; k <= m; k++)
		last[k] = k;
	for (unsigned i = 1; i <= n; i++) {
		now[0] = i;
		for (unsigned k = 1; k <= m; k++) {
			int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[k - 1]);
			unsigned best = last[k - 1] + (ca != cb);

			if (last[k] + 1 < best)
				best = last[k] + 1;
			if (now[k - 1] + 1 < best)
				best = now[k - 1] + 1;
			if (i > 1 && k > 1 && ca == tolower((unsigned char)b[k - 2]) &&
			    tolower((unsigned char)a[i - 2]) == cb && before[k - 2] + 1 < best)
				best = before[k - 2] + 1;
			now[k] = best;
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[m];
}

const char *policy_nearest(const char *written, const char *const *words)
{
	const char *best = NULL;
	size_t len = strlen(written);
	unsigned best_d = len < 2 ? 1 : len < 4 ? 2 : len < 8 ? 3 : 4; /* must be nearer than this */

	for (; *words; words++) {
		unsigned d = distance(written, *words);

		/* "in" for "inbound", "proj" for "project". */
		if (len >= 2 && strncasecmp(written, *words, len) == 0 && d > 1)
			d = 1;
		if (d < best_d) {
			best_d = d;
			best = *words;
		}
	}
	return best;
}

size_t policy_text_bad_utf8(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t i = 0;

	while (i < len) {
		unsigned c = p[i];
		size_t more = c < 0x80		   ? 0
			      : (c & 0xe0) == 0xc0 ? 1
			      : (c & 0xf0) == 0xe0 ? 2
			      : (c & 0xf8) == 0xf0 ? 3
						   : 9;
		unsigned long v = more == 0 ? c : c & (0x3fu >> more);

		if (more == 9 || more >= len - i)
			return i;
		for (size_t k = 1; k <= more; k++) {
			if ((p[i + k] & 0xc0) != 0x80)
				return i;
			v = v << 6 | (p[i + k] & 0x3f);
		}
		/* Longer than need be, a surrogate, or beyond the last code point. */
		if ((more == 1 && v < 0x80) || (more == 2 && v < 0x800) || (more == 3 && v < 0x10000) ||
		    (v >= 0xd800 && v < 0xe000) || v > 0x10ffff)
			return i;
		i += more + 1;
	}
	return len;
}

const char *policy_text_show(char *out, size_t size, const char *text, size_t len)
{
	size_t n = 0, whole = len, bad = policy_text_bad_utf8(text, len);
	bool cut = len > size - 1;

	if (cut)
		len = size - 4;
	/* Never cut inside a character. */
	while (cut && len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	for (; n < len; n++) {
		unsigned char c = (unsigned char)text[n];

		out[n] = c < 0x20 || c == 0x7f || n == bad ? '?' : (char)c;
		if (n == bad)
			bad = n + 1 + policy_text_bad_utf8(text + n + 1, whole - n - 1);
	}
	out[n] = '\0';
	if (cut)
		strcpy(out + n, "...");
	return out;
}

/* Would some reader of YAML 1.1 or 1.2 take the word for something else than a string? */
static bool is_special_word(const char *text)
{
	static const char *const words[] = {"null", "true", "false", "yes",  "no",   "on", "off",
					    "y",    "n",    "~",     ".nan", ".inf", NULL};
	char *end;

	for (size_t i = 0; words[i]; i++) {
		if (strcasecmp(words[i], text) == 0)
			return true;
	}
	/* Numbers in every base, and dates. */
	if (strchr("0123456789.+-", text[0])) {
		(void)strtod(text, &end);
		return *end == '\0' || strspn(text, "0123456789_.,:-+eExXoO") == strlen(text);
	}
	return false;
}

static bool is_plain(const char *text)
{
	struct addr a;

	for (const char *c = text; *c; c++) {
		if (!isascii((unsigned char)*c) || !(isalnum((unsigned char)*c) || strchr("_./-+@", *c)))
			return false;
	}
	if (text[0] == '\0' || text[0] == '-' || text[0] == '@')
		return false;
	return !is_special_word(text) || (strchr(text, '.') && addr_parse(&a, text) == 0);
}

void policy_emit_scalar(struct buf *b, const char *text)
{
	bool control = policy_text_bad_utf8(text, strlen(text)) < strlen(text);

	if (is_plain(text)) {
		buf_adds(b, text);
		return;
	}
	for (const char *c = text; *c; c++)
		control = control || (unsigned char)*c < 0x20 || *c == 0x7f;
	buf_addc(b, control ? '"' : '\'');
	for (const char *c = text; *c; c++) {
		unsigned char u = (unsigned char)*c;

		if (control && (u < 0x20 || u >= 0x7f))
			buf_printf(b, "\\x%02x", u);
		else if (control && (u == '"' || u == '\\'))
			buf_printf(b, "\\%c", u);
		else if (!control && u == '\'')
			buf_adds(b, "''");
		else
			buf_addc(b, (char)u);
	}
	buf_addc(b, control ? '"' : '\'');
}
