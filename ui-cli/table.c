/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables for people: see table.h. The first TABLE_SAMPLE rows are kept back to find the widths; behind them rows are
 * printed as they come, with those widths, so that a table of millions of rows needs no memory and a followed one does
 * not wait.
 */
#include "config.h"
#include "ui-cli/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "common/buf.h"

#define TABLE_SAMPLE 2000
#define TABLE_GAP 2
#define TABLE_CUT_MIN 8 /* columns are not cut below this */

struct cell {
	char *text; /* clean */
	enum table_style style;
	unsigned width; /* in columns of the terminal */
	bool note;      /* a row of its own */
};

struct table {
	FILE *out;
	const struct table_column *columns;
	size_t n_columns, n_cells, max_cells, rows, column;
	struct cell *cells;
	unsigned *width;
	struct buf line; /* the row being printed */
	bool colour, header_done, widths_done, stream;
};

bool table_colour(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(out)) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

unsigned table_width(FILE *out)
{
	const char *columns = getenv("COLUMNS");
	struct winsize ws;
	long n;

	if (!isatty(fileno(out)))
		return 0;
	if (ioctl(fileno(out), TIOCGWINSZ, &ws) == 0 && ws.ws_col)
		return ws.ws_col;
	n = columns ? strtol(columns, NULL, 10) : 0;
	return n > 0 && n < 10000 ? (unsigned)n : 80;
}

/* One character of s: its bytes in *len, its columns returned; -1 for what must not be printed. */
static int next_char(const char *s, mbstate_t *state, size_t *len)
{
	wchar_t c;

	*len = mbrtowc(&c, s, MB_CUR_MAX, state);
	if (*len == (size_t)-1 || *len == (size_t)-2 || *len == 0) {
		memset(state, 0, sizeof(*state));
		*len = 1;
		return -1;
	}
	return wcwidth(c);
}

/* A printable copy, the caller's; *width: columns it takes. */
static char *clean(const char *text, unsigned *width)
{
	struct buf b = BUF_INIT;
	mbstate_t state;

	memset(&state, 0, sizeof(state));
	*width = 0;
	for (size_t len; *text; text += len) {
		int w = next_char(text, &state, &len);

		if (w < 0) {
			buf_addc(&b, '?');
			w = 1;
		} else {
			buf_add(&b, text, len);
		}
		*width += (unsigned)w;
	}
	return buf_take(&b);
}

static const char *style_start(enum table_style style)
{
	static const char *const codes[] = {"", "\033[2m", "\033[1m", "\033[32m", "\033[33m", "\033[31m"};

	return codes[style];
}

static void put(struct buf *b, bool colour, enum table_style style, const char *text)
{
	if (colour && style != TABLE_PLAIN && *text)
		buf_printf(b, "%s%s\033[0m", style_start(style), text);
	else
		buf_adds(b, text);
}

void table_print(FILE *out, enum table_style style, const char *text)
{
	struct buf b = BUF_INIT;
	unsigned width;
	char *copy = clean(text ? text : "", &width);

	if (copy)
		put(&b, table_colour(out), style, copy);
	if (b.data)
		fputs(b.data, out);
	buf_fini(&b);
	free(copy);
}

struct table *table_new(FILE *out, const struct table_column *columns, size_t n)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->width = calloc(n, sizeof(*t->width));
	if (!t->width) {
		free(t);
		return NULL;
	}
	t->out = out;
	t->columns = columns;
	t->n_columns = n;
	t->colour = table_colour(out);
	return t;
}

static void drop_cells(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i].text);
	t->n_cells = 0;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	drop_cells(t);
	buf_fini(&t->line);
	free(t->cells);
	free(t->width);
	free(t);
}

void table_stream(struct table *t)
{
	t->stream = true;
}

size_t table_rows(const struct table *t)
{
	return t->rows;
}

/* Widths from the rows held back; then as much off the widest columns that may be cut as the terminal asks for. */
static void find_widths(struct table *t)
{
	unsigned room = table_width(t->out), total = 0;
	size_t column = 0;

	for (size_t i = 0; i < t->n_columns; i++) {
		t->width[i] = (unsigned)strlen(t->columns[i].title);
		if (t->stream && t->columns[i].min > t->width[i])
			t->width[i] = t->columns[i].min;
	}
	for (size_t i = 0; i < t->n_cells; i++) {
		if (t->cells[i].note)
			continue;
		if (t->cells[i].width > t->width[column])
			t->width[column] = t->cells[i].width;
		column = (column + 1) % t->n_columns;
	}
	for (size_t i = 0; i < t->n_columns; i++)
		total += t->width[i] + (i ? TABLE_GAP : 0);
	while (room && total > room) {
		size_t widest = t->n_columns;

		for (size_t i = 0; i < t->n_columns; i++) {
			if (t->columns[i].cut && t->width[i] > TABLE_CUT_MIN &&
			    (widest == t->n_columns || t->width[i] > t->width[widest]))
				widest = i;
		}
		if (widest == t->n_columns)
			break;
		t->width[widest]--;
		total--;
	}
	t->widths_done = true;
}

/* Shortens c to width columns, its end shown as "~". */
static void cut_cell(struct cell *c, unsigned width)
{
	mbstate_t state;
	unsigned used = 0;
	char *p = c->text;

	memset(&state, 0, sizeof(state));
	for (size_t len; *p; p += len) {
		int w = next_char(p, &state, &len);

		if (used + (unsigned)(w < 0 ? 1 : w) > width - 1)
			break;
		used += (unsigned)(w < 0 ? 1 : w);
	}
	strcpy(p, "~"); /* there was at least one character more here */
	c->width = used + 1;
}

/* Prints the row; empty cells at its end leave no blanks behind. */
static void end_line(struct table *t)
{
	while (t->line.len && t->line.data[t->line.len - 1] == ' ')
		t->line.len--;
	fwrite(t->line.data ? t->line.data : "", 1, t->line.len, t->out);
	fputc('\n', t->out);
	buf_clear(&t->line);
}

static void print_cell(struct table *t, struct cell *c, size_t column)
{
	bool last = column + 1 == t->n_columns, right = t->columns[column].right;
	unsigned width = t->width[column], pad;

	if (c->width > width && t->columns[column].cut && table_width(t->out))
		cut_cell(c, width);
	pad = c->width < width ? width - c->width : 0;
	buf_printf(&t->line, "%*s", (int)((column ? TABLE_GAP : 0) + (right ? pad : 0)), "");
	put(&t->line, t->colour, c->style, c->text);
	if (!right && !last)
		buf_printf(&t->line, "%*s", (int)pad, "");
	if (last)
		end_line(t);
}

static void print_header(struct table *t)
{
	if (t->header_done)
		return;
	t->header_done = true;
	for (size_t i = 0; i < t->n_columns; i++) {
		unsigned width = (unsigned)strlen(t->columns[i].title);
		struct cell c = {strdup(t->columns[i].title), TABLE_BOLD, width, false};

		if (c.text)
			print_cell(t, &c, i);
		free(c.text);
	}
}

void table_flush(struct table *t)
{
	size_t column = 0;

	if (t->rows == 0)
		return;
	if (!t->widths_done)
		find_widths(t);
	print_header(t);
	for (size_t i = 0; i < t->n_cells; i++) {
		struct cell *c = &t->cells[i];

		if (c->note) {
			buf_adds(&t->line, "    ");
			put(&t->line, t->colour, c->style, c->text);
			end_line(t);
			continue;
		}
		print_cell(t, c, column);
		column = (column + 1) % t->n_columns;
	}
	drop_cells(t);
	fflush(t->out);
}

static void add(struct table *t, enum table_style style, const char *text, bool note)
{
	struct cell c = {NULL, style, 0, note};

	if (t->n_cells == t->max_cells) {
		size_t max = t->max_cells ? 2 * t->max_cells : 256;
		struct cell *more = realloc(t->cells, max * sizeof(*more));

		if (!more)
			return;
		t->cells = more;
		t->max_cells = max;
	}
	c.text = clean(text ? text : "", &c.width);
	if (c.text)
		t->cells[t->n_cells++] = c;
}

void table_cell(struct table *t, enum table_style style, const char *text)
{
	if (t->column == 0 && t->rows && (t->rows % TABLE_SAMPLE == 0 || t->widths_done))
		table_flush(t);
	add(t, style, text, false);
	if (t->column == 0)
		t->rows++;
	t->column = (t->column + 1) % t->n_columns;
}

void table_number(struct table *t, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	table_cell(t, TABLE_PLAIN, text);
}

void table_note(struct table *t, enum table_style style, const char *text)
{
	add(t, style, text, true);
}
