/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Words and operators of a filter, with the column that each begins at. */
#ifndef WEIR_UI_FILTER_LEX_H
#define WEIR_UI_FILTER_LEX_H
#include <stddef.h>

#include "ui-cli/filter_tree.h"

enum filter_token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_AND,
	TOKEN_OR,
	TOKEN_NOT,
	TOKEN_OP,
	TOKEN_BAD
};

struct filter_token {
	enum filter_token_kind kind;
	enum filter_op op; /* TOKEN_OP */
	bool quoted;       /* a word that was written in quotes: never a keyword */
	size_t column;
	char text[FILTER_WORD];
};

/* The token at *at of text, which moves behind it. TOKEN_BAD: an unknown character, an open quote, or a word that is
 * too long; text tells. */
struct filter_token filter_lex(const char *text, size_t *at);

#endif
