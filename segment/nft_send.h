/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changes of the table as messages of one transaction: see nft_send.c and nft_diff.c. */
#ifndef WEIR_SEGMENT_NFT_SEND_H
#define WEIR_SEGMENT_NFT_SEND_H
#include <stddef.h>
#include <stdint.h>

#include "netlink/nl.h"
#include "segment/nft_model.h"

struct nft_change {
	struct nl_batch *batch;
	uint32_t next_set_id;
	size_t n; /* objects changed so far */
	int rc;   /* first failure */
};

/* genid: the state the change was worked out against; the kernel refuses it (-ERESTART) when there is a newer one. */
int nft_change_start(struct nft_change *c, uint32_t genid);
/* Sends; nothing is sent when nothing was added. *error (size bytes) names the object that was refused. */
int nft_change_commit(struct nft_change *c, struct nl *s, char *error, size_t size);
void nft_change_fini(struct nft_change *c);

void nft_change_table(struct nft_change *c, bool add);
void nft_change_chain(struct nft_change *c, const struct nft_chain *chain, bool add);
void nft_change_set(struct nft_change *c, const struct nft_set *set, bool add);
/* n elements from e on. shape: of the set. */
void nft_change_elems(struct nft_change *c, const char *set, const struct nft_shape *shape, const struct nft_elem *e,
		      size_t n, bool add);
void nft_change_settle(struct nft_change *c); /* for a while connections are taken as they are */
void nft_change_flush(struct nft_change *c, const char *set); /* all elements */
/* before: handle of the rule in front of which it goes; 0: to the end. */
void nft_change_rule_add(struct nft_change *c, const struct nft_chain *chain, const struct nft_rule *r,
			 uint64_t before);
void nft_change_rule_del(struct nft_change *c, const struct nft_chain *chain, uint64_t handle);

/* Everything that turns held into wanted. */
void nft_diff(struct nft_change *c, const struct nft_model *held, const struct nft_model *wanted);

#endif
