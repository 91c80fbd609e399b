/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: the input is a capture file. */
#include "config.h"

#include "tests/fuzz/fuzz_worker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct worker *w;
	struct worker_settings set;

	if (!w) {
		worker_settings_default(&set, true);
		set.table_size = 1024;
		set.look_inside = true;
		FUZZ_MUST(worker_new(&w, &set, &fuzz_sink) == 0);
	}
	fuzz_run(w, data, size);
	return 0;
}
