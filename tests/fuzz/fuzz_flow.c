/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target: a sequence of frames through table, states, inspection and expiry. Input: settings (one byte), link
 * type (one byte), then frames, each as its length (two bytes, big-endian), the time since the last one (one byte, as
 * an exponent: 2^n microseconds) and its bytes. The target makes a capture file of them, so that it takes the same
 * way as any.
 */
#include "config.h"

#include "tests/fuzz/fuzz_worker.h"
#include "tests/unit/pcap_build.h"

/* By enum link_type: LINKTYPE_ numbers of the file format. */
static const uint32_t linktypes[LINK_MAX_] = {1, 113, 276, 101, 0, 9, 104, 107, 105, 127};

static struct worker *worker_for(uint8_t bits)
{
	static struct worker *workers[8];
	struct worker_settings set;
	unsigned i = bits & 7;

	if (workers[i])
		return workers[i];
	worker_settings_default(&set, true);
	set.table_size = 1024;
	set.dpi_flows_max = i & 1 ? 2 : 0;
	set.look_inside = i & 1;
	if (i & 2) {
		set.active_timeout_ns = 20000000;
		set.write_through_ns = 5000000;
	}
	if (i & 4)
		set.closed_timeout_ns = 1000000;
	FUZZ_MUST(worker_new(&workers[i], &set, &fuzz_sink) == 0);
	return workers[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct build f;
	uint64_t us = 0;

	if (size < 2)
		return 0;
	build_init(&f, linktypes[data[1] % LINK_MAX_]);
	for (size_t at = 2; at + 3 <= size;) {
		size_t len = (size_t)(data[at] << 8 | data[at + 1]);

		us += 1ull << (data[at + 2] & 31);
		at += 3;
		if (len > size - at)
			len = size - at;
		build_frame(&f, us / 1000, data + at, len, len);
		at += len;
	}
	if (!buf_failed(&f.b))
		fuzz_run(worker_for(data[0]), f.b.data, f.b.len);
	buf_fini(&f.b);
	return 0;
}
