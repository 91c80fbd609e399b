/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inventory/netns_lister: lists fetched by a thread, in a network namespace of our own that is asked about by its id.
 * What was listed last is told last, however late it is taken: else what has changed meanwhile would be forgotten.
 */
#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "inventory/netns_lister.h"
#include "inventory/rtnl.h"
#include "tests/tap.h"

/* Waits until so many answers have come since it was last called, and takes none. */
static bool answered(const struct netns_lister *l, uint64_t n)
{
	struct pollfd p = {netns_lister_fd(l), POLLIN, 0};
	uint64_t some;

	while (n && poll(&p, 1, 10000) == 1 && read(p.fd, &some, sizeof(some)) == sizeof(some))
		n -= some;
	return n == 0;
}

static void newest_last(struct netns_lister *l, int32_t nsid)
{
	const struct netns_question q = {nsid, 7, 3};
	unsigned bridges[3] = {9, 9, 9}, n = 0;
	struct netns_question back;
	struct inside in;

	CHECK(netns_lister_ask(l, &q) == 0 && answered(l, 1));
	CHECK(system("ip link add docker0 type bridge") == 0);
	CHECK(netns_lister_ask(l, &q) == 0 && answered(l, 1));
	CHECK(system("ip link add docker1 type bridge") == 0);
	CHECK(netns_lister_ask(l, &q) == 0 && answered(l, 1));
	CHECK_EQ(netns_lister_ready(l), 3);
	while (n < 3 && netns_lister_take(l, &back, &in)) {
		CHECK(back.nsid == nsid && back.token == 7 && back.told == 3);
		bridges[n++] = in.n_bridges;
	}
	CHECK(n == 3 && bridges[0] == 0 && bridges[1] == 1 && bridges[2] == 2);
	CHECK(!netns_lister_take(l, &back, &in));
	CHECK_EQ(netns_lister_ready(l), 0);
}

/* Questions that nobody waits for the answers of, and one about a namespace that is not there. */
static void freed_in_between(struct netns_lister *l, int32_t nsid)
{
	for (unsigned i = 0; i < 50; i++) {
		const struct netns_question q = {nsid, i, 0}, nobody = {nsid + 1000, i, 0};

		CHECK(netns_lister_ask(l, &q) == 0 && netns_lister_ask(l, &nobody) == 0);
	}
}

int main(void)
{
	struct netns_lister *l = NULL;
	struct nl *query = NULL;
	int fd = -1, nsid = -1;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return tap_skip("may not make a network namespace");
	if (system("ip link set lo up >/dev/null 2>&1") != 0)
		return tap_skip("needs ip (iproute2) and the right to use it");
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && rtnl_open(&query) == 0);
	nsid = rtnl_nsid(query, fd);
	CHECK(nsid >= 0 && netns_lister_new(&l) == 0);
	if (l) {
		newest_last(l, nsid);
		freed_in_between(l, nsid);
	}
	netns_lister_free(l);
	nl_close(query);
	close(fd);
	return tap_done();
}
