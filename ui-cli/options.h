/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Options of a verb, described once: the description parses them (getopt_long), checks their values, and prints
 * `weir VERB --help`. An error says which option, what was wrong with it and what would be right.
 *
 *	const char *state = STATE_DIR_DEFAULT;
 *	uint64_t since = 0;
 *	const struct option_spec options[] = {OPTION_STATE(&state), OPTION_SINCE(&since), OPTION_END};
 *	const struct command c = {.verb = "flows", .usage = "[FILTER] [options]", .about = "...", .options = options,
 *				  .examples = "  weir flows port 443\n", .max_operands = -1};
 *	struct operands rest;
 *	int status;
 *
 *	if (!options_parse(&c, argc, argv, &rest, &status))
 *		return status;
 */
#ifndef WEIR_UI_OPTIONS_H
#define WEIR_UI_OPTIONS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_DIR_DEFAULT "/var/lib/weir"

enum option_kind {
	OPTION_KIND_END,
	OPTION_KIND_FLAG,   /* bool: set to true */
	OPTION_KIND_TEXT,   /* const char * */
	OPTION_KIND_TEXTS,  /* struct option_texts: may be given again */
	OPTION_KIND_TIME,   /* uint64_t, UTC nanoseconds (time_parse) */
	OPTION_KIND_SPAN,   /* uint64_t, nanoseconds (duration_parse) */
	OPTION_KIND_NUMBER, /* uint64_t */
	OPTION_KIND_CHOICE, /* int: index into choices */
};

#define OPTION_TEXTS_MAX 64
struct option_texts {
	const char *text[OPTION_TEXTS_MAX];
	size_t n;
};

struct option_spec {
	enum option_kind kind;
	char letter;          /* 0: none */
	const char *name;     /* long name without dashes, or NULL */
	const char *arg;      /* its value's name in the help; NULL for a flag */
	const char *text;     /* one line of help */
	void *value;          /* where it goes; keeps what it has (the default) when the option is absent */
	const char *const *choices; /* CHOICE: NULL-terminated; the help lists them */
};

#define OPTION_END {OPTION_KIND_END, 0, NULL, NULL, NULL, NULL, NULL}
#define OPTION_STATE(v) {OPTION_KIND_TEXT, 0, "state", "DIR", "state directory [" STATE_DIR_DEFAULT "]", v, NULL}
#define OPTION_TIME_FORMS "RFC 3339, \"YYYY-MM-DD HH:MM\", or -90m"
#define OPTION_SINCE(v) {OPTION_KIND_TIME, 0, "since", "T", "from T on: " OPTION_TIME_FORMS, v, NULL}
#define OPTION_UNTIL(v) {OPTION_KIND_TIME, 0, "until", "T", "up to T", v, NULL}
#define OPTION_OUTPUT(v, list) {OPTION_KIND_CHOICE, 'o', "output", "FORMAT", "how to print", v, list}

struct command {
	const char *verb;     /* "flows", "policy generate" */
	const char *usage;    /* what follows it: "[FILTER] [options]" */
	const char *about;    /* a paragraph, lines broken by hand, ending with a newline */
	const struct option_spec *options; /* up to OPTION_END */
	const char *examples; /* lines, each indented by two blanks and ending with a newline; never NULL */
	int min_operands, max_operands; /* of what is left behind the options; max -1: any number */
};

struct operands {
	char **v; /* borrowed from argv */
	int n;
};

/* True: go on. False: return *status (help was printed, or a complaint). argv is reordered, operands last. */
bool options_parse(const struct command *c, int argc, char **argv, struct operands *rest, int *status);

/* Messages on standard error, "weir VERB: text". The first returns VERB_FAILED; the second points at --help and returns
 * VERB_MISUSED. */
int command_failed(const struct command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int command_misused(const struct command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Operands joined by blanks (a FILTER given unquoted), the caller's to free; NULL when there are none. */
char *operands_join(const struct operands *o);

#endif
