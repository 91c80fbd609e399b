/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the table costs: connections a second between two workloads on a bridge, without a table and with policies
 * of ten to ten thousand edges; how long each takes to apply, to apply again, and to add a member to. The client's
 * rule is the last of its list, which would be the worst place if they were tried in turn. Needs root; makes its own
 * network namespaces.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <net/if.h>

#include "common/timefmt.h"
#include "tests/netns/nftlab.h"

#define SECONDS 2
static const char *const members[] = {"client", "server"};
static struct nftlab t;

static double rate(void)
{
	struct addr b = lab_addr(1, true);
	struct linger at_once = {1, 0}; /* no TIME_WAIT: ports last longer than the measurement */
	int server = lab_listen(&t.lab, 1, SOCK_STREAM, &b, 80), fd, peer;
	uint64_t start = time_mono_ns(), n = 0, failed = 0;

	while (time_mono_ns() - start < SECONDS * NS_PER_S) {
		if (lab_connect(&t.lab, 0, SOCK_STREAM, &b, 80, 1000, &fd) < 0) {
			failed++;
			continue;
		}
		peer = accept(server, NULL, NULL);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(fd);
		close(peer);
		n++;
	}
	close(server);
	if (failed)
		printf("%llu connections failed\n", (unsigned long long)failed);
	return (double)n / ((double)(time_mono_ns() - start) / 1e9);
}

/* groups lists of peers edges each; the client is the last peer of the server. */
static int make(struct ruleset *rs, unsigned groups, unsigned peers)
{
	static struct service service = {80, 80, PROTO_TCP};

	memset(rs, 0, sizeof(*rs));
	rs->groups = calloc(groups, sizeof(*rs->groups));
	rs->rules = calloc((size_t)groups * peers, sizeof(*rs->rules));
	if (!rs->groups || !rs->rules)
		return -ENOMEM;
	for (unsigned g = 0; g < groups; g++) {
		snprintf(rs->groups[g].name, sizeof(rs->groups[g].name), g + 1 < groups ? "group%05u" : "server", g);
		rs->groups[g].stage = STAGE_ENFORCE;
		for (unsigned p = 0; p < peers; p++) {
			struct rule *r = &rs->rules[rs->n_rules++];

			*r = (struct rule){.id = (uint32_t)rs->n_rules, .group = g, .inbound = true,
					   .peer_kind = RULE_PEER_GROUP, .services = &service, .n_services = 1};
			snprintf(r->peer_group, sizeof(r->peer_group), p + 1 < peers ? "peer%05u" : "client", p);
		}
	}
	rs->n_groups = groups;
	return 0;
}

static void run(unsigned groups, unsigned peers)
{
	struct nft_member m = {.group = "client"};
	uint64_t a, b, c, d;
	struct ruleset rs;
	int rc;

	if (make(&rs, groups, peers) < 0)
		return;
	rs.generation = 1;
	a = time_mono_ns();
	rc = nft_apply(t.nft, &rs, t.members, t.n_members, 0, t.error);
	b = time_mono_ns();
	rc = rc < 0 ? rc : nft_apply(t.nft, &rs, t.members, t.n_members, 0, t.error);
	c = time_mono_ns();
	addr_parse(&m.addr, "10.77.0.200");
	rc = rc < 0 ? rc : nft_member_add(t.nft, &m, t.error);
	d = time_mono_ns();
	if (rc < 0)
		printf("%u lists of %u edges: %s\n", groups, peers, t.error);
	else
		printf("%5u edges in lists of %5u: %7.0f connections/s; applied in %7.1f ms, again in %7.1f ms, member "
		       "in %.2f ms\n",
		       groups * peers, peers, rate(), (double)(b - a) / 1e6, (double)(c - b) / 1e6,
		       (double)(d - c) / 1e6);
	nft_remove(t.nft, t.error);
	free(rs.groups);
	free(rs.rules);
}

int main(void)
{
	const char *why;

	setvbuf(stdout, NULL, _IOLBF, 0);
	why = nftlab_open(&t, "wnftb", members, 2);

	if (why) {
		printf("cannot measure: %s\n", why);
		return 1;
	}
	/* Frames pass the hooks in every measurement, so that it is the table that is measured. */
	lab_run(&t.lab, "echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables");
	/* Closed connections are forgotten at once, or tracking's table is full before the last measurement. */
	lab_run(&t.lab, "echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close");
	printf("no table, no tracking:      %7.0f connections/s\n", rate());
	lab_run(&t.lab, "nft add table ip bench; nft add chain ip bench f '{ type filter hook forward priority 0; }'; "
			"nft add rule ip bench f ct state established accept");
	printf("no table, tracking:         %7.0f connections/s\n", rate());
	run(1, 10);
	run(10, 10);
	run(10, 100);
	run(100, 100);
	run(1, 1000);
	run(10, 1000);
	run(1, 10000);
	printf("no table, tracking, again:  %7.0f connections/s\n", rate());
	nftlab_close(&t);
	return 0;
}
