/* SPDX-License-Identifier: GPL-3.0-or-later */
/* weir: one call, so that every line behind it can be tested. */
#include "config.h"

#include "ui-cli/verb.h"

int main(int argc, char **argv)
{
	return verb_main(argc, argv);
}
