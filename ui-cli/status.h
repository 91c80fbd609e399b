/* SPDX-License-Identifier: GPL-3.0-or-later */
/* weir status for people, from the JSON form (daemon/control.h), which has what is known and lacks what is not. */
#ifndef WEIR_UI_STATUS_H
#define WEIR_UI_STATUS_H
#include <jansson.h>
#include <stdio.h>

void status_write_text(json_t *status, FILE *out);

#endif
