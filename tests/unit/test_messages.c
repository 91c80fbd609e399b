/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the daemon's processes tell each other: messages of any size with descriptors, their bodies, and both from a
 * hostile sender.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/bodies.h"
#include "daemon/msg.h"
#include "tests/tap.h"
#include "tests/unit/prefixes.h"

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

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_messages();
	test_descriptors();
	test_hostile_messages();
	test_bodies();
	test_apply_body();
	return tap_done();
}
