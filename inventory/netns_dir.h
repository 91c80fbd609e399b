/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder in which namespaces are mounted over files: tells each file until the listener has dealt with it. */
#ifndef WEIR_INVENTORY_NETNS_DIR_H
#define WEIR_INVENTORY_NETNS_DIR_H
#include <stdbool.h>
#include <stdint.h>

struct netns_dir;
/* fd: the file, open for reading, closed afterwards. False: not what it will be; asked again soon. Negative: it is
 * gone, and was never dealt with. since_ns: when it was noticed, monotonic. */
typedef bool netns_dir_fn(void *arg, const char *name, int fd, uint64_t since_ns);
int netns_dir_new(struct netns_dir **out, const char *path, netns_dir_fn *fn, void *arg); /* 0 or negative errno */
void netns_dir_free(struct netns_dir *d);
int netns_dir_fd(const struct netns_dir *d);
int netns_dir_dispatch(struct netns_dir *d); /* the first one lists what is there */
int netns_dir_open(const struct netns_dir *d, const char *name); /* descriptor or negative errno */

#endif
