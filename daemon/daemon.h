/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The daemon as the verb `run` starts it. */
#ifndef WEIR_DAEMON_DAEMON_H
#define WEIR_DAEMON_DAEMON_H
#include "daemon/settings.h"

/* Runs the appliance until SIGTERM or SIGINT; an exit status. Messages go to standard error, what it sees to
 * standard output. */
int daemon_run(const struct settings *s);

#endif
