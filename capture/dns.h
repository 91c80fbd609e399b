/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * DNS messages (RFC 1035), as far as weir needs them: who asked for what name, and which addresses the answer gave it,
 * for how long. nDPI keeps one address and no TTL; these name the addresses of `world`.
 */
#ifndef WEIR_CAPTURE_DNS_H
#define WEIR_CAPTURE_DNS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

#define DNS_NAME_STRLEN 256 /* text form; a name whose text is longer is no name anybody uses, and is refused */
#define DNS_ANSWERS_MAX 32

struct dns_answer {
	struct addr addr;
	uint32_t ttl; /* seconds */
};

struct dns_message {
	bool response;
	uint16_t id, qtype, rcode;
	char name[DNS_NAME_STRLEN]; /* lower case, no dot at the end; of the question, else of the first address record */
	unsigned n_answers;         /* A and AAAA records of the answer section, whatever alias they stand under */
	struct dns_answer answer[DNS_ANSWERS_MAX];
};

/* One message, without the length that TCP puts before it. What is cut short gives what was whole before the cut. 0, or
 * -EBADMSG when this is no DNS message or its question is broken; *out is then unspecified. */
int dns_parse(struct dns_message *out, const uint8_t *data, size_t len);

#endif
