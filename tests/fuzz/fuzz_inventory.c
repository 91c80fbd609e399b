/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target: the input is an --inventory file, `docker inspect` JSON or lines of addresses. Whatever workload is told
 * of must be one that the store and every answer can take.
 */
#include "config.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "inventory/inventory.h"
#include "tests/fuzz/fuzz.h"

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static void on_workload(void *arg, const struct workload *w)
{
	static struct workload back;
	struct buf b = BUF_INIT;

	++*(unsigned *)arg;
	FUZZ_MUST(w->id && w->n_addrs <= WORKLOAD_ADDRS_MAX && w->group[0]);
	FUZZ_MUST(ends(w->name, sizeof(w->name)) && ends(w->group, sizeof(w->group)) &&
		  ends(w->runtime_id, sizeof(w->runtime_id)) && ends(w->image, sizeof(w->image)) &&
		  ends(w->image_digest, sizeof(w->image_digest)) && ends(w->labels, sizeof(w->labels)));
	for (unsigned i = 0; i < w->n_addrs; i++)
		FUZZ_MUST(!addr_is_zero(&w->addrs[i]) && !addr_is_loopback(&w->addrs[i]));
	workload_encode(&b, w);
	FUZZ_MUST(!buf_failed(&b) && workload_decode(&back, b.data, b.len) == 0);
	FUZZ_MUST(back.id == w->id && back.n_addrs == w->n_addrs && strcmp(back.labels, w->labels) == 0);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("inventory", MFD_CLOEXEC), rc;
	char error[INVENTORY_ERROR_STRLEN], path[64];
	unsigned told = 0;

	FUZZ_MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = inventory_read_file(path, on_workload, &told, error);
	FUZZ_MUST(rc <= 0 && ends(error, sizeof(error)) && (rc == 0 || error[0]));
	close(fd);
	return 0;
}
