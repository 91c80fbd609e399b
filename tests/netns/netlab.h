/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A small world for tests of the kernel's side, in network namespaces of its own that go away with it: a host with
 * a bridge, workloads on it, and somebody outside. One process plays all parts: a socket stays in the namespace it
 * was made in.
 *
 *   workload i: 10.77.0.(10+i), fd77::(10+i)   bridge (host): 10.77.0.1, fd77::1
 *   world: 192.0.2.2, 2001:db8::2              host's end: 192.0.2.1, 2001:db8::1
 */
#ifndef WEIR_TESTS_NETNS_NETLAB_H
#define WEIR_TESTS_NETNS_NETLAB_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

#define LAB_WORKLOADS_MAX 4
enum { LAB_HOST = -1, LAB_WORLD = -2 };

struct lab {
	char prefix[32];
	int n, home, host, world, workload[LAB_WORKLOADS_MAX]; /* descriptors of namespaces */
	/* Called while something is waited for, so that what is under test can run: descriptors, and what to do. */
	int fds[4];
	size_t n_fds;
	void (*turn)(void *arg);
	void *arg;
};

/* n workloads. NULL, or why it cannot be (then nothing is left behind). Leaves the caller in the host's namespace. */
const char *lab_open(struct lab *l, const char *name, int n);
void lab_close(struct lab *l);
void lab_enter(const struct lab *l, int who); /* workload number, LAB_HOST or LAB_WORLD */
struct addr lab_addr(int who, bool v4);
/* Runs a shell command in the host's namespace; its exit status. */
int lab_run(const struct lab *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The command's output, the caller's to free; NULL when it failed. */
char *lab_output(const struct lab *l, const char *cmd);

/* Waits for events on fd while turning; 1 ready, 0 deadline passed. fd -1: only turns. */
int lab_wait(struct lab *l, int fd, short events, int ms);

/* Sockets in who's namespace; type SOCK_STREAM or SOCK_DGRAM. Negative errno on failure. */
int lab_listen(const struct lab *l, int who, int type, const struct addr *a, uint16_t port);
/* Connects to a; *fd_out (may be NULL: closed) gets the socket. 0, the negative errno the client saw, or
 * -ETIMEDOUT. For datagrams: sends one byte and takes the error that comes back; -ETIMEDOUT when neither error nor
 * answer came. */
int lab_connect(struct lab *l, int who, int type, const struct addr *a, uint16_t port, int ms, int *fd_out);
/* Starts a connection from source port sport (0: any) or sends one datagram, and forgets about the outcome. The
 * socket. */
int lab_poke(const struct lab *l, int who, int type, const struct addr *a, uint16_t port, uint16_t sport);
/* One ICMP or ICMPv6 message of this type, with this identifier. 0 or negative errno. */
int lab_icmp(const struct lab *l, int who, const struct addr *a, uint8_t type, uint16_t id);
/* Text through a connected pair, one way and back. */
bool lab_talk(struct lab *l, int a, int b);

#endif
