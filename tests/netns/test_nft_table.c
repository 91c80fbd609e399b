/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table over time: readable by Debian's nft with the strangest group names, changed no more than needed,
 * adopted after a restart with its counters, put back after a foreign hand, and leaving the bridges as they were.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "tests/netns/nftlab.h"
#include "tests/tap.h"

enum { A, B };
static const char *const groups[] = {"a", "b"};
static struct nftlab t;

#define POLICY(stage, more)                                                                                            \
	"weir: 1\npolicy:\n  b:\n    stage: " stage "\n    inbound:\n      - {from: a, ports: [80/tcp, 53/udp]}\n" more

static int tcp(int from, int to, uint16_t port)
{
	struct addr a = lab_addr(to, true);

	return lab_connect(&t.lab, from, SOCK_STREAM, &a, port, 3000, NULL);
}

static uint64_t rule_packets(void)
{
	struct nft_rule_count *v = NULL;
	uint64_t sum = 0;
	size_t n = 0;

	CHECK_EQ(nft_rule_counts(t.nft, &v, &n), 0);
	for (size_t i = 0; i < n; i++)
		sum += v[i].packets;
	free(v);
	return sum;
}

/* How many objects a command changes in the kernel, as nft's own monitor tells. */
static size_t changes_of(int (*change)(void))
{
	char *out;
	size_t n = 0;

	lab_run(&t.lab, "nft monitor >/run/%s.mon 2>/dev/null & echo $! >/run/%s.pid", t.lab.prefix, t.lab.prefix);
	/* It is listening once it tells of a table of the test's own. */
	for (int i = 0; i < 100; i++) {
		lab_run(&t.lab, "nft add table ip probe; nft delete table ip probe");
		if (lab_run(&t.lab, "grep -q probe /run/%s.mon", t.lab.prefix) == 0)
			break;
	}
	CHECK_EQ(change(), 0);
	for (int i = 0; i < 100; i++) {
		lab_run(&t.lab, "nft add table ip last; nft delete table ip last");
		if (lab_run(&t.lab, "grep -q 'delete table ip last' /run/%s.mon", t.lab.prefix) == 0)
			break;
	}
	lab_run(&t.lab, "kill $(cat /run/%s.pid)", t.lab.prefix);
	{
		char cmd[200];

		snprintf(cmd, sizeof(cmd), "grep -c 'inet weir' /run/%s.mon || true; rm /run/%s.mon /run/%s.pid",
			 t.lab.prefix, t.lab.prefix, t.lab.prefix);
		out = lab_output(&t.lab, cmd);
	}
	if (out)
		n = strtoul(out, NULL, 10);
	free(out);
	return n;
}

static int apply_same(void)
{
	return nftlab_apply(&t, POLICY("dry-run", ""), 1, 0);
}

static int apply_one_more(void)
{
	return nftlab_apply(&t, POLICY("dry-run", "      - {from: world, ports: [80/tcp]}\n"), 1, 0);
}

static int add_member(void)
{
	struct nft_member m = {.group = "a"};

	addr_parse(&m.addr, "10.77.0.99");
	return nft_member_add(t.nft, &m, t.error);
}

static void test_minimal(void)
{
	uint64_t before;

	CHECK_EQ(nftlab_apply(&t, POLICY("dry-run", ""), 1, 0), 0);
	CHECK_EQ(tcp(A, B, 80), -ECONNREFUSED);
	before = rule_packets();
	CHECK_EQ(before, 1);
	CHECK_EQ(changes_of(apply_same), 0);
	CHECK_EQ(changes_of(apply_one_more), 2); /* IPv4 and IPv6 */
	CHECK_EQ(rule_packets(), 1);
	CHECK_EQ(changes_of(add_member), 2); /* in all workloads and in the peers of b's rule */
	/* Stage and generation change the end of each list and the samples' prefix, and no rule of the policy. */
	CHECK_EQ(nftlab_apply(&t, POLICY("enforce", "      - {from: world, ports: [80/tcp]}\n"), 2, 0), 0);
	CHECK_EQ(rule_packets(), 1);
	CHECK_EQ(tcp(A, B, 80), -ECONNREFUSED);
	CHECK_EQ(rule_packets(), 2);
}

static void test_adopt(void)
{
	uint64_t before = rule_packets();
	struct addr b = lab_addr(B, true), gone;
	int server = lab_listen(&t.lab, B, SOCK_STREAM, &b, 80), client = -1, peer;

	CHECK_EQ(lab_connect(&t.lab, A, SOCK_STREAM, &b, 80, 3000, &client), 0);
	CHECK(lab_wait(&t.lab, server, POLLIN, 3000));
	peer = accept(server, NULL, NULL);
	CHECK_EQ(nftlab_reopen(&t), 0);
	CHECK_EQ(nft_generation(t.nft), 2);
	CHECK_EQ(rule_packets(), before + 1);
	CHECK(lab_talk(&t.lab, client, peer));
	/* Members were read back: one that goes is taken out of all its sets without anybody having said what they
	 * are. */
	addr_parse(&gone, "10.77.0.99");
	CHECK_EQ(nft_member_del(t.nft, &gone, t.error), 0);
	CHECK(lab_run(&t.lab, "nft list table inet weir | grep -q 10.77.0.99") != 0);
	CHECK_EQ(changes_of(add_member), 2);
	/* The daemon's first act: the same ruleset again. Nothing moves, nobody is cut. */
	CHECK_EQ(nftlab_apply(&t, POLICY("enforce", "      - {from: world, ports: [80/tcp]}\n"), 2, 0), 0);
	CHECK_EQ(rule_packets(), before + 1);
	CHECK(lab_talk(&t.lab, client, peer));
	close(client);
	close(peer);
	close(server);
}

static void test_members(void)
{
	struct nft_member m = {.addr = lab_addr(A, true), .group = "c"};
	struct addr b = lab_addr(B, true);

	CHECK_EQ(tcp(A, B, 81), -ECONNREFUSED);
	nftlab_forget(&t);
	CHECK_EQ(tcp(A, B, 80), -ECONNREFUSED); /* nobody listens: allowed */
	nftlab_poll(&t);
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), 0);
	CHECK_EQ(nft_member_add(t.nft, &m, t.error), 0); /* now it is in another group */
	CHECK_EQ(tcp(A, B, 80), -ECONNREFUSED);
	CHECK(nftlab_await(&t, VERDICT_BLOCK, 1));
	CHECK_STR(t.recs[0].group[0], "c");
	CHECK_STR(t.recs[0].group[1], "b");
	snprintf(m.group, sizeof(m.group), "a");
	CHECK_EQ(nft_member_add(t.nft, &m, t.error), 0);
	CHECK_EQ(tcp(A, B, 80), -ECONNREFUSED);
	nftlab_poll(&t);
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), 1);
	/* An address that is nobody's any more is world. */
	CHECK_EQ(nft_member_del(t.nft, &m.addr, t.error), 0);
	CHECK_EQ(nft_member_del(t.nft, &m.addr, t.error), 0);
	CHECK_EQ(lab_connect(&t.lab, A, SOCK_STREAM, &b, 53, 10000, NULL), -ECONNREFUSED); /* once it is no newcomer */
	CHECK(nftlab_await(&t, VERDICT_BLOCK, 2));
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), 2);
	CHECK_EQ(nft_member_add(t.nft, &m, t.error), 0);
}

/* A connection at full speed: while nothing tracks it, it runs ahead of what connection tracking believes of it. */
static void test_gap(void)
{
	struct addr b = lab_addr(B, true);
	int server = lab_listen(&t.lab, B, SOCK_STREAM, &b, 80), client = -1, peer;
	static char data[65536];
	uint64_t sum = 0, deadline;
	ssize_t got;
	pid_t pid;

	CHECK_EQ(lab_connect(&t.lab, A, SOCK_STREAM, &b, 80, 3000, &client), 0);
	CHECK(lab_wait(&t.lab, server, POLLIN, 3000));
	peer = accept(server, NULL, NULL);
	pid = fork();
	if (pid == 0) {
		struct pollfd p = {.fd = client, .events = POLLOUT};

		while (poll(&p, 1, 30000) > 0 && send(client, data, sizeof(data), MSG_NOSIGNAL) > 0)
			;
		_exit(0);
	}
	close(client);
	for (int phase = 0; phase < 3; phase++) {
		if (phase == 1)
			CHECK_EQ(lab_run(&t.lab, "nft flush ruleset"), 0);
		if (phase == 2) /* what was taken as it is was seen again by then, and needs no help any more */
			CHECK_EQ(lab_run(&t.lab, "nft flush set inet weir settling"), 0);
		for (sum = 0, deadline = time_mono_ns() + 60 * NS_PER_S; sum < 200000000 && time_mono_ns() < deadline;) {
			if (!lab_wait(&t.lab, peer, POLLIN, 10000))
				break;
			got = recv(peer, data, sizeof(data), MSG_DONTWAIT);
			if (got <= 0)
				break;
			sum += (uint64_t)got;
		}
		CHECK(sum >= 200000000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(peer);
	close(server);
}

static void expect_repair(const char *command, const char *word)
{
	uint64_t deadline = time_mono_ns() + 30 * NS_PER_S;

	t.repairs = 0;
	CHECK_EQ(lab_run(&t.lab, "%s", command), 0);
	while (!t.repairs && time_mono_ns() < deadline)
		lab_wait(&t.lab, -1, 0, 10);
	CHECK_EQ(t.repairs, 1);
	CHECK_EQ(t.repair_rc, 0);
	CHECK(t.gap_ns > 0 && t.gap_ns < 5 * NS_PER_S);
	CHECK(strstr(t.what, word) != NULL);
	printf("# %s: %s; put back after %.2f ms\n", command, t.what, (double)t.gap_ns / 1e6);
}

static void test_repair(void)
{
	struct addr b = lab_addr(B, true);
	int server = lab_listen(&t.lab, B, SOCK_STREAM, &b, 80), client = -1, peer;
	char *before, *after;
	/* What was refused meanwhile is in the listing too, one line an element, and no part of the comparison. */
	static const char list[] = "nft -s list table inet weir | grep -v ' \\. tcp \\. '";

	CHECK_EQ(lab_connect(&t.lab, A, SOCK_STREAM, &b, 80, 3000, &client), 0);
	CHECK(lab_wait(&t.lab, server, POLLIN, 3000));
	peer = accept(server, NULL, NULL);
	nftlab_forget(&t);
	before = lab_output(&t.lab, list);
	expect_repair("nft flush ruleset", "removed the table");
	CHECK(strstr(t.what, "nft") != NULL);
	CHECK(lab_talk(&t.lab, client, peer));
	CHECK_EQ(tcp(A, B, 22), -ECONNREFUSED);
	nftlab_forget(&t);
	expect_repair("nft flush chain inet weir in_b", "rule");
	expect_repair("nft insert rule inet weir in_b accept", "rule");
	expect_repair("nft delete element inet weir workloads_4 '{ 10.77.0.10 }'", "element");
	expect_repair("nft add chain inet weir foreign", "chain");
	expect_repair("nft add set inet weir foreign '{ type ipv4_addr; }'", "set");
	after = lab_output(&t.lab, list);
	CHECK(before && after && strcmp(before, after) == 0);
	CHECK(after && strstr(after, "elements = { \"br0\" comment"));
	free(before);
	free(after);
	/* Other people's tables are theirs. */
	t.repairs = 0;
	lab_run(&t.lab, "nft add table ip other; nft add chain ip other c");
	lab_wait(&t.lab, -1, 0, 100);
	CHECK_EQ(t.repairs, 0);
	CHECK(lab_talk(&t.lab, client, peer));
	close(client);
	close(peer);
	close(server);
}

static unsigned attribute(const char *name)
{
	char cmd[128], *out;
	unsigned v = 99;

	snprintf(cmd, sizeof(cmd), "ip -d link show br0 | grep -o '%s [01]' | cut -d' ' -f2", name);
	out = lab_output(&t.lab, cmd);
	if (out)
		v = (unsigned)strtoul(out, NULL, 10);
	free(out);
	return v;
}

static void test_bridge(void)
{
	CHECK_EQ(attribute("nf_call_iptables"), 1); /* set when applied */
	CHECK_EQ(attribute("nf_call_ip6tables"), 1);
	CHECK_EQ(nftlab_reopen(&t), 0); /* a restart does not forget that it was off */
	CHECK_EQ(nft_bridge_restore_all(t.nft, t.error), 0);
	CHECK_EQ(attribute("nf_call_iptables"), 0);
	CHECK_EQ(attribute("nf_call_ip6tables"), 0);
	/* Where the host's sysctl does it for all bridges, the attribute is left alone. */
	lab_run(&t.lab, "echo 1 | tee /proc/sys/net/bridge/bridge-nf-call-iptables "
			"/proc/sys/net/bridge/bridge-nf-call-ip6tables "
			">/dev/null");
	CHECK_EQ(nftlab_apply(&t, POLICY("dry-run", ""), 3, 0), 0);
	CHECK_EQ(attribute("nf_call_iptables"), 0);
	lab_run(&t.lab, "echo 0 | tee /proc/sys/net/bridge/bridge-nf-call-iptables "
			"/proc/sys/net/bridge/bridge-nf-call-ip6tables "
			">/dev/null");
}

/* Slashes, dots, Unicode, quotes, nft's own words, names that become the same, and the longest there can be. */
static void test_names(void)
{
	static const char *const names[] = {
		"shop/web", "shop_web", "shop.web",    "shop web", "ip",      "workloads",
		"armed",    "block",	"would_block", "1st",	   "-x",      "caf\xc3\xa9/\xe6\x97\xa5\xe6\x9c\xac",
		"a\"b",	    "a\\b",	"\xff\xfe",    "counter",  "forward", "x_12345678", "newcomers", "strangers"};
	struct ruleset rs = {.generation = 9};
	struct service any = {0, 65535, 0};
	char *out, *json;
	size_t n = sizeof(names) / sizeof(names[0]) + 2;

	rs.groups = calloc(n, sizeof(*rs.groups));
	rs.rules = calloc(n, sizeof(*rs.rules));
	for (size_t i = 0; i < n; i++) {
		char longest[GROUP_STRLEN];

		memset(longest, 'L', sizeof(longest) - 1);
		longest[sizeof(longest) - 1] = '\0';
		longest[sizeof(longest) - 2] = i == n - 1 ? '1' : '2'; /* two that differ in the last byte */
		snprintf(rs.groups[i].name, sizeof(rs.groups[i].name), "%s", i + 2 < n ? names[i] : longest);
		rs.groups[i].stage = i % 2 ? STAGE_DRY_RUN : STAGE_ENFORCE;
	}
	qsort(rs.groups, n, sizeof(*rs.groups), (int (*)(const void *, const void *))strcmp);
	for (size_t i = 0; i < n; i++) {
		rs.rules[i] = (struct rule){.id = (uint32_t)i + 1, .group = (uint32_t)i, .inbound = true,
					    .peer_kind = RULE_PEER_GROUP, .services = &any, .n_services = 1};
		strcpy(rs.rules[i].peer_group, rs.groups[n - 1 - i].name);
	}
	rs.n_groups = rs.n_rules = n;
	CHECK_EQ(nft_apply(t.nft, &rs, t.members, t.n_members, 0, t.error), 0);
	CHECK_STR(t.error, "");
	out = lab_output(&t.lab, "nft list ruleset");
	json = lab_output(&t.lab, "nft -j list ruleset");
	CHECK(out && strstr(out, "chain in_shop_web_") && strstr(out, "chain in_shop.web {") &&
	      strstr(out, "chain in_counter {"));
	CHECK(out && strstr(out, "comment \"shop/web: inbound list\"") &&
	      strstr(out, "caf\xc3\xa9/\xe6\x97\xa5\xe6\x9c\xac"));
	CHECK(json && strstr(json, "\"chain\""));
	free(out);
	free(json);
	/* What is listed can be read by nft again. */
	CHECK_EQ(lab_run(&t.lab,
			 "nft -s list table inet weir >/run/%s.nft && nft -c -f /run/%s.nft; r=$?; rm /run/%s.nft; "
			 "exit $r",
			 t.lab.prefix, t.lab.prefix, t.lab.prefix),
		 0);
	/* All of them were told apart, and are recognised after a restart. */
	CHECK_EQ(nftlab_reopen(&t), 0);
	CHECK_EQ(nft_generation(t.nft), 9);
	for (size_t i = 0; i < n; i++) {
		struct nft_member m;

		snprintf(m.group, sizeof(m.group), "%s", rs.groups[i].name);
		m.addr = addr_from_v4((uint8_t[]){10, 88, 0, (uint8_t)i});
		CHECK_EQ(nft_member_add(t.nft, &m, t.error), 0);
	}
	CHECK_EQ(nft_apply(t.nft, &rs, t.members, t.n_members, 0, t.error), 0);
	free(rs.groups);
	free(rs.rules);
}

/* One datagram to each port up to last. */
static void spray(int from, const struct addr *to, unsigned last)
{
	struct sockaddr_in s = {.sin_family = AF_INET};
	int fd;

	memcpy(&s.sin_addr, to->b + 12, 4);
	lab_enter(&t.lab, from);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	lab_enter(&t.lab, LAB_HOST);
	for (unsigned port = 1; port <= last; port++) {
		s.sin_port = htons((uint16_t)port);
		sendto(fd, "?", 1, 0, (struct sockaddr *)&s, sizeof(s));
		if (port % 1000 == 0)
			lab_wait(&t.lab, -1, 0, 1); /* samples are taken and answered meanwhile */
	}
	close(fd);
}

/* More addresses and ports than a set holds: every packet is in one counter or the other, and the flood is sampled. */
static void test_overflow(void)
{
	static const char miss[] = "ip daddr @armed_4 counter packets ";
	struct addr b = lab_addr(B, true);
	uint64_t in_list = 0;
	char *out, *at;

	CHECK_EQ(nftlab_apply(&t, "weir: 1\npolicy:\n  b:\n    stage: enforce\n", 20, 0), 0);
	nftlab_forget(&t);
	spray(A, &b, 65535);
	spray(LAB_WORLD, &b, 5000);
	nftlab_poll(&t);
	out = lab_output(&t.lab, "nft list chain inet weir in_b");
	at = out ? strstr(out, miss) : NULL;
	if (at)
		in_list = strtoull(at + strlen(miss), NULL, 10);
	free(out);
	printf("# 70535 datagrams: %llu refused, %llu of them beyond the set, %u samples\n",
	       (unsigned long long)in_list, (unsigned long long)t.unplaced, t.samples);
	CHECK(in_list > 68000);
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), in_list);
	CHECK(t.unplaced > 0);
	CHECK(t.samples > 0 && t.samples < 20000);
	nftlab_poll(&t);
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), in_list); /* nothing is told twice */
}

int main(void)
{
	const char *why = nftlab_open(&t, "wnftt", groups, 2);

	if (why)
		return tap_skip(why);
	test_minimal();
	test_adopt();
	test_members();
	test_repair();
	test_gap();
	test_bridge();
	test_names();
	test_overflow();
	CHECK_EQ(nft_remove(t.nft, t.error), 0);
	CHECK_EQ(nft_remove(t.nft, t.error), 0);
	CHECK_EQ(nft_generation(t.nft), 0);
	nftlab_close(&t);
	return tap_done();
}
