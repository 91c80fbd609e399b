/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names and notes of the table's objects. Chains and sets are named after groups as far as nft's grammar lets them
 * ("shop/web" becomes in_shop_web and in_shop_web_4); the full name stands in the comment, and, exactly as it is, in
 * the userdata, which is where it is read back from.
 */
#ifndef WEIR_SEGMENT_NFT_NAME_H
#define WEIR_SEGMENT_NFT_NAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segment/nft_model.h"

#define NFT_BASE_LEN 152 /* a group's part of a name, with its NUL */

/* The readable form of a group's name: letters, digits, '_', '.', '-'; the rest becomes '_'. When that loses more
 * than a slash, or plain is false (the readable form is taken), a hash of the full name is appended. */
void nft_name_base(char out[NFT_BASE_LEN], const char *group, bool plain);
/* The name of a list's chain ("in_shop_web"), and of the part of that list that is about one peer group, both by their
 * bases: "in_shop_web/shop_lb"; no base has a slash. */
void nft_name_list(char out[NFT_NAME_LEN], const char *base, bool in);
void nft_name_part(char out[NFT_NAME_LEN], const char *list, const char *peer_base);
bool nft_name_is_part(const char *chain);
/* A copy that can stand between quotes in nft's output: no quotes, control characters or broken UTF-8; cut to size at
 * a character's border, then ending in "...". */
void nft_name_comment(char *out, size_t size, const char *text);

/* Userdata: nft's comment first, then what only this program reads. At most NFT_USERDATA_LEN bytes. */
#define NFT_USERDATA_LEN 256
struct nft_note {
	char comment[NFT_COMMENT_LEN];
	bool host_order; /* of a set: its key is no big-endian number, which nft must know to print it */
	char group[GROUP_STRLEN];
	uint8_t list, stage, tag;
	uint32_t id;
	uint64_t hash;
	bool has_about;
	struct nft_about about;
};
/* comment_type: nft's number for a comment in this kind of object (NFTNL_UDATA_*_COMMENT). Returns the length. */
size_t nft_note_encode(uint8_t out[NFT_USERDATA_LEN], uint8_t comment_type, const struct nft_note *n);
/* False when this is no userdata of ours; *out is then zero but for the comment. */
bool nft_note_decode(struct nft_note *out, uint8_t comment_type, const void *data, size_t len);

#endif
