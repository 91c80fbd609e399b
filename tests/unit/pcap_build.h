/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Captures made by the test that reads them: a pcap file (nanoseconds, raw IP) in memory, packet by packet. Addresses
 * are 10.x.y.z given as a number, times in milliseconds since a fixed start.
 */
#ifndef WEIR_TESTS_PCAP_BUILD_H
#define WEIR_TESTS_PCAP_BUILD_H
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/decode.h"
#include "common/buf.h"

#define BUILD_START_S 1700000000u

struct build {
	struct buf b;
	uint64_t packets, bytes;
};

static inline void build_le32(struct build *f, uint32_t v)
{
	uint8_t b[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};

	buf_add(&f->b, b, 4);
}

static inline void build_init(struct build *f, uint32_t linktype)
{
	memset(f, 0, sizeof(*f));
	build_le32(f, 0xa1b23c4d);
	build_le32(f, 2 | 4 << 16);
	build_le32(f, 0);
	build_le32(f, 0);
	build_le32(f, 65535);
	build_le32(f, linktype);
}

/* A descriptor of the file so far, for worker_read_file, which takes it over. */
static inline int build_fd(const struct build *f)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, f->b.data, f->b.len) == (ssize_t)f->b.len)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static inline void build_frame(struct build *f, uint64_t ms, const void *data, size_t caplen, size_t len)
{
	build_le32(f, (uint32_t)(BUILD_START_S + ms / 1000));
	build_le32(f, (uint32_t)(ms % 1000 * 1000000));
	build_le32(f, (uint32_t)caplen);
	build_le32(f, (uint32_t)len);
	buf_add(&f->b, data, caplen);
	f->packets++;
	f->bytes += len;
}

static inline size_t build_ip(uint8_t *p, uint32_t src, uint32_t dst, uint8_t proto, uint16_t id, uint16_t frag,
			      size_t len)
{
	uint16_t total = (uint16_t)(20 + len);
	const uint8_t h[20] = {0x45, 0, (uint8_t)(total >> 8), (uint8_t)total, (uint8_t)(id >> 8), (uint8_t)id,
			       (uint8_t)(frag >> 8), (uint8_t)frag, 64, proto, 0, 0, 10, (uint8_t)(src >> 16),
			       (uint8_t)(src >> 8), (uint8_t)src, 10, (uint8_t)(dst >> 16), (uint8_t)(dst >> 8),
			       (uint8_t)dst};

	memcpy(p, h, sizeof(h));
	return sizeof(h);
}

static inline void build_tcp(struct build *f, uint64_t ms, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport,
			     uint8_t flags, size_t payload)
{
	uint8_t p[20 + 20 + 1460] = {0};
	uint8_t *t = p + build_ip(p, src, dst, 6, 0, 0, 20 + payload);

	t[0] = (uint8_t)(sport >> 8);
	t[1] = (uint8_t)sport;
	t[2] = (uint8_t)(dport >> 8);
	t[3] = (uint8_t)dport;
	t[12] = 0x50;
	t[13] = flags;
	memset(t + 20, 'x', payload);
	build_frame(f, ms, p, 40 + payload, 40 + payload);
}

/* frag: flags and offset of the IPv4 header; only a packet with offset 0 gets the UDP header. */
static inline void build_udp(struct build *f, uint64_t ms, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport,
			     uint16_t id, uint16_t frag, size_t payload)
{
	uint8_t p[20 + 8 + 1460] = {0};
	size_t head = frag & 0x1fff ? 0 : 8;
	uint8_t *u = p + build_ip(p, src, dst, 17, id, frag, head + payload);

	if (head) {
		u[0] = (uint8_t)(sport >> 8);
		u[1] = (uint8_t)sport;
		u[2] = (uint8_t)(dport >> 8);
		u[3] = (uint8_t)dport;
		u[4] = (uint8_t)((8 + payload) >> 8);
		u[5] = (uint8_t)(8 + payload);
	}
	build_frame(f, ms, p, 20 + head + payload, 20 + head + payload);
}

static inline void build_icmp(struct build *f, uint64_t ms, uint32_t src, uint32_t dst, uint8_t type, uint8_t code,
			      uint16_t id, const void *body, size_t len)
{
	uint8_t p[20 + 8 + 256] = {0};
	uint8_t *i = p + build_ip(p, src, dst, 1, 0, 0, 8 + len);

	i[0] = type;
	i[1] = code;
	i[4] = (uint8_t)(id >> 8);
	i[5] = (uint8_t)id;
	memcpy(i + 8, body, len);
	build_frame(f, ms, p, 28 + len, 28 + len);
}

#endif
