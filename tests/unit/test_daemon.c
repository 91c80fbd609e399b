/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's parts that need no kernel: messages and their bodies (also from a hostile sender), the loop, the
 * configuration file, names by address and time against a naive model.
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
#include "daemon/bodies.h"
#include "daemon/loop.h"
#include "daemon/msg.h"
#include "daemon/names.h"
#include "daemon/settings.h"
#include "tests/tap.h"

static void channel_pair(struct channel **a, struct channel **b, size_t queue_max)
{
	int pair[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(channel_new(a, pair[0], queue_max), 0);
	CHECK_EQ(channel_new(b, pair[1], queue_max), 0);
}

static void test_messages(void)
{
	static const size_t sizes[] = {0, 1, 32768, 32769, 1000000, 8000000};
	struct channel *a, *b;
	uint8_t *body = malloc(8000000);
	uint64_t seed = 42;

	for (size_t i = 0; i < 8000000; i++)
		body[i] = (uint8_t)tap_random(&seed);
	channel_pair(&a, &b, 16u << 20);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct msg m = {0};
		int rc = channel_send(a, IPC_APPLY, body, sizes[i]), got = 0;

		CHECK_EQ(rc, 0);
		while (got == 0) { /* more than the socket takes at once: both ends work */
			channel_flush(a);
			got = channel_recv(b, &m);
		}
		CHECK_EQ(got, 1);
		CHECK_EQ(m.type, IPC_APPLY);
		CHECK_EQ(m.len, sizes[i]);
		CHECK(memcmp(m.data, body, sizes[i]) == 0);
		CHECK_EQ(channel_pending(a), 0);
	}
	CHECK_EQ(channel_send(a, IPC_APPLY, body, MSG_BODY_MAX + 1), -EMSGSIZE);
	/* Nobody reads: the queue fills up to its bound and says so, and what was queued arrives whole. */
	for (unsigned i = 0; i < 3; i++)
		channel_send(a, IPC_APPLY, body, 7000000);
	CHECK_EQ(channel_send(a, IPC_APPLY, body, 7000000), -ENOBUFS);
	channel_free(b);
	CHECK_EQ(channel_send(a, IPC_STOP, NULL, 0), -EPIPE);
	channel_free(a);
	free(body);
}

static void test_descriptors(void)
{
	struct channel *a, *b;
	struct msg m;
	int fds[2], n = 0;
	char c = 0;

	channel_pair(&a, &b, 1u << 20);
	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(channel_send_fds(a, IPC_RING, "x", 1, fds, 2), 0);
	close(fds[0]);
	CHECK_EQ(channel_recv(b, &m), 1);
	CHECK_EQ(m.n_fds, 2);
	CHECK_EQ(write(m.fds[1], "y", 1), 1);
	n = (int)read(m.fds[0], &c, 1);
	CHECK(n == 1 && c == 'y');
	close(m.fds[0]);
	close(m.fds[1]);
	close(fds[1]);
	channel_free(a);
	CHECK_EQ(channel_recv(b, &m), -EPIPE);
	channel_free(b);
}

/* Whatever a taken-over process writes: an error or a message, never more than it sent, never a crash. */
static void test_hostile_messages(void)
{
	uint64_t seed = tap_seed();

	for (unsigned round = 0; round < 2000; round++) {
		int pair[2];
		struct channel *c;
		struct msg m;
		uint8_t data[300];
		size_t len = tap_random(&seed) % sizeof(data);
		int rc;

		CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		CHECK_EQ(channel_new(&c, pair[0], 1 << 20), 0);
		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)(tap_random(&seed) % (i < 8 ? 3 : 256));
		if (len)
			(void)!write(pair[1], data, len);
		close(pair[1]);
		rc = channel_recv(c, &m);
		CHECK(rc == 1 || rc == -EBADMSG || rc == -EPIPE);
		if (rc == 1)
			CHECK(m.len <= len);
		channel_free(c);
	}
}

/* Every prefix of a good body is refused, and so is any noise, without a crash. */
#define CHECK_PREFIXES(type, decode, b)                                                                               \
	for (size_t cut = 0; cut < (b).len; cut++) {                                                                   \
		type out;                                                                                              \
		CHECK(decode(&out, (b).data, cut) < 0);                                                                \
	}

static void test_bodies(void)
{
	struct body_link link = {.ifindex = 7, .name = "br0", .bridge = true, .fanout = 9, .n_addrs = 2}, link2;
	struct body_stats stats = {3, 1, 2, 300000, 4, 1 << 20}, stats2;
	struct body_ask ask = {.token = 9, .proto = 6, .port = {1, 2}}, ask2;
	struct body_done done = {5, -EPERM, "why"}, done2;
	struct body_role role = {.name = "engine", .user = "weir", .pid = 99, .caps_permitted = 1ull << 13, .seccomp = 2,
				 .restarts = 4}, roles2[BODY_ROLES_MAX];
	struct buf b = BUF_INIT;
	size_t n = 0;

	addr_parse(&link.addrs[0], "10.0.0.1");
	addr_parse(&link.addrs[1], "fd00::1");
	body_link_encode(&b, &link);
	CHECK_EQ(body_link_decode(&link2, b.data, b.len), 0);
	CHECK(addr_equal(&link2.addrs[1], &link.addrs[1]) && link2.fanout == 9 && strcmp(link2.name, "br0") == 0);
	CHECK_PREFIXES(struct body_link, body_link_decode, b)
	buf_clear(&b);
	body_stats_encode(&b, &stats);
	CHECK_EQ(body_stats_decode(&stats2, b.data, b.len), 0);
	CHECK_EQ(stats2.flows_live, 300000);
	CHECK_PREFIXES(struct body_stats, body_stats_decode, b)
	buf_clear(&b);
	body_ask_encode(&b, &ask);
	CHECK_EQ(body_ask_decode(&ask2, b.data, b.len), 0);
	CHECK_EQ(ask2.port[1], 2);
	CHECK_PREFIXES(struct body_ask, body_ask_decode, b)
	buf_clear(&b);
	body_done_encode(&b, &done);
	CHECK_EQ(body_done_decode(&done2, b.data, b.len), 0);
	CHECK_EQ(done2.rc, -EPERM);
	CHECK_STR(done2.error, "why");
	CHECK_PREFIXES(struct body_done, body_done_decode, b)
	buf_clear(&b);
	body_roles_encode(&b, &role, 1);
	CHECK_EQ(body_roles_decode(roles2, &n, b.data, b.len), 0);
	CHECK_EQ(n, 1);
	CHECK_EQ(roles2[0].restarts, 4);
	for (size_t cut = 0; cut < b.len; cut++)
		CHECK(body_roles_decode(roles2, &n, b.data, cut) < 0);
	buf_fini(&b);
}

static void test_apply_body(void)
{
	static const char text[] =
		"weir: 1\ngroups:\n  a: [{name: a-*}, {image: x}]\n  b: {label: k=v}\npolicy:\n  a:\n"
		"    stage: enforce\n    inbound:\n      - {from: b, ports: [80/tcp]}\n";
	struct policy_errors errors;
	struct policy *p = NULL;
	struct ruleset rs;
	struct body_apply a;
	struct workload w = {.name = "a-1", .group = "own"};
	struct buf b = BUF_INIT;

	CHECK_EQ(policy_parse(&p, text, sizeof(text) - 1, &errors), 0);
	if (!p)
		return;
	CHECK_EQ(policy_compile(&rs, p), 0);
	rs.generation = 12;
	CHECK_EQ(body_apply_encode(&b, 77, 600, p, &rs), 0);
	CHECK_EQ(body_apply_decode(&a, b.data, b.len), 0);
	CHECK_EQ(a.token, 77);
	CHECK_EQ(a.confirm_within_s, 600);
	CHECK_EQ(a.ruleset.generation, 12);
	CHECK_EQ(a.ruleset.n_rules, rs.n_rules);
	/* Membership is the same on the other side. */
	CHECK_STR(policy_group_of(a.groups, &w), "a");
	strcpy(w.name, "c");
	CHECK_STR(policy_group_of(a.groups, &w), "own");
	strcpy(w.labels, "k=v\n");
	CHECK_STR(policy_group_of(a.groups, &w), policy_group_of(p, &w));
	body_apply_fini(&a);
	for (size_t cut = 0; cut < b.len; cut++)
		CHECK(body_apply_decode(&a, b.data, cut) < 0);
	buf_fini(&b);
	ruleset_fini(&rs);
	policy_free(p);
}

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

/* Names against a naive model: a list of (address, from, to, workload), newest first, same rules. */
#define MODEL_ADDRS 8
#define MODEL_MAX 4096
struct model {
	struct { unsigned addr; uint64_t from, to, id; } v[MODEL_MAX];
	size_t n;
};

static struct addr model_addr(unsigned i)
{
	uint8_t v4[4] = {203, 0, 113, (uint8_t)i};

	return addr_from_v4(v4);
}

static uint64_t model_who(const struct model *m, unsigned addr, uint64_t at)
{
	uint64_t best = 2 * NS_PER_S + 1, id = 0;

	for (size_t i = m->n; i-- > 0;) {
		uint64_t d = at < m->v[i].from		     ? m->v[i].from - at
			     : m->v[i].to && at > m->v[i].to ? at - m->v[i].to
							     : 0;

		if (m->v[i].addr == addr && d < best) {
			best = d;
			id = m->v[i].id;
		}
	}
	return id;
}

static void test_names(void)
{
	static struct model m;
	uint64_t seed = tap_seed(), now = 1000 * NS_PER_S, alive[MODEL_ADDRS] = {0}, next = 1;
	struct names *n;

	CHECK_EQ(names_new(&n, false), 0);
	for (unsigned step = 0; step < 3000; step++) {
		unsigned a = (unsigned)(tap_random(&seed) % MODEL_ADDRS);
		struct names_end end;
		struct addr addr = model_addr(a);

		now += tap_random(&seed) % (3 * NS_PER_S);
		if (tap_random(&seed) % 2 == 0 && alive[a]) {
			names_down(n, alive[a], now);
			for (size_t i = 0; i < m.n; i++)
				if (m.v[i].id == alive[a])
					m.v[i].to = now;
			alive[a] = 0;
		} else if (!alive[a] && m.n < MODEL_MAX) {
			struct workload w = {.id = next, .start_ns = now, .n_addrs = 1, .addrs = {addr}, .group = "g"};

			CHECK_EQ(names_up(n, &w, "g", now), 0);
			m.v[m.n].addr = a;
			m.v[m.n].from = now;
			m.v[m.n].to = 0;
			m.v[m.n++].id = alive[a] = next++;
		}
		for (unsigned k = 0; k < 4; k++) {
			uint64_t at = now - tap_random(&seed) % (30 * NS_PER_S);
			unsigned other = (unsigned)(tap_random(&seed) % MODEL_ADDRS);

			addr = model_addr(other);
			names_find(n, &addr, at, &end);
			CHECK_EQ(end.workload, model_who(&m, other, at));
		}
	}
	names_forget(n, now - NS_PER_S);
	names_free(n);
}

static void test_names_groups(void)
{
	struct workload w = {.id = 5, .n_addrs = 1, .group = "own"};
	struct addr host, world, private_one;
	struct names_end end;
	struct names *n;

	addr_parse(&w.addrs[0], "10.1.0.2");
	addr_parse(&host, "10.1.0.1");
	addr_parse(&world, "198.51.100.9");
	addr_parse(&private_one, "10.1.0.77");
	CHECK_EQ(names_new(&n, false), 0);
	CHECK_EQ(names_up(n, &w, "shop/web", 0), 0);
	CHECK_EQ(names_host(n, &host, 1), 0);
	names_find(n, &w.addrs[0], 1, &end);
	CHECK_STR(names_group(n, end.group), "shop/web");
	names_find(n, &host, 1, &end);
	CHECK(end.group == NAMES_HOST && !end.late);
	names_find(n, &world, 1, &end);
	CHECK(end.group == NAMES_WORLD && !end.late);
	names_find(n, &private_one, 1, &end);
	CHECK(end.group == NAMES_WORLD && end.late); /* worth waiting for a name */
	CHECK_EQ(names_groups(n), 1);
	names_free(n);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_messages();
	test_descriptors();
	test_hostile_messages();
	test_bodies();
	test_apply_body();
	test_loop();
	test_config();
	test_names();
	test_names_groups();
	return tap_done();
}
