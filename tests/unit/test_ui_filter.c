/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The filter of ui-cli: which of six flows pass which expression, and where a complaint points. */
#include "config.h"

#include <errno.h>

#include "common/proto.h"
#include "tests/tap.h"
#include "ui-cli/filter.h"

#define N_FLOWS 6

static struct workload web = {.name = "shop-web-1", .image = "nginx:1.25", .project = "shop",
			      .labels = "env=prod\ntier=front\n"};
static struct workload db = {.name = "shop-db-1", .image = "postgres:15", .project = "shop"};
static struct flow_rec flows[N_FLOWS];
static struct output_end ends[N_FLOWS][2];
static uint8_t sni[64];

static void set(unsigned i, const char *src, unsigned sport, const char *dst, unsigned dport, uint8_t proto,
		const char *app)
{
	struct flow_rec *f = &flows[i];

	addr_parse(&f->addr[0], src);
	addr_parse(&f->addr[1], dst);
	f->port[0] = (uint16_t)sport;
	f->port[1] = (uint16_t)dport;
	f->proto = proto;
	f->id = f->conv_id = i + 1;
	f->start_ns = 1000000000;
	f->end_ns = f->start_ns + (i + 1) * 100000000ull;
	f->pkts[0] = f->pkts[1] = i + 1;
	f->bytes[0] = 1000 * (i + 1);
	f->bytes[1] = 4000 * (i + 1);
	snprintf(f->app, sizeof(f->app), "%s", app);
	ends[i][0].group = ends[i][1].group = "world";
}

/*
 * 0  world -> web 443 TLS.Google      1  web -> db 5432 PostgreSQL      2  web -> resolver 53/udp DNS
 * 3  v6 a -> b 8080 HTTP, refused     4  ICMP echo                      5  10.2.2.2 -> 10.2.2.3 SCTP 3868, VLAN 12
 */
static void make_flows(void)
{
	struct buf b = BUF_INIT;

	set(0, "203.0.113.9", 50000, "10.0.3.3", 443, PROTO_TCP, "TLS.Google");
	set(1, "10.0.3.3", 40000, "10.0.3.5", 5432, PROTO_TCP, "PostgreSQL");
	set(2, "10.0.3.3", 41000, "192.168.7.1", 53, PROTO_UDP, "DNS");
	set(3, "fd00::1", 1234, "fd00::2", 8080, PROTO_TCP, "HTTP");
	set(4, "10.0.3.5", 77, "10.0.3.3", 8, PROTO_ICMP, "ICMP");
	set(5, "10.2.2.2", 3868, "10.2.2.3", 3868, PROTO_SCTP, "Unknown");
	ends[0][1].workload = ends[1][0].workload = ends[2][0].workload = &web;
	ends[0][1].group = ends[1][0].group = ends[2][0].group = "shop/web";
	ends[1][1].workload = ends[4][0].workload = &db;
	ends[1][1].group = ends[4][0].group = "shop/db";
	ends[2][1].name = "dns.example";
	flows[0].state = FLOW_STATE_CLOSED;
	flows[1].state = FLOW_STATE_ESTABLISHED;
	flows[3].state = FLOW_STATE_REFUSED;
	flows[5].vlan = 12;
	flow_attr_add(&b, FLOW_ATTR_SNI, "www.google.com", 14);
	memcpy(sni, b.data, b.len);
	flows[0].attrs = sni;
	flows[0].attrs_len = (uint16_t)b.len;
	buf_fini(&b);
}

static const struct {
	const char *text;
	const char *pass; /* the flows that pass, by number */
} cases[] = {
	{"", "012345"},
	{"tcp", "013"},
	{"udp or icmp", "24"},
	{"sctp", "5"},
	{"ip", "01245"},
	{"ip6", "3"},
	{"ip6 and tcp", "3"},
	{"icmp6", ""},
	{"proto 132", "5"},
	{"proto \\tcp", "013"},
	{"port 443", "0"},
	{"port 53", "2"},
	{"udp port 53", "2"},
	{"tcp port 53", ""},
	{"port domain", "2"},
	{"port https or 5432", "01"},
	{"dst port 5432", "1"},
	{"src port 5432", ""},
	{"src or dst port 3868", "5"},
	{"src and dst port 3868", "5"},
	{"src and dst port 443", ""},
	{"portrange 5000-6000", "1"},
	{"tcp portrange 8000-8100", "3"},
	{"host 10.0.3.3", "0124"},
	{"10.0.3.3", "0124"},
	{"src 10.0.3.3", "12"},
	{"src host 10.0.3.3 or 10.0.3.5", "124"},
	{"dst 10.0.3.3", "04"},
	{"host 10.0.3.3 and not port 443", "124"},
	{"host 10.0.3.3 and ! (port 443 || udp)", "14"},
	{"not host 10.0.3.3", "35"},
	{"host fd00::2", "3"},
	{"net 10.0.3.0/24", "0124"},
	{"net 10.0.3.0 mask 255.255.255.0", "0124"},
	{"net 10", "01245"},
	{"src net 10.2", "5"},
	{"net fd00::/64", "3"},
	{"vlan", "5"},
	{"vlan 12 and sctp", "5"},
	{"vlan 13", ""},
	{"host shop-web-1", "012"},
	{"host dns.example", "2"},
	{"dst host shop/db", "1"},
	/* equal precedence from the left, as pcap-filter has it: (tcp or udp) and port 53 */
	{"tcp or udp and port 53", "2"},
	{"tcp or (udp and port 53)", "0123"},
	{"src.group == shop/web", "12"},
	{"src.group==shop/web&&bytes>10k", "2"},
	{"dest.group = shop/web", "0"},
	{"dst.group != world", "01"},
	{"group == shop/db", "14"},
	{"group != shop/db", "0235"},
	{"workload ~ shop-*", "0124"},
	{"workload !~ shop-*", "35"},
	{"src.image ~ nginx:*", "12"},
	{"label == env=prod", ""}, /* '=' ends a word: a label is quoted */
	{"label == 'env=prod'", "012"},
	{"label ~ \"tier=*\"", "012"},
	{"app == TLS", "0"},
	{"app == tls.google", "0"},
	{"app == Google", "0"},
	{"app.master == TLS", "0"},
	{"app ~ *sql", "1"},
	{"app != Unknown and tcp", "013"},
	{"sni == www.google.com", "0"},
	{"sni ~ *.google.com", "0"},
	{"bytes > 15k", "345"},
	{"bytes >= 15k", "2345"},
	{"bytes < 0.006M", "0"},
	{"pkts <= 4", "01"},
	{"bytes_toserver == 2000", "1"},
	{"duration >= 500ms", "45"},
	{"state == refused", "3"},
	{"state != refused and tcp", "01"},
	{"src.port == 50000", "0"},
	{"ip == 10.2.2.3", "5"},
	{"flow_id == 0000000000000003", "2"},
	{"proto == TCP", "013"},
	{"dest.name == dns.example", "2"},
};

static void test_matches(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_error error;
		struct filter *f = NULL;
		char got[N_FLOWS + 1] = "";
		int rc = filter_parse(&f, cases[i].text, &error);

		if (strstr(cases[i].text, "label == env=")) { /* must be refused, at the second "=" */
			CHECK_EQ(rc, -EINVAL);
			CHECK_EQ(error.column, 12);
			continue;
		}
		if (rc < 0) {
			fprintf(stderr, "\"%s\": column %zu: %s\n", cases[i].text, error.column, error.text);
			CHECK(rc == 0);
			continue;
		}
		for (unsigned n = 0; n < N_FLOWS; n++) {
			if (filter_match(f, &flows[n], ends[n]))
				snprintf(got + strlen(got), 2, "%u", n);
		}
		if (strcmp(got, cases[i].pass) != 0)
			fprintf(stderr, "filter \"%s\":\n", cases[i].text);
		CHECK_STR(got, cases[i].pass);
		filter_free(f);
	}
}

static const struct {
	const char *text;
	size_t column;
	const char *says;
} bad[] = {
	{"tcp and prot 80", 8, "no field, and no primitive"},
	{"port 70000", 5, "no port"},
	{"port nosuchservice", 5, "no port"},
	{"portrange 9-3", 10, "no range"},
	{"net 10.0.0.1/8", 4, "no network"},
	{"host", 4, "missing"},
	{"(tcp and udp", 0, "never closed"},
	{"tcp)", 3, "not expected"},
	{"tcp udp", 4, "join terms"},
	{"tcp and", 7, "missing at the end"},
	{"state == refusd", 9, "state is one of new, established"},
	{"bytes > many", 8, "no number"},
	{"bytes ~ 10k", 0, "compares texts"},
	{"duration > 5", 11, ""},
	{"src.group > a", 0, "is a text"},
	{"src.app == HTTP", 0, "no field"},
	{"group shop/web", 0, "must be compared"},
	{"app == 'HTTP", 7, "never closed"},
	{"vlan 5000", 5, "no VLAN"},
	{"tcp & udp", 4, "means nothing"},
	{"not", 3, "missing at the end"},
	{"icmp port 80", 10, "no ports"},
};

static void test_complaints(void)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct filter_error error = {.column = 999};
		struct filter *f = NULL;
		int rc = filter_parse(&f, bad[i].text, &error);

		if (strcmp(bad[i].text, "duration > 5") == 0) { /* a bare number is seconds: right */
			CHECK_EQ(rc, 0);
			filter_free(f);
			continue;
		}
		CHECK_EQ(rc, -EINVAL);
		if (rc == 0) {
			fprintf(stderr, "\"%s\" was taken\n", bad[i].text);
			filter_free(f);
			continue;
		}
		if (error.column != bad[i].column || !strstr(error.text, bad[i].says))
			fprintf(stderr, "\"%s\": column %zu: %s\n", bad[i].text, error.column, error.text);
		CHECK_EQ(error.column, bad[i].column);
		CHECK(strstr(error.text, bad[i].says) != NULL);
	}
}

static void test_pins(void)
{
	struct filter_error error;
	struct filter *f;
	struct addr a, want;

	addr_parse(&want, "10.0.3.3");
	CHECK_EQ(filter_parse(&f, "tcp and host 10.0.3.3 and bytes > 1k", &error), 0);
	CHECK(filter_pins_addr(f, &a) && addr_equal(&a, &want));
	filter_free(f);
	CHECK_EQ(filter_parse(&f, "tcp or host 10.0.3.3", &error), 0);
	CHECK(!filter_pins_addr(f, &a));
	filter_free(f);
	CHECK_EQ(filter_parse(&f, "not host 10.0.3.3", &error), 0);
	CHECK(!filter_pins_addr(f, &a));
	filter_free(f);
	CHECK_EQ(filter_parse(&f, "not host 10.0.3.3 and tcp", &error), 0);
	CHECK(!filter_pins_addr(f, &a));
	filter_free(f);
}

/* Random text is parsed or refused, never more; and what is parsed can be evaluated. */
static void test_noise(void)
{
	static const char *const words[] = {"tcp",	 "and",	     "or",    "not",  "(",  ")",  "host",  "port",
					    "80",	 "10.0.0.1", "src",   "dst",  "==", "!=", "app",   "bytes",
					    "10k",	 "net",	     "10/8",  "vlan", "~",  "'x", "state", "\xff",
					    "portrange", "1-2",	     "proto", "ip6",  "!",  "&&", "group"};
	uint64_t seed = tap_seed();
	unsigned long taken = 0;

	for (unsigned i = 0; i < 20000; i++) {
		struct filter_error error = {.column = 0};
		struct buf b = BUF_INIT;
		struct filter *f;

		for (uint64_t n = tap_random(&seed) % 12; n; n--)
			buf_printf(&b, "%s ", words[tap_random(&seed) % (sizeof(words) / sizeof(words[0]))]);
		if (filter_parse(&f, b.data ? b.data : "", &error) == 0) {
			for (unsigned k = 0; k < N_FLOWS; k++)
				taken += filter_match(f, &flows[k], ends[k]);
			filter_free(f);
		} else if (error.column > b.len) {
			CHECK(error.column <= b.len);
		}
		buf_fini(&b);
	}
	CHECK(taken > 0);
}

static void test_limits(void)
{
	struct filter_error error;
	struct buf b = BUF_INIT;
	struct filter *f = NULL;

	for (unsigned i = 0; i < 5000; i++)
		buf_addc(&b, '(');
	CHECK_EQ(filter_parse(&f, b.data, &error), -EINVAL);
	buf_clear(&b);
	for (unsigned i = 0; i < 3000; i++)
		buf_adds(&b, "tcp or ");
	buf_adds(&b, "udp");
	CHECK_EQ(filter_parse(&f, b.data, &error), -EINVAL);
	CHECK(strstr(error.text, "more than") != NULL);
	buf_fini(&b);
}

int main(void)
{
	make_flows();
	test_matches();
	test_complaints();
	test_pins();
	test_noise();
	test_limits();
	return tap_done();
}
