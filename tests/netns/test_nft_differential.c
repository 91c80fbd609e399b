/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kernel against user space: random rulesets are put into the kernel, random connections are tried, and every
 * packet that the kernel counted as refused must be one that segment/eval refuses, and the other way round.
 * Sources, destinations and services are drawn from few values, so that rules and connections meet often. Prints
 * its seed.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <net/if.h>

#include "segment/eval.h"
#include "tests/netns/nftlab.h"
#include "tests/tap.h"

#define ROUNDS 12
#define POKES 150

static const char *const groups[] = {"red", "green", "blue/sky"};
static struct nftlab t;
static uint64_t rnd;

static unsigned pick(unsigned n)
{
	return (unsigned)(tap_random(&rnd) % n);
}

static const char *const peers[] = {"red",	   "green",	   "blue/sky",	    "world",	    "host",
				    "any",	   "10.77.0.0/29", "10.77.0.8/30",  "192.0.2.0/24", "0.0.0.0/0",
				    "fd77::8/125", "fd77::/61",	   "2001:db8::/32", "::/0",	    "nobody"};
static const char *const services[] = {"80/tcp",
				       "443/tcp",
				       "8000-8100/tcp",
				       "tcp",
				       "53/udp",
				       "53/tcp",
				       "1-1023/udp",
				       "udp",
				       "echo-request/icmp",
				       "echo-request/icmpv6",
				       "icmp",
				       "icmpv6",
				       "any",
				       "65535/tcp",
				       "1/tcp",
				       "8101-65535/tcp",
				       "gre"};
/* What is tried: borders of the ranges above and something beside them. */
static const struct service tries[] = {{80, 80, PROTO_TCP},	  {443, 443, PROTO_TCP},   {7999, 7999, PROTO_TCP},
				       {8000, 8000, PROTO_TCP},	  {8100, 8100, PROTO_TCP}, {8101, 8101, PROTO_TCP},
				       {65535, 65535, PROTO_TCP}, {1, 1, PROTO_TCP},	   {2, 2, PROTO_TCP},
				       {53, 53, PROTO_UDP},	  {53, 53, PROTO_TCP},	   {1023, 1023, PROTO_UDP},
				       {1024, 1024, PROTO_UDP},	  {8, 8, PROTO_ICMP},	   {13, 13, PROTO_ICMP},
				       {128, 128, PROTO_ICMP6},	  {133, 133, PROTO_ICMP6}};
#define N(a) ((unsigned)(sizeof(a) / sizeof((a)[0])))

static void random_list(struct buf *b, bool in)
{
	unsigned n = pick(5);

	buf_printf(b, "    %s:%s\n", in ? "inbound" : "outbound", n ? "" : " []");
	for (unsigned i = 0; i < n; i++) {
		unsigned k = 1 + pick(4);

		buf_printf(b, "      - {%s: \"%s\", ports: [", in ? "from" : "to", peers[pick(N(peers))]);
		for (unsigned j = 0; j < k; j++)
			buf_printf(b, "%s%s", j ? ", " : "", services[pick(N(services))]);
		buf_adds(b, "]}\n");
	}
}

static char *random_policy(void)
{
	static const char *const stages[] = {"observe", "dry-run", "enforce"};
	struct buf b = BUF_INIT;

	buf_adds(&b, "weir: 1\npolicy:\n");
	for (unsigned i = 0; i < N(groups); i++) {
		if (i && pick(4) == 0)
			continue; /* a group without a policy */
		buf_printf(&b, "  %s:\n    stage: %s\n", groups[i], stages[pick(6) ? 1 + pick(2) : 0]);
		random_list(&b, true);
		random_list(&b, false);
	}
	return buf_take(&b);
}

static struct eval_end end_of(int who, bool v4)
{
	struct eval_end e = {.addr = lab_addr(who, v4), .group = who == LAB_HOST ? GROUP_HOST : GROUP_WORLD};

	if (who >= 0)
		e.group = groups[who];
	return e;
}

/* One connection attempt, one packet: its socket, or -1 where there is none to keep. */
static int poke(int from, int to, bool v4, const struct service *s, uint16_t id)
{
	struct addr a = lab_addr(to, v4);
	int fd;

	if (proto_is_icmp(s->proto)) {
		int rc = lab_icmp(&t.lab, from, &a, (uint8_t)s->lo, id);

		CHECK(rc == 0 || rc == -EPERM); /* the host is told so by its own output hook */
		return -1;
	}
	fd = lab_poke(&t.lab, from, s->proto == PROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, &a, s->lo, id);
	CHECK(fd >= 0);
	return fd;
}

struct attempt {
	int from, to;
	bool v4;
	const struct service *s;
	struct eval_result r;
};

static void tell(const char *policy, const struct attempt *a, const char *what)
{
	char src[ADDR_STRLEN], dst[ADDR_STRLEN], service[SERVICE_STRLEN];
	struct addr from = lab_addr(a->from, a->v4), to = lab_addr(a->to, a->v4);

	fprintf(stderr, "%s to %s %s: eval says %s, the kernel %s\n%s\n", addr_format(&from, src),
		addr_format(&to, dst), service_format(a->s, service), verdict_name(a->r.verdict), what, policy);
}

static void check(const char *policy, const struct attempt *at, size_t n)
{
	uint64_t want[VERDICT_BLOCK + 1] = {0};

	for (size_t i = 0; i < n; i++)
		want[at[i].r.verdict]++;
	CHECK(nftlab_await(&t, VERDICT_WOULD_BLOCK, want[VERDICT_WOULD_BLOCK]));
	CHECK(nftlab_await(&t, VERDICT_BLOCK, want[VERDICT_BLOCK]));
	CHECK_EQ(nftlab_total(&t, VERDICT_WOULD_BLOCK), want[VERDICT_WOULD_BLOCK]);
	CHECK_EQ(nftlab_total(&t, VERDICT_BLOCK), want[VERDICT_BLOCK]);
	for (size_t i = 0; i < n; i++) {
		uint64_t expect[VERDICT_BLOCK + 1] = {0};

		/* The same connection may have been drawn more than once; all of them have the same answer. */
		for (size_t k = 0; k < n; k++)
			expect[at[k].r.verdict] += at[k].from == at[i].from && at[k].to == at[i].to &&
						   at[k].v4 == at[i].v4 && at[k].s == at[i].s;
		for (uint8_t kind = VERDICT_WOULD_BLOCK; kind <= VERDICT_BLOCK; kind++) {
			char service[SERVICE_STRLEN];
			uint64_t got = nftlab_count(&t, kind, at[i].from, at[i].to, at[i].v4,
						    service_format(at[i].s, service));

			CHECK_EQ(got, expect[kind]);
			if (got != expect[kind])
				tell(policy, &at[i], verdict_name(kind));
		}
	}
}

static void round_of(unsigned number)
{
	static struct attempt at[POKES];
	static int fds[POKES];
	char *policy = random_policy();
	struct ruleset rs = {0};
	size_t n = 0;

	CHECK_EQ(nftlab_compile(&rs, policy), 0);
	CHECK_EQ(nftlab_apply(&t, policy, number + 1, 0), 0);
	nftlab_forget(&t);
	while (n < POKES) {
		struct attempt *a = &at[n];
		struct eval_end src, dst;

		a->from = (int)pick(5) - 2;
		a->to = (int)pick(5) - 2;
		a->s = &tries[pick(N(tries))];
		a->v4 = a->s->proto == PROTO_ICMP || (a->s->proto != PROTO_ICMP6 && pick(2));
		/* What passes no workload passes no list; what somebody says to himself passes no wire. */
		if (a->from == a->to || (a->from < 0 && a->to < 0))
			continue;
		src = end_of(a->from, a->v4);
		dst = end_of(a->to, a->v4);
		eval(&a->r, &rs, &src, &dst, a->s->proto, a->s->lo);
		/* Source ports and echo identifiers are never used twice: every attempt is a new connection. */
		fds[n] = poke(a->from, a->to, a->v4, a->s, (uint16_t)(10000 + number * POKES + n));
		n++;
		lab_wait(&t.lab, -1, 0, 1);
	}
	check(policy, at, n);
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	ruleset_fini(&rs);
	free(policy);
}

int main(void)
{
	const char *why = nftlab_open(&t, "wnftd", groups, 3);

	if (why)
		return tap_skip(why);
	rnd = tap_seed();
	for (unsigned i = 0; i < ROUNDS && tap_failures < 10; i++)
		round_of(i);
	nftlab_close(&t);
	return tap_done();
}
