/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A library that hands over one packet at a time must copy each one out of its own buffer, and its caller again what is
 * to outlive the call: a third of what reading a large capture costs. The ordinary capture file (pcap 2.4, micro- or
 * nanoseconds, either byte order, a link type found on a container host) is so simple that it is read here, by blocks,
 * and its packets are looked at where they lie. Whatever is the least bit unusual, and what cannot be read again from
 * its start, is left to libpcap. Format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/source_private.h"
#include "common/timefmt.h"

#define NS_PER_US 1000u
#define MAGIC_MICROSECONDS 0xa1b2c3d4u
#define MAGIC_NANOSECONDS 0xa1b23c4du
#define HEADER_LEN 24
#define RECORD_LEN 16
#define CAPLEN_MAX 262144u           /* libpcap's limit, too: more is a damaged file */
#define BLOCK (256 * 1024)           /* what one read asks for: stays in the second-level cache until looked at */
#define BUFFER (CAPLEN_MAX + RECORD_LEN + BLOCK)

struct pcap_blocks {
	int fd;
	bool swapped, nanoseconds;
	uint32_t snaplen;
	size_t at, end; /* of what lies in data */
	uint8_t data[BUFFER + SOURCE_SLACK];
};

static const struct {
	uint32_t number; /* LINKTYPE_, not DLT_ */
	enum link_type link;
} links[] = {
	{0, LINK_NULL}, {1, LINK_ETHERNET}, {101, LINK_RAW}, {113, LINK_SLL}, {276, LINK_SLL2},
};

static uint32_t word(const uint8_t *p, bool swapped)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return swapped ? __builtin_bswap32(v) : v;
}

static bool header_ordinary(struct pcap_blocks *b, enum link_type *link, const uint8_t h[HEADER_LEN])
{
	uint32_t magic = word(h, false);
	uint16_t major, minor;

	b->swapped = magic == __builtin_bswap32(MAGIC_MICROSECONDS) || magic == __builtin_bswap32(MAGIC_NANOSECONDS);
	magic = word(h, b->swapped);
	if (magic != MAGIC_MICROSECONDS && magic != MAGIC_NANOSECONDS)
		return false;
	b->nanoseconds = magic == MAGIC_NANOSECONDS;
	memcpy(&major, h + 4, sizeof(major));
	memcpy(&minor, h + 6, sizeof(minor));
	if (major != (b->swapped ? 0x0200 : 2) || minor != (b->swapped ? 0x0400 : 4))
		return false;
	b->snaplen = word(h + 16, b->swapped);
	if (b->snaplen == 0 || b->snaplen > CAPLEN_MAX)
		b->snaplen = CAPLEN_MAX;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (links[i].number == word(h + 20, b->swapped)) {
			*link = links[i].link;
			return true;
		}
	}
	return false;
}

/* Fills header from where fd stands; 0, -ENOTSUP when fd cannot be set back or holds less. */
static int header_read(uint8_t header[HEADER_LEN], int fd, off_t start)
{
	size_t n = 0;

	if (start < 0)
		return -ENOTSUP;
	while (n < HEADER_LEN) {
		ssize_t got = read(fd, header + n, HEADER_LEN - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -ENOTSUP;
		n += (size_t)got;
	}
	return 0;
}

int source_pcap_open(struct source *s, int fd)
{
	uint8_t header[HEADER_LEN];
	off_t start = lseek(fd, 0, SEEK_CUR);
	struct pcap_blocks *b = malloc(sizeof(*b));

	if (!b)
		return -ENOMEM;
	if (header_read(header, fd, start) != 0 || !header_ordinary(b, &s->link, header)) {
		if (start >= 0)
			lseek(fd, start, SEEK_SET);
		free(b);
		return -ENOTSUP;
	}
	b->fd = fd;
	b->at = b->end = 0;
	s->blocks = b;
	return 0;
}

void source_pcap_close(struct source *s)
{
	if (!s->blocks)
		return;
	close(s->blocks->fd);
	free(s->blocks);
	s->blocks = NULL;
}

/* Moves what is left to the front and reads more behind it: at least one byte, 0 at the end of the file, or -errno. */
static int refill(struct pcap_blocks *b)
{
	ssize_t n;

	memmove(b->data, b->data + b->at, b->end - b->at);
	b->end -= b->at;
	b->at = 0;
	do
		n = read(b->fd, b->data + b->end, BUFFER - b->end < BLOCK ? BUFFER - b->end : BLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	b->end += (size_t)n;
	return n > 0;
}

/* The next record if it is whole: 1; 0: more must be read; -EBADMSG: no record can look like this. */
static int next(struct pcap_blocks *b, uint32_t *caplen)
{
	size_t left = b->end - b->at;

	if (left < RECORD_LEN)
		return 0;
	*caplen = word(b->data + b->at + 8, b->swapped);
	if (*caplen > CAPLEN_MAX)
		return -EBADMSG;
	return left >= RECORD_LEN + *caplen;
}

static void hand_out(struct source *s, struct pcap_blocks *b, uint32_t caplen)
{
	const uint8_t *r = b->data + b->at;
	uint32_t sec = word(r, b->swapped), part = word(r + 4, b->swapped);

	b->at += RECORD_LEN + caplen;
	__builtin_prefetch(b->data + b->at);
	if (caplen > b->snaplen)
		caplen = b->snaplen;
	source_hand_out(s, r + RECORD_LEN, caplen, word(r + 12, b->swapped), sec,
			b->nanoseconds ? part : (uint64_t)part * NS_PER_US);
}

int source_pcap_read(struct source *s, int max, char *error)
{
	struct pcap_blocks *b = s->blocks;
	char text[128];
	uint32_t caplen = 0;
	int n = 0, rc;

	while (n < max) {
		rc = next(b, &caplen);
		if (rc > 0) {
			hand_out(s, b, caplen);
			n++;
			continue;
		}
		if (n)
			return n; /* what was handed out must stay where it is until the next call */
		if (rc < 0) {
			snprintf(text, sizeof(text), "a packet of %u bytes is more than a capture holds", caplen);
			return source_unreadable(s, text, error);
		}
		rc = refill(b);
		if (rc < 0)
			return source_unreadable(s, strerror(-rc), error);
		if (rc == 0 && b->end == 0)
			return SOURCE_END;
		if (rc == 0)
			return source_unreadable(s, "the file ends in the middle of a packet", error);
	}
	return n;
}
