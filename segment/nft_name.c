/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names, comments and userdata: see nft_name.h. */
#include "config.h"
#include "segment/nft_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <libnftnl/udata.h>

#include "common/buf.h"
#include "common/hash.h"
#include "common/wire.h"

#define NOTE_TYPE 0x77  /* far from nft's own types, which it skips when it does not know them */
#define NOTE_VERSION 1

static bool is_plain(unsigned char c)
{
	return c < 0x80 && (isalnum(c) || c == '_' || c == '.' || c == '-');
}

/* Looks like a name with a hash behind it? Such a name always gets its own hash, so that it is never taken for
 * another's. */
static bool looks_hashed(const char *name, size_t len)
{
	return len > 9 && name[len - 9] == '_' && strspn(name + len - 8, "0123456789abcdef") == 8;
}

void nft_name_base(char out[NFT_BASE_LEN], const char *group, bool plain)
{
	size_t n = 0, len = strlen(group);

	/* nft's grammar wants a letter first. */
	if (!isalpha((unsigned char)group[0]) || (unsigned char)group[0] >= 0x80)
		n = (size_t)snprintf(out, NFT_BASE_LEN, "g_");
	for (const char *p = group; *p && n < 128; p++) {
		unsigned char c = (unsigned char)*p;

		if ((c & 0xc0) == 0x80)
			continue; /* inside a UTF-8 character, which gives one '_' */
		if (!is_plain(c) && c != '/')
			plain = false;
		out[n++] = is_plain(c) ? (char)c : '_';
	}
	out[n] = '\0';
	if (!plain || looks_hashed(out, n))
		snprintf(out + n, NFT_BASE_LEN - n, "_%08x", (unsigned)(hash_fixed(group, len) & 0xffffffffu));
}

void nft_name_list(char out[NFT_NAME_LEN], const char *base, bool in)
{
	snprintf(out, NFT_NAME_LEN, "%s%s", in ? "in_" : "out_", base);
}

void nft_name_part(char out[NFT_NAME_LEN], const char *list, const char *peer_base)
{
	size_t n = strlen(list), len = strlen(peer_base);

	/* Two long names do not fit: the end of the peer's, which tells it from others, gives way to a hash. */
	if (n + 1 + len < NFT_NAME_LEN) {
		memcpy(out, list, n);
		out[n] = '/';
		memcpy(out + n + 1, peer_base, len + 1);
	} else {
		snprintf(out, NFT_NAME_LEN, "%.*s/%.*s_%08x", NFT_BASE_LEN + 4, list,
			 n < NFT_NAME_LEN - 11 ? (int)(NFT_NAME_LEN - 11 - n) : 0, peer_base,
			 (unsigned)(hash_fixed(peer_base, len) & 0xffffffffu));
	}
}

bool nft_name_is_part(const char *chain)
{
	return strchr(chain, '/') != NULL;
}

/* Length of the well-formed UTF-8 character at p (RFC 3629), 0 if it is none. */
static size_t utf8_len(const unsigned char *p)
{
	size_t n = p[0] < 0x80		   ? 1
		   : (p[0] & 0xe0) == 0xc0 ? 2
		   : (p[0] & 0xf0) == 0xe0 ? 3
		   : (p[0] & 0xf8) == 0xf0 ? 4
					   : 0;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return n == 0 || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

void nft_name_comment(char *out, size_t size, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = 0, cut = 0, len;

	while (*p) {
		len = utf8_len(p);
		if (n + (len ? len : 1) > size - 1) {
			memcpy(out + cut, "...", 4);
			return;
		}
		if (len == 0 || *p == '"' || *p == '\\' || *p < 0x20 || *p == 0x7f) {
			out[n++] = *p == '"' ? '\'' : '?';
			p++;
		} else {
			memcpy(out + n, p, len);
			n += len;
			p += len;
		}
		if (n + 4 <= size)
			cut = n;
	}
	out[n] = '\0';
}

static size_t put_tlv(uint8_t *out, size_t at, uint8_t type, const void *data, size_t len)
{
	if (len > 255 || at + 2 + len > NFT_USERDATA_LEN)
		return at;
	out[at] = type;
	out[at + 1] = (uint8_t)len;
	memcpy(out + at + 2, data, len);
	return at + 2 + len;
}

size_t nft_note_encode(uint8_t out[NFT_USERDATA_LEN], uint8_t comment_type, const struct nft_note *n)
{
	char comment[NFT_COMMENT_LEN];
	struct buf b = BUF_INIT;
	static const uint32_t host_endian = 1; /* nft's BYTEORDER_HOST_ENDIAN */
	size_t at = 0, room;

	wire_put_u8(&b, NOTE_VERSION);
	wire_put_str(&b, n->group);
	wire_put_u8(&b, n->list);
	wire_put_u8(&b, n->stage);
	wire_put_u8(&b, n->tag);
	wire_put_u32(&b, n->id);
	wire_put_u64(&b, n->hash);
	wire_put_u8(&b, n->has_about);
	if (n->has_about) {
		wire_put_u64(&b, n->about.generation);
		wire_put_u8(&b, n->about.layout);
		wire_put_u8(&b, n->about.armed);
		wire_put_u64(&b, n->about.deadline_ns);
	}
	/* What the program needs comes first in importance: a comment gives way to a long group name. */
	room = NFT_USERDATA_LEN - 2 - b.len - 2 - (n->host_order ? 6 : 0);
	nft_name_comment(comment, room < sizeof(comment) ? room : sizeof(comment), n->comment);
	if (n->host_order)
		at = put_tlv(out, at, NFTNL_UDATA_SET_KEYBYTEORDER, &host_endian, sizeof(host_endian));
	if (comment[0])
		at = put_tlv(out, at, comment_type, comment, strlen(comment) + 1);
	if (!buf_failed(&b))
		at = put_tlv(out, at, NOTE_TYPE, b.data, b.len);
	buf_fini(&b);
	return at;
}

static bool decode_ours(struct nft_note *out, const uint8_t *data, size_t len)
{
	struct wire_reader r;
	struct nft_note n = {0};

	wire_reader_init(&r, data, len);
	if (wire_get_u8(&r) != NOTE_VERSION)
		return false;
	wire_get_str(&r, n.group, sizeof(n.group));
	n.list = wire_get_u8(&r);
	n.stage = wire_get_u8(&r);
	n.tag = wire_get_u8(&r);
	n.id = wire_get_u32(&r);
	n.hash = wire_get_u64(&r);
	n.has_about = wire_get_u8(&r) != 0;
	if (n.has_about) {
		n.about.generation = wire_get_u64(&r);
		n.about.layout = wire_get_u8(&r);
		n.about.armed = wire_get_u8(&r);
		n.about.deadline_ns = wire_get_u64(&r);
	}
	if (!wire_ok(&r))
		return false;
	memcpy(n.comment, out->comment, sizeof(n.comment));
	*out = n;
	return true;
}

bool nft_note_decode(struct nft_note *out, uint8_t comment_type, const void *data, size_t len)
{
	const uint8_t *p = data;
	bool found = false;

	memset(out, 0, sizeof(*out));
	while (len >= 2 && 2u + p[1] <= len) {
		if (p[0] == comment_type && p[1] > 0)
			snprintf(out->comment, sizeof(out->comment), "%.*s", p[1] - 1, (const char *)p + 2);
		else if (p[0] == NOTE_TYPE)
			found = decode_ours(out, p + 2, p[1]) || found;
		len -= 2u + p[1];
		p += 2u + p[1];
	}
	return found;
}
