/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Answers to what is refused. The kernel limits ICMP errors to a client (about six in a burst, then one a second),
 * so that a refused burst ends in time-outs, and its limit cannot be lifted for one table; and it answers nobody
 * to whom the host has no route, as on a bridge without an address. The enforcer sees the headers of what is
 * refused (the NFLOG sample), which is all that an ICMP error or a TCP reset is made of: it writes the answer
 * itself, onto the link that the packet came from. A client that is answered twice ignores the second.
 */
#ifndef WEIR_SEGMENT_NFT_ANSWER_H
#define WEIR_SEGMENT_NFT_ANSWER_H
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

struct nft_answerer;

/* Needs CAP_NET_RAW. 0, or negative errno with *out NULL. */
int nft_answer_open(struct nft_answerer **out);
void nft_answer_close(struct nft_answerer *a);

/* The refused packet: its first bytes from the IP header on, the interface it came in by and the link address of
 * its sender. Sends nothing where an error must not be answered (ICMP errors, resets, multicast, later fragments;
 * RFC 1122, 4443, 9293) or where the header is not whole. 0, -EPROTO when nothing was sent for such a reason, or
 * negative errno. */
struct nft_refused {
	const uint8_t *packet;
	size_t len;
	uint32_t ifindex;
	uint8_t sender[32];
	size_t sender_len;
};
int nft_answer(struct nft_answerer *a, const struct nft_refused *r);
/* The answer alone, from its IP header on, for tests: bytes written to out (at least NFT_ANSWER_MAX), or -EPROTO. */
#define NFT_ANSWER_MAX 128
int nft_answer_write(uint8_t *out, const uint8_t *packet, size_t len);

#endif
