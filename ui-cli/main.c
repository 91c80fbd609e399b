/* SPDX-License-Identifier: GPL-3.0-or-later */
/* weir: one call, so that every line behind it can be tested. */
#include "config.h"
int main(void)
{
	return 2;
}
