/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Time buckets: the unit in which history is forgotten. Everything with a time (coverage, verdicts, attempts, flows)
 * lives in the bucket that owns the time in its key: one database of records and one of index entries, which
 * are emptied together, page by page and not record by record.
 *
 * A bucket is as wide as serves forgetting: 1/64 of the time to keep, or what filled 1/64 of the size budget,
 * whichever came first; so a quiet host has buckets of hours, a flooded one of seconds, and a drop always costs about a
 * sixty-fourth of what is known. Their number is fixed (LMDB's handles are then all opened once, at store_open). Where
 * all are in use, the neighbour grows wider instead: reading does not mind, since inside a bucket everything is sorted.
 *
 * The directory keeps, for each bucket, the longest life of its records and the last end, so that a record that began
 * before a question's interval and reaches into it is found by looking back exactly that far.
 */
#ifndef WEIR_STORE_BUCKET_H
#define WEIR_STORE_BUCKET_H
#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#define BUCKETS_MAX 128
#define BUCKETS_WANTED 64

struct store;
struct store_txn;

/* First byte of a key in a bucket's records. Flows come last, so that they can be appended. */
enum bucket_kind { KIND_COVERAGE = 1, KIND_VERDICT, KIND_ATTEMPTS, KIND_FLOW, KIND_END_ };

struct bucket {
	uint64_t from_ns, last_ns; /* key times it owns, both included */
	uint64_t min_ns, max_ns;   /* key times it holds; count all 0: none */
	uint64_t min_flow_ns, max_flow_ns; /* first and last start of a flow */
	uint64_t max_end_ns;       /* latest end of anything in it */
	uint64_t max_life_ns;      /* longest flow */
	uint64_t max_reach_ns;     /* of the other kinds: longest span from key time to end */
	uint64_t count[KIND_END_];
	uint8_t slot;              /* which pair of databases */
	bool dirty;                /* differs from what the directory says */
};

struct bucket_dir {
	bool loaded;
	unsigned n;
	struct bucket b[BUCKETS_MAX]; /* by from_ns; ranges do not overlap */
};

int bucket_load(struct store_txn *t); /* the directory, once a transaction */
int bucket_save(struct store_txn *t); /* what changed in it */
/* The bucket that owns key time at_ns; NULL: none does. */
struct bucket *bucket_find(struct store_txn *t, uint64_t at_ns);
/* The same, made when missing. Pointers got before are void afterwards. */
int bucket_for(struct bucket **out, struct store_txn *t, uint64_t at_ns);
/* Closes the bucket to later times when it has grown to its share of the budget. */
int bucket_split(struct store_txn *t, struct bucket *b);
/* Empties it and takes it from the directory. *dropped grows by the records gone. */
int bucket_drop(struct store_txn *t, struct bucket *b, uint64_t *dropped);

/* Writes one record of a kind other than KIND_FLOW. key: kind, u64 time, rest. end_ns: till when it reaches. */
int bucket_put(struct store_txn *t, const uint8_t *key, size_t key_len, uint64_t end_ns, const void *value, size_t len);
int bucket_get(struct store_txn *t, const uint8_t *key, size_t key_len, MDB_val *out); /* -ENOENT */
/* Records of that kind whose key time may reach into [since_ns, until_ns] (until 0: no end), oldest first. */
typedef int bucket_fn(void *arg, const MDB_val *key, const MDB_val *value);
int bucket_walk(struct store_txn *t, enum bucket_kind kind, uint64_t since_ns, uint64_t until_ns, bucket_fn *fn,
		void *arg);

#endif
