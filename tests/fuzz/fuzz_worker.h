/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the fuzz targets that run a whole worker share: a sink that encodes and decodes what it gets and checks that the
 * books balance, and a file in memory. The worker is kept from input to input, since nDPI takes long to set up.
 */
#ifndef WEIR_TESTS_FUZZ_WORKER_H
#define WEIR_TESTS_FUZZ_WORKER_H
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/worker.h"
#include "tests/fuzz/fuzz.h"

static uint64_t fuzz_bytes; /* told of in records since the last fuzz_run */

static int fuzz_flow(void *arg, const struct flow_rec *f)
{
	struct buf b = BUF_INIT;
	struct flow_rec back;

	(void)arg;
	if (f->reason != FLOW_REASON_ACTIVE)
		fuzz_bytes += f->bytes[0] + f->bytes[1];
	FUZZ_MUST(f->app[0] && f->end_ns >= f->start_ns && f->pkts[0] + f->pkts[1] > 0);
	flow_encode(&b, f);
	FUZZ_MUST(flow_decode(&back, b.data, b.len) == 0 && back.id == f->id);
	buf_fini(&b);
	return 0;
}

static int fuzz_attempts(void *arg, const struct flow_attempts *a)
{
	(void)arg;
	fuzz_bytes += a->bytes;
	FUZZ_MUST(a->count > 0 && a->n_exemplars > 0 && a->sources <= a->count && a->end_ns >= a->start_ns);
	return 0;
}

static int fuzz_coverage(void *arg, const struct coverage_rec *c)
{
	(void)arg;
	FUZZ_MUST(c->end_ns >= c->start_ns);
	return 0;
}

static const struct worker_sink fuzz_sink = {fuzz_flow, fuzz_attempts, fuzz_coverage, NULL};

/* Reads the bytes as a capture file and ends every flow. */
static void fuzz_run(struct worker *w, const void *data, size_t size)
{
	char error[WORKER_ERROR_STRLEN];
	struct worker_stats before, after;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	FUZZ_MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	fuzz_bytes = 0;
	worker_stats(w, &before);
	worker_read_file(w, "fuzz", fd, 0, error);
	worker_finish(w, FLOW_REASON_EOF);
	worker_stats(w, &after);
	FUZZ_MUST(after.flows_live == 0 && after.dpi_live == 0);
	FUZZ_MUST(fuzz_bytes <= after.bytes - before.bytes);
}

#endif
