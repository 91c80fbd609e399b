/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * daemon/control_server and control_client: orders and answers, and clients that are slow, silent, endless, or three
 * hundred.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "common/timefmt.h"
#include "daemon/control.h"
#include "daemon/control_server.h"
#include "daemon/loop.h"
#include "tests/tap.h"

/* A server that answers every order with its number, for clients good and bad. */
static struct control *server;
static unsigned orders;

static void on_order(void *arg, uint64_t client, uid_t uid, const json_t *order)
{
	(void)arg;
	CHECK_EQ(uid, geteuid());
	orders++;
	if (json_object_get(order, "hold"))
		return;
	control_reply(server, client, json_pack("{s:b,s:i}", "ok", 1, "n", (int)orders));
}

static int connect_raw(const char *dir)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/" CONTROL_SOCKET, dir);
	CHECK_EQ(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* One line from a raw connection while the loop runs; "" when it was closed. */
static void read_reply(struct loop *l, int fd, char *out, size_t size)
{
	uint64_t deadline = time_mono_ns() + 60 * NS_PER_S;
	size_t len = 0;

	out[0] = '\0';
	while (time_mono_ns() < deadline && len + 1 < size && !strchr(out, '\n')) {
		ssize_t n = recv(fd, out + len, size - len - 1, MSG_DONTWAIT);

		if (n == 0)
			return;
		if (n > 0)
			len += (size_t)n;
		out[len] = '\0';
		loop_step(l, 10);
	}
}

static void test_control(void)
{
	char dir[] = "/tmp/weir-test-XXXXXX", error[CONTROL_ERROR_STRLEN], reply[1024], *answer = NULL;
	const struct control_events ev = {on_order, NULL};
	struct loop *l;
	int fd, slow, status;
	pid_t pid;
	char *big;

	CHECK(mkdtemp(dir) != NULL);
	CHECK_EQ(control_request(dir, "{}", 1000, &answer, error), -ENOENT);
	CHECK(strstr(error, "no weir is running") != NULL);
	CHECK_EQ(chdir(dir), 0);
	CHECK_EQ(loop_new(&l), 0);
	CHECK_EQ(control_open(&server, l, &ev), 0);
	slow = connect_raw(dir); /* says half a word and no more */
	CHECK_EQ(write(slow, "{\"or", 4), 4);
	fd = connect_raw(dir);
	CHECK(write(fd, "nonsense\n", 9) == 9);
	read_reply(l, fd, reply, sizeof(reply));
	CHECK(strstr(reply, "\"ok\":false") && strstr(reply, "one JSON object"));
	CHECK(write(fd, "{\"a\":1}\n{\"a\":2}\n", 16) == 16); /* two at once: answered one after the other */
	read_reply(l, fd, reply, sizeof(reply));
	CHECK(strstr(reply, "\"n\":1") != NULL);
	if (!strstr(reply, "\"n\":2"))
		read_reply(l, fd, reply, sizeof(reply));
	CHECK(strstr(reply, "\"n\":2") != NULL);
	close(fd);
	/* An endless line is refused at the bound, not gathered. */
	fd = connect_raw(dir);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	big = calloc(1, 1 << 20);
	memset(big, 'x', 1 << 20);
	for (uint64_t sent = 0, deadline = time_mono_ns() + 60 * NS_PER_S;
	     sent < CONTROL_MESSAGE_MAX + (4u << 20) && time_mono_ns() < deadline;) {
		ssize_t n = send(fd, big, 1 << 20, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (uint64_t)n : 0;
		loop_step(l, 0);
		if (recv(fd, reply, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
			break;
	}
	read_reply(l, fd, reply, sizeof(reply));
	CHECK(strstr(reply, "bytes long at most") != NULL);
	close(fd);
	free(big);
	/* The real client, from another process. */
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(control_request(dir, "{\"order\":\"x\"}", 5000, &answer, error) == 0 && strstr(answer, "\"ok\":true") ? 0 : 1);
	for (status = -1; waitpid(pid, &status, WNOHANG) == 0;)
		loop_step(l, 10);
	CHECK_EQ(status, 0);
	close(slow);
	control_close(server);
	CHECK_EQ(control_request(dir, "{}", 1000, &answer, error), -ECONNREFUSED);
	loop_free(l);
	unlink(CONTROL_SOCKET);
	CHECK_EQ(chdir("/"), 0);
	rmdir(dir);
}

#define CROWD 300

/* Connections that never say a whole order keep nobody out, and cost what a few cost. */
static void test_control_crowd(void)
{
	char dir[] = "/tmp/weir-test-XXXXXX", error[CONTROL_ERROR_STRLEN], reply[1024], *answer = NULL;
	const struct control_events ev = {on_order, NULL};
	int fds[CROWD], held, status = -1;
	struct loop *l;
	pid_t pid;

	CHECK(mkdtemp(dir) != NULL);
	CHECK_EQ(chdir(dir), 0);
	CHECK_EQ(loop_new(&l), 0);
	CHECK_EQ(control_open(&server, l, &ev), 0);
	held = connect_raw(dir); /* its order is being carried out: it stays, whatever comes */
	CHECK_EQ(write(held, "{\"hold\":1}\n", 11), 11);
	for (unsigned was = orders; orders == was;)
		loop_step(l, 10);
	for (unsigned i = 0; i < CROWD; i++) {
		fds[i] = connect_raw(dir);
		CHECK(write(fds[i], "{\"or", 4) == 4);
		loop_step(l, 0);
		loop_step(l, 0);
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(control_request(dir, "{\"order\":\"x\"}", 60000, &answer, error) == 0 ? 0 : 1);
	while (waitpid(pid, &status, WNOHANG) == 0)
		loop_step(l, 10);
	CHECK_EQ(status, 0);
	CHECK(recv(held, reply, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	control_reply(server, 1, json_pack("{s:b}", "ok", 1));
	read_reply(l, held, reply, sizeof(reply));
	CHECK(strstr(reply, "\"ok\":true") != NULL);
	for (unsigned i = 0; i < CROWD; i++)
		close(fds[i]);
	close(held);
	control_close(server);
	loop_free(l);
	unlink(CONTROL_SOCKET);
	CHECK_EQ(chdir("/"), 0);
	rmdir(dir);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_control();
	test_control_crowd();
	return tap_done();
}
