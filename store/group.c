/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Group numbers: one database with both ways, 'n' name -> number and 'g' number -> name. */
#include "config.h"
#include "store/group.h"

#include <errno.h>
#include <string.h>

#include "store/key.h"
#include "store/txn.h"

int group_intern(uint32_t *out, struct store_txn *t, const char *name)
{
	size_t len = strnlen(name, GROUP_STRLEN);
	uint8_t by_name[1 + GROUP_STRLEN], by_number[5], number[4];
	MDB_dbi dbi = txn_db(t, DB_GROUPS);
	MDB_val v;
	MDB_stat st;
	uint32_t n;
	int rc;

	if (len == GROUP_STRLEN)
		return -EINVAL;
	key_put_bytes(key_put_u8(by_name, 'n'), name, len);
	rc = txn_get(t, dbi, by_name, 1 + len, &v);
	if (rc == 0 && v.mv_size == 4) {
		*out = key_get_u32(v.mv_data);
		return 0;
	}
	if (rc != -ENOENT)
		return rc ? rc : -EBADMSG;
	rc = db_errno(mdb_stat(t->mdb, dbi, &st));
	if (rc)
		return rc;
	n = (uint32_t)(st.ms_entries / 2 + 1); /* two records a name, none ever deleted */
	key_put_u32(number, n);
	key_put_u32(key_put_u8(by_number, 'g'), n);
	rc = txn_put(t, dbi, by_name, 1 + len, number, sizeof(number));
	if (!rc)
		rc = txn_put(t, dbi, by_number, sizeof(by_number), name, len);
	if (!rc)
		*out = n;
	return rc;
}

int group_name(char out[GROUP_STRLEN], struct store_txn *t, uint32_t number)
{
	uint8_t key[5];
	MDB_val v;
	int rc;

	key_put_u32(key_put_u8(key, 'g'), number);
	rc = txn_get(t, txn_db(t, DB_GROUPS), key, sizeof(key), &v);
	if (rc || v.mv_size >= GROUP_STRLEN)
		return rc && rc != -ENOENT ? rc : -EBADMSG;
	memcpy(out, v.mv_data, v.mv_size);
	out[v.mv_size] = '\0';
	return 0;
}
