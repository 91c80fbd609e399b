/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's parts that need no kernel: the loop, the configuration file, the control socket with bad clients.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/timefmt.h"
#include "daemon/control.h"
#include "daemon/control_server.h"
#include "daemon/loop.h"
#include "daemon/settings.h"
#include "tests/tap.h"
#include "tests/unit/prefixes.h"

struct ticks {
	struct loop *loop;
	unsigned timer, io, signal;
};

static void on_timer(void *arg)
{
	struct ticks *t = arg;

	if (++t->timer == 3)
		loop_stop(t->loop);
}

static void on_io(void *arg, int fd, uint32_t events)
{
	struct ticks *t = arg;
	char c;

	(void)events;
	t->io++;
	CHECK_EQ(read(fd, &c, 1), 1);
	loop_io_del(t->loop, fd); /* itself, from within */
}

static void on_usr1(void *arg)
{
	struct ticks *t = arg;

	t->signal++;
}

static void test_loop(void)
{
	struct ticks t = {0};
	uint64_t start = time_mono_ns();
	int fds[2];

	CHECK_EQ(loop_new(&t.loop), 0);
	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(loop_timer_add(t.loop, 20 * NS_PER_MS, on_timer, &t), 0);
	CHECK_EQ(loop_io_add(t.loop, fds[0], EPOLLIN, on_io, &t), 0);
	CHECK_EQ(loop_io_add(t.loop, fds[0], EPOLLIN, on_io, &t), -EEXIST);
	CHECK_EQ(loop_signal_add(t.loop, SIGUSR1, on_usr1, &t), 0);
	CHECK_EQ(write(fds[1], "ab", 2), 2);
	raise(SIGUSR1);
	CHECK_EQ(loop_run(t.loop), 0);
	CHECK_EQ(t.timer, 3);
	CHECK_EQ(t.io, 1); /* the second byte came after it had gone */
	CHECK_EQ(t.signal, 1);
	CHECK(time_mono_ns() - start >= 60 * NS_PER_MS);
	close(fds[0]);
	close(fds[1]);
	loop_free(t.loop);
}

static int parse(struct settings *s, const char *text, char *error)
{
	error[0] = '\0';
	return config_parse(s, "c.yaml", text, strlen(text), error);
}

static void test_config(void)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{"workers: 2\nbrigdes: [x]\n", "c.yaml:2:1: there is no setting \"brigdes\"; did you mean \"bridges\"?"},
		{"frobnicate: 1\n", "c.yaml:1:1: there is no setting \"frobnicate\""},
		{"workers: 0\n", "c.yaml:1:10: workers: 0 is out of range; 1 to 16 are possible"},
		{"workers: two\n", "c.yaml:1:10: workers: \"two\" is no whole number"},
		{"keep: 5parsec\n", "c.yaml:1:7: keep: \"5parsec\" is no span of time; write 500ms, 30s, 10m, 2h or 7d"},
		{"size_budget: lots\n", "c.yaml:1:14: size_budget: \"lots\" is no size; write 512MiB or 4GiB"},
		{"ring_size: 3MiB\n", "c.yaml:1:12: ring_size: 3MiB is no power of two; write 4MiB, 8MiB, 16MiB, ..."},
		{"look_inside: yes\n", "c.yaml:1:14: look_inside: \"yes\" is neither true nor false"},
		{"log: loud\n", "c.yaml:1:6: log: \"loud\" is no level; error, warning, info or debug"},
		{"bridges: br0\n", "c.yaml:1:10: bridges takes a list: bridges: [one, two]"},
		{"names: [web]\n", "c.yaml:1:9: names: write \"PATTERN -> GROUP\", such as \"web-* -> shop/web\""},
		{"keep: 1d\nkeep: 2d\n", "c.yaml:2:1: keep is set twice"},
		{"[1, 2]\n", "c.yaml:1:1: a configuration is a mapping of settings: \"workers: 2\""},
		{"state: [a]\n", "c.yaml:1:8: state takes a single value"},
	};
	char error[SETTINGS_ERROR_STRLEN];
	struct settings s, copy;
	struct buf b = BUF_INIT;

	CHECK_EQ(settings_init(&s), 0);
	CHECK_EQ(parse(&s, "", error), 0);
	CHECK_EQ(parse(&s, "# nothing\n", error), 0);
	CHECK_EQ(parse(&s, "state: /x\nworkers: 3\nwrite_through: 1s\nsize_budget: 2GiB\nlook_inside: true\nlog: debug\n"
			   "bridges: [a, 'b*']\nruntime_sockets: []\nnames: ['web-* -> shop/web']\n", error), 0);
	CHECK_STR(s.state, "/x");
	CHECK_EQ(s.workers, 3);
	CHECK_EQ(s.write_through_ns, NS_PER_S);
	CHECK_EQ(s.size_budget, 2ull << 30);
	CHECK(s.look_inside && s.runtimes_set && !s.runtimes[0]);
	CHECK_EQ(s.log_level, LOG_LEVEL_DEBUG);
	CHECK_STR(s.bridges[1], "b*");
	CHECK(s.bridges[2] == NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(parse(&s, bad[i].text, error), -EINVAL);
		CHECK_STR(error, bad[i].error);
	}
	CHECK_EQ(parse(&s, "a: [\n", error), -EINVAL);
	CHECK(strncmp(error, "c.yaml:2:1: not YAML: ", 22) == 0);
	CHECK_EQ(config_read(&s, "/nonexistent/c.yaml", error), -ENOENT);
	settings_encode(&b, &s);
	CHECK_EQ(settings_decode(&copy, b.data, b.len), 0);
	CHECK_EQ(copy.workers, s.workers);
	CHECK_EQ(copy.log_level, s.log_level);
	CHECK_PREFIXES(struct settings, settings_decode, b)
	buf_fini(&b);
	settings_fini(&s);
}

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

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_loop();
	test_config();
	test_control();
	return tap_done();
}
