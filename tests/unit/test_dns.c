/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The DNS reader: a real-looking answer with an alias and compression, and the ways in which bytes can lie: pointers
 * that loop or lead forwards, names without end, records that run past the message. Every prefix of a good message,
 * and a hundred thousand damaged ones, must be read without touching a byte outside (which the sanitizer build would
 * tell).
 */
#include "config.h"

#include <errno.h>

#include "capture/dns.h"
#include "tests/tap.h"

/* www.Example.com A: CNAME web.example.com; that A 192.0.2.1 (300 s), A 192.0.2.2 (60 s), AAAA 2001:db8::1 (5 s) */
static const uint8_t answer[] = {
	0x12, 0x34, 0x81, 0x80, 0, 1, 0, 4, 0, 0, 0, 0, 3, 'w', 'w', 'w', 7, 'E', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'c',
	'o', 'm', 0, 0, 1, 0, 1,
	0xc0, 12, 0, 5, 0, 1, 0, 0, 1, 44, 0, 6, 3, 'w', 'e', 'b', 0xc0, 16,
	0xc0, 45, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1,
	0xc0, 45, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 2,
	0xc0, 45, 0, 28, 0, 1, 0, 0, 0, 5, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
};

static void test_answer(void)
{
	struct dns_message m;
	char text[ADDR_STRLEN];

	CHECK_EQ(dns_parse(&m, answer, sizeof(answer)), 0);
	CHECK(m.response);
	CHECK_EQ(m.id, 0x1234);
	CHECK_EQ(m.qtype, 1);
	CHECK_EQ(m.rcode, 0);
	CHECK_STR(m.name, "www.example.com");
	CHECK_EQ(m.n_answers, 3);
	CHECK_STR(addr_format(&m.answer[0].addr, text), "192.0.2.1");
	CHECK_EQ(m.answer[0].ttl, 300);
	CHECK_STR(addr_format(&m.answer[1].addr, text), "192.0.2.2");
	CHECK_EQ(m.answer[1].ttl, 60);
	CHECK_STR(addr_format(&m.answer[2].addr, text), "2001:db8::1");
	CHECK_EQ(m.answer[2].ttl, 5);
}

static void test_query(void)
{
	uint8_t q[33];
	struct dns_message m;

	memcpy(q, answer, sizeof(q));
	q[2] = 1, q[3] = 0, q[7] = 0;
	CHECK_EQ(dns_parse(&m, q, sizeof(q)), 0);
	CHECK(!m.response);
	CHECK_STR(m.name, "www.example.com");
	CHECK_EQ(m.n_answers, 0);
	q[13] = '.', q[14] = '\\', q[15] = 7; /* what would forge a name is written as digits */
	CHECK_EQ(dns_parse(&m, q, sizeof(q)), 0);
	CHECK_STR(m.name, "\\046\\092\\007.example.com");
}

static void test_nxdomain(void)
{
	uint8_t r[33];
	struct dns_message m;

	memcpy(r, answer, sizeof(r));
	r[3] = 0x83, r[7] = 0;
	CHECK_EQ(dns_parse(&m, r, sizeof(r)), 0);
	CHECK_EQ(m.rcode, 3);
	CHECK_EQ(m.n_answers, 0);
}

/* A question whose name is these bytes. */
static int parse_name(const uint8_t *name, size_t len)
{
	uint8_t msg[600] = {0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
	struct dns_message m;

	memcpy(msg + 12, name, len);
	return dns_parse(&m, msg, 12 + len + 4);
}

static void test_hostile_names(void)
{
	static const uint8_t self[] = {0xc0, 12}, forward[] = {0xc0, 14, 1, 'a', 0}, reserved[] = {0x40, 'a', 0};
	static const uint8_t header[] = {0xc0, 2}, two[] = {1, 'a', 0xc0, 12}, past[] = {0xff, 0xff};
	uint8_t longest[400];

	CHECK_EQ(parse_name(self, sizeof(self)), -EBADMSG);
	CHECK_EQ(parse_name(forward, sizeof(forward)), -EBADMSG);
	CHECK_EQ(parse_name(reserved, sizeof(reserved)), -EBADMSG);
	CHECK_EQ(parse_name(two, sizeof(two)), -EBADMSG);
	CHECK_EQ(parse_name(past, sizeof(past)), -EBADMSG);
	(void)parse_name(header, sizeof(header)); /* backwards into the header: odd, and must only end */
	memset(longest, 0, sizeof(longest));
	for (size_t i = 0; i + 64 < sizeof(longest); i += 64) {
		longest[i] = 63;
		memset(longest + i + 1, 'x', 63);
	}
	CHECK_EQ(parse_name(longest, sizeof(longest)), -EBADMSG);
}

static void test_truncated(void)
{
	for (size_t n = 0; n < sizeof(answer); n++) {
		uint8_t *copy = malloc(n ? n : 1); /* its own block, so that one byte too far is seen */
		struct dns_message m;

		memcpy(copy, answer, n);
		CHECK_EQ(dns_parse(&m, copy, n), n < 33 ? -EBADMSG : 0);
		if (n >= 33)
			CHECK(m.n_answers <= 3 && strcmp(m.name, "www.example.com") == 0);
		free(copy);
	}
}

static void test_damaged(void)
{
	uint64_t seed = tap_seed();

	for (unsigned round = 0; round < 100000; round++) {
		uint8_t copy[sizeof(answer)];
		struct dns_message m;
		size_t n = tap_random(&seed) % (sizeof(copy) + 1);

		memcpy(copy, answer, sizeof(copy));
		for (unsigned i = 0; i < 4; i++)
			copy[tap_random(&seed) % sizeof(copy)] = (uint8_t)tap_random(&seed);
		if (dns_parse(&m, copy, n) < 0)
			continue;
		if (m.n_answers > DNS_ANSWERS_MAX || strnlen(m.name, sizeof(m.name)) == sizeof(m.name))
			CHECK(!"a damaged message gave an impossible result");
	}
	CHECK(1);
}

int main(void)
{
	test_answer();
	test_query();
	test_nxdomain();
	test_hostile_names();
	test_truncated();
	test_damaged();
	return tap_done();
}
