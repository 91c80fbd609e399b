/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Joins the sources behind one descriptor: the kernel's links (links.c), named network namespaces (netns.c), and one or
 * more container runtimes (docker.c). Each has a descriptor of its own that nests in ours; workloads meet in the table
 * (table.c), which settles who owns an address.
 */
#include "config.h"
#include "inventory/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "inventory/docker.h"
#include "inventory/links.h"
#include "inventory/netns.h"
#include "inventory/recall.h"
#include "inventory/table.h"

struct inventory {
	struct inventory_settings settings;
	struct inventory_events ev;
	int epoll;
	struct table *table;
	struct links *links; /* NULL, and netns too: settings.no_kernel */
	struct netns *netns;
	struct docker *runtime[INVENTORY_RUNTIMES_MAX];
	unsigned n_runtimes;
	struct recall *recall;
};

static int watch(struct inventory *inv, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(inv->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static int add_runtime(struct inventory *inv, const char *path, bool expected)
{
	struct docker *d;
	int r;

	if (inv->n_runtimes == INVENTORY_RUNTIMES_MAX)
		return -E2BIG;
	r = docker_new(&d, path, expected, inv->table);
	if (r < 0)
		return r;
	inv->runtime[inv->n_runtimes++] = d;
	recall_runtime(inv->recall, d);
	return watch(inv, docker_fd(d));
}

static int add_default_runtimes(struct inventory *inv)
{
	static const char *const usual[] = {"/run/docker.sock", "/run/podman/podman.sock"};
	const char *env = getenv("DOCKER_HOST"), *path = NULL;
	bool any = false;
	int r = 0;

	if (env && strncmp(env, "unix://", 7) == 0 && env[7] == '/')
		path = env + 7;
	else if (env && *env)
		table_notice(inv->table, true, "DOCKER_HOST=%.100s is not read: weir asks runtimes on this host only "
			     "(unix:///PATH)", env);
	if (path && strncmp(path, "/var/run/", 9) == 0)
		path += 4; /* the same folder, and the usual way to write it */
	if (path)
		r = add_runtime(inv, path, true);
	for (size_t i = 0; r == 0 && i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (!path || strcmp(path, usual[i]) != 0)
			r = add_runtime(inv, usual[i], false);
		any |= access(usual[i], F_OK) == 0 || errno != ENOENT;
	}
	if (!path && !any)
		table_notice(inv->table, false, "no container runtime yet: neither %s nor %s is there, so only network "
			     "namespaces have names (runtime_sockets or DOCKER_HOST names another socket)", usual[0],
			     usual[1]);
	return r;
}

static int add_kernel(struct inventory *inv)
{
	const char *dir = inv->settings.netns_dir ? inv->settings.netns_dir : "/run/netns";
	int r = links_new(&inv->links, &inv->ev, inv->settings.bridges);

	if (r == 0)
		r = netns_new(&inv->netns, dir, inv->links, inv->table);
	if (r == 0)
		r = watch(inv, links_fd(inv->links));
	if (r == 0)
		r = watch(inv, netns_fd(inv->netns));
	/* All notices are on their way: now the lists. */
	if (r == 0)
		r = links_start(inv->links);
	if (r == 0)
		r = netns_start(inv->netns);
	return r;
}

int inventory_open(struct inventory **out, const struct inventory_settings *s, const struct inventory_events *ev)
{
	struct inventory *inv = calloc(1, sizeof(*inv)), *before = *out;
	int r;

	if (!inv)
		return -ENOMEM;
	if (s)
		inv->settings = *s;
	inv->ev = *ev;
	*out = inv; /* callbacks may ask inventory_bound_ns */
	inv->epoll = epoll_create1(EPOLL_CLOEXEC);
	r = inv->epoll < 0 ? -errno : 0;
	if (r == 0)
		r = inventory_table_new(&inv->table, &inv->ev, inv->settings.name_templates);
	if (r == 0 && !inv->settings.no_kernel)
		r = add_kernel(inv);
	if (r == 0)
		r = recall_new(&inv->recall, inv->table, inv->links);
	if (r == 0 && !inv->settings.runtime_sockets)
		r = add_default_runtimes(inv);
	for (size_t i = 0; r == 0 && inv->settings.runtime_sockets && inv->settings.runtime_sockets[i]; i++)
		r = add_runtime(inv, inv->settings.runtime_sockets[i], true);
	if (r < 0) {
		*out = before;
		inventory_close(inv);
	}
	return r;
}

void inventory_close(struct inventory *inv)
{
	if (!inv)
		return;
	for (unsigned i = 0; i < inv->n_runtimes; i++)
		docker_free(inv->runtime[i]);
	recall_free(inv->recall);
	netns_free(inv->netns);
	links_free(inv->links);
	inventory_table_free(inv->table);
	if (inv->epoll >= 0)
		close(inv->epoll);
	free(inv);
}

int inventory_fd(const struct inventory *inv)
{
	return inv->epoll;
}

/* The first thing that failed is told; it keeps nobody else from being followed. */
int inventory_dispatch(struct inventory *inv)
{
	int r = inv->links ? links_dispatch(inv->links) : 0, one;

	/* Containers before namespaces: who both know is named by the runtime. */
	for (unsigned i = 0; i < inv->n_runtimes; i++) {
		one = docker_dispatch(inv->runtime[i]);
		r = r < 0 ? r : one;
	}
	recall_look(inv->recall);
	/* In every round of links: what one of the two has read of ended ids, the other reads in the same. */
	one = inv->netns ? netns_dispatch(inv->netns) : 0;
	return r < 0 ? r : one;
}

bool inventory_settled(const struct inventory *inv)
{
	for (unsigned i = 0; i < inv->n_runtimes; i++)
		if (!docker_settled(inv->runtime[i]))
			return false;
	return true;
}

uint64_t inventory_bound_ns(const struct inventory *inv)
{
	return table_bound_ns(inv->table);
}

int inventory_recall(struct inventory *inv, const struct workload *w)
{
	return recall_add(inv->recall, w);
}

void inventory_recall_apply(struct inventory *inv)
{
	recall_apply(inv->recall);
}

size_t inventory_runtimes(const struct inventory *inv, struct inventory_runtime *out)
{
	for (unsigned i = 0; i < inv->n_runtimes; i++) {
		docker_state(inv->runtime[i], &out[i]);
		out[i].absent = out[i].absent && !docker_expected(inv->runtime[i]);
	}
	return inv->n_runtimes;
}
