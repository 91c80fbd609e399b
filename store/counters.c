/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel's counters as they were read last: small named values, "counter/" and the key in hex. They are written in
 * the transaction that has what grew, so that after a crash both are there or neither is, and nothing is counted twice.
 */
#include "config.h"
#include "store/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

#define PREFIX "counter/"
#define NAME_LEN (sizeof(PREFIX) + 2 * (COUNTER_KEY_MAX + 1))

int store_counter_put(struct store_txn *t, const struct counter_rec *c)
{
	char name[NAME_LEN];
	struct buf b = BUF_INIT;
	int n, rc;

	if (c->key_len > COUNTER_KEY_MAX)
		return -EINVAL;
	n = snprintf(name, sizeof(name), PREFIX "%02x", c->set);
	for (unsigned i = 0; i < c->key_len; i++)
		n += snprintf(name + n, sizeof(name) - (size_t)n, "%02x", c->key[i]);
	if (!c->packets)
		return store_meta_put(t, name, NULL, 0);
	counter_encode(&b, c);
	rc = buf_failed(&b) ? -ENOMEM : store_meta_put(t, name, b.data, (uint32_t)b.len);
	buf_fini(&b);
	return rc;
}

struct walk {
	store_counter_fn *fn;
	void *arg;
};

static int each(void *arg, const char *name, const void *value, uint32_t len)
{
	const struct walk *w = arg;
	struct counter_rec c;
	int rc = counter_decode(&c, value, len);

	(void)name;
	return rc ? rc : w->fn(w->arg, &c);
}

int store_counter_walk(struct store_txn *t, store_counter_fn *fn, void *arg)
{
	struct walk w = {fn, arg};

	return store_meta_walk(t, PREFIX, each, &w);
}

/* Stops at the first: what is deleted under a cursor moves the rest. */
static int first(void *arg, const char *name, const void *value, uint32_t len)
{
	(void)value;
	(void)len;
	snprintf(arg, NAME_LEN, "%s", name);
	return 1;
}

int store_counters_forget(struct store_txn *t)
{
	char name[NAME_LEN];
	int rc;

	while ((rc = store_meta_walk(t, PREFIX, first, name)) == 1) {
		rc = store_meta_put(t, name, NULL, 0);
		if (rc)
			return rc;
	}
	return rc;
}
