/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Classification of conversations built here packet by packet: the application and how it is known, what is taken out
 * of the payload, when inspection ends, and that a guess by port is never passed off as something seen.
 */
#include "config.h"

#include "capture/classify.h"
#include "capture/dns.h"
#include "tests/tap.h"

#define IP_TCP 6
#define IP_UDP 17

static struct classify *c;

/* One conversation, IPv4 or IPv6, as a capture would see it. */
struct talk {
	struct flow_rec rec;
	struct classify_flow *flow;
	struct buf attrs;
	uint32_t seq[2];
	bool done;
	uint8_t packet[2048];
	size_t len;
};

static void talk_init(struct talk *t, uint8_t proto, const char *client, uint16_t cport, const char *server,
		      uint16_t sport)
{
	memset(t, 0, sizeof(*t));
	t->rec.proto = proto;
	addr_parse(&t->rec.addr[0], client);
	addr_parse(&t->rec.addr[1], server);
	t->rec.port[0] = cport;
	t->rec.port[1] = sport;
	t->seq[0] = 1000, t->seq[1] = 5000;
	t->flow = classify_flow_new(c);
	if (proto == IP_TCP)
		classify_flow_syn(t->flow);
}

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static void build(struct talk *t, unsigned from, const void *payload, size_t len)
{
	bool v4 = addr_is_v4(&t->rec.addr[0]), tcp = t->rec.proto == IP_TCP;
	size_t head = v4 ? 20 : 40, alen = v4 ? 4 : 16, l4 = tcp ? 20 : 8, src = v4 ? 12 : 8;
	uint8_t *p = t->packet, *q = p + head;

	memset(p, 0, head + l4);
	p[0] = v4 ? 0x45 : 0x60;
	put16(v4 ? p + 2 : p + 4, v4 ? head + l4 + len : l4 + len);
	p[v4 ? 8 : 7] = 64;
	p[v4 ? 9 : 6] = t->rec.proto;
	memcpy(p + src, t->rec.addr[from].b + 16 - alen, alen);
	memcpy(p + src + alen, t->rec.addr[!from].b + 16 - alen, alen);
	put16(q, t->rec.port[from]);
	put16(q + 2, t->rec.port[!from]);
	if (tcp) {
		put32(q + 4, t->seq[from]);
		put32(q + 8, t->seq[!from]);
		q[12] = 5 << 4;
		q[13] = 0x18;
		put16(q + 14, 64000);
	} else {
		put16(q + 4, 8 + len);
	}
	memcpy(q + l4, payload, len);
	t->seq[from] += (uint32_t)len;
	t->len = head + l4 + len;
}

static bool say(struct talk *t, unsigned from, const void *payload, size_t len)
{
	static uint64_t now = 1000000;

	build(t, from, payload, len);
	return t->done = classify_packet(c, t->flow, t->packet, t->len, from == 0, now++);
}

static void conclude(struct talk *t)
{
	classify_verdict(c, t->flow, true, &t->rec, &t->attrs);
	t->rec.attrs = (const uint8_t *)t->attrs.data;
	t->rec.attrs_len = (uint16_t)t->attrs.len;
}

static void talk_fini(struct talk *t)
{
	classify_flow_free(c, t->flow);
	buf_fini(&t->attrs);
}

static const char *attr(const struct talk *t, enum flow_attr type)
{
	static char text[FLOW_ATTRS_MAX];

	return flow_attr_text(&t->rec, type, text, sizeof(text));
}

/* An IPv6 address as host has colons of its own. */
static void test_http_host_addr(void)
{
	static const char request[] =
		"GET / HTTP/1.1\r\nHost: [fd00::3]:9100\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
	static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello";
	struct talk t;

	talk_init(&t, IP_TCP, "fd00::2", 40000, "fd00::3", 9100);
	say(&t, 0, request, strlen(request));
	say(&t, 1, reply, strlen(reply));
	conclude(&t);
	CHECK_STR(attr(&t, FLOW_ATTR_HTTP_HOST), "[fd00::3]");
	talk_fini(&t);
}

static void test_http(const char *client, const char *server)
{
	static const char request[] =
		"GET /index.html HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: curl/7.88.1\r\n"
		"Accept: */*\r\n\r\n";
	static const char reply[] = "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\n"
				    "Content-Length: 5\r\n\r\nhello";
	struct talk t;

	talk_init(&t, IP_TCP, client, 40000, server, 8080);
	say(&t, 0, request, strlen(request));
	say(&t, 1, reply, strlen(reply));
	CHECK(t.done);
	conclude(&t);
	CHECK_STR(t.rec.app, "HTTP");
	CHECK_EQ(t.rec.confidence, FLOW_CONF_DPI);
	CHECK_STR(t.rec.category, "Web");
	CHECK_STR(attr(&t, FLOW_ATTR_HTTP_HOST), "shop.example.com");
	CHECK(strstr(attr(&t, FLOW_ATTR_HTTP_URL), "/index.html") != NULL);
	CHECK_STR(attr(&t, FLOW_ATTR_HTTP_AGENT), "curl/7.88.1");
	CHECK_STR(attr(&t, FLOW_ATTR_SNI), "");
	CHECK(t.rec.risk & 1ull << 5); /* a known protocol on a port that is not its own */
	talk_fini(&t);
}

/* A TLS 1.2 ClientHello that asks for name. */
static size_t client_hello(uint8_t *out, const char *name)
{
	static const uint8_t ciphers[] = {0, 6, 0xc0, 0x2f, 0xc0, 0x30, 0, 0x9c, 1, 0};
	static const uint8_t tail[] = {0, 10, 0, 6,  0, 4,   0,	  23,  0,   24,	 0,   11,  0,  2,
				       1, 0,  0, 13, 0, 6,   0,	  4,   4,   1,	 4,   3,   0,  16,
				       0, 11, 0, 9,  8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
	size_t nlen = strlen(name), at = 9 + 2 + 32 + 1;

	memset(out, 0x5a, at);
	memcpy(out, "\x16\x03\x01", 3);
	out[5] = 1, out[6] = 0;
	out[9] = 3, out[10] = 3;
	out[43] = 0;
	memcpy(out + at, ciphers, sizeof(ciphers));
	at += sizeof(ciphers);
	put16(out + at, 9 + nlen + sizeof(tail));
	put16(out + at + 2, 0);
	put16(out + at + 4, nlen + 5);
	put16(out + at + 6, nlen + 3);
	out[at + 8] = 0;
	put16(out + at + 9, nlen);
	memcpy(out + at + 11, name, nlen);
	at += 11 + nlen;
	memcpy(out + at, tail, sizeof(tail));
	at += sizeof(tail);
	put16(out + 7, at - 9);
	put16(out + 3, at - 5);
	return at;
}

static void test_tls(void)
{
	uint8_t hello[512];
	size_t len = client_hello(hello, "pay.example.org");
	struct talk t;

	talk_init(&t, IP_TCP, "10.0.0.2", 40001, "10.0.0.3", 443);
	CHECK(!say(&t, 0, hello, len)); /* the server's hello and certificate are still awaited */
	conclude(&t);
	CHECK_STR(t.rec.app, "TLS");
	CHECK_EQ(t.rec.confidence, FLOW_CONF_DPI);
	CHECK_STR(attr(&t, FLOW_ATTR_SNI), "pay.example.org");
	CHECK_STR(attr(&t, FLOW_ATTR_ALPN), "http/1.1");
	CHECK_STR(attr(&t, FLOW_ATTR_TLS_VERSION), "TLSv1.2");
	CHECK_EQ(strlen(attr(&t, FLOW_ATTR_JA3)), 32);
	CHECK_EQ(strspn(attr(&t, FLOW_ATTR_JA3), "0123456789abcdef"), 32);
	talk_fini(&t);

	talk_init(&t, IP_TCP, "10.0.0.2", 40002, "10.0.0.3", 443);
	len = client_hello(hello, "www.youtube.com");
	say(&t, 0, hello, len);
	conclude(&t);
	CHECK_STR(t.rec.app, "TLS.YouTube");
	CHECK(t.rec.app_master != t.rec.app_proto);
	talk_fini(&t);
}

/* A DTLS record with one whole handshake message. */
static size_t dtls_record(uint8_t *out, uint8_t type, const uint8_t *body, size_t len)
{
	memset(out, 0, 25);
	out[0] = 22, out[1] = 0xfe, out[2] = 0xfd;
	put16(out + 11, 12 + len);
	out[13] = type;
	put16(out + 15, len);
	put16(out + 23, len);
	memcpy(out + 25, body, len);
	return 25 + len;
}

/* A server's certificate whose subject's unit is one that nDPI knows: it must neither fall over it nor lose it. */
static void test_dtls(const char *client, const char *server)
{
	static const uint8_t unit[] = {0x55, 4, 11, 0x13, 9, 'F', 'o', 'r', 't', 'i', 'G', 'a', 't', 'e'};
	uint8_t body[128] = {0xfe, 0xfd}, records[512];
	size_t len;
	struct talk t;

	talk_init(&t, IP_UDP, client, 40003, server, 4433);
	body[35] = 0xc0, body[36] = 0x2f; /* version, random, no session, cipher, no compression */
	len = dtls_record(records, 2, body, 38);
	memset(body, 0, sizeof(body));
	body[2] = 103; /* of all certificates, then of the first */
	body[5] = 100;
	memcpy(body + 6 + 40, unit, sizeof(unit));
	len += dtls_record(records + len, 11, body, 106);
	say(&t, 1, records, len);
	conclude(&t);
	CHECK_STR(t.rec.app, "TLS.FortiClient");
	CHECK_EQ(strlen(attr(&t, FLOW_ATTR_TLS_CERT_SHA1)), 40);
	CHECK_EQ(strlen(attr(&t, FLOW_ATTR_JA3S)), 32);
	talk_fini(&t);
}

static size_t dns_message(uint8_t *out, uint16_t id, uint8_t qtype, unsigned answers)
{
	static const uint8_t name[] = {2, 'd', 'b', 4, 's', 'h', 'o', 'p', 0};
	size_t at = 12;

	memset(out, 0, 512);
	put16(out, id);
	put16(out + 2, answers ? 0x8180 : 0x0100);
	out[5] = 1;
	out[7] = (uint8_t)answers;
	memcpy(out + at, name, sizeof(name));
	at += sizeof(name);
	out[at + 1] = qtype, out[at + 3] = 1;
	at += 4;
	for (unsigned i = 0; i < answers; i++) {
		size_t rdlen = qtype == 1 ? 4 : 16;

		put16(out + at, 0xc00c);
		out[at + 3] = qtype, out[at + 5] = 1, out[at + 9] = 30, out[at + 11] = (uint8_t)rdlen;
		memset(out + at + 12, 0x20, rdlen);
		out[at + 12 + rdlen - 1] = (uint8_t)(i + 1);
		at += 12 + rdlen;
	}
	return at;
}

/* A resolver asks for A and AAAA from one socket: both answers count, though nDPI is content with the first. */
static void test_dns(void)
{
	size_t cursor = 0, len, answers = 0;
	const uint8_t *value;
	uint8_t msg[512];
	struct talk t;

	talk_init(&t, IP_UDP, "172.18.0.2", 51000, "172.18.0.1", 53);
	say(&t, 0, msg, dns_message(msg, 7, 1, 0));
	say(&t, 0, msg, dns_message(msg, 8, 28, 0));
	CHECK(!say(&t, 1, msg, dns_message(msg, 7, 1, 2)));
	CHECK(say(&t, 1, msg, dns_message(msg, 8, 28, 1)));
	conclude(&t);
	CHECK_STR(t.rec.app, "DNS");
	CHECK_STR(attr(&t, FLOW_ATTR_DNS_QUERY), "db.shop");
	while ((value = flow_attr_next(&t.rec, FLOW_ATTR_DNS_ANSWER, &cursor, &len)) != NULL) {
		CHECK_EQ(value[3], 30);
		CHECK_EQ(len, answers < 2 ? 8 : 20);
		answers++;
	}
	CHECK_EQ(answers, 3);
	cursor = 0;
	value = flow_attr_next(&t.rec, FLOW_ATTR_DNS_RCODE, &cursor, &len);
	CHECK(value && len == 2 && value[1] == 0);
	talk_fini(&t);
}

static void test_ssh(void)
{
	static const char hello[] = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
	struct talk t;

	talk_init(&t, IP_TCP, "10.0.0.2", 40003, "10.0.0.3", 2222);
	say(&t, 1, hello, strlen(hello));
	say(&t, 0, hello, strlen(hello));
	conclude(&t);
	CHECK_STR(t.rec.app, "SSH");
	CHECK_EQ(t.rec.confidence, FLOW_CONF_DPI);
	talk_fini(&t);
}

static void guess(struct flow_rec *r, uint8_t proto, const char *server, uint16_t port)
{
	struct buf none = BUF_INIT;

	memset(r, 0, sizeof(*r));
	r->proto = proto;
	addr_parse(&r->addr[0], "10.0.0.2");
	addr_parse(&r->addr[1], server);
	r->port[0] = 40000;
	r->port[1] = port;
	classify_verdict(c, NULL, true, r, &none);
	CHECK_EQ(none.len, 0);
	buf_fini(&none);
}

static void test_guess(void)
{
	struct flow_rec r;

	guess(&r, IP_TCP, "10.0.0.3", 5432);
	CHECK_STR(r.app, "PostgreSQL");
	CHECK_EQ(r.confidence, FLOW_CONF_PORT);
	CHECK_EQ(r.risk, 0);
	guess(&r, IP_TCP, "10.0.0.3", 61234);
	CHECK_STR(r.app, "Unknown");
	CHECK_EQ(r.confidence, FLOW_CONF_UNKNOWN);
	guess(&r, 1, "10.0.0.3", 8);
	CHECK_STR(r.app, "ICMP");
}

/* Noise is inspected for as long as nDPI's reader would, and no longer. */
static void test_noise(uint8_t proto, unsigned most)
{
	uint64_t seed = 42;
	unsigned packets = 0;
	struct talk t;

	talk_init(&t, proto, "10.0.0.2", 40005, "10.0.0.3", 61111);
	while (!t.done && packets < 1000) {
		uint8_t noise[256];

		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)tap_random(&seed);
		say(&t, packets++ & 1, noise, sizeof(noise));
	}
	CHECK(packets <= most);
	conclude(&t);
	CHECK_STR(t.rec.app, "Unknown");
	CHECK_EQ(t.rec.confidence, FLOW_CONF_UNKNOWN);
	CHECK_EQ(t.attrs.len, 0);
	talk_fini(&t);
}

/* What is cut short or lies about its lengths is survived; and states come back from the pool clean. */
static void test_hostile(void)
{
	uint8_t hello[512];
	size_t len = client_hello(hello, "pay.example.org");
	uint64_t seed = tap_seed();
	struct talk t;

	for (unsigned round = 0; round < 20000; round++) {
		uint8_t *copy;
		size_t n;

		talk_init(&t, round & 1 ? IP_TCP : IP_UDP, round & 2 ? "fd00::2" : "10.0.0.2", 40006,
			  round & 2 ? "fd00::3" : "10.0.0.3", round & 4 ? 53 : 443);
		build(&t, round >> 3 & 1, hello, len);
		n = tap_random(&seed) % (t.len + 1);
		copy = malloc(n ? n : 1);
		for (unsigned i = 0; i < 3; i++)
			t.packet[tap_random(&seed) % (i ? 60 : t.len)] = (uint8_t)tap_random(&seed);
		memcpy(copy, t.packet, n);
		classify_packet(c, t.flow, copy, n, true, round);
		conclude(&t);
		if (t.rec.app[0] == '\0')
			CHECK(!"the application may be Unknown, never empty");
		talk_fini(&t);
		free(copy);
	}
	CHECK(1);
}

static void test_risks(void)
{
	CHECK(classify_risk_name(0) == NULL);
	CHECK(classify_risk_name(63) == NULL);
	CHECK(classify_risk_severity(0) == NULL);
	CHECK_STR(classify_risk_name(5), "Known Protocol on Non Standard Port");
	CHECK_STR(classify_risk_severity(5), "Medium");
	CHECK(classify_library_version()[0] != '\0');
}

int main(void)
{
	if (classify_new(&c) < 0)
		return 1;
	test_http("10.0.0.2", "10.0.0.3");
	test_http("fd00::2", "fd00::3");
	test_http_host_addr();
	test_tls();
	test_dtls("10.0.0.2", "10.0.0.3");
	test_dtls("fd00::2", "fd00::3");
	test_dns();
	test_ssh();
	test_guess();
	test_noise(IP_TCP, 81);
	test_noise(IP_UDP, 25);
	test_hostile();
	test_risks();
	classify_free(c);
	return tap_done();
}
