/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `weir run`: the appliance in the foreground. Reads the configuration, lets the command line go before it, and hands
 * over to daemon/. The daemon starts its other processes through this same verb, with a role that is not for people.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/roles.h"
#include "daemon/settings.h"
#include "ui-cli/options.h"
#include "ui-cli/verb.h"

int verb_run(int argc, char **argv)
{
	const char *state = NULL, *config = NULL;
	const struct option_spec options[] = {
		{OPTION_KIND_TEXT, 'c', "config", "FILE", "configuration (YAML); everything in it is optional", &config,
		 NULL},
		OPTION_STATE(&state),
		OPTION_END,
	};
	const struct command c = {
		.verb = "run",
		.usage = "[-c FILE] [--state DIR]",
		.about = "The appliance, in the foreground: captures on every container bridge, names\n"
			 "both ends of every flow, keeps them in the state directory, and takes orders\n"
			 "(weir apply, confirm, rollback). Started as root it becomes user weir (or\n"
			 "nobody) and keeps CAP_NET_ADMIN and CAP_NET_RAW only. It blocks nothing by\n"
			 "itself. Ends on Ctrl-C or SIGTERM; rules that are in the kernel stay there.\n",
		.options = options,
		.examples = "  weir run\n  weir run --state /tmp/try &   then: weir map --state /tmp/try\n",
		.max_operands = 0,
	};
	struct operands rest;
	struct settings s;
	char error[SETTINGS_ERROR_STRLEN];
	int status, rc;

	if (argc == 3 && strcmp(argv[1], "--role") == 0)
		return role_main(argv[2]);
	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	rc = settings_init(&s);
	if (rc == 0 && config) {
		rc = config_read(&s, config, error);
		if (rc) {
			settings_fini(&s);
			return command_failed(&c, "%s", error);
		}
	}
	if (rc == 0 && state)
		rc = settings_set_text(&s.state, state);
	if (rc)
		return command_failed(&c, "out of memory");
	status = daemon_run(&s);
	settings_fini(&s);
	return status ? VERB_FAILED : VERB_DONE;
}
