/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Builds the seed corpora of the fuzz targets: make_seeds OUT [CAPTURE...] writes OUT/decode, OUT/file and OUT/flow.
 * From each capture: the file itself when it is small, its first frames one by one, and its first frames as a
 * sequence. Without captures there are still the seeds made here.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "capture/source.h"
#include "common/hash.h"
#include "tests/unit/pcap_build.h"

#define FILE_MAX 16384
#define FLOW_MAX_BYTES 8192
#define FRAMES_MAX 12

static const char *out_dir;

static void write_seed(const char *kind, const struct buf *b)
{
	char path[4096];
	FILE *f;

	/* Named by content: the same seed is written once. */
	snprintf(path, sizeof(path), "%s/%s/%016llx", out_dir, kind, (unsigned long long)hash_fixed(b->data, b->len));
	f = fopen(path, "wb");
	if (!f || fwrite(b->data, 1, b->len, f) != b->len)
		perror(path);
	if (f)
		fclose(f);
}

struct frames {
	struct buf flow;
	uint8_t link;
	unsigned n;
	uint64_t last_ns;
};

static void on_frame(void *arg, const uint8_t *data, uint32_t caplen, uint32_t wirelen, uint64_t time_ns)
{
	struct frames *fr = arg;
	uint64_t us = time_ns > fr->last_ns ? (time_ns - fr->last_ns) / 1000 : 0;
	uint8_t head[3] = {(uint8_t)(caplen >> 8), (uint8_t)caplen, 0};
	struct buf one = BUF_INIT;

	(void)wirelen;
	if (fr->n++ >= FRAMES_MAX || caplen > 4096)
		return;
	while (head[2] < 31 && us >> (head[2] + 1))
		head[2]++;
	fr->last_ns = time_ns;
	if (fr->flow.len + caplen < FLOW_MAX_BYTES) {
		buf_add(&fr->flow, head, 3);
		buf_add(&fr->flow, data, caplen);
	}
	buf_add(&one, &fr->link, 1);
	buf_addc(&one, 7); /* every tunnel */
	buf_addc(&one, 0);
	buf_add(&one, data, caplen);
	write_seed("decode", &one);
	buf_fini(&one);
}

static void add_capture(const char *path)
{
	char error[SOURCE_ERROR_STRLEN];
	struct frames fr = {BUF_INIT, 0, 0, 0};
	struct buf whole = BUF_INIT;
	struct source *s;
	FILE *f = fopen(path, "rb");
	char chunk[FILE_MAX + 1];
	size_t n = f ? fread(chunk, 1, sizeof(chunk), f) : 0;

	if (f)
		fclose(f);
	if (n > 0 && n <= FILE_MAX) {
		buf_add(&whole, chunk, n);
		write_seed("file", &whole);
		buf_fini(&whole);
	}
	if (source_open_file(&s, path, -1, error) != 0)
		return;
	fr.link = (uint8_t)source_link(s);
	buf_addc(&fr.flow, 7);
	buf_add(&fr.flow, &fr.link, 1);
	source_read(s, FRAMES_MAX, on_frame, &fr, error);
	source_close(s);
	write_seed("flow", &fr.flow);
	buf_fini(&fr.flow);
}

/* A little of everything, so that a tree without captures still has seeds. */
static void add_own(void)
{
	char path[] = "/tmp/weir-seed-XXXXXX";
	struct build f;
	int fd = mkstemp(path);

	build_init(&f, 101);
	build_tcp(&f, 0, 1, 40000, 2, 80, 0x02, 0);
	build_tcp(&f, 1, 2, 80, 1, 40000, 0x12, 0);
	build_tcp(&f, 2, 1, 40000, 2, 80, 0x18, 30);
	build_udp(&f, 3, 1, 40000, 2, 53, 9, 0x2000, 64);
	build_udp(&f, 4, 1, 0, 2, 0, 9, 9, 64);
	build_udp(&f, 5, 1, 40000, 2, 4789, 0, 0, 64);
	build_icmp(&f, 6, 2, 1, 8, 0, 5, "ping", 4);
	build_tcp(&f, 7, 2, 80, 1, 40000, 0x11, 0);
	if (fd >= 0 && write(fd, f.b.data, f.b.len) == (ssize_t)f.b.len)
		add_capture(path);
	if (fd >= 0)
		close(fd);
	unlink(path);
	buf_fini(&f.b);
}

int main(int argc, char **argv)
{
	static const char *const kinds[] = {"", "/decode", "/file", "/flow"};
	char path[4096];

	if (argc < 2) {
		fprintf(stderr, "usage: make_seeds OUT [CAPTURE...]\n");
		return 2;
	}
	out_dir = argv[1];
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", out_dir, kinds[i]);
		if (mkdir(path, 0755) != 0 && errno != EEXIST) {
			perror(path);
			return 1;
		}
	}
	add_own();
	for (int i = 2; i < argc; i++)
		add_capture(argv[i]);
	return 0;
}
