/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Options by description: see options.h. getopt_long does the splitting; its own messages are switched off, since they
 * name the program and not the verb, and cannot say what would have been right.
 */
#include "config.h"
#include "ui-cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/timefmt.h"
#include "ui-cli/verb.h"

#define OPTIONS_MAX 24
#define LONG_BASE 256 /* getopt's value for option i is LONG_BASE + i, so that letters and names meet */

static void complain(const struct command *c, const char *fmt, va_list ap)
{
	fprintf(stderr, "weir %s: ", c->verb);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int command_failed(const struct command *c, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	complain(c, fmt, ap);
	va_end(ap);
	return VERB_FAILED;
}

int command_misused(const struct command *c, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	complain(c, fmt, ap);
	va_end(ap);
	fprintf(stderr, "usage: weir %s %s\n`weir %s --help` tells more\n", c->verb, c->usage, c->verb);
	return VERB_MISUSED;
}

static void join_choices(struct buf *b, const struct option_spec *o, const char *between)
{
	for (size_t i = 0; o->choices[i]; i++)
		buf_printf(b, "%s%s", i ? between : "", o->choices[i]);
}

static void print_help(const struct command *c)
{
	printf("usage: weir %s %s\n\n%s", c->verb, c->usage, c->about);
	for (const struct option_spec *o = c->options; o && o->kind; o++) {
		struct buf left = BUF_INIT, right = BUF_INIT;

		if (o == c->options)
			puts("\noptions:");
		if (o->letter)
			buf_printf(&left, "-%c%s", o->letter, o->name ? ", " : "");
		else
			buf_adds(&left, "    ");
		if (o->name)
			buf_printf(&left, "--%s", o->name);
		if (o->arg)
			buf_printf(&left, " %s", o->arg);
		buf_adds(&right, o->text);
		if (o->choices) {
			buf_adds(&right, ": ");
			join_choices(&right, o, ", ");
			buf_printf(&right, " [%s]", o->choices[*(const int *)o->value]);
		}
		printf("  %-24s %s\n", left.data ? left.data : "", right.data ? right.data : "");
		buf_fini(&left);
		buf_fini(&right);
	}
	printf("\nexamples:\n%s", c->examples);
}

/* "--since" or "-f", as the user would write it. */
static const char *option_label(const struct option_spec *o, char out[40])
{
	if (o->name)
		snprintf(out, 40, "--%s", o->name);
	else
		snprintf(out, 40, "-%c", o->letter);
	return out;
}

static int set_choice(const struct command *c, const struct option_spec *o, const char *arg)
{
	struct buf list = BUF_INIT;
	char label[40];

	for (int i = 0; o->choices[i]; i++) {
		if (strcmp(o->choices[i], arg) == 0) {
			*(int *)o->value = i;
			return VERB_DONE;
		}
	}
	join_choices(&list, o, ", ");
	command_misused(c, "%s: \"%s\" is none of %s", option_label(o, label), arg, list.data ? list.data : "");
	buf_fini(&list);
	return VERB_MISUSED;
}

static int set_number(const struct command *c, const struct option_spec *o, const char *arg)
{
	char label[40], *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end || errno)
		return command_misused(c, "%s: \"%s\" is no whole number", option_label(o, label), arg);
	*(uint64_t *)o->value = v;
	return VERB_DONE;
}

static int set_value(const struct command *c, const struct option_spec *o, const char *arg)
{
	struct option_texts *texts = o->value;
	char label[40];

	switch (o->kind) {
	case OPTION_KIND_FLAG:
		*(bool *)o->value = true;
		return VERB_DONE;
	case OPTION_KIND_TEXT:
		*(const char **)o->value = arg;
		return VERB_DONE;
	case OPTION_KIND_TEXTS:
		if (texts->n == OPTION_TEXTS_MAX)
			return command_misused(c, "%s: given more than %d times", option_label(o, label),
					       OPTION_TEXTS_MAX);
		texts->text[texts->n++] = arg;
		return VERB_DONE;
	case OPTION_KIND_TIME:
		if (time_parse(o->value, arg, time_now_ns()) == 0)
			return VERB_DONE;
		return command_misused(
			c,
			"%s: \"%s\" is no time; write 2026-11-21T02:14:00Z, \"2026-11-21 02:14\", 02:14, "
			"or -90m for ninety minutes ago",
			option_label(o, label), arg);
	case OPTION_KIND_SPAN:
		if (duration_parse(o->value, arg) == 0)
			return VERB_DONE;
		return command_misused(c, "%s: \"%s\" is no span of time; write 90s, 10m, 2h or 7d",
				       option_label(o, label), arg);
	case OPTION_KIND_NUMBER:
		return set_number(c, o, arg);
	case OPTION_KIND_CHOICE:
		return set_choice(c, o, arg);
	case OPTION_KIND_END:
		break;
	}
	return VERB_FAILED;
}

/* The description in getopt's own terms. Returns how many options there are. */
static int to_getopt(const struct command *c, struct option *longs, char *letters)
{
	int n = 0;

	*letters++ = ':'; /* a missing argument is told as ':' */
	*letters++ = 'h';
	for (const struct option_spec *o = c->options; o && o->kind && n < OPTIONS_MAX; o++, n++) {
		longs[n].name = o->name ? o->name : "";
		longs[n].has_arg = o->arg ? required_argument : no_argument;
		longs[n].flag = NULL;
		longs[n].val = LONG_BASE + n;
		if (o->letter) {
			*letters++ = o->letter;
			if (o->arg)
				*letters++ = ':';
		}
	}
	*letters = '\0';
	longs[n] = (struct option){"help", no_argument, NULL, 'h'};
	longs[n + 1] = (struct option){NULL, 0, NULL, 0};
	return n;
}

static int check_operands(const struct command *c, const struct operands *rest)
{
	if (rest->n < c->min_operands)
		return command_misused(c, rest->n ? "something is missing behind \"%s\"" : "something is missing%s",
				       rest->n ? rest->v[rest->n - 1] : "");
	if (c->max_operands >= 0 && rest->n > c->max_operands)
		return command_misused(c, "what is \"%s\" to mean?", rest->v[c->max_operands]);
	return VERB_DONE;
}

bool options_parse(const struct command *c, int argc, char **argv, struct operands *rest, int *status)
{
	struct option longs[OPTIONS_MAX + 2];
	char letters[2 * OPTIONS_MAX + 3];
	int n = to_getopt(c, longs, letters), got;

	optind = 0; /* GNU: start over, also for a second command line in one process */
	opterr = 0;
	while ((got = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct option_spec *o = NULL;

		if (got == 'h') {
			print_help(c);
			*status = VERB_DONE;
			return false;
		}
		if (got == '?' || got == ':') {
			char letter[3] = {'-', (char)optopt, '\0'};
			const char *word = optopt > 0 && optopt < LONG_BASE ? letter : argv[optind - 1];

			*status = got == ':' ? command_misused(c, "%s needs a value", word)
					     : command_misused(c, "there is no option %s", word);
			return false;
		}
		for (int i = 0; i < n; i++) {
			if (got == LONG_BASE + i || got == c->options[i].letter)
				o = &c->options[i];
		}
		*status = o ? set_value(c, o, optarg) : VERB_MISUSED;
		if (*status != VERB_DONE)
			return false;
	}
	rest->v = argv + optind;
	rest->n = argc - optind;
	*status = check_operands(c, rest);
	return *status == VERB_DONE;
}

char *operands_join(const struct operands *o)
{
	struct buf b = BUF_INIT;

	if (o->n == 0)
		return NULL;
	for (int i = 0; i < o->n; i++)
		buf_printf(&b, "%s%s", i ? " " : "", o->v[i]);
	return buf_take(&b);
}
