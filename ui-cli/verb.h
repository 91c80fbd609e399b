/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verbs of the command line: one table (verb.c), one file a verb, one function each. A verb gets what stands behind
 * `weir` on the command line, with argv[0] its own name, and returns an exit code. `weir help VERB` is
 * `weir VERB --help`: a verb describes itself through struct command (ui-cli/options.h) and nowhere else.
 */
#ifndef WEIR_UI_VERB_H
#define WEIR_UI_VERB_H

enum verb_exit {
	VERB_DONE = 0,
	VERB_FAILED = 1,
	VERB_MISUSED = 2,
	VERB_WARNED = 3, /* found what the user asked to be warned of */
};

struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary; /* one line, for `weir --help` */
};

extern const struct verb verb_table[]; /* ends with a NULL name */

/* All of main(). */
int verb_main(int argc, char **argv);
/* The verb whose name is closest to text, or NULL when nothing is near. */
const char *verb_nearest(const char *text);

int verb_run(int argc, char **argv);
int verb_read(int argc, char **argv);
int verb_flows(int argc, char **argv);
int verb_map(int argc, char **argv);
int verb_top(int argc, char **argv);
int verb_who(int argc, char **argv);
int verb_trace(int argc, char **argv);
int verb_learn(int argc, char **argv);
int verb_policy(int argc, char **argv);
int verb_plan(int argc, char **argv);
int verb_replay(int argc, char **argv);
int verb_apply(int argc, char **argv);
int verb_confirm(int argc, char **argv);
int verb_rollback(int argc, char **argv);
int verb_blocks(int argc, char **argv);
int verb_explain(int argc, char **argv);
int verb_status(int argc, char **argv);

#endif
