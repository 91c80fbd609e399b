/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whoever speaks on a bridge before it has a name: its first packets are lost and not refused, so that a connection
 * that it may make comes about, late; whoever gets no name is refused after three seconds, and counted from then on.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "tests/netns/nftlab.h"
#include "tests/tap.h"

enum { WEB, DB, INTRUDER };
static const char *const groups[] = {"shop/web", "shop/db", "intruder"};
static const char policy[] = "weir: 1\npolicy:\n  shop/db:\n    stage: enforce\n    inbound:\n"
			     "      - {from: shop/web, ports: [5432/tcp]}\n";
static const char dry_policy[] = "weir: 1\npolicy:\n  shop/db:\n    stage: dry-run\n    inbound:\n"
				 "      - {from: shop/web, ports: [5432/tcp]}\n";
static struct nftlab t;

static void unname(int who, bool v4)
{
	struct addr a = lab_addr(who, v4);

	lab_enter(&t.lab, LAB_HOST);
	CHECK_EQ(nft_member_del(t.nft, &a, t.error), 0);
}

static void name(int who, bool v4)
{
	struct nft_member m = {.addr = lab_addr(who, v4)};

	lab_enter(&t.lab, LAB_HOST);
	strcpy(m.group, groups[who]);
	CHECK_EQ(nft_member_add(t.nft, &m, t.error), 0);
}

static int connect_to_db(int from, bool v4, int ms, double *s)
{
	struct addr db = lab_addr(DB, v4);
	uint64_t start = time_mono_ns();
	int rc = lab_connect(&t.lab, from, SOCK_STREAM, &db, 5432, ms, NULL);

	*s = (double)(time_mono_ns() - start) / 1e9;
	return rc;
}

/* The name comes 0.3 s after the first packet. */
static void test_named_late(bool v4)
{
	struct addr db = lab_addr(DB, v4);
	uint64_t start = time_mono_ns();
	socklen_t size = sizeof(int);
	int fd, e = -1;
	double s;

	nftlab_forget(&t);
	unname(WEB, v4);
	fd = lab_poke(&t.lab, WEB, SOCK_STREAM, &db, 5432, 0);
	CHECK(fd >= 0);
	CHECK(!lab_wait(&t.lab, fd, POLLOUT, 300)); /* neither refused nor connected */
	name(WEB, v4);
	CHECK(lab_wait(&t.lab, fd, POLLOUT, 5000));
	CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &size), 0);
	CHECK_EQ(e, 0);
	s = (double)(time_mono_ns() - start) / 1e9;
	printf("# IPv%d: connected after %.2f s, named after 0.3 s\n", v4 ? 4 : 6, s);
	CHECK(s < 6.5); /* with the second or third try of its own, after 1 and 3 s */
	close(fd);
	nftlab_poll(&t);
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), 0);
}

static void test_never_named(bool v4)
{
	double s;

	nftlab_forget(&t);
	unname(INTRUDER, v4);
	CHECK_EQ(connect_to_db(INTRUDER, v4, 10000, &s), -ECONNREFUSED);
	printf("# IPv%d: without a name refused after %.2f s\n", v4 ? 4 : 6, s);
	CHECK(s > 2.9 && s < 8);
	CHECK(nftlab_await(&t, VERDICT_BLOCK, 1)); /* what was lost before was refused to nobody */
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), 1);
	/* From now on like anybody, and each time. */
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(connect_to_db(INTRUDER, v4, 10000, &s), -ECONNREFUSED);
	} /* at once, that is without asking a second time: one more is counted for each, below */
	CHECK(nftlab_await(&t, VERDICT_BLOCK, 6));
	CHECK_EQ(nftlab_count(&t, VERDICT_BLOCK, INTRUDER, DB, v4, "5432/tcp"), 6);
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), 6);
	/* The next owner of the address has its time again, also if it has a name only after that. */
	name(INTRUDER, v4);
	CHECK_EQ(connect_to_db(INTRUDER, v4, 3000, &s), -ECONNREFUSED); /* named, and not allowed */
	CHECK(s < 0.5);
	unname(INTRUDER, v4);
	CHECK_EQ(connect_to_db(INTRUDER, v4, 1500, &s), -ETIMEDOUT);
	name(INTRUDER, v4);
	CHECK(nftlab_await(&t, VERDICT_BLOCK, 7));
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), 7);
}

/* Who has no name, but does not come over a bridge, is no container. */
static void test_others(bool v4)
{
	double s;

	CHECK_EQ(connect_to_db(LAB_WORLD, v4, 3000, &s), -ECONNREFUSED);
	CHECK(s < 0.5);
	CHECK_EQ(connect_to_db(LAB_HOST, v4, 3000, &s), -ECONNREFUSED);
	CHECK(s < 0.5);
}

/* A dry run holds up nobody. */
static void test_dry_run(bool v4)
{
	double s;

	unname(INTRUDER, v4);
	CHECK_EQ(connect_to_db(INTRUDER, v4, 3000, &s), 0);
	CHECK(s < 0.5);
	name(INTRUDER, v4);
}

/* nft must be able to say it. */
static void test_listing(void)
{
	char *chains = lab_output(&t.lab, "nft list table inet weir");

	CHECK(chains != NULL);
	CHECK(chains && strstr(chains, "meta iifkind \"bridge\" ip saddr != @workloads_4 jump newcomer"));
	CHECK(chains && strstr(chains, "meta iifkind \"bridge\" ip6 saddr != @workloads_6 jump newcomer"));
	CHECK(chains && strstr(chains, "ip saddr @strangers_4 update @strangers_4 { ip saddr } return"));
	CHECK(chains &&
	      strstr(chains, "add @strangers_6 { ip6 saddr } add @newcomers_6 { ip6 saddr } counter packets"));
	if (tap_failures)
		fprintf(stderr, "%s\n", chains ? chains : "");
	free(chains);
}

int main(void)
{
	const char *why = nftlab_open(&t, "wnftn", groups, 3);

	if (why)
		return tap_skip(why);
	for (int v4 = 0; v4 < 2; v4++) {
		struct addr a = lab_addr(DB, v4);

		CHECK(lab_listen(&t.lab, DB, SOCK_STREAM, &a, 5432) >= 0);
	}
	CHECK_EQ(nftlab_apply(&t, policy, 1, 0), 0);
	test_listing();
	for (int v4 = 0; v4 < 2; v4++) {
		test_named_late(v4);
		test_never_named(v4);
		test_others(v4);
	}
	CHECK_EQ(nftlab_apply(&t, dry_policy, 2, 0), 0);
	for (int v4 = 0; v4 < 2; v4++)
		test_dry_run(v4);
	nftlab_close(&t);
	return tap_done();
}
