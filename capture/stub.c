/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Placeholder until the first real file lands here. */
#include "config.h"
extern int capture_nothing_yet;
int capture_nothing_yet;
