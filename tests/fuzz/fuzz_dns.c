/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: the input is one DNS message. What is read of it must be printable, bounded and complete. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "capture/dns.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_message m;
	int rc;

	memset(&m, 0xff, sizeof(m)); /* what is not written would be seen */
	rc = dns_parse(&m, data, size);
	FUZZ_MUST(rc == 0 || rc == -EBADMSG);
	if (rc)
		return 0;
	FUZZ_MUST(memchr(m.name, '\0', sizeof(m.name)));
	for (const char *c = m.name; *c; c++)
		FUZZ_MUST(*c > ' ' && *c < 127 && !(*c >= 'A' && *c <= 'Z'));
	FUZZ_MUST(m.n_answers <= DNS_ANSWERS_MAX && (m.response || m.n_answers == 0));
	for (unsigned i = 0; i < m.n_answers; i++)
		FUZZ_MUST(size >= 12 + 15u * m.n_answers); /* each took its bytes */
	return 0;
}
