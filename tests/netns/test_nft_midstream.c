/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Segments of a TCP connection that connection tracking does not know, or takes for strays, judged as if they opened
 * one: the server's answers match no rule, and a reset for them would end a connection that is allowed. None is sent,
 * and nothing is told of as refused; a connection really begun against the policy still gets its answer at once.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "tests/netns/nftlab.h"
#include "tests/tap.h"

enum { WEB, DB, SPARE };
static const char *const groups[] = {"shop/web", "shop/db", "shop/spare"};
#define POLICY(stage)                                                                                                  \
	"weir: 1\npolicy:\n  shop/db:\n    stage: " stage "\n    inbound:\n"                                          \
	"      - {from: shop/web, ports: [5432/tcp]}\n  shop/web:\n    stage: " stage "\n    inbound: []\n"
static struct nftlab t;

/* Queue 1 receives, 2 sends: linux/tcp.h, which the C library's header leaves no room for. */
static uint32_t queue_seq(int fd, int queue)
{
	int on = 1, off = -1;
	uint32_t seq = 0;
	socklen_t len = sizeof(seq);

	lab_enter(&t.lab, DB); /* the right to repair a socket is its own namespace's */
	CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
	CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)), 0);
	CHECK_EQ(getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &len), 0);
	CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)), 0);
	lab_enter(&t.lab, LAB_HOST);
	return seq;
}

static uint16_t checksum(const struct iphdr *ip, const struct tcphdr *tcp)
{
	const uint16_t *pseudo = (const uint16_t *)&ip->saddr, *w = (const uint16_t *)tcp;
	uint32_t sum = htons(IPPROTO_TCP) + htons(sizeof(*tcp));

	for (unsigned i = 0; i < 4; i++)
		sum += pseudo[i];
	for (unsigned i = 0; i < sizeof(*tcp) / 2; i++)
		sum += w[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~(sum + (sum >> 16));
}

/* From the server, far beyond any window: what connection tracking calls invalid. */
static void send_stray(int server)
{
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
	} p = {{0}, {{{0}}}};
	struct sockaddr_in self, peer;
	socklen_t len = sizeof(self);
	int raw;

	CHECK_EQ(getsockname(server, (struct sockaddr *)&self, &len), 0);
	CHECK_EQ(getpeername(server, (struct sockaddr *)&peer, &len), 0);
	p.ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP, .tot_len = htons(sizeof(p)),
			      .saddr = self.sin_addr.s_addr, .daddr = peer.sin_addr.s_addr};
	p.tcp.source = self.sin_port;
	p.tcp.dest = peer.sin_port;
	p.tcp.seq = htonl(queue_seq(server, 2) + 0x10000000);
	p.tcp.ack_seq = htonl(queue_seq(server, 1));
	p.tcp.doff = 5;
	p.tcp.ack = 1;
	p.tcp.window = htons(1000);
	p.tcp.check = checksum(&p.ip, &p.tcp);
	lab_enter(&t.lab, DB);
	raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	lab_enter(&t.lab, LAB_HOST);
	CHECK_EQ(sendto(raw, &p, sizeof(p), 0, (struct sockaddr *)&peer, sizeof(peer)), (ssize_t)sizeof(p));
	close(raw);
}

static void pair(int listener, int *client, int *server)
{
	struct addr a = lab_addr(DB, true);

	CHECK_EQ(lab_connect(&t.lab, WEB, SOCK_STREAM, &a, 5432, 3000, client), 0);
	CHECK(lab_wait(&t.lab, listener, POLLIN, 2000));
	*server = accept(listener, NULL, NULL);
	CHECK(*server >= 0 && lab_talk(&t.lab, *client, *server));
}

static void test_stray(int listener)
{
	int client, server;

	nftlab_forget(&t);
	pair(listener, &client, &server);
	send_stray(server);
	lab_wait(&t.lab, -1, 0, 300);
	CHECK(lab_talk(&t.lab, client, server));
	nftlab_poll(&t);
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK) + nftlab_total(&t, VERDICT_WOULD_BLOCK), 0);
	close(client);
	close(server);
}

/* The entry is gone, as after hours without a packet or `conntrack -F`, and the server speaks first. */
static void test_forgotten(int listener)
{
	int client, server, e = 0;
	socklen_t size = sizeof(e);

	nftlab_forget(&t);
	pair(listener, &client, &server);
	lab_wait(&t.lab, -1, 0, 2500);
	CHECK_EQ(send(server, "news", 4, MSG_NOSIGNAL), 4);
	lab_wait(&t.lab, -1, 0, 300);
	CHECK_EQ(getsockopt(server, SOL_SOCKET, SO_ERROR, &e, &size), 0);
	CHECK_EQ(e, 0);
	CHECK_EQ(send(client, "hello", 5, MSG_NOSIGNAL), 5); /* the allowed way: from now on it is known */
	CHECK(lab_wait(&t.lab, client, POLLIN, 3000));
	CHECK(lab_wait(&t.lab, server, POLLIN, 3000));
	nftlab_poll(&t);
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK) + nftlab_total(&t, VERDICT_WOULD_BLOCK), 0);
	close(client);
	close(server);
}

static void test_begun(int expected)
{
	struct addr a = lab_addr(WEB, true);

	CHECK_EQ(lab_connect(&t.lab, DB, SOCK_STREAM, &a, 80, 10000, NULL), expected);
}

int main(void)
{
	const char *why = nftlab_open(&t, "wnftm", groups, 3);
	struct addr db = lab_addr(DB, true), web = lab_addr(WEB, true);
	int listener;

	if (why)
		return tap_skip(why);
	listener = lab_listen(&t.lab, DB, SOCK_STREAM, &db, 5432);
	CHECK(listener >= 0);
	CHECK(lab_listen(&t.lab, WEB, SOCK_STREAM, &web, 80) >= 0);
	CHECK_EQ(lab_run(&t.lab, "echo 1 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established"), 0);
	for (int dry = 0; dry < 2; dry++) {
		CHECK_EQ(nftlab_apply(&t, dry ? POLICY("dry-run") : POLICY("enforce"), 1 + (uint64_t)dry, 0), 0);
		CHECK_EQ(lab_run(&t.lab, "nft flush set inet weir settling"), 0);
		nftlab_poll(&t);
		test_stray(listener);
		test_forgotten(listener);
		test_begun(dry ? 0 : -ECONNREFUSED);
	}
	nftlab_close(&t);
	return tap_done();
}
