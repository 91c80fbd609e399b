/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: the input is a configuration file. What is refused must say where; what is accepted must be settings
 * that the other roles are given and take. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "daemon/settings.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct settings *s)
{
	struct settings back;
	struct buf b = BUF_INIT;

	FUZZ_MUST(s->state && s->workers <= SETTINGS_WORKERS_MAX && (s->ring_bytes & (s->ring_bytes - 1)) == 0);
	settings_encode(&b, s);
	FUZZ_MUST(!buf_failed(&b) && settings_decode(&back, b.data, b.len) == 0);
	FUZZ_MUST(back.workers == s->workers && back.ring_bytes == s->ring_bytes && back.table_size == s->table_size &&
		  back.keep_ns == s->keep_ns && back.size_budget == s->size_budget);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[SETTINGS_ERROR_STRLEN] = "";
	struct settings s;
	int rc;

	FUZZ_MUST(settings_init(&s) == 0);
	rc = config_parse(&s, "weir.yaml", (const char *)data, size, error);
	FUZZ_MUST(rc <= 0 && memchr(error, '\0', sizeof(error)));
	if (rc)
		FUZZ_MUST(strncmp(error, "weir.yaml:", 10) == 0);
	else
		check(&s);
	settings_fini(&s);
	return 0;
}
