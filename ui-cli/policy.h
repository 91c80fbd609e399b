/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs behind `weir policy`, and what they share with plan. */
#ifndef WEIR_UI_POLICY_H
#define WEIR_UI_POLICY_H
#include <stdbool.h>

#include "segment/diff.h"

int policy_generate_verb(int argc, char **argv);
int policy_check_verb(int argc, char **argv);
int policy_diff_verb(int argc, char **argv);
int policy_export_verb(int argc, char **argv);

/* The differences on standard output, as text or as lines of JSON. 0 or -ENOMEM. */
int policy_print_diff(const struct diff *d, bool json);

#endif
