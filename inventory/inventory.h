/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who is behind an address, when. Gathers from the kernel (links, bridges, network namespaces over rtnetlink), from the
 * container runtime (Docker's API over its Unix socket; Podman speaks the same) and tells changes as they happen. Runs
 * in the parent; all of it non-blocking behind one descriptor.
 */
#ifndef WEIR_INVENTORY_INVENTORY_H
#define WEIR_INVENTORY_INVENTORY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/flow.h"
#include "common/workload.h"

/* name_templates and bridges are borrowed until inventory_close. */
struct inventory_settings {
	const char *const *runtime_sockets; /* NULL-terminated; NULL: $DOCKER_HOST (unix://), /run/docker.sock and
	                                       /run/podman/podman.sock, whichever are there, now or later */
	const char *netns_dir;              /* NULL: /run/netns */
	/* NULL-terminated "pattern -> group" for workloads without labels; NULL: none */
	const char *const *name_templates;
	const char *const *bridges; /* NULL-terminated patterns of bridges and veths to capture on; NULL: every bridge
				       that has a veth port or a container runtime's name, and every veth on none
				       that leads into another namespace and is no default route's */
	bool no_kernel; /* only the runtime is asked: no links, addresses, namespaces */
};

/* An interface to capture on. */
struct inventory_link {
	uint32_t ifindex;
	char name[16];
	bool bridge; /* else a veth of its own */
	bool router; /* a veth behind which something routes: who has an address of its network need be no workload */
	uint8_t n_addrs;
	struct addr addrs[8]; /* the host's addresses on it */
	uint8_t lens[8];      /* of their networks' prefixes, of 128 bits */
};

/* Workloads that stay without a name, and why. */
struct inventory_unnamed {
	uint8_t why;             /* enum flow_unnamed */
	uint64_t from_ns, to_ns; /* UTC: when they may have been there, at the widest */
	uint8_t n_addrs;         /* 0: not known, so it may be any */
	struct addr addrs[WORKLOAD_ADDRS_MAX];
};

struct inventory_events {
	/* Came, or something about it changed (same id). w->addrs are all it has now, link-local ones left out. */
	void (*workload_up)(void *arg, const struct workload *w);
	/* Ended: w->end_ns is set. */
	void (*workload_down)(void *arg, const struct workload *w);
	/*
	 * Is about to run: the runtime has given it addresses, its process does not exist yet. w has name, group and
	 * addresses, but no life (id and start_ns are 0): runtime_id says whose it is. Told again when it gets one more
	 * address. What was told is over when workload_up comes for the same runtime_id, or when this comes without
	 * addresses: it will not run. Neither comes if the runtime is lost meanwhile, so a time limit is up to who
	 * listens. May be NULL.
	 */
	void (*workload_soon)(void *arg, const struct workload *w);
	/* Came, or its name or addresses changed (same ifindex). */
	void (*link_up)(void *arg, const struct inventory_link *l);
	void (*link_down)(void *arg, uint32_t ifindex);
	/* The host's own addresses but for loopback, whole list, sorted, whenever it changes. */
	void (*host_addrs)(void *arg, const struct addr *addrs, size_t n);
	/* Something a person should know: runtime reached or lost, permission missing. Once per change. */
	void (*notice)(void *arg, bool problem, const char *text);
	/* Somebody came of whom the name will not be known. May be NULL. */
	void (*unnamed)(void *arg, const struct inventory_unnamed *u);
	void *arg;
};

struct inventory;
/* Opens the kernel's notifications first, then lists; same with the runtime. Tells what is there through ev before it
 * returns, except for what the runtime has still to answer; *out is set before the first call of ev. 0 or negative
 * errno. */
int inventory_open(struct inventory **out, const struct inventory_settings *s, const struct inventory_events *ev);
void inventory_close(struct inventory *inv);
int inventory_fd(const struct inventory *inv);       /* readable: call dispatch */
int inventory_dispatch(struct inventory *inv);       /* never blocks. 0 or negative errno */
/* True once every runtime that is there has answered its first list. */
bool inventory_settled(const struct inventory *inv);

/*
 * What an earlier run knew: w was alive when weir was last there. To be told of all such workloads before
 * inventory_recall_apply, which is called once, when inventory_settled: those whose runtime cannot be reached, and
 * whose address some namespace still has that one of the host's links leads into, are told by workload_up as they were;
 * they end when that address is seen no more, or when the runtime is back and says so. All others are forgotten. Those
 * without an address, and those on networks that no link of the host leads to (macvlan, ipvlan), cannot be seen and are
 * not kept. 0 or -ENOMEM.
 */
int inventory_recall(struct inventory *inv, const struct workload *w);
void inventory_recall_apply(struct inventory *inv);

/* A container runtime, for whoever asks how things are. */
struct inventory_runtime {
	char name[16], version[48]; /* "docker", "podman"; empty: it has never answered */
	char path[108];
	bool reached;
	bool absent;        /* there is no socket, and nobody asked for one: no news */
	uint64_t since_ns;  /* since when it is reached, or is not; 0: not yet known */
	uint32_t workloads; /* told of as living now */
	uint32_t recalled;  /* of them as an earlier run knew them, not confirmed by it */
};
#define INVENTORY_RUNTIMES_MAX 8
/* room for INVENTORY_RUNTIMES_MAX */
size_t inventory_runtimes(const struct inventory *inv, struct inventory_runtime *out);

/*
 * Within workload_up: since when the addresses that are new in this call have been the workload's (UTC; by the
 * runtime's clock where it says so). For a container this is the moment its network was made, a little before start_ns:
 * its first packets may be older than the time the runtime noted as its start. 0 outside of workload_up.
 */
uint64_t inventory_bound_ns(const struct inventory *inv);

/* The group a workload belongs to by its own labels, image or name; GROUP_STRLEN bytes. names.c has the order. */
void inventory_group_name(const struct workload *w, const char *const *name_templates, char *out);

/* One answer of `docker inspect` (array or object), as from --inventory FILE or the API. Calls up for each container.
 * 0, or -EINVAL with *error. */
#define INVENTORY_ERROR_STRLEN 256
int inventory_parse_inspect(const char *json, size_t len, const char *runtime,
			    void (*up)(void *arg, const struct workload *w), void *arg, char *error);
/* --inventory FILE: inspect JSON, or lines "ADDRESS NAME [GROUP]" ('#' comments). The error names the line. */
int inventory_read_file(const char *path, void (*up)(void *arg, const struct workload *w), void *arg, char *error);

#endif
