/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finding the verb: the table of all of them, `--help`, `help VERB` and `--version`, and the nearest name for whoever
 * mistyped one. A word that is no verb is wrong use (exit 2); nothing else is decided here.
 */
#include "config.h"
#include "ui-cli/verb.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

const struct verb verb_table[] = {
	{"run", verb_run, "the appliance, in the foreground"},
	{"read", verb_read, "capture files through the same pipeline"},
	{"flows", verb_flows, "conversations, one a line"},
	{"map", verb_map, "who talks to whom, over what"},
	{"top", verb_top, "the busiest edges now, live"},
	{"who", verb_who, "which workload had an address, now or then"},
	{"trace", verb_trace, "whom a workload could have reached, or been reached by"},
	{"learn", verb_learn, "the edges as evidence for a policy, and how ready each group is"},
	{"policy", verb_policy, "generate, check, diff or export the policy document"},
	{"plan", verb_plan, "what applying a policy would change, and whom it would have hurt"},
	{"replay", verb_replay, "a policy against history: what it would have refused"},
	{"apply", verb_apply, "put a policy into the kernel, each group at its stage"},
	{"confirm", verb_confirm, "make what enforces now last"},
	{"rollback", verb_rollback, "put an earlier generation back, or take the table away"},
	{"blocks", verb_blocks, "what was refused, or would have been, and why"},
	{"explain", verb_explain, "what happens to a connection now, and why"},
	{"status", verb_status, "is it running, what does it see, what has it lost"},
	{NULL, NULL, NULL},
};

static const struct verb *find(const char *name)
{
	for (const struct verb *v = verb_table; v->name; v++) {
		if (strcmp(v->name, name) == 0)
			return v;
	}
	return NULL;
}

#define WORD_MAX 32

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Edits from a to b: insert, delete, replace one character, or exchange two neighbours, which is what fingers do. Three
 * rows of the matrix: this one, and the two above it. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	size_t m = strlen(a), n = strlen(b);

	if (m > WORD_MAX || n > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= n; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= m; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n; j++) {
			row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return rows[m % 3][n];
}

/* In a word of four letters two edits leave half of it: that is another word. */
const char *verb_nearest(const char *text)
{
	size_t len = strlen(text);
	unsigned best = len < 5 ? 2 : 3;
	const char *nearest = NULL;

	for (const struct verb *v = verb_table; v->name; v++) {
		unsigned d = distance(text, v->name);

		if (len >= 2 && strncmp(text, v->name, len) == 0)
			d = 0;
		if (d < best && d < strlen(v->name)) {
			best = d;
			nearest = v->name;
		}
	}
	return nearest;
}

static void print_help(FILE *out)
{
	fputs("usage: weir VERB [options]\n\n"
	      "Shows which containers talk to which, and confines them to that.\n\n", out);
	for (const struct verb *v = verb_table; v->name; v++)
		fprintf(out, "  %-10s %s\n", v->name, v->summary);
	fputs("\n  weir help VERB   what a verb does, its options, examples\n"
	      "  weir --version   version\n\n"
	      "Exit codes: 0 done, 1 failed, 2 wrong use, 3 found what you asked to be warned of.\n", out);
}

static int unknown(const char *name)
{
	const char *nearest = verb_nearest(name);

	if (nearest) {
		fprintf(stderr, "weir: there is no verb \"%s\". Did you mean \"weir %s\"? `weir --help` lists all\n",
			name, nearest);
		return VERB_MISUSED;
	}
	fprintf(stderr, "weir: there is no verb \"%s\". There are:", name);
	for (const struct verb *v = verb_table; v->name; v++)
		fprintf(stderr, " %s", v->name);
	fputs("; `weir --help` says what each does\n", stderr);
	return VERB_MISUSED;
}

/* An answer that could not be written is no answer. Whoever closed the pipe has read enough. */
static int finish(const struct verb *v, int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (errno == EPIPE)
		return status;
	fprintf(stderr, "weir %s: the output could not be written: %s\n", v->name, strerror(errno));
	return VERB_FAILED;
}

int verb_main(int argc, char **argv)
{
	char help[] = "--help";
	char *help_args[] = {NULL, help, NULL, NULL};
	const struct verb *v;

	setlocale(LC_ALL, "");
	if (argc < 2) {
		print_help(stderr);
		return VERB_MISUSED;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("weir %s\n", PACKAGE_VERSION);
		return VERB_DONE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    (strcmp(argv[1], "help") == 0 && argc == 2)) {
		print_help(stdout);
		return VERB_DONE;
	}
	if (strcmp(argv[1], "help") == 0) {
		help_args[0] = argv[2];
		if (argc > 3) { /* weir help policy generate */
			help_args[1] = argv[3];
			help_args[2] = help;
		}
		v = find(argv[2]);
		return v ? v->run(argc > 3 ? 3 : 2, help_args) : unknown(argv[2]);
	}
	v = find(argv[1]);
	return v ? finish(v, v->run(argc - 1, argv + 1)) : unknown(argv[1]);
}
