/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two processes, of which one reads hostile packets all day, share a queue of messages; a lock that the hostile side
 * could hold, or a length that the trusting side believes, would give the engine away. So: a single-producer,
 * single-consumer ring in a sealed memfd, with a free-running head and tail. The data area is mapped twice in a row,
 * so that a message is always contiguous. The consumer copies a message into memory of its own before anybody looks
 * at it, reads each shared word once, and keeps its own tail: what the producer writes there does not matter to it.
 */
#include "config.h"
#include "common/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/timefmt.h"

#define RING_MAGIC 0x77656972u /* "weir" */
#define RING_MIN 65536u
#define RING_MAX (1u << 30)
#define RING_HEAD_BYTES 65536u /* one page at least, whatever the page size */
#define RING_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Shared; each index on a cache line of its own. */
struct ring_shared {
	uint32_t magic, size;
	_Alignas(64) _Atomic uint64_t head; /* bytes ever written; the producer's */
	_Alignas(64) _Atomic uint64_t tail; /* bytes ever taken; the consumer's */
	_Alignas(64) _Atomic uint32_t sleeping;
};

struct ring_entry {
	uint32_t len, type;
};

struct ring {
	int memfd, eventfd;
	struct ring_shared *shared;
	uint8_t *data; /* size bytes, twice */
	uint32_t size;
	bool broken, drain;
	uint64_t head, tail; /* producer's head, consumer's tail: the private truth */
	uint8_t *copy;       /* consumer: the message handed out */
	size_t copy_size;
};

static uint64_t entry_size(size_t len)
{
	return (sizeof(struct ring_entry) + len + 7) & ~(uint64_t)7;
}

static int ring_map(struct ring *r, uint32_t size)
{
	size_t total = RING_HEAD_BYTES + 2 * (size_t)size;
	uint8_t *p = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	if (mmap(p, RING_HEAD_BYTES + (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, r->memfd, 0) ==
		    MAP_FAILED ||
	    mmap(p + RING_HEAD_BYTES + size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, r->memfd,
		 RING_HEAD_BYTES) == MAP_FAILED) {
		int rc = -errno;

		munmap(p, total);
		return rc;
	}
	r->shared = (struct ring_shared *)(void *)p;
	r->data = p + RING_HEAD_BYTES;
	r->size = size;
	return 0;
}

static struct ring *ring_alloc(void)
{
	struct ring *r = calloc(1, sizeof(*r));

	if (r)
		r->memfd = r->eventfd = -1;
	return r;
}

int ring_new(struct ring **out, size_t bytes)
{
	struct ring *r;
	int rc;

	if (bytes < RING_MIN || bytes > RING_MAX || (bytes & (bytes - 1)))
		return -EINVAL;
	r = ring_alloc();
	if (!r)
		return -ENOMEM;
	r->memfd = memfd_create("weir-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	r->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->memfd < 0 || r->eventfd < 0 || ftruncate(r->memfd, (off_t)(RING_HEAD_BYTES + bytes)) != 0 ||
	    fcntl(r->memfd, F_ADD_SEALS, RING_SEALS) != 0) {
		rc = -errno;
		goto out;
	}
	rc = ring_map(r, (uint32_t)bytes);
	if (rc)
		goto out;
	r->shared->magic = RING_MAGIC;
	r->shared->size = (uint32_t)bytes;
	*out = r;
	return 0;
out:
	ring_free(r);
	return rc;
}

int ring_attach(struct ring **out, int memfd, int eventfd)
{
	struct ring *r = ring_alloc();
	struct stat st;
	int rc, seals;

	if (!r) {
		close(memfd);
		close(eventfd);
		return -ENOMEM;
	}
	r->memfd = memfd;
	r->eventfd = eventfd;
	rc = -EINVAL;
	/* Without the seals the other side could cut the file and kill us with SIGBUS. */
	seals = fcntl(memfd, F_GET_SEALS);
	if (seals < 0 || (seals & RING_SEALS) != RING_SEALS || fstat(memfd, &st) != 0)
		goto out;
	st.st_size -= RING_HEAD_BYTES;
	if (st.st_size < RING_MIN || st.st_size > RING_MAX || (st.st_size & (st.st_size - 1)))
		goto out;
	rc = ring_map(r, (uint32_t)st.st_size);
	if (rc)
		goto out;
	if (r->shared->magic != RING_MAGIC || r->shared->size != r->size) {
		rc = -EINVAL;
		goto out;
	}
	r->head = atomic_load_explicit(&r->shared->head, memory_order_acquire);
	r->tail = atomic_load_explicit(&r->shared->tail, memory_order_acquire);
	*out = r;
	return 0;
out:
	ring_free(r);
	return rc;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	if (r->shared)
		munmap(r->shared, RING_HEAD_BYTES + 2 * (size_t)r->size);
	if (r->memfd >= 0)
		close(r->memfd);
	if (r->eventfd >= 0)
		close(r->eventfd);
	free(r->copy);
	free(r);
}

int ring_memfd(const struct ring *r)
{
	return r->memfd;
}

int ring_eventfd(const struct ring *r)
{
	return r->eventfd;
}

/* Bytes the producer may write now; 0 when the consumer's tail makes no sense. */
static uint64_t ring_room(const struct ring *r)
{
	uint64_t used = r->head - atomic_load_explicit(&r->shared->tail, memory_order_acquire);

	return used <= r->size ? r->size - used : 0;
}

int ring_put(struct ring *r, enum ring_msg type, const void *data, size_t len)
{
	struct ring_entry e = {(uint32_t)len, (uint32_t)type};
	uint64_t need;
	uint8_t *p;

	if (len > r->size / 2)
		return -EMSGSIZE;
	need = entry_size(len);
	if (need > ring_room(r))
		return -EAGAIN;
	p = r->data + (r->head & (r->size - 1));
	memcpy(p, &e, sizeof(e));
	if (len)
		memcpy(p + sizeof(e), data, len);
	r->head += need;
	atomic_store_explicit(&r->shared->head, r->head, memory_order_release);
	return 0;
}

int ring_wait_room(struct ring *r, int timeout_ms)
{
	uint64_t until = time_mono_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS;
	struct timespec pause = {0, 100000};

	while (ring_room(r) < r->size / 2) {
		ring_kick(r);
		if (time_mono_ns() >= until)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 2000000)
			pause.tv_nsec *= 2;
	}
	return 0;
}

void ring_kick(struct ring *r)
{
	const uint64_t one = 1;

	/* The consumer announces sleep, then looks at head; we wrote head, then look at the announcement. One of the
	 * two sees the other, given a full fence on both sides. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&r->shared->sleeping, memory_order_relaxed) &&
	    atomic_exchange(&r->shared->sleeping, 0)) {
		/* EAGAIN means the counter is full: then it wakes anyway. */
		if (write(r->eventfd, &one, sizeof(one)) < 0)
			return;
	}
}

static int ring_break(struct ring *r)
{
	r->broken = true;
	return -EBADMSG;
}

int ring_get(struct ring *r, enum ring_msg *type, const void **data, size_t *len)
{
	struct ring_entry e;
	uint64_t used, head;
	const uint8_t *p;

	if (r->broken)
		return -EBADMSG;
	if (r->drain) {
		uint64_t n;

		r->drain = false;
		if (read(r->eventfd, &n, sizeof(n)) < 0 && errno != EAGAIN && errno != EINTR)
			return ring_break(r);
	}
	head = atomic_load_explicit(&r->shared->head, memory_order_acquire);
	used = head - r->tail;
	if (used == 0)
		return 0;
	if (used > r->size || (used & 7))
		return ring_break(r);
	p = r->data + (r->tail & (r->size - 1));
	memcpy(&e, p, sizeof(e)); /* the one look at the length: what counts is the copy */
	if (e.len > r->size / 2 || entry_size(e.len) > used || e.type < RING_FLOW || e.type > RING_TIME)
		return ring_break(r);
	if (e.len > r->copy_size) {
		size_t want = e.len < 4096 ? 4096 : e.len;
		uint8_t *bigger = realloc(r->copy, want);

		if (!bigger)
			return -ENOMEM;
		r->copy = bigger;
		r->copy_size = want;
	}
	if (e.len)
		memcpy(r->copy, p + sizeof(e), e.len);
	r->tail += entry_size(e.len);
	atomic_store_explicit(&r->shared->tail, r->tail, memory_order_release);
	*type = (enum ring_msg)e.type;
	*data = r->copy;
	*len = e.len;
	return 1;
}

int ring_sleep(struct ring *r)
{
	r->drain = true;
	atomic_store(&r->shared->sleeping, 1);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&r->shared->head, memory_order_acquire) == r->tail && !r->broken)
		return 0;
	atomic_store(&r->shared->sleeping, 0);
	return 1;
}
