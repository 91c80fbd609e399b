/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What connections meet: a dry run counts exactly those that were made and hurts none; enforcement refuses exactly
 * those, at once, in a burst too; a rollback lets them through; what was established before lives through all of
 * it; and enforcement that nobody confirmed ends without anybody's help.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "tests/netns/nftlab.h"
#include "tests/tap.h"

enum { WEB, DB, INTRUDER };
static const char *const groups[] = {"shop/web", "shop/db", "intruder"};

#define POLICY(stage)                                                                                                  \
	"weir: 1\npolicy:\n  shop/db:\n    stage: " stage "\n    inbound:\n"                                           \
	"      - {from: shop/web, ports: [5432/tcp, 53/udp, echo-request/icmp, echo-request/icmpv6]}\n"                \
	"  shop/web:\n    stage: " stage "\n    outbound:\n      - {to: world, ports: [443/tcp]}\n"                    \
	"      - {to: host, ports: [53/udp]}\n    inbound:\n      - {from: world, ports: [80/tcp]}\n"

static struct nftlab t;

static int tcp(int from, int to, bool v4, uint16_t port)
{
	struct addr a = lab_addr(to, v4);

	return lab_connect(&t.lab, from, SOCK_STREAM, &a, port, 3000, NULL);
}

static int udp(int from, int to, bool v4, uint16_t port, int ms)
{
	struct addr a = lab_addr(to, v4);

	return lab_connect(&t.lab, from, SOCK_DGRAM, &a, port, ms, NULL);
}

/* Servers for the whole test; kept open until the end. */
static void serve(int who, int type, uint16_t port)
{
	for (int v4 = 0; v4 < 2; v4++) {
		struct addr a = lab_addr(who, v4);

		CHECK(lab_listen(&t.lab, who, type, &a, port) >= 0);
	}
}

static void test_dry_run(void)
{
	struct addr db4 = lab_addr(DB, true), db6 = lab_addr(DB, false);

	CHECK_EQ(nftlab_apply(&t, POLICY("dry-run"), 1, 0), 0);
	nftlab_forget(&t);
	for (int v4 = 0; v4 < 2; v4++) {
		for (int i = 0; i < 3; i++)
			CHECK_EQ(tcp(WEB, DB, v4, 5432), 0); /* allowed */
		for (int i = 0; i < 7; i++)
			CHECK_EQ(tcp(INTRUDER, DB, v4, 5432), 0); /* not allowed, and let through all the same */
		CHECK_EQ(tcp(WEB, DB, v4, 22), -ECONNREFUSED); /* nobody listens; counted as well */
		CHECK_EQ(tcp(WEB, LAB_WORLD, v4, 443), 0);
		CHECK_EQ(tcp(WEB, LAB_WORLD, v4, 80), 0);
		CHECK_EQ(tcp(WEB, LAB_HOST, v4, 22), -ECONNREFUSED);
		CHECK_EQ(tcp(LAB_WORLD, WEB, v4, 80), 0);
		CHECK_EQ(tcp(LAB_WORLD, WEB, v4, 5432), -ECONNREFUSED);
		CHECK_EQ(tcp(LAB_HOST, WEB, v4, 80), 0);
		CHECK_EQ(tcp(INTRUDER, WEB, v4, 80), 0);
		CHECK_EQ(tcp(WEB, INTRUDER, v4, 22),
			 -ECONNREFUSED); /* to a workload without a policy: nobody's business */
		CHECK_EQ(udp(INTRUDER, DB, v4, 53, 50), -ETIMEDOUT);
	}
	CHECK_EQ(lab_icmp(&t.lab, INTRUDER, &db4, 8, 1), 0);
	CHECK_EQ(lab_icmp(&t.lab, INTRUDER, &db4, 8, 2), 0);
	CHECK_EQ(lab_icmp(&t.lab, INTRUDER, &db6, 128, 3), 0);
	CHECK_EQ(lab_icmp(&t.lab, WEB, &db4, 8, 4), 0);
	CHECK(nftlab_await(&t, VERDICT_WOULD_BLOCK, 2 * (7 + 1 + 1 + 1 + 1 + 1 + 1 + 1) + 3));
	for (int v4 = 0; v4 < 2; v4++) {
		CHECK_EQ(nftlab_count(&t, VERDICT_WOULD_BLOCK, INTRUDER, DB, v4, "5432/tcp"), 7);
		CHECK_EQ(nftlab_count(&t, VERDICT_WOULD_BLOCK, WEB, DB, v4, "22/tcp"), 1);
		CHECK_EQ(nftlab_count(&t, VERDICT_WOULD_BLOCK, WEB, LAB_WORLD, v4, "80/tcp"), 1);
		CHECK_EQ(nftlab_count(&t, VERDICT_WOULD_BLOCK, WEB, LAB_HOST, v4, "22/tcp"), 1);
		CHECK_EQ(nftlab_count(&t, VERDICT_WOULD_BLOCK, LAB_WORLD, WEB, v4, "5432/tcp"), 1);
		CHECK_EQ(nftlab_count(&t, VERDICT_WOULD_BLOCK, LAB_HOST, WEB, v4, "80/tcp"), 1);
		CHECK_EQ(nftlab_count(&t, VERDICT_WOULD_BLOCK, INTRUDER, WEB, v4, "80/tcp"), 1);
		CHECK_EQ(nftlab_count(&t, VERDICT_WOULD_BLOCK, INTRUDER, DB, v4, "53/udp"), 1);
	}
	CHECK_EQ(nftlab_count(&t, VERDICT_WOULD_BLOCK, INTRUDER, DB, true, "echo-request/icmp"), 2);
	CHECK_EQ(nftlab_count(&t, VERDICT_WOULD_BLOCK, INTRUDER, DB, false, "echo-request/icmpv6"), 1);
	CHECK_EQ(nftlab_total(&t, VERDICT_WOULD_BLOCK), 2 * 14 + 3);
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), 0);
	CHECK(t.samples > 0);
}

static void test_enforce(void)
{
	CHECK_EQ(nftlab_apply(&t, POLICY("enforce"), 2, 0), 0);
	nftlab_forget(&t);
	for (int v4 = 0; v4 < 2; v4++) {
		CHECK_EQ(tcp(WEB, DB, v4, 5432), 0);
		CHECK_EQ(tcp(INTRUDER, DB, v4, 5432), -ECONNREFUSED);
		CHECK_EQ(tcp(WEB, LAB_WORLD, v4, 443), 0);
		CHECK_EQ(tcp(WEB, LAB_WORLD, v4, 80), -ECONNREFUSED);
		CHECK_EQ(tcp(WEB, LAB_HOST, v4, 22), -ECONNREFUSED);
		CHECK_EQ(tcp(LAB_WORLD, WEB, v4, 80), 0);
		CHECK_EQ(tcp(LAB_WORLD, WEB, v4, 5432), -ECONNREFUSED);
		CHECK_EQ(tcp(LAB_HOST, WEB, v4, 80), -ECONNREFUSED);
		CHECK_EQ(udp(WEB, DB, v4, 53, 50), -ETIMEDOUT); /* allowed; the server is silent */
		CHECK_EQ(udp(INTRUDER, DB, v4, 53, 1000), v4 ? -EHOSTUNREACH : -EACCES);
		CHECK_EQ(nftlab_await(&t, VERDICT_BLOCK, 6 * (uint64_t)(v4 + 1)), true);
		CHECK_EQ(nftlab_count(&t, VERDICT_BLOCK, INTRUDER, DB, v4, "5432/tcp"), 1);
		CHECK_EQ(nftlab_count(&t, VERDICT_BLOCK, WEB, LAB_WORLD, v4, "80/tcp"), 1);
		CHECK_EQ(nftlab_count(&t, VERDICT_BLOCK, WEB, LAB_HOST, v4, "22/tcp"), 1);
		CHECK_EQ(nftlab_count(&t, VERDICT_BLOCK, LAB_WORLD, WEB, v4, "5432/tcp"), 1);
		CHECK_EQ(nftlab_count(&t, VERDICT_BLOCK, LAB_HOST, WEB, v4, "80/tcp"), 1);
		CHECK_EQ(nftlab_count(&t, VERDICT_BLOCK, INTRUDER, DB, v4, "53/udp"), 1);
	}
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), 12);
	CHECK_EQ(nftlab_total(&t, VERDICT_WOULD_BLOCK), 0);
}

/* The kernel alone answers about six of these and leaves the rest to time out. */
static void test_burst(void)
{
	uint64_t start;
	unsigned refused;

	nftlab_forget(&t);
	for (int v4 = 0; v4 < 2; v4++) {
		start = time_mono_ns();
		refused = 0;
		for (int i = 0; i < 100; i++)
			refused += udp(INTRUDER, DB, v4, (uint16_t)(1000 + i), 1000) == (v4 ? -EHOSTUNREACH : -EACCES);
		CHECK_EQ(refused, 100);
		printf("# 100 refused datagrams, IPv%d: %.1f ms\n", v4 ? 4 : 6, (double)(time_mono_ns() - start) / 1e6);
		CHECK(time_mono_ns() - start < 15 * NS_PER_S); /* the kernel alone takes 25 s and more */
		start = time_mono_ns();
		refused = 0;
		for (int i = 0; i < 100; i++)
			refused += tcp(INTRUDER, DB, v4, (uint16_t)(1000 + i)) == -ECONNREFUSED;
		CHECK_EQ(refused, 100);
		printf("# 100 refused connections, IPv%d: %.1f ms\n", v4 ? 4 : 6,
		       (double)(time_mono_ns() - start) / 1e6);
		CHECK(time_mono_ns() - start < 15 * NS_PER_S); /* the kernel alone takes 25 s and more */
	}
	CHECK(nftlab_await(&t, VERDICT_BLOCK, 400));
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), 400);
}

/* A connection that the policy does not allow, made before there was one. */
static void test_established(void)
{
	struct addr db = lab_addr(DB, true);
	int server = lab_listen(&t.lab, DB, SOCK_STREAM, &db, 7000), client = -1, peer;

	CHECK_EQ(nft_remove(t.nft, t.error), 0);
	CHECK_EQ(lab_connect(&t.lab, INTRUDER, SOCK_STREAM, &db, 7000, 3000, &client), 0);
	CHECK(lab_wait(&t.lab, server, POLLIN, 3000));
	peer = accept(server, NULL, NULL);
	CHECK(lab_talk(&t.lab, client, peer));
	CHECK_EQ(nftlab_apply(&t, POLICY("observe"), 3, 0), 0);
	CHECK(lab_talk(&t.lab, client, peer));
	CHECK_EQ(nftlab_apply(&t, POLICY("dry-run"), 4, 0), 0);
	CHECK(lab_talk(&t.lab, client, peer));
	CHECK_EQ(nftlab_apply(&t, POLICY("enforce"), 5, 0), 0);
	CHECK_EQ(tcp(INTRUDER, DB, true, 7000), -ECONNREFUSED);
	CHECK(lab_talk(&t.lab, client, peer));
	CHECK(lab_talk(&t.lab, peer, client));
	CHECK_EQ(nftlab_apply(&t, POLICY("observe"), 6, 0), 0);
	CHECK_EQ(tcp(INTRUDER, DB, true, 7000), 0);
	CHECK(lab_talk(&t.lab, client, peer));
	CHECK_EQ(nftlab_apply(&t, POLICY("enforce"), 7, 0), 0);
	CHECK(lab_talk(&t.lab, client, peer));
	CHECK_EQ(nft_remove(t.nft, t.error), 0);
	CHECK(lab_talk(&t.lab, client, peer));
	CHECK_EQ(tcp(INTRUDER, DB, true, 7000), 0);
	/* Straight into enforcement, which has never seen the connection: the server speaks first. */
	CHECK_EQ(nftlab_apply(&t, POLICY("enforce"), 8, 0), 0);
	CHECK(lab_talk(&t.lab, peer, client));
	close(client);
	close(peer);
	close(server);
}

static void test_expiry(void)
{
	uint64_t start;
	pid_t pid;
	int rc = 0, status = 0;

	/* The program that applied it is killed at once: only the kernel is left to end it. */
	nft_remove(t.nft, t.error);
	nft_close(t.nft);
	t.nft = NULL;
	t.lab.n_fds = 0;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (nftlab_reopen(&t) < 0 || nftlab_apply(&t, POLICY("enforce"), 9, 6) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(tcp(INTRUDER, DB, true, 5432), -ECONNREFUSED);
	start = time_mono_ns();
	do {
		rc = tcp(INTRUDER, DB, true, 5432);
		usleep(20000);
	} while (rc != 0 && time_mono_ns() - start < 30 * NS_PER_S);
	CHECK_EQ(rc, 0);
	printf("# enforcement ended by itself after %.2f s (6 s were given)\n", (double)(time_mono_ns() - start) / 1e9);
	CHECK(time_mono_ns() - start > NS_PER_S);
	/* The next program finds it so and leaves it so. */
	CHECK_EQ(nftlab_reopen(&t), 0);
	CHECK_EQ(nft_generation(t.nft), 9);
	nftlab_forget(&t);
	CHECK_EQ(nft_confirm(t.nft, t.error), -ETIME);
	CHECK_EQ(tcp(INTRUDER, DB, true, 5432), 0);
	CHECK(nftlab_await(&t, VERDICT_WOULD_BLOCK, 1));
}

static void test_confirm(void)
{
	uint64_t start;

	CHECK_EQ(nftlab_apply(&t, POLICY("enforce"), 10, 5), 0);
	CHECK_EQ(tcp(INTRUDER, DB, true, 5432), -ECONNREFUSED);
	CHECK_EQ(nft_confirm(t.nft, t.error), 0);
	start = time_mono_ns();
	while (time_mono_ns() - start < 5500000000ull) { /* longer than it was given */
		CHECK_EQ(tcp(INTRUDER, DB, true, 5432), -ECONNREFUSED);
		lab_wait(&t.lab, -1, 0, 100);
	}
	/* And without: told once. */
	CHECK_EQ(nftlab_apply(&t, POLICY("enforce"), 11, 1), 0);
	nftlab_forget(&t);
	start = time_mono_ns();
	while (!t.expiries && time_mono_ns() - start < 30 * NS_PER_S) {
		nftlab_poll(&t);
		lab_wait(&t.lab, -1, 0, 50);
	}
	nftlab_poll(&t);
	CHECK_EQ(t.expiries, 1);
	CHECK_EQ(tcp(INTRUDER, DB, true, 5432), 0);
}

int main(void)
{
	const char *why = nftlab_open(&t, "wnftv", groups, 3);

	if (why)
		return tap_skip(why);
	serve(DB, SOCK_STREAM, 5432);
	serve(DB, SOCK_DGRAM, 53);
	serve(WEB, SOCK_STREAM, 80);
	serve(LAB_WORLD, SOCK_STREAM, 443);
	serve(LAB_WORLD, SOCK_STREAM, 80);
	test_dry_run();
	test_enforce();
	test_burst();
	test_established();
	test_expiry();
	test_confirm();
	CHECK(t.singles > 0);
	CHECK_EQ(t.spread, 0); /* one packet has one time */
	nftlab_close(&t);
	return tap_done();
}
