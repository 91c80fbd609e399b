/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Words and operators of a filter: see filter_lex.h. */
#include "config.h"
#include "ui-cli/filter_lex.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *text;
	enum filter_token_kind kind;
	enum filter_op op;
} symbols[] = { /* longer ones first */
	{"&&", TOKEN_AND, 0},
	{"||", TOKEN_OR, 0},
	{"==", TOKEN_OP, FILTER_EQ},
	{"!=", TOKEN_OP, FILTER_NE},
	{"!~", TOKEN_OP, FILTER_NOT_GLOB},
	{"<=", TOKEN_OP, FILTER_LE},
	{">=", TOKEN_OP, FILTER_GE},
	{"=", TOKEN_OP, FILTER_EQ},
	{"~", TOKEN_OP, FILTER_GLOB},
	{"<", TOKEN_OP, FILTER_LT},
	{">", TOKEN_OP, FILTER_GT},
	{"!", TOKEN_NOT, 0},
	{"(", TOKEN_OPEN, 0},
	{")", TOKEN_CLOSE, 0},
};

static void bad(struct filter_token *t, const char *why)
{
	t->kind = TOKEN_BAD;
	snprintf(t->text, sizeof(t->text), "%s", why);
}

static void lex_quoted(struct filter_token *t, const char *text, size_t *at)
{
	char quote = text[*at];
	size_t len = 0;

	t->kind = TOKEN_WORD;
	t->quoted = true;
	for ((*at)++; text[*at] && text[*at] != quote; (*at)++) {
		if (len == sizeof(t->text) - 1) {
			bad(t, "this text is too long");
			return;
		}
		t->text[len++] = text[*at];
	}
	t->text[len] = '\0';
	if (text[*at] != quote)
		bad(t, "this quote is never closed");
	else
		(*at)++;
}

static void lex_word(struct filter_token *t, const char *text, size_t *at)
{
	size_t len = strcspn(text + *at, " \t\r\n()!=<>~&|\"'");

	t->kind = TOKEN_WORD;
	if (len == 0 || len >= sizeof(t->text)) {
		bad(t, len ? "this word is too long" : "this character means nothing here");
		return;
	}
	memcpy(t->text, text + *at, len);
	t->text[len] = '\0';
	*at += len;
	if (strcasecmp(t->text, "and") == 0)
		t->kind = TOKEN_AND;
	else if (strcasecmp(t->text, "or") == 0)
		t->kind = TOKEN_OR;
	else if (strcasecmp(t->text, "not") == 0)
		t->kind = TOKEN_NOT;
}

struct filter_token filter_lex(const char *text, size_t *at)
{
	struct filter_token t = {.kind = TOKEN_END};

	while (isspace((unsigned char)text[*at]))
		(*at)++;
	t.column = *at;
	if (!text[*at])
		return t;
	if (text[*at] == '"' || text[*at] == '\'') {
		lex_quoted(&t, text, at);
		return t;
	}
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		size_t len = strlen(symbols[i].text);

		if (strncmp(text + *at, symbols[i].text, len) != 0)
			continue;
		t.kind = symbols[i].kind;
		t.op = symbols[i].op;
		snprintf(t.text, sizeof(t.text), "%s", symbols[i].text);
		*at += len;
		return t;
	}
	lex_word(&t, text, at);
	return t;
}
