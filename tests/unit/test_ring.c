/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * common/ring between two processes: everything comes through, in order, with sleep and wake-up on the way; a full ring
 * refuses and loses nothing that it took; a producer that writes nonsense into the shared memory breaks the ring, not
 * the consumer.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ring.h"
#include "common/timefmt.h"
#include "tests/tap.h"

#define RING_BYTES 65536
#define MESSAGES 300000u

/* Message number i: its length and bytes follow from i. */
static size_t message(uint32_t i, uint8_t *out)
{
	size_t len = 4 + (i * 2654435761u >> 20) % 500;

	memcpy(out, &i, 4);
	for (size_t n = 4; n < len; n++)
		out[n] = (uint8_t)(i + n);
	return len;
}

static void produce(struct ring *r)
{
	uint8_t m[1024];

	for (uint32_t i = 0; i < MESSAGES; i++) {
		size_t len = message(i, m);

		while (ring_put(r, RING_FLOW, m, len) == -EAGAIN)
			ring_wait_room(r, 1000);
		if (i % 64 == 0)
			ring_kick(r);
		if (i % 50000 == 0)
			usleep(5000); /* let the consumer fall asleep */
	}
	ring_put(r, RING_DONE, "", 0);
	ring_kick(r);
	_exit(0);
}

static void test_two_processes(void)
{
	struct ring *r, *mine;
	uint8_t want[1024];
	uint32_t next = 0;
	unsigned long sleeps = 0;
	bool done = false, good = true;
	uint64_t until = time_mono_ns() + 60 * NS_PER_S;
	int status;
	pid_t pid;

	CHECK_EQ(ring_new(&r, RING_BYTES), 0);
	CHECK_EQ(ring_attach(&mine, dup(ring_memfd(r)), dup(ring_eventfd(r))), 0);
	pid = fork();
	if (pid == 0)
		produce(r);
	while (!done && time_mono_ns() < until) {
		enum ring_msg type;
		const void *data;
		size_t len;
		int rc = ring_get(mine, &type, &data, &len);

		if (rc == 0) {
			struct pollfd p = {ring_eventfd(mine), POLLIN, 0};

			if (ring_sleep(mine) == 0) {
				sleeps++;
				poll(&p, 1, 5000);
			}
		} else if (rc < 0) {
			break;
		} else if (type == RING_DONE) {
			done = true;
		} else {
			good = good && len == message(next, want) && memcmp(data, want, len) == 0;
			next++;
		}
	}
	CHECK(done);
	CHECK(good);
	CHECK_EQ(next, MESSAGES);
	CHECK(sleeps > 0);
	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
	ring_free(mine);
	ring_free(r);
}

static void test_full(void)
{
	uint8_t m[1000] = {0};
	enum ring_msg type;
	struct ring *r;
	const void *data;
	size_t len;
	unsigned put = 0, got = 0;

	CHECK_EQ(ring_new(&r, 1000), -EINVAL);
	CHECK_EQ(ring_new(&r, RING_BYTES), 0);
	CHECK_EQ(ring_put(r, RING_FLOW, m, RING_BYTES / 2 + 1), -EMSGSIZE);
	while (ring_put(r, RING_FLOW, m, sizeof(m)) == 0)
		put++;
	CHECK_EQ(put, RING_BYTES / 1008);
	CHECK_EQ(ring_put(r, RING_FLOW, m, sizeof(m)), -EAGAIN);
	CHECK_EQ(ring_wait_room(r, 10), -ETIMEDOUT);
	while (ring_get(r, &type, &data, &len) == 1) {
		CHECK_EQ(len, sizeof(m));
		got++;
	}
	CHECK_EQ(got, put);
	CHECK_EQ(ring_wait_room(r, 10), 0);
	CHECK_EQ(ring_put(r, RING_FLOW, m, sizeof(m)), 0);
	ring_free(r);
}

/* Overwrites a 64-bit word at off of the shared memory, as a hostile producer could. */
static void scribble(const struct ring *r, size_t off, uint64_t v)
{
	uint8_t *p = mmap(NULL, 2 * RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ring_memfd(r), 0);

	CHECK(p != MAP_FAILED);
	if (p == MAP_FAILED)
		return;
	memcpy(p + off, &v, sizeof(v));
	munmap(p, 2 * RING_BYTES);
}

static void test_hostile(void)
{
	static const uint64_t bad_entries[] = {
		0x00000001ffffffffull, /* length of 4 GiB */
		0x0000000100008001ull, /* over half the ring */
		0x0000000100000100ull, /* more than was written */
		0x0000000900000004ull, /* a type that is none */
		0,
	};
	enum ring_msg type;
	const void *data;
	size_t len;

	for (size_t i = 0; i < sizeof(bad_entries) / sizeof(bad_entries[0]); i++) {
		struct ring *r;

		CHECK_EQ(ring_new(&r, RING_BYTES), 0);
		CHECK_EQ(ring_put(r, RING_FLOW, "abcdefgh", 8), 0);
		scribble(r, 65536, bad_entries[i]);
		CHECK_EQ(ring_get(r, &type, &data, &len), -EBADMSG);
		CHECK_EQ(ring_get(r, &type, &data, &len), -EBADMSG);
		CHECK_EQ(ring_put(r, RING_FLOW, "x", 1), 0);
		ring_free(r);
	}
	/* A head that is nowhere; the consumer's tail moved. */
	for (unsigned i = 0; i < 3; i++) {
		struct ring *r;

		CHECK_EQ(ring_new(&r, RING_BYTES), 0);
		CHECK_EQ(ring_put(r, RING_FLOW, "abcdefgh", 8), 0);
		if (i == 0)
			scribble(r, 64, 3 * RING_BYTES);
		else if (i == 1)
			scribble(r, 64, 13);
		else
			scribble(r, 128, 1ull << 40);
		CHECK_EQ(ring_get(r, &type, &data, &len), i == 2 ? 1 : -EBADMSG);
		ring_free(r);
	}
}

static void test_attach(void)
{
	struct ring *r, *other = NULL;
	int fd = memfd_create("no-ring", MFD_ALLOW_SEALING);

	CHECK_EQ(ftruncate(fd, 2 * RING_BYTES), 0);
	CHECK_EQ(ring_attach(&other, fd, dup(0)), -EINVAL); /* not sealed */
	CHECK(other == NULL);
	CHECK_EQ(ring_new(&r, RING_BYTES), 0);
	CHECK(ftruncate(ring_memfd(r), 0) != 0); /* nobody can cut it */
	ring_free(r);
}

int main(void)
{
	test_full();
	test_hostile();
	test_attach();
	test_two_processes();
	return tap_done();
}
