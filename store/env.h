/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening and closing the LMDB environment of a state directory: locks, the map's size, who may share it. */
#ifndef WEIR_STORE_ENV_H
#define WEIR_STORE_ENV_H
#include "store/txn.h"

#define STORE_FILE "weir.mdb"

/* As store_open; budget is the size the file may reach. */
int env_open(struct store_env **out, const char *dir, enum store_mode mode, const struct store_options *options);
void env_close(struct store_env *e);
/* Lets the file grow to bytes, when no transaction is open in this process. 0 or -EBUSY. */
int env_allow(struct store_env *e, uint64_t bytes);
/* Bytes. LMDB never shrinks a file: what is no longer used is free for later transactions, but what the last
 * transaction freed is not yet so for the next one. */
struct env_space {
	uint64_t file, free, free_next; /* free_next: the part of free that the next transaction can take */
};
int env_space(struct env_space *out, struct store_env *e, MDB_txn *txn);
/* For retention only: that much of a budget is kept back from ordinary transactions. */
uint64_t env_reserve(uint64_t budget);

#endif
