/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The played runtime: a listener, a few connections, requests answered as soon as they are whole. No thread and no
 * blocking call: where the other side must read first, it is asked to.
 */
#include "config.h"
#include "tests/unit/fake_engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fake_engine engine;
struct fake_world world;

void engine_up(const char *path, answer_fn *answer, void (*full)(void))
{
	memset(&engine, 0, sizeof(engine));
	engine.path = path;
	engine.answer = answer;
	engine.full = full;
	world = (struct fake_world){.started_a = "2026-01-01T00:00:10Z", .finished_a = "2026-01-01T00:00:20Z",
				    .address_a = "10.0.0.2", .name_a = "web-1"};
	engine_listen();
}

void engine_listen(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	unlink(engine.path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", engine.path);
	engine.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (engine.listener < 0 || bind(engine.listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(engine.listener, 64) < 0) {
		perror("engine");
		exit(1);
	}
	for (int i = 0; i < FAKE_CONNS; i++)
		engine.conn[i] = -1;
	engine.stream = engine.held = -1;
}

void engine_hang_up(int i)
{
	close(engine.conn[i]);
	engine.conn[i] = -1;
	engine.len[i] = 0;
	if (engine.stream == i)
		engine.stream = -1;
}

void engine_down(void)
{
	for (int i = 0; i < FAKE_CONNS; i++)
		if (engine.conn[i] >= 0)
			engine_hang_up(i);
	close(engine.listener);
	unlink(engine.path);
}

/* One thread plays both sides: while the pipe is full, the client reads. */
static void send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			engine.full();
			continue;
		}
		if (n < 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

void engine_reply(int i, const char *path)
{
	struct buf body = BUF_INIT, head = BUF_INIT;
	int status = engine.answer(path, &body);

	engine.asked_inspect += strstr(path, "/containers/") == path && !strstr(path, "/containers/json");
	engine.asked_network += strstr(path, "/networks/") == path;
	if (status == 0)
		engine.held = i;
	if (status < 0) {
		send_all(engine.conn[i], body.data, body.len);
		engine_hang_up(i);
	} else if (status > 0 && strncmp(path, "/events", 7) == 0 && status == 200) {
		const char *since = strstr(path, "since=");

		snprintf(engine.since, sizeof(engine.since), "%.*s", (int)strcspn(since + 6, "&"), since + 6);
		engine.stream = i;
		engine.streams++;
		buf_adds(&head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		send_all(engine.conn[i], head.data, head.len);
	} else if (status > 0) {
		buf_printf(&head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n", status, body.len);
		send_all(engine.conn[i], head.data, head.len);
		if (body.len)
			send_all(engine.conn[i], body.data, body.len);
	}
	buf_fini(&body);
	buf_fini(&head);
}

void engine_serve(void)
{
	int fd;

	while ((fd = accept4(engine.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		for (int i = 0; i <= FAKE_CONNS; i++) {
			if (i == FAKE_CONNS)
				exit(1);
			if (engine.conn[i] < 0) {
				engine.conn[i] = fd;
				break;
			}
		}
	for (int i = 0; i < FAKE_CONNS; i++) {
		char *end, path[1024];
		ssize_t n;

		if (engine.conn[i] < 0)
			continue;
		n = recv(engine.conn[i], engine.in[i] + engine.len[i], sizeof(engine.in[i]) - engine.len[i] - 1,
			 MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			engine_hang_up(i);
			continue;
		}
		engine.len[i] += n > 0 ? (size_t)n : 0;
		engine.in[i][engine.len[i]] = '\0';
		end = strstr(engine.in[i], "\r\n\r\n");
		if (!end || sscanf(engine.in[i], "GET %1023s", path) != 1)
			continue;
		engine.len[i] = 0;
		engine_reply(i, path);
	}
}

void engine_chunk(const char *data, size_t len)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%zx\r\n", len);
	buf_add(&b, data, len);
	buf_adds(&b, "\r\n");
	if (engine.stream >= 0)
		send_all(engine.conn[engine.stream], b.data, b.len);
	buf_fini(&b);
}

void engine_event(const char *type, const char *action, const char *id, uint64_t time_ns, const char *attributes)
{
	struct buf b = BUF_INIT;

	buf_printf(
		&b,
		"{\"Type\":\"%s\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\",\"Attributes\":{%s}},\"timeNano\":%llu}\n",
		type, action, id, attributes, (unsigned long long)time_ns);
	engine_chunk(b.data, b.len);
	buf_fini(&b);
}

/* ---- what an engine in good order answers ------------------------------------------------------------------------ */

static void inspect_a(struct buf *b)
{
	buf_printf(b, "{\"Id\":\"" ID_A "\",\"Name\":\"/%s\",\"Image\":\"" IMAGE "\","
		   "\"State\":{\"Running\":%s,\"StartedAt\":\"%s\","
		   "\"FinishedAt\":\"%s\",\"ExitCode\":%d},\"Config\":{\"Image\":\"nginx:1\",\"Labels\":{}},"
		   "\"NetworkSettings\":{\"Networks\":{\"n\":{\"IPAddress\":\"%s\"}}}}", world.name_a,
		   world.running_a ? "true" : "false", world.started_a, world.finished_a, world.running_a ? 0 : 3,
		   world.running_a ? world.address_a : "");
}

int engine_good(const char *path, struct buf *b)
{
	if (strcmp(path, "/version") == 0) {
		buf_adds(b, "{\"Version\":\"1.2\",\"Components\":[{\"Name\":\"Engine\"}]}");
	} else if (strcmp(path, "/containers/json") == 0) {
		buf_adds(b, world.list_a ? "[{\"Id\":\"" ID_A "\"}]" : "[]");
	} else if (strcmp(path, "/containers/json?all=1&filters=%7B%22id%22%3A%5B%22" ID_A "%22%5D%7D") == 0) {
		/* As Docker lists what it is starting; and another, which the question was not about. */
		buf_adds(b,
			 "[{\"Id\":\"" ID_B "\",\"Names\":[\"/wrong\"]},{\"Id\":\"" ID_A
			 "\",\"Names\":[\"/db/alias\",\"/web-1\"],"
			 "\"Image\":\"nginx:1\",\"State\":\"created\",\"Labels\":{\"com.docker.compose.project\":\"p\","
			 "\"com.docker.compose.service\":\"s\"}}]");
	} else if (strcmp(path, "/containers/" ID_A "/json") == 0) {
		if (world.hold_inspect)
			return 0;
		if (world.gone_a)
			return 404;
		inspect_a(b);
	} else if (strcmp(path, "/networks/" NET) == 0) {
		buf_adds(b, "{\"Containers\":{\"" ID_A
			    "\":{\"IPv4Address\":\"10.0.0.7/24\",\"IPv6Address\":\"fd00::7/64\"},\"" ID_B
			    "\":{\"IPv4Address\":\"10.0.0.8/24\"}},"
			    /* as engine 29 tells of a network with IPv6: more than jansson's integers hold */
			    "\"Status\":{\"IPAM\":{\"Subnets\":{\"fd00::/64\":{\"IPsInUse\":4,"
			    "\"DynamicIPsAvailable\":18446744073709551612}}}}}");
	} else if (strncmp(path, "/networks?filters=", 18) == 0 && world.macvlan) {
		buf_adds(b, "[{\"Id\":\"" NET "\",\"Name\":\"lan\",\"Driver\":\"macvlan\"},{\"Driver\":\"ipvlan\"},7]");
	} else if (strcmp(path, "/images/" IMAGE "/json") == 0) {
		buf_adds(b, "{\"Id\":\"" IMAGE
			    "\",\"RepoDigests\":[\"other@sha256:00\",\"docker.io/library/nginx@sha256:99\"]}");
	} else if (strncmp(path, "/events?", 8) != 0) {
		return 404;
	}
	return 200;
}
