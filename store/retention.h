/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forgetting in time, so that a transaction finds room: see retention.c. store_retain itself is in db.h. */
#ifndef WEIR_STORE_RETENTION_H
#define WEIR_STORE_RETENTION_H
#include "store/txn.h"

/* store_begin without making room first. */
int txn_begin(struct store_txn **out, struct store *s, bool write);
/* When the file is near its budget: drops the oldest until a transaction of ordinary size fits. 0 or negative errno. */
int retention_make_room(struct store *s);

#endif
