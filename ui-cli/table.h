/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables for people. Columns align over the first rows (all, unless there are very many), numbers to the right; on a
 * terminal the table is made to fit, by cutting the columns that may be cut, widest first; elsewhere nothing is ever
 * cut. Colour only on a terminal, and not where NO_COLOR is set (https://no-color.org).
 *
 * Names and payload text come from outside: a control character never reaches the terminal.
 */
#ifndef WEIR_UI_TABLE_H
#define WEIR_UI_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum table_style { TABLE_PLAIN, TABLE_DIM, TABLE_BOLD, TABLE_GOOD, TABLE_WARN, TABLE_BAD };

struct table_column {
	const char *title;
	bool right; /* numbers */
	bool cut;   /* may be shortened on a narrow terminal */
	unsigned char min; /* columns it takes at least, in a table that streams */
};

struct table;

/* columns is borrowed. NULL when memory ran out. */
struct table *table_new(FILE *out, const struct table_column *columns, size_t n);
void table_free(struct table *t); /* does not print what is left: table_flush does */
/* Rows will come one by one, as things happen: columns get their min, since nobody knows what is still to come. */
void table_stream(struct table *t);
/* The next cell of the row; the row is complete with its last cell. NULL is "". */
void table_cell(struct table *t, enum table_style style, const char *text);
void table_number(struct table *t, uint64_t v);
/* A line of text under the last row, indented. Never cut. */
void table_note(struct table *t, enum table_style style, const char *text);
void table_flush(struct table *t);
size_t table_rows(const struct table *t); /* rows begun so far */

/* Is colour wanted on this stream? */
bool table_colour(FILE *out);
/* Text with control characters replaced, in the style if colour is wanted. */
void table_print(FILE *out, enum table_style style, const char *text);
/* Columns of the terminal behind out; 0 when it is none. */
unsigned table_width(FILE *out);

#endif
