/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the payload told, as attributes of the record: names, fingerprints, versions. nDPI keeps them in unions whose
 * valid member depends on the protocol it found, so each group below is read under the same condition under which
 * nDPI itself frees it. DNS messages are read by capture/dns.c, since nDPI keeps one address of one answer and no
 * time to live.
 */
#include "config.h"

#include <string.h>

#include "capture/classify_impl.h"
#include "capture/dns.h"

static void add_text(struct buf *attrs, enum flow_attr type, const char *text, size_t max)
{
	if (text)
		flow_attr_add(attrs, type, text, strnlen(text, max));
}

static void add_hex(struct buf *attrs, enum flow_attr type, const uint8_t *bytes, size_t n)
{
	char text[64 + 1];

	for (size_t i = 0; i < n && i < sizeof(text) / 2; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	flow_attr_add(attrs, type, text, 2 * n);
}

static void add_u16(struct buf *b, enum flow_attr type, uint16_t v)
{
	uint8_t be[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	flow_attr_add(b, type, be, sizeof(be));
}

static bool is_proto(const struct classify_flow *f, uint16_t id)
{
	return compat_master(&f->proto) == id || compat_app(&f->proto) == id;
}

static bool is_tls(const struct classify_flow *f)
{
	return is_proto(f, NDPI_PROTOCOL_TLS) || is_proto(f, NDPI_PROTOCOL_QUIC) || is_proto(f, NDPI_PROTOCOL_DTLS) ||
	       is_proto(f, NDPI_PROTOCOL_MAIL_SMTPS) || is_proto(f, NDPI_PROTOCOL_MAIL_POPS) ||
	       is_proto(f, NDPI_PROTOCOL_MAIL_IMAPS);
}

static void attrs_tls(const struct classify_flow *f, struct buf *attrs)
{
	const struct ndpi_flow_struct *n = &f->ndpi;
	uint16_t version = n->protos.tls_quic.ssl_version;
	const uint8_t *sha1 = compat_cert_sha1(n, f->l4 == IPPROTO_TCP);
	char text[32];

	add_text(attrs, FLOW_ATTR_SNI, n->host_server_name, sizeof(n->host_server_name));
	if (version) {
		uint8_t unknown = 0;
		const char *name = ndpi_ssl_version2str(text, sizeof(text), version, &unknown);

		add_text(attrs, FLOW_ATTR_TLS_VERSION, name, sizeof(text));
	}
	add_text(attrs, FLOW_ATTR_JA3, compat_ja3_client(n), 32);
	add_text(attrs, FLOW_ATTR_JA3S, n->protos.tls_quic.ja3_server, 32);
	add_text(attrs, FLOW_ATTR_JA4, compat_ja4_client(n), 36);
	if (sha1)
		add_hex(attrs, FLOW_ATTR_TLS_CERT_SHA1, sha1, 20);
	add_text(attrs, FLOW_ATTR_ALPN, compat_alpn(n), 255);
}

/* nDPI cuts the port off at the first colon, which leaves of "[fd00::1]:80" no more than "[fd00". The URL, which it
 * makes of the same header and does not cut, has the address. */
static void add_http_host(const struct ndpi_flow_struct *n, struct buf *attrs)
{
	const char *host = n->host_server_name, *url = n->http.url, *end;
	size_t len = strnlen(host, sizeof(n->host_server_name));

	if (host[0] == '[' && !memchr(host, ']', len)) {
		end = url && strncmp(url, host, len) == 0 ? strchr(url, ']') : NULL;
		if (end && (size_t)(end - url) < 2 + ADDR_STRLEN)
			flow_attr_add(attrs, FLOW_ATTR_HTTP_HOST, url, (size_t)(end - url) + 1);
		return;
	}
	add_text(attrs, FLOW_ATTR_HTTP_HOST, host, sizeof(n->host_server_name));
}

static void attrs_http(const struct classify_flow *f, struct buf *attrs)
{
	const struct ndpi_flow_struct *n = &f->ndpi;

	add_http_host(n, attrs);
	add_text(attrs, FLOW_ATTR_HTTP_URL, n->http.url, 512);
	add_text(attrs, FLOW_ATTR_HTTP_AGENT, n->http.user_agent, 255);
}

/* nDPI writes HASSH in capitals, which its inventors and other tools do not. */
static void add_hassh(struct buf *attrs, enum flow_attr type, const char *digest)
{
	char lower[32];
	size_t len = strnlen(digest, sizeof(lower));

	for (size_t i = 0; i < len; i++)
		lower[i] = (char)(digest[i] >= 'A' && digest[i] <= 'F' ? digest[i] - 'A' + 'a' : digest[i]);
	flow_attr_add(attrs, type, lower, len);
}

static void attrs_ssh(const struct classify_flow *f, struct buf *attrs)
{
	add_hassh(attrs, FLOW_ATTR_HASSH_CLIENT, f->ndpi.protos.ssh.hassh_client);
	add_hassh(attrs, FLOW_ATTR_HASSH_SERVER, f->ndpi.protos.ssh.hassh_server);
}

void classify_attrs(const struct classify_flow *f, struct buf *attrs)
{
	enum flow_confidence how = compat_confidence(&f->ndpi);

	for (size_t at = 0; at + 3 <= f->dns.len;) {
		const uint8_t *p = (const uint8_t *)f->dns.data + at;
		size_t len = (size_t)(p[1] << 8 | p[2]);

		flow_attr_add(attrs, (enum flow_attr)p[0], p + 3, len);
		at += 3 + len;
	}
	/* A guess by port says nothing about what lies in the unions. */
	if (how == FLOW_CONF_UNKNOWN || how == FLOW_CONF_PORT || how == FLOW_CONF_IP)
		return;
	if (is_tls(f))
		attrs_tls(f, attrs);
	else if (is_proto(f, NDPI_PROTOCOL_SSH))
		attrs_ssh(f, attrs);
	else if (is_proto(f, NDPI_PROTOCOL_HTTP) || f->ndpi.http.url)
		attrs_http(f, attrs);
	else if (is_proto(f, NDPI_PROTOCOL_DNS) && !f->dns.len)
		add_text(attrs, FLOW_ATTR_DNS_QUERY, f->ndpi.host_server_name, sizeof(f->ndpi.host_server_name));
	else if (!is_proto(f, NDPI_PROTOCOL_DNS))
		add_text(attrs, FLOW_ATTR_HOSTNAME, f->ndpi.host_server_name, sizeof(f->ndpi.host_server_name));
}

/* Whether the last attribute of type query is this name: then what follows belongs to it. */
static bool dns_last_query_is(const struct buf *b, const char *name)
{
	const uint8_t *last = NULL;
	size_t last_len = 0;

	for (size_t at = 0; at + 3 <= b->len;) {
		const uint8_t *p = (const uint8_t *)b->data + at;
		size_t len = (size_t)(p[1] << 8 | p[2]);

		if (p[0] == FLOW_ATTR_DNS_QUERY)
			last = p + 3, last_len = len;
		at += 3 + len;
	}
	return last && strlen(name) == last_len && memcmp(last, name, last_len) == 0;
}

void classify_dns_packet(struct classify_flow *f, const uint8_t *payload, size_t len)
{
	struct dns_message m;

	if (dns_parse(&m, payload, len) < 0)
		return;
	if (m.response)
		f->dns_responses++;
	else
		f->dns_queries++;
	if (!dns_last_query_is(&f->dns, m.name)) {
		flow_attr_add(&f->dns, FLOW_ATTR_DNS_QUERY, m.name, strlen(m.name));
		if (m.qtype)
			add_u16(&f->dns, FLOW_ATTR_DNS_QTYPE, m.qtype);
	}
	if (!m.response)
		return;
	add_u16(&f->dns, FLOW_ATTR_DNS_RCODE, m.rcode);
	for (unsigned i = 0; i < m.n_answers; i++) {
		bool v4 = addr_is_v4(&m.answer[i].addr);
		uint8_t value[20];

		value[0] = (uint8_t)(m.answer[i].ttl >> 24);
		value[1] = (uint8_t)(m.answer[i].ttl >> 16);
		value[2] = (uint8_t)(m.answer[i].ttl >> 8);
		value[3] = (uint8_t)m.answer[i].ttl;
		memcpy(value + 4, m.answer[i].addr.b + (v4 ? 12 : 0), v4 ? 4 : 16);
		flow_attr_add(&f->dns, FLOW_ATTR_DNS_ANSWER, value, v4 ? 8 : 20);
	}
}
