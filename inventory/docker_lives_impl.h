/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What docker_lives.c, docker_events.c and docker_soon.c share, and nobody else. */
#ifndef WEIR_INVENTORY_DOCKER_LIVES_IMPL_H
#define WEIR_INVENTORY_DOCKER_LIVES_IMPL_H
#include <stdbool.h>
#include <stdint.h>

#include "inventory/docker_lives.h"

#define LIVES_BUCKETS 512

struct container {
	struct container *next;
	struct lives *lives;
	char id[72];
	uint64_t connect_ns, start_ns, die_ns; /* of the present life, by events; 0: not seen */
	uint64_t joined_ns;           /* connected to one more network while it runs */
	uint64_t ended_ns;            /* when the last life ended: what began before it is no news */
	int32_t exit_code;
	uint64_t live;                /* id of the workload told, 0: none */
	bool inspecting, again, dead; /* again: things changed since the inspect was asked; dead: free when all is answered */
	bool listing;                 /* the list is being asked for its name */
	unsigned soon;                /* addresses told by workload_soon and not taken back */
	bool unconfirmed;             /* alive when the list was asked for, and not on it so far */
	bool recalled;                /* live is what an earlier run knew; the runtime has not confirmed it */
	struct workload *ev;          /* what events and networks say of a life not yet told; or NULL */
};

struct network {
	struct network *next;
	struct lives *lives;
	char id[72];
	bool again;
};

struct lives {
	struct http *http;
	struct table *table;
	struct images *images;
	char runtime[16];
	size_t n;
	bool told_full, told_bad;
	struct container *bucket[LIVES_BUCKETS];
	char (*unseen)[64];       /* ids of networks that notice was given of, cut; NULL: none */
	size_t n_unseen;
	struct network *networks; /* being asked about */
	bool (*unknown)(void *arg, const struct workload *w); /* lives_on_unknown; NULL: not asked for */
	void *unknown_arg;
};

/* The container of that id; made if it is new and valid. NULL: none. */
struct container *container_get(struct lives *l, const char *id, bool make);
void container_drop(struct container *c); /* forgets it, at once or when what was asked about it is answered */
void container_answered(struct container *c); /* drops it if that was due, or if nothing is known of it any more */
void life_down(struct container *c, uint64_t end_ns);
void life_reset(struct container *c);          /* what is known of the present life is forgotten, not what was told */
void life_up_from_events(struct container *c); /* no inspect came in time: what c->ev has must do */
void ask_inspect(struct container *c);         /* or once more, if it is being asked */

/* docker_unseen.c: a network of that driver is there. Any may be NULL. */
void unseen_network(struct lives *l, const char *id, const char *name, const char *driver);

/* docker_soon.c */
void soon_ask(struct container *c);      /* its name, in a way that is answered while it is being started */
void soon_tell(struct container *c);     /* if name and an address are known, and that is news */
void soon_withdraw(struct container *c); /* it will not run after all */

#endif
