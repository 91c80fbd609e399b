/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's end of the control socket (daemon/control.h): connections, lines, sizes, time limits. What an order
 * means is the caller's business. A client that is slow, silent or hostile costs a bounded buffer and nobody's time.
 */
#ifndef WEIR_DAEMON_CONTROL_SERVER_H
#define WEIR_DAEMON_CONTROL_SERVER_H
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "daemon/loop.h"

struct control;

struct control_events {
	/* One order from client (a number to answer to) of user uid. order is borrowed. */
	void (*order)(void *arg, uint64_t client, uid_t uid, const json_t *order);
	void *arg;
};

/* Binds CONTROL_SOCKET in the working directory, mode 0660. 0 or negative errno. */
int control_open(struct control **out, struct loop *loop, const struct control_events *ev);
void control_close(struct control *c);
/* Answers; takes over reply. A client that has gone meanwhile is no error. */
void control_reply(struct control *c, uint64_t client, json_t *reply);
/* {"schema":1,"ok":false,"error":...} */
void control_refuse(struct control *c, uint64_t client, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
