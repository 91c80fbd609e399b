/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's parts that need no kernel: the loop, the configuration file.
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

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_loop();
	test_config();
	return tap_done();
}
