/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The child process of daemon/offline.c. */
#ifndef WEIR_DAEMON_OFFLINE_WORKER_H
#define WEIR_DAEMON_OFFLINE_WORKER_H
#include "common/ring.h"
#include "daemon/offline.h"

/* Worker index of count: opens the files, confines itself, reads them all; an exit status. */
int offline_worker(const struct offline_settings *s, unsigned index, unsigned count, struct ring *ring);

#endif
