/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target: the ways between processes, with a hostile one at the other end. Input: which way (one byte), then
 *   channel   packets: how many descriptors (one byte), length (two), bytes, as if somebody wrote to the socket himself
 *   ring      steps of a producer that writes into the shared memory whatever it likes, and of the consumer
 *   attach    a memory file that may or may not be a ring: its size and seals (one byte), and its first bytes
 * Nothing may be read outside, every message handed on must be one of the protocol, and no descriptor may be left open.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ring.h"
#include "daemon/msg.h"
#include "tests/fuzz/fuzz.h"

/* ---- channel ----------------------------------------------------------------------------------------------------- */

#define PACKET_MAX (40u << 10)

static void send_packet(int sock, const uint8_t *data, size_t len, unsigned n_fds)
{
	int fds[3] = {sock, sock, sock};
	struct iovec iov = {(void *)(uintptr_t)data, len};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(fds))];
	} control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds) {
		struct cmsghdr *cm;

		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cm = CMSG_FIRSTHDR(&m);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cm), fds, sizeof(int) * n_fds);
	}
	(void)!sendmsg(sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void take_messages(struct channel *c, bool *alive)
{
	struct msg m;
	int rc;

	while ((rc = channel_recv(c, &m)) == 1) {
		FUZZ_MUST(m.type > IPC_NONE && m.type < IPC_TYPE_MAX_ && m.len <= MSG_BODY_MAX);
		FUZZ_MUST(m.n_fds <= MSG_FDS_MAX && m.data);
		fuzz_touch(m.data, m.len);
		for (unsigned i = 0; i < m.n_fds; i++)
			FUZZ_MUST(close(m.fds[i]) == 0);
	}
	FUZZ_MUST(rc == 0 || rc == -EBADMSG || rc == -EPIPE);
	*alive = rc == 0;
}

static void fuzz_channel(struct fuzz_in *in)
{
	struct channel *c;
	bool alive = true;
	int pair[2];

	FUZZ_MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	FUZZ_MUST(channel_new(&c, pair[0], 1 << 20) == 0);
	while (in->left && alive) {
		unsigned n_fds = fuzz_u8(in) & 3;
		size_t len = fuzz_u16(in) % PACKET_MAX;
		const uint8_t *data = fuzz_take(in, &len);

		send_packet(pair[1], data, len, n_fds);
		take_messages(c, &alive);
	}
	close(pair[1]);
	if (alive)
		take_messages(c, &alive);
	channel_free(c);
}

/* ---- ring -------------------------------------------------------------------------------------------------------- */

#define RING_BYTES 65536u
/* Where common/ring.c keeps what; checked below by writing an ordinary message. */
#define AT_HEAD 64
#define AT_DATA 65536

static void take_ring(struct ring *r)
{
	enum ring_msg type;
	const void *data;
	size_t len;
	int rc;

	for (unsigned i = 0; i < RING_BYTES / 8 + 1; i++) {
		rc = ring_get(r, &type, &data, &len);
		FUZZ_MUST(rc == 0 || rc == 1 || rc == -EBADMSG);
		if (rc != 1) {
			ring_sleep(r);
			return;
		}
		FUZZ_MUST(type >= RING_FLOW && type <= RING_TIME && len <= RING_BYTES / 2);
		fuzz_touch(data, len);
	}
	FUZZ_MUST(false); /* more messages than fit */
}

static void fuzz_ring(struct fuzz_in *in)
{
	struct ring *consumer, *producer;
	uint64_t head;
	uint8_t *mem;

	FUZZ_MUST(ring_new(&consumer, RING_BYTES) == 0);
	mem = mmap(NULL, AT_DATA + RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ring_memfd(consumer), 0);
	FUZZ_MUST(mem != MAP_FAILED);
	FUZZ_MUST(ring_attach(&producer, dup(ring_memfd(consumer)), dup(ring_eventfd(consumer))) == 0);
	FUZZ_MUST(ring_put(producer, RING_FLOW, "sound", 5) == 0);
	memcpy(&head, mem + AT_HEAD, sizeof(head));
	FUZZ_MUST(head == 16 && memcmp(mem + AT_DATA + 8, "sound", 5) == 0);
	while (in->left) {
		unsigned step = fuzz_u8(in), at = fuzz_u16(in);
		size_t len = fuzz_u8(in);
		const uint8_t *data = fuzz_take(in, &len);

		switch (step % 5) {
		case 0: /* anywhere in the data */
			memcpy(mem + AT_DATA + at, data, len < RING_BYTES - at ? len : RING_BYTES - at);
			break;
		case 1: /* over head, tail, size, whatever is there */
			memcpy(mem + at % 256, data, len);
			break;
		case 2: /* some more, or less */
			memcpy(&head, mem + AT_HEAD, sizeof(head));
			head += (uint64_t)(int64_t)(int16_t)at;
			memcpy(mem + AT_HEAD, &head, sizeof(head));
			break;
		case 3:
			ring_put(producer, (enum ring_msg)(RING_FLOW + at % 5), data, len);
			break;
		default:
			take_ring(consumer);
		}
	}
	take_ring(consumer);
	munmap(mem, AT_DATA + RING_BYTES);
	ring_free(producer);
	ring_free(consumer);
}

static void fuzz_attach(struct fuzz_in *in)
{
	unsigned how = fuzz_u8(in);
	size_t len = 4096;
	const uint8_t *data = fuzz_take(in, &len);
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING), rc;
	struct ring *r;

	FUZZ_MUST(fd >= 0 && ftruncate(fd, AT_DATA + ((off_t)32768 << (how & 3)) + (how & 4)) == 0);
	FUZZ_MUST(pwrite(fd, data, len, 0) == (ssize_t)len);
	fcntl(fd, F_ADD_SEALS, (how & 8 ? F_SEAL_SHRINK : 0) | (how & 16 ? F_SEAL_GROW : 0) | (how & 32 ? F_SEAL_SEAL : 0));
	rc = ring_attach(&r, fd, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	FUZZ_MUST(rc == 0 || rc == -EINVAL);
	if (rc)
		return;
	FUZZ_MUST((how & 56) == 56);
	rc = ring_put(r, RING_TIME, "12345678", 8);
	FUZZ_MUST(rc == 0 || rc == -EAGAIN);
	ring_free(r);
}

/* The lowest descriptor that is free. */
static int lowest_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	FUZZ_MUST(fd >= 0);
	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = {data, size};
	int before = lowest_fd();

	switch (fuzz_u8(&in) % 3) {
	case 0:
		fuzz_channel(&in);
		break;
	case 1:
		fuzz_ring(&in);
		break;
	default:
		fuzz_attach(&in);
	}
	FUZZ_MUST(lowest_fd() == before);
	return 0;
}
