/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inventory/ and conntrack as a program, for the shell tests in netns/ and docker/:
 *
 *	inventory_probe watch [SOCKET [NETNS-DIR]]   prints what the inventory tells, one line each, until it is ended
 *	inventory_probe conntrack                    reads "PROTO ADDR PORT ADDR PORT" lines, prints what the kernel knows
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

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

	printf("%s name=%s group=%s runtime=%s image=%s digest=%s id=%016llx start=%llu bound=%llu end=%llu exit=%d addrs=", what,
	       w->name, w->group, w->runtime, w->image, w->image_digest, (unsigned long long)w->id,
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

static void on_notice(void *arg, bool problem, const char *text)
{
	(void)arg;
	printf("%s %s\n", problem ? "problem" : "notice", text);
}

static int watch(const char *socket, const char *netns_dir)
{
	const char *sockets[] = {socket, NULL};
	struct inventory_settings s = {.runtime_sockets = sockets, .netns_dir = netns_dir};
	struct inventory_events ev = {on_up, on_down, on_link_up, on_link_down, on_host, on_notice, NULL};
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
		       o.client_is_first, addr_format(&o.server, out[1]), o.server_port, addr_format(&o.orig_addr, out[2]),
		       o.orig_port);
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

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	if (argc >= 2 && strcmp(argv[1], "watch") == 0)
		return watch(argc > 2 && *argv[2] ? argv[2] : NULL, argc > 3 ? argv[3] : NULL);
	if (argc == 2 && strcmp(argv[1], "conntrack") == 0)
		return conntrack();
	fprintf(stderr, "usage: inventory_probe watch [SOCKET [NETNS-DIR]] | conntrack\n");
	return 2;
}
