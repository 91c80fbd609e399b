/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Community IDs against the specification's own vectors: a handful here (from its README and baseline), all of them
 * from the corpus where that is present (a row a packet: protocol, source, port or type, destination, port or code,
 * result).
 */
#include "config.h"

#include <errno.h>

#include "capture/community_id.h"
#include "common/proto.h"
#include "tests/tap.h"

static int id_of(char *out, unsigned proto, const char *src, unsigned sport, const char *dst, unsigned dport)
{
	struct flow_rec r = {.proto = (uint8_t)proto, .port = {(uint16_t)sport, (uint16_t)dport}};

	if (addr_parse(&r.addr[0], src) < 0 || addr_parse(&r.addr[1], dst) < 0)
		return -EINVAL;
	if (proto_is_icmp(r.proto)) { /* the vectors give type and code; a record has the type in port[1] */
		r.port[0] = 7;
		r.port[1] = (uint16_t)sport;
		r.icmp_code = (uint8_t)dport;
	}
	return community_id(&r, out);
}

static void test_known(void)
{
	static const struct {
		unsigned proto, sport, dport;
		const char *src, *dst, *id;
	} v[] = {
		{6, 34855, 80, "128.232.110.120", "66.35.250.204", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{6, 80, 34855, "66.35.250.204", "128.232.110.120", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{17, 54585, 53, "192.168.1.52", "8.8.8.8", "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{1, 8, 0, "192.168.0.89", "192.168.0.1", "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{1, 0, 0, "192.168.0.1", "192.168.0.89", "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
	};
	char id[COMMUNITY_ID_STRLEN];

	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		CHECK_EQ(id_of(id, v[i].proto, v[i].src, v[i].sport, v[i].dst, v[i].dport), 0);
		CHECK_STR(id, v[i].id);
	}
}

static void test_mixed_versions(void)
{
	char id[COMMUNITY_ID_STRLEN];

	CHECK_EQ(id_of(id, 6, "10.0.0.1", 1, "fd00::1", 2), -EOPNOTSUPP);
}

/* Splits a line at tabs; returns how many fields. */
static unsigned split(char *line, char *field[], unsigned max)
{
	unsigned n = 0;

	line[strcspn(line, "\r\n")] = '\0';
	for (char *p = line; p && n < max; n++) {
		field[n] = p;
		p = strchr(p, '\t');
		if (p)
			*p++ = '\0';
	}
	return n;
}

/* Checks every row of the corpus that has an identifier; returns how many had, or -1 where there is no corpus. */
static long test_corpus(const char *dir)
{
	char path[512], line[1024], *f[9], id[COMMUNITY_ID_STRLEN];
	long checked = 0;
	FILE *in;

	snprintf(path, sizeof(path), "%s/community-id/expected.tsv", dir);
	in = fopen(path, "r");
	if (!in)
		return -1;
	while (fgets(line, sizeof(line), in)) {
		if (split(line, f, 9) < 8 || strncmp(f[7], "1:", 2) != 0)
			continue;
		CHECK_EQ(id_of(id, (unsigned)atoi(f[2]), f[3], (unsigned)atoi(f[4]), f[5], (unsigned)atoi(f[6])), 0);
		CHECK_STR(id, f[7]);
		checked++;
	}
	fclose(in);
	return checked;
}

int main(void)
{
	const char *corpus = getenv("WEIR_CORPUS");
	long rows;

	test_known();
	test_mixed_versions();
	rows = corpus ? test_corpus(corpus) : -1;
	if (rows < 0)
		printf("SKIP of the vector files: no WEIR_CORPUS with community-id/expected.tsv; built-in vectors ran\n");
	else
		CHECK(rows > 100);
	printf("%ld rows of the corpus\n", rows);
	return tap_done();
}
