/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A policy document on disk: reading it with complaints for people, and replacing it whole. */
#ifndef WEIR_UI_POLICY_FILE_H
#define WEIR_UI_POLICY_FILE_H
#include <stddef.h>

#include "common/rule.h"
#include "segment/policy.h"
#include "ui-cli/options.h"

struct policy_file {
	const char *path; /* borrowed; "-" is standard input */
	char *text;
	size_t len;
	struct policy *policy;   /* NULL where the text cannot be used */
	struct policy_errors errors; /* warnings are there also after success */
};

/* Reads and parses. VERB_DONE; else an exit code, with every complaint printed as FILE:LINE:COLUMN: text. */
int policy_file_read(struct policy_file *out, const struct command *c, const char *path);
void policy_file_fini(struct policy_file *f);
/* The whole of a file, or of standard input for "-". 0 or negative errno. */
int policy_file_slurp(char **text, size_t *len, const char *path);
/* Prints what errors holds, on standard error. */
void policy_file_complain(const char *path, const struct policy_errors *errors);
/* The file as a ruleset. VERB_DONE, or an exit code with the complaint printed. */
int policy_file_compile(struct ruleset *out, const struct command *c, const struct policy_file *f);
/* Puts text in the file's place in one step (rename), keeping its mode and owner. A link is followed. 0 or negative
 * errno. */
int policy_file_replace(const char *path, const char *text, size_t len);

#endif
