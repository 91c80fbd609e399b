/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The flow table: conversations under observation, found by either direction of their packets. Fixed in size; memory is
 * reserved at start and touched only as far as it is used. A place costs 128 bytes for the flow and 8 for the index.
 * The table knows keys and places; what the packets of a flow mean is capture/track's concern.
 */
#ifndef WEIR_CAPTURE_FLOW_TABLE_H
#define WEIR_CAPTURE_FLOW_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/hash.h"

struct classify_flow;

/* What a flow may be sacrificed for. The order matters to nobody but the reader. */
enum flow_class {
	FLOW_CLASS_FREE,        /* no flow here */
	FLOW_CLASS_EMBRYONIC,   /* nobody answered yet */
	FLOW_CLASS_ESTABLISHED, /* both ends were heard */
	FLOW_CLASS_CLOSED,      /* over; lingers for late packets */
	FLOW_CLASS_MAX_
};

enum {
	FLOW_HAS_DPI = 1,   /* inspection is going on: dpi_slot is valid */
	FLOW_HAS_APP = 2,   /* inspection is over: app is valid */
	FLOW_DIRTY = 4,     /* grew since it was last reported */
	FLOW_REPORTED = 8,  /* was reported at least once */
	FLOW_CUT = 16,      /* the active timeout closed its record; the next packet opens another */
	FLOW_NO_DPI = 32,   /* no memory for inspection was left when it was due */
	FLOW_PAYLOAD_0 = 64, /* payload was seen from end 0, end 1 */
	FLOW_PAYLOAD_1 = 128,
};

/* What identifies a conversation, as one of its packets says it: [0] sender, [1] receiver. ICMP: port[0] is the echo
 * identifier, port[1] the type of the request, in both directions. */
struct flow_key {
	struct addr addr[2];
	uint16_t port[2];
	uint16_t vlan;
	uint8_t proto;
	uint8_t tunnel;
	uint32_t tunnel_id;
};

/* Two cache lines: what look-up and sweep read comes first. Ends in the order of struct flow_rec. */
struct flow {
	struct flow_key key;
	uint8_t class;     /* enum flow_class */
	uint8_t flags;     /* FLOW_ bits above */
	uint8_t state;     /* enum flow_state */
	uint8_t direction; /* enum flow_direction */
	uint64_t last_ns;
	union {
		struct flow_app *app;
		uint32_t dpi_slot;
		uint32_t next_free;
	};
	uint64_t start_ns;
	uint64_t bytes[2], payload[2];
	uint32_t pkts[2];
	uint64_t conv_id;      /* 0 while it is the id of this record */
	uint16_t iface[2];     /* 1 + capture interface that counts the packets of this end, and IFACE_OWN; 0 none yet */
	uint8_t tcp_flags[2];
	uint8_t icmp_code;
	uint8_t epoch;         /* of the last write-through */
};

struct flow_table {
	struct hash_secret secret;
	uint32_t size;                    /* places */
	uint32_t bucket_mask;
	uint32_t high;                    /* places ever used: what a sweep has to look at */
	uint32_t free_list;               /* 1 + place, 0 none */
	uint32_t used;
	uint32_t count[FLOW_CLASS_MAX_];
	struct flow_bucket *buckets;
	struct flow *flows;
};

/* size is rounded up to a power of two, at least 1024. 0 or -ENOMEM. */
int flow_table_init(struct flow_table *t, uint32_t size);
void flow_table_fini(struct flow_table *t);

/* The same for both directions. */
uint64_t flow_table_hash(const struct flow_table *t, const struct flow_key *k);
/* NULL, or the flow and in *dir which of its ends sent a packet with this key. */
struct flow *flow_table_find(const struct flow_table *t, const struct flow_key *k, uint64_t hash, unsigned *dir);
/* A new flow with this key, embryonic, everything else zero; NULL when no place is free. */
struct flow *flow_table_add(struct flow_table *t, const struct flow_key *k, uint64_t hash);
void flow_table_remove(struct flow_table *t, struct flow *f);
void flow_table_set_class(struct flow_table *t, struct flow *f, enum flow_class c);

/* Fetch what a look-up with this hash will read, so that it is there when the look-up comes: first the index, then,
 * when that has arrived, the flow. flow_table_fetch_removal does the former for the flow at a place that may go
 * soon. */
void flow_table_fetch_index(const struct flow_table *t, uint64_t hash);
void flow_table_fetch_flow(const struct flow_table *t, uint64_t hash);
void flow_table_fetch_removal(const struct flow_table *t, uint32_t place);

static inline bool flow_table_full(const struct flow_table *t)
{
	return t->free_list == 0 && t->high == t->size;
}

/* Place number i below t->high, or NULL when it is empty. */
static inline struct flow *flow_table_at(const struct flow_table *t, uint32_t i)
{
	return t->flows[i].class == FLOW_CLASS_FREE ? NULL : &t->flows[i];
}

#endif
