/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Load for live capture, between two namespaces:
 *   load serve PORT                    answers TCP connections (64 bytes each way) and swallows UDP, until killed
 *   load tcp ADDRESS PORT SECONDS [N]  short connections, 64 at a time in each of N processes; prints how many
 *   load udp ADDRESS PORT SECONDS      64-byte datagrams as fast as they go; prints how many
 *   load sink PORT                     swallows what TCP connections bring, until killed
 *   load bulk ADDRESS PORT SECONDS     one TCP connection at full speed to a sink; prints how many bytes
 *   load burst ADDRESS PORT COUNT MS   that many datagrams of one flow, spread over MS milliseconds; prints both as
 *                                      they were
 *   load once ADDRESS PORT SIZE [SOURCE...]  a datagram and a connection from each source; the datagram alone from any
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/timefmt.h"

#define MESSAGE 64
#define BATCH 64
#define SERVERS 2
#define IN_FLIGHT 64 /* connections of one process */
#define FDS_MAX 1024

static struct sockaddr_in where;
static unsigned in_flight;

static void *serve_udp(void *arg)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char buf[2048];

	if (bind(fd, (struct sockaddr *)(void *)&where, sizeof(where)) != 0)
		return arg;
	while (recv(fd, buf, sizeof(buf), 0) >= 0)
		;
	return arg;
}

static int serve(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	pthread_t udp;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* Accepted when its request is there: one wake-up for a connection. */
	setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)(void *)&where, sizeof(where)) != 0 || listen(fd, 4096) != 0) {
		perror("serve");
		return 1;
	}
	for (int i = 1; i < SERVERS; i++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			break;
		}
	pthread_create(&udp, NULL, serve_udp, NULL);
	for (;;) {
		char buf[MESSAGE];
		int c = accept(fd, NULL, NULL);

		if (c < 0)
			continue;
		if (recv(c, buf, sizeof(buf), MSG_WAITALL) == MESSAGE && send(c, buf, sizeof(buf), MSG_NOSIGNAL) < 0)
			perror("send");
		close(c);
	}
}

/* One of the connections in flight, by its descriptor. */
struct conn {
	bool sent;
	unsigned got;
};

/* The server closes first; a reset then frees our port for the next one. */
static void conn_begin(int epoll, struct conn *conns)
{
	const struct linger at_once = {1, 0};
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || fd >= FDS_MAX) {
		if (fd >= 0)
			close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	conns[fd] = (struct conn){false, 0};
	e.data.fd = fd;
	if ((connect(fd, (struct sockaddr *)(void *)&where, sizeof(where)) < 0 && errno != EINPROGRESS) ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		close(fd);
	else
		in_flight++;
}

/* True when it is over; *done counts those that went both ways and were closed by the server. */
static bool conn_go_on(int fd, struct conn *c, uint32_t events, uint64_t *done)
{
	char buf[MESSAGE] = "load";
	ssize_t n = 1;

	if (!c->sent && (events & EPOLLOUT)) {
		c->sent = true;
		if (send(fd, buf, sizeof(buf), MSG_NOSIGNAL) != MESSAGE)
			return true;
	}
	while (c->sent && (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) && n > 0) {
		n = recv(fd, buf, sizeof(buf), 0);
		c->got += n > 0 ? (unsigned)n : 0;
	}
	if (n == 0 && c->got == MESSAGE)
		++*done;
	return n == 0 || (n < 0 && errno != EAGAIN) || (events & (EPOLLERR | EPOLLHUP));
}

/* Many at a time: one after the other, a connection costs half a dozen switches between processes, which is all that
 * would be measured. */
static uint64_t connect_until(uint64_t until)
{
	static struct conn conns[FDS_MAX];
	struct epoll_event e[IN_FLIGHT];
	int epoll = epoll_create1(0);
	uint64_t done = 0, now = time_mono_ns();

	while (now < until || (in_flight && now < until + NS_PER_S)) {
		int n;

		while (now < until && in_flight < IN_FLIGHT)
			conn_begin(epoll, conns);
		n = epoll_wait(epoll, e, IN_FLIGHT, 100);
		for (int i = 0; i < n; i++) {
			int fd = e[i].data.fd;

			if (!conn_go_on(fd, &conns[fd], e[i].events, &done))
				continue;
			close(fd);
			in_flight--;
		}
		now = time_mono_ns();
	}
	return done;
}

static int sink(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	static char buf[1 << 18];

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)(void *)&where, sizeof(where)) != 0 || listen(fd, 16) != 0) {
		perror("sink");
		return 1;
	}
	for (;;) {
		int c = accept(fd, NULL, NULL);

		while (c >= 0 && recv(c, buf, sizeof(buf), 0) > 0)
			;
		if (c >= 0)
			close(c);
	}
}

static uint64_t bulk_until(uint64_t until)
{
	static char data[1 << 17];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	uint64_t n = 0;

	if (connect(fd, (struct sockaddr *)(void *)&where, sizeof(where)) != 0)
		return 0;
	while (time_mono_ns() < until) {
		ssize_t sent = send(fd, data, sizeof(data), MSG_NOSIGNAL);

		if (sent < 0)
			break;
		n += (uint64_t)sent;
	}
	close(fd);
	return n;
}

static int burst(unsigned count, unsigned span_ms)
{
	const uint64_t start = time_mono_ns(), step_ns = count > 1 ? span_ms * NS_PER_MS / (count - 1) : 0;
	const struct timespec pause = {0, (long)(step_ns < NS_PER_S ? step_ns : NS_PER_S - 1)};
	static char data[MESSAGE - 28];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (connect(fd, (struct sockaddr *)(void *)&where, sizeof(where)) != 0)
		return 1;
	for (unsigned i = 0; i < count; i++) {
		if (i)
			nanosleep(&pause, NULL);
		/* An answer that nobody listens is no reason not to send the next one. */
		if (send(fd, data, sizeof(data), 0) < 0 && send(fd, data, sizeof(data), 0) < 0)
			return 1;
	}
	printf("%u %llu\n", count, (unsigned long long)((time_mono_ns() - start) / NS_PER_MS));
	return 0;
}

static uint64_t datagrams_until(uint64_t until)
{
	static char data[MESSAGE - 28];
	struct iovec v = {data, sizeof(data)};
	struct mmsghdr m[BATCH];
	uint64_t n = 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	memset(m, 0, sizeof(m));
	for (int i = 0; i < BATCH; i++) {
		m[i].msg_hdr.msg_iov = &v;
		m[i].msg_hdr.msg_iovlen = 1;
	}
	if (connect(fd, (struct sockaddr *)(void *)&where, sizeof(where)) != 0)
		return 0;
	while (time_mono_ns() < until) {
		int sent = sendmmsg(fd, m, BATCH, 0);

		if (sent > 0)
			n += (uint64_t)sent;
	}
	return n;
}

/* From one source, or from any when it is NULL. */
static int once(const char *source, size_t size)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	int u = socket(AF_INET, SOCK_DGRAM, 0), t = socket(AF_INET, SOCK_STREAM, 0);
	char *data = calloc(1, size + MESSAGE);
	int rc = 1;

	if (!data || (source && inet_pton(AF_INET, source, &from.sin_addr) != 1))
		goto out;
	if (bind(u, (struct sockaddr *)(void *)&from, sizeof(from)) != 0 ||
	    bind(t, (struct sockaddr *)(void *)&from, sizeof(from)) != 0 ||
	    sendto(u, data, size, 0, (struct sockaddr *)(void *)&where, sizeof(where)) != (ssize_t)size)
		goto out;
	rc = 0;
	if (!source)
		goto out;
	if (connect(t, (struct sockaddr *)(void *)&where, sizeof(where)) != 0 ||
	    send(t, data, MESSAGE, MSG_NOSIGNAL) != MESSAGE || recv(t, data, MESSAGE, MSG_WAITALL) != MESSAGE)
		rc = 1;
out:
	close(u);
	close(t);
	free(data);
	return rc;
}

int main(int argc, char **argv)
{
	uint64_t *total = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t until;
	int workers;

	where.sin_family = AF_INET;
	if (argc == 3 && strcmp(argv[1], "serve") == 0) {
		where.sin_port = htons((uint16_t)atoi(argv[2]));
		return serve();
	}
	if (argc == 3 && strcmp(argv[1], "sink") == 0) {
		where.sin_port = htons((uint16_t)atoi(argv[2]));
		return sink();
	}
	if (argc < 5 || total == MAP_FAILED || inet_pton(AF_INET, argv[2], &where.sin_addr) != 1) {
		fprintf(stderr, "usage: load serve|sink PORT | load tcp|udp|bulk ADDRESS PORT SECONDS [N]\n");
		return 2;
	}
	where.sin_port = htons((uint16_t)atoi(argv[3]));
	if (strcmp(argv[1], "once") == 0) {
		int rc = argc > 5 ? 0 : once(NULL, strtoul(argv[4], NULL, 10));

		for (int i = 5; i < argc; i++)
			rc |= once(argv[i], strtoul(argv[4], NULL, 10));
		return rc;
	}
	if (strcmp(argv[1], "burst") == 0)
		return burst((unsigned)atoi(argv[4]), argc > 5 ? (unsigned)atoi(argv[5]) : 0);
	until = time_mono_ns() + strtoull(argv[4], NULL, 10) * NS_PER_S;
	if (strcmp(argv[1], "udp") == 0) {
		printf("%llu\n", (unsigned long long)datagrams_until(until));
		return 0;
	}
	if (strcmp(argv[1], "bulk") == 0) {
		printf("%llu\n", (unsigned long long)bulk_until(until));
		return 0;
	}
	workers = argc > 5 ? atoi(argv[5]) : 2;
	for (int i = 0; i < workers; i++) {
		if (fork() == 0) {
			__atomic_fetch_add(total, connect_until(until), __ATOMIC_RELAXED);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	printf("%llu\n", (unsigned long long)*total);
	return 0;
}
