/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads DNS messages whose every byte may be hostile. A cursor that cannot pass the end carries the bounds; a
 * compression pointer must lead strictly backwards from where the name began, so that no chain of them can loop (RFC
 * 1035, 4.1.4).
 */
#include "config.h"

#include "capture/dns.h"

#include <errno.h>
#include <string.h>

#define HEADER_LEN 12
#define LABEL_MAX 63
#define RECORDS_MAX 64 /* looked at in one answer section */
#define TYPE_A 1
#define TYPE_AAAA 28
#define CLASS_IN 1
#define CLASS_MASK 0x7fff /* the top bit is mDNS's "flush" and "unicast, please" */
#define FLAG_RESPONSE 0x8000
#define OPCODE(flags) ((flags) >> 11 & 15)
#define RCODE_MASK 15

struct cursor {
	const uint8_t *data;
	size_t len, at;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* Appends a label's bytes as text; what is not printable, and dots and backslashes, as \DDD. False when out is full. */
static bool label_append(char *out, size_t *n, const uint8_t *label, size_t len)
{
	if (*n) {
		if (*n + 1 >= DNS_NAME_STRLEN)
			return false;
		out[(*n)++] = '.';
	}
	for (size_t i = 0; i < len; i++) {
		uint8_t c = label[i];

		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c - 'A' + 'a');
		if (c > ' ' && c < 127 && c != '.' && c != '\\') {
			if (*n + 1 >= DNS_NAME_STRLEN)
				return false;
			out[(*n)++] = (char)c;
			continue;
		}
		if (*n + 4 >= DNS_NAME_STRLEN)
			return false;
		out[(*n)++] = '\\';
		out[(*n)++] = (char)('0' + c / 100);
		out[(*n)++] = (char)('0' + c / 10 % 10);
		out[(*n)++] = (char)('0' + c % 10);
	}
	return true;
}

/* Reads a name at the cursor, which is left behind it. out: DNS_NAME_STRLEN bytes, or NULL to skip it. */
static int name_read(struct cursor *c, char *out)
{
	size_t at = c->at, floor = c->at, n = 0;
	bool jumped = false;

	for (;;) {
		uint8_t len;

		if (at >= c->len)
			return -EBADMSG;
		len = c->data[at];
		if ((len & 0xc0) == 0xc0) {
			size_t target;

			if (at + 2 > c->len)
				return -EBADMSG;
			target = get16(c->data + at) & 0x3fff;
			if (!jumped)
				c->at = at + 2;
			if (target >= floor)
				return -EBADMSG;
			at = floor = target;
			jumped = true;
			if (!out)
				return 0;
			continue;
		}
		if (len > LABEL_MAX || at + 1 + len > c->len)
			return -EBADMSG;
		at += 1 + (size_t)len;
		if (len == 0)
			break;
		if (out && !label_append(out, &n, c->data + at - len, len))
			return -EBADMSG;
	}
	if (!jumped)
		c->at = at;
	if (out)
		out[n] = '\0';
	return 0;
}

/* One resource record; an address is added to the message. */
static int record_read(struct dns_message *m, struct cursor *c)
{
	char *owner = m->name[0] ? NULL : m->name;
	const uint8_t *fixed, *rdata;
	uint16_t type, class, rdlen;

	if (name_read(c, owner) < 0 || c->at + 10 > c->len) {
		if (owner)
			owner[0] = '\0';
		return -EBADMSG;
	}
	fixed = c->data + c->at;
	type = get16(fixed);
	class = get16(fixed + 2) & CLASS_MASK;
	rdlen = get16(fixed + 8);
	c->at += 10;
	if (c->at + rdlen > c->len) {
		if (owner)
			owner[0] = '\0';
		return -EBADMSG;
	}
	rdata = c->data + c->at;
	c->at += rdlen;
	if (class == CLASS_IN && ((type == TYPE_A && rdlen == 4) || (type == TYPE_AAAA && rdlen == 16))) {
		if (m->n_answers < DNS_ANSWERS_MAX) {
			struct dns_answer *a = &m->answer[m->n_answers++];

			a->addr = type == TYPE_A ? addr_from_v4(rdata) : addr_from_v6(rdata);
			a->ttl = get32(fixed + 4);
		}
	} else if (owner) {
		owner[0] = '\0'; /* not the name of an address: the next record's may be */
	}
	return 0;
}

int dns_parse(struct dns_message *out, const uint8_t *data, size_t len)
{
	struct cursor c = {data, len, HEADER_LEN};
	uint16_t flags, questions, answers;

	if (len < HEADER_LEN)
		return -EBADMSG;
	flags = get16(data + 2);
	questions = get16(data + 4);
	answers = get16(data + 6);
	if (OPCODE(flags) != 0 || questions > 1 || (questions == 0 && answers == 0))
		return -EBADMSG;
	out->response = flags & FLAG_RESPONSE;
	out->id = get16(data);
	out->rcode = flags & RCODE_MASK;
	out->qtype = 0;
	out->name[0] = '\0';
	out->n_answers = 0;
	if (questions) {
		if (name_read(&c, out->name) < 0 || c.at + 4 > c.len)
			return -EBADMSG;
		out->qtype = get16(data + c.at);
		c.at += 4;
	}
	if (!out->response)
		return 0;
	for (unsigned i = 0; i < answers && i < RECORDS_MAX; i++) {
		if (record_read(out, &c) < 0)
			break;
	}
	return 0;
}
