/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Group names as numbers. A name of up to 127 bytes stands in every edge of every hour, twice; a number takes four.
 * Numbers are given once, from 1, and never change their meaning.
 */
#ifndef WEIR_STORE_GROUP_H
#define WEIR_STORE_GROUP_H
#include <stdint.h>

#include "common/workload.h"

struct store_txn;

int group_intern(uint32_t *out, struct store_txn *t, const char *name); /* gives a number where there is none */
int group_name(char out[GROUP_STRLEN], struct store_txn *t, uint32_t number); /* -EBADMSG: no such number */

#endif
