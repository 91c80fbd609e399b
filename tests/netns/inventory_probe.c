/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inventory/ and conntrack as a program, for the shell tests in netns/ and docker/:
 *
 *	inventory_probe watch [SOCKET [NETNS-DIR]]   prints what the inventory tells, one line each, until it is ended
 *	inventory_probe conntrack FIFO               reads "PROTO ADDR PORT ADDR PORT" lines, prints what the kernel knows
 *	inventory_probe serve tcp|udp PORT           sends back what it gets, both IP versions
 *	inventory_probe flap DEV NETWORK             adds and takes away addresses of NETWORK/16 as fast as it can
 *	inventory_probe hold tcp|udp PORT ADDR PORT  from that local port: sends a byte, gets it back, says "held", stays
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "inventory/conntrack.h"
#include "inventory/inventory.h"

static struct inventory *inv;
static volatile sig_atomic_t stopping;

static void on_signal(int sig)
{
	(void)sig;
	stopping = 1;
}

static void print_addrs(const struct addr *addrs, size_t n)
{
	char text[ADDR_STRLEN];

	for (size_t i = 0; i < n; i++)
		printf("%s%s", i ? "," : "", addr_format(&addrs[i], text));
}

static void print_workload(const char *what, const struct workload *w)
{
	uint64_t bound = inventory_bound_ns(inv);

	printf("%s name=%s group=%s runtime=%s image=%s digest=%s id=%016llx start=%llu bound=%llu end=%llu exit=%d "
	       "addrs=",
	       what, w->name, w->group, w->runtime, w->image, w->image_digest, (unsigned long long)w->id,
	       (unsigned long long)w->start_ns, (unsigned long long)bound, (unsigned long long)w->end_ns, w->exit_code);
	print_addrs(w->addrs, w->n_addrs);
	printf("\n");
}

static void on_up(void *arg, const struct workload *w)
{
	(void)arg;
	print_workload("up", w);
}

static void on_down(void *arg, const struct workload *w)
{
	(void)arg;
	print_workload("down", w);
}

static void on_link_up(void *arg, const struct inventory_link *l)
{
	(void)arg;
	printf("link_up name=%s bridge=%d addrs=", l->name, l->bridge);
	print_addrs(l->addrs, l->n_addrs);
	printf(" index=%u\n", l->ifindex);
}

static void on_link_down(void *arg, uint32_t ifindex)
{
	(void)arg;
	printf("link_down index=%u\n", ifindex);
}

static void on_host(void *arg, const struct addr *addrs, size_t n)
{
	(void)arg;
	printf("host addrs=");
	print_addrs(addrs, n);
	printf("\n");
}

/* "soon" with addresses; "not" when it will not run after all. */
static void on_soon(void *arg, const struct workload *w)
{
	char text[ADDR_STRLEN];

	(void)arg;
	printf("%s %.12s %s %s", w->n_addrs ? "soon" : "not", w->runtime_id, w->name, w->group);
	for (unsigned i = 0; i < w->n_addrs; i++)
		printf(" %s", addr_format(&w->addrs[i], text));
	printf("\n");
}

static void on_notice(void *arg, bool problem, const char *text)
{
	(void)arg;
	printf("%s %s\n", problem ? "problem" : "notice", text);
}

static void on_unnamed(void *arg, const struct inventory_unnamed *u)
{
	(void)arg;
	printf("unnamed %s addrs=", flow_unnamed_name(u->why));
	print_addrs(u->addrs, u->n_addrs);
	printf("\n");
}

static int watch(const char *socket, const char *netns_dir)
{
	const char *sockets[] = {socket, NULL};
	struct inventory_settings s = {.runtime_sockets = sockets, .netns_dir = netns_dir};
	struct inventory_events ev = {on_up,   on_down,	  on_soon,    on_link_up, on_link_down,
				      on_host, on_notice, on_unnamed, NULL};
	bool settled = false;
	int r = inventory_open(&inv, &s, &ev);

	while (r == 0 && !stopping) {
		struct pollfd p = {inventory_fd(inv), POLLIN, 0};

		if (!settled && inventory_settled(inv)) {
			settled = true;
			printf("settled\n");
		}
		(void)poll(&p, 1, 1000);
		r = inventory_dispatch(inv);
	}
	if (r < 0)
		fprintf(stderr, "inventory_probe: %s\n", strerror(-r));
	inventory_close(inv);
	return r < 0;
}

static void ask(struct conntrack *c, const char *line)
{
	char proto[16], text[2][64], out[3][ADDR_STRLEN];
	struct conntrack_origin o;
	struct addr addr[2];
	unsigned port[2];
	uint16_t port16[2];
	struct protoent *p;
	int r;

	if (sscanf(line, "%15s %63s %u %63s %u", proto, text[0], &port[0], text[1], &port[1]) != 5 ||
	    !(p = getprotobyname(proto)) || addr_parse(&addr[0], text[0]) < 0 || addr_parse(&addr[1], text[1]) < 0) {
		printf("? %s", line);
		return;
	}
	port16[0] = (uint16_t)port[0];
	port16[1] = (uint16_t)port[1];
	r = conntrack_dispatch(c);
	if (r == 0)
		r = conntrack_lookup(c, (uint8_t)p->p_proto, addr, port16, &o);
	if (r < 0)
		printf("none %s\n", strerror(-r));
	else
		printf("client=%s:%u first=%d server=%s:%u orig=%s:%u\n", addr_format(&o.client, out[0]), o.client_port,
		       o.client_is_first, addr_format(&o.server, out[1]), o.server_port,
		       addr_format(&o.orig_addr, out[2]), o.orig_port);
}

static int conntrack(void)
{
	struct conntrack_stats st;
	struct conntrack *c;
	char line[512];
	int r = conntrack_open(&c, 0);

	if (r < 0) {
		printf("SKIP %s\n", strerror(-r));
		return 77;
	}
	setvbuf(stdin, NULL, _IONBF, 0);
	printf("ready\n");
	while (!stopping) {
		struct pollfd p[2] = {{0, POLLIN, 0}, {conntrack_fd(c), POLLIN, 0}};

		(void)poll(p, 2, 1000);
		if (p[1].revents && (r = conntrack_dispatch(c)) < 0)
			break;
		if (!p[0].revents)
			continue;
		if (!fgets(line, sizeof(line), stdin))
			break;
		ask(c, line);
	}
	conntrack_stats(c, &st);
	printf("seen=%llu kept=%llu lost=%llu asked=%llu answered=%llu\n", (unsigned long long)st.seen,
	       (unsigned long long)st.kept_now, (unsigned long long)st.lost, (unsigned long long)st.asked,
	       (unsigned long long)st.answered);
	conntrack_close(c);
	return r < 0;
}

/* ---- the two ends of a connection -------------------------------------------------------------------------------- */

/* A socket bound to that local port of every address, both IP versions: IPv4 as mapped addresses. */
static int bound(const char *proto, const char *port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
	int type = strcmp(proto, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM, off = 0, on = 1;
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);

	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		perror("inventory_probe: bind");
		exit(1);
	}
	return fd;
}

static int serve(const char *proto, const char *port)
{
	struct pollfd p[64] = {{bound(proto, port), POLLIN, 0}};
	bool udp = strcmp(proto, "udp") == 0;
	struct sockaddr_in6 from;
	char byte[64];
	nfds_t n = 1;

	if (!udp && listen(p[0].fd, 16) < 0)
		return 1;
	printf("serving\n");
	while (!stopping && poll(p, n, 1000) >= 0) {
		for (nfds_t i = 0; i < n; i++) {
			socklen_t len = sizeof(from);
			ssize_t got;

			if (!p[i].revents)
				continue;
			if (i == 0 && !udp) {
				if (n < 64)
					p[n++] = (struct pollfd){accept(p[0].fd, NULL, NULL), POLLIN, 0};
				break;
			}
			got = recvfrom(p[i].fd, byte, sizeof(byte), 0, (struct sockaddr *)&from, &len);
			if (got > 0)
				(void)!sendto(p[i].fd, byte, (size_t)got, 0, udp ? (struct sockaddr *)&from : NULL,
					      udp ? len : 0);
			else
				p[i].fd = -1;
		}
	}
	return 0;
}

static int hold(const char *proto, const char *local, const char *to, const char *port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
	struct addr addr;
	char byte = 'x';
	int fd = bound(proto, local);

	if (addr_parse(&addr, to) < 0)
		return 2;
	memcpy(&a.sin6_addr, addr.b, sizeof(addr.b));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || send(fd, &byte, 1, 0) != 1 ||
	    recv(fd, &byte, 1, 0) != 1) {
		perror("inventory_probe: hold");
		return 1;
	}
	printf("held\n");
	while (!stopping)
		pause();
	return 0;
}

/* ---- changes without pause --------------------------------------------------------------------------------------- */

#define FLAP_AT_ONCE 128u

static void put_change(char *at, size_t len, bool add, unsigned ifindex, uint32_t addr_be)
{
	struct nlmsghdr *h = (void *)at;
	struct ifaddrmsg *a = NLMSG_DATA(h);
	struct rtattr *local = (void *)(a + 1);

	memset(at, 0, len);
	h->nlmsg_len = (uint32_t)len;
	h->nlmsg_type = add ? RTM_NEWADDR : RTM_DELADDR;
	h->nlmsg_flags = NLM_F_REQUEST | (add ? NLM_F_CREATE : 0);
	a->ifa_family = AF_INET;
	a->ifa_prefixlen = 32;
	a->ifa_index = ifindex;
	local->rta_type = IFA_LOCAL;
	local->rta_len = RTA_LENGTH(sizeof(addr_be));
	memcpy(RTA_DATA(local), &addr_be, sizeof(addr_be));
}

/* No answer is asked for: many changes in one system call. Ended in the middle, it leaves at most one address. */
static int flap(const char *dev, const char *network)
{
	const size_t len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)) + RTA_SPACE(sizeof(uint32_t));
	_Alignas(struct nlmsghdr) static char out[FLAP_AT_ONCE * 64];
	unsigned ifindex = if_nametoindex(dev);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	unsigned long changes = 0;
	struct in_addr net;

	if (!ifindex || fd < 0 || len > 64 || inet_pton(AF_INET, network, &net) != 1)
		return 1;
	printf("flapping %s\n", network);
	while (!stopping) {
		for (unsigned i = 0; i < FLAP_AT_ONCE; i++, changes++)
			put_change(out + i * len, len, changes % 2 == 0, ifindex,
				   net.s_addr | htonl((uint32_t)(changes / 2 % 50 + 1)));
		if (send(fd, out, FLAP_AT_ONCE * len, 0) < 0 && errno != EINTR) {
			perror("inventory_probe: flap");
			return 1;
		}
	}
	printf("%lu changes\n", changes);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 2 && strcmp(argv[1], "watch") == 0)
		return watch(argc > 2 && *argv[2] ? argv[2] : NULL, argc > 3 ? argv[3] : NULL);
	if (argc == 3 && strcmp(argv[1], "conntrack") == 0) /* a background job of a shell has no standard input */
		return freopen(argv[2], "r", stdin) ? conntrack() : 1;
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "flap") == 0)
		return flap(argv[2], argv[3]);
	if (argc == 6 && strcmp(argv[1], "hold") == 0)
		return hold(argv[2], argv[3], argv[4], argv[5]);
	fprintf(stderr, "usage: inventory_probe watch [SOCKET [NETNS-DIR]] | conntrack FIFO |\n"
			"       serve tcp|udp PORT | flap DEV NETWORK | hold tcp|udp PORT ADDR PORT\n");
	return 2;
}
