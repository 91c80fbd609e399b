/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ordinary capture files are read by code of ours, all others by libpcap; from a pipe libpcap reads the ordinary ones,
 * too. So random files, whole and damaged, go both ways, and frames and endings must be the same. Frames that are said
 * to stay where they are must not have changed at the end of the batch.
 */
#include "config.h"
#include "capture/source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "tests/tap.h"

#define FILES 300
#define BATCH 64
#define CAPLEN_MAX 262144u

struct file {
	struct buf b;
	bool swapped;
};

struct seen {
	uint64_t frames, digest;
	int rc;
	bool stay;
	struct { const uint8_t *data; uint32_t len; uint64_t digest; } batch[BATCH];
	unsigned n;
};

static uint64_t digest(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 1099511628211u;
	return h;
}

static void put32(struct file *f, uint32_t v)
{
	if (f->swapped)
		v = __builtin_bswap32(v);
	buf_add(&f->b, &v, sizeof(v));
}

static void put_header(struct file *f, uint32_t magic, uint32_t snaplen, uint32_t link)
{
	uint16_t version[2] = {2, 4};

	put32(f, magic);
	for (unsigned i = 0; f->swapped && i < 2; i++)
		version[i] = __builtin_bswap16(version[i]);
	buf_add(&f->b, version, sizeof(version));
	put32(f, 0);
	put32(f, 0);
	put32(f, snaplen);
	put32(f, link);
}

static void put_packet(struct file *f, uint64_t *random, uint32_t caplen)
{
	static uint8_t data[CAPLEN_MAX + 16];
	uint64_t r = tap_random(random);

	put32(f, 1700000000u + (uint32_t)(r % 1000));
	put32(f, (uint32_t)(tap_random(random) % (r % 50 ? 1000000 : 5000000000u))); /* sometimes more than a second */
	put32(f, caplen);
	put32(f, r % 3 ? caplen : (uint32_t)tap_random(random));
	for (size_t i = 0; i < caplen && i < sizeof(data); i += 61)
		data[i] = (uint8_t)(r >> i % 56);
	buf_add(&f->b, data, caplen < sizeof(data) ? caplen : sizeof(data));
}

static void make(struct file *f, uint64_t *random)
{
	static const uint32_t links[] = {1, 1, 101, 113, 276, 0};
	static const uint32_t magics[] = {0xa1b2c3d4u, 0xa1b23c4du};
	static const uint32_t snaplens[] = {65535, 262144, 0, 96, 1514};
	unsigned n = (unsigned)(tap_random(random) % 400);
	bool large = tap_random(random) % 4 == 0;

	f->swapped = tap_random(random) % 2;
	buf_init(&f->b);
	put_header(f, magics[tap_random(random) % 2], snaplens[tap_random(random) % 5],
		   links[tap_random(random) % (sizeof(links) / sizeof(links[0]))]);
	for (unsigned i = 0; i < n; i++) {
		uint64_t r = tap_random(random);

		put_packet(f, random, r % 40 == 0 && large ? (uint32_t)(r >> 8) % (CAPLEN_MAX + 1)
				       : r % 3000 == 7 ? CAPLEN_MAX + 1 : (uint32_t)(r >> 8) % 1600);
	}
	if (tap_random(random) % 3 == 0) /* cut anywhere */
		f->b.len = tap_random(random) % (f->b.len + 1);
}

static void on_frame(void *arg, const uint8_t *data, uint32_t caplen, uint32_t wirelen, uint64_t time_ns)
{
	struct seen *s = arg;

	s->frames++;
	s->digest = digest(s->digest, &caplen, sizeof(caplen));
	s->digest = digest(s->digest, &wirelen, sizeof(wirelen));
	s->digest = digest(s->digest, &time_ns, sizeof(time_ns));
	s->digest = digest(s->digest, data, caplen);
	if (s->stay && s->n < BATCH) {
		s->batch[s->n].data = data;
		s->batch[s->n].len = caplen;
		s->batch[s->n++].digest = digest(0, data, caplen);
	}
}

static void read_all(struct seen *s, int fd)
{
	char error[SOURCE_ERROR_STRLEN] = "";
	struct source *source;

	memset(s, 0, sizeof(*s));
	s->rc = source_open_file(&source, "made", fd, error);
	if (s->rc) {
		CHECK(strncmp(error, "made: ", 6) == 0);
		return;
	}
	s->stay = source_frames_stay(source);
	do {
		s->n = 0;
		s->rc = source_read(source, BATCH, on_frame, s, error);
		for (unsigned i = 0; i < s->n; i++)
			CHECK(digest(0, s->batch[i].data, s->batch[i].len) == s->batch[i].digest);
	} while (s->rc >= 0);
	if (s->rc != SOURCE_END)
		CHECK(strncmp(error, "made: ", 6) == 0);
	source_close(source);
}

static void through_file(struct seen *s, const struct file *f)
{
	char path[] = "/tmp/weir-test-source-XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0 && write(fd, f->b.data, f->b.len) == (ssize_t)f->b.len && lseek(fd, 0, SEEK_SET) == 0);
	unlink(path);
	read_all(s, fd);
}

static void through_pipe(struct seen *s, const struct file *f)
{
	int fd[2], status = 0;
	pid_t pid;

	CHECK(pipe(fd) == 0);
	pid = fork();
	if (pid == 0) {
		size_t at = 0;

		close(fd[0]);
		while (at < f->b.len) {
			ssize_t n = write(fd[1], f->b.data + at, f->b.len - at);

			if (n <= 0)
				break;
			at += (size_t)n;
		}
		_exit(0);
	}
	close(fd[1]);
	read_all(s, fd[0]);
	waitpid(pid, &status, 0);
}

static void test_both_ways(void)
{
	uint64_t random = tap_seed() * 2 + 1, stayed = 0, damaged = 0;
	struct seen ours, theirs;
	struct file f;

	for (unsigned i = 0; i < FILES; i++) {
		make(&f, &random);
		through_file(&ours, &f);
		through_pipe(&theirs, &f);
		CHECK_EQ(ours.frames, theirs.frames);
		CHECK(ours.digest == theirs.digest);
		CHECK_EQ(ours.rc, theirs.rc);
		CHECK(!theirs.stay);
		stayed += ours.stay;
		damaged += ours.rc != SOURCE_END;
		buf_fini(&f.b);
	}
	CHECK(stayed > FILES / 2);
	CHECK(damaged > FILES / 10);
}

/* Every way in which a file can be one that libpcap must read: it does, and the file is read from its start. */
static void test_left_to_libpcap(void)
{
	static const struct { uint32_t magic, link; int rc; } tries[] = {
		{0xa1b2cd34u, 1, SOURCE_END}, /* patched to carry more in each record's header: nothing lies behind */
		{0xa1b2c3d4u, 9, SOURCE_END}, /* PPP */
		{0xa1b2c3d4u, 143, -EPROTONOSUPPORT}, /* DOCSIS */
		{0x0a0d0d0au, 1, -EBADMSG}, /* pcapng, but nonsense */
		{0x12345678u, 1, -EBADMSG},
	};
	struct seen s;

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct file f = {.swapped = false};

		buf_init(&f.b);
		put_header(&f, tries[i].magic, 65535, tries[i].link);
		through_file(&s, &f);
		CHECK_EQ(s.rc, tries[i].rc);
		CHECK(!s.stay);
		buf_fini(&f.b);
	}
}

int main(void)
{
	test_both_ways();
	test_left_to_libpcap();
	return tap_done();
}
