/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A ring of messages in shared memory: one producer process (a capture worker), one consumer (the engine), no locks.
 * The consumer treats what it finds as hostile: a length that does not fit marks the ring as broken, it never
 * reads outside it. An eventfd wakes a consumer that said it would sleep.
 */
#ifndef WEIR_COMMON_RING_H
#define WEIR_COMMON_RING_H
#include <stddef.h>
#include <stdint.h>

enum ring_msg {
	RING_FLOW = 1, /* flow_encode */
	RING_ATTEMPTS, /* flow_attempts_encode */
	RING_COVERAGE, /* coverage_encode: growth since the last one for that interface */
	RING_DONE,     /* the worker has reported everything; body: "" or the text of an error */
	RING_TIME,     /* u64 big-endian: every flow whose last packet is older has been reported (offline clock) */
};

struct ring;

/* bytes: a power of two, at least 64 KiB. Creates the memfd and the eventfd. 0 or negative errno. */
int ring_new(struct ring **out, size_t bytes);
/* The two descriptors, to pass to the other process; still the ring's. */
int ring_memfd(const struct ring *r);
int ring_eventfd(const struct ring *r);
/* Attaches to a ring made elsewhere; takes over both descriptors also on failure. -EINVAL for a memfd that is
 * no ring. */
int ring_attach(struct ring **out, int memfd, int eventfd);
void ring_free(struct ring *r);

/* Producer. 0; -EAGAIN when there is no room (the message is not written; count it); -EMSGSIZE over half the ring. */
int ring_put(struct ring *r, enum ring_msg type, const void *data, size_t len);
/* Waits up to timeout_ms until at least half the ring is free (offline back-pressure). 0 or -ETIMEDOUT. */
int ring_wait_room(struct ring *r, int timeout_ms);
/* Wakes the consumer if it sleeps; call after a batch of puts. */
void ring_kick(struct ring *r);

/*
 * Consumer. Next message: *data is borrowed until the next call. 1 got one, 0 empty, -EBADMSG the ring is broken.
 * ring_sleep: after 0, announces sleep; returns 0 when it is safe to wait on the eventfd, 1 when something came in
 * meanwhile. The eventfd is drained by ring_get.
 */
int ring_get(struct ring *r, enum ring_msg *type, const void **data, size_t *len);
int ring_sleep(struct ring *r);

#endif
