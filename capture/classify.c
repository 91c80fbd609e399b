/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drives nDPI: one detection module a worker, one pooled state a flow while it is inspected. The verdicts must be those
 * of nDPI's own reader, so the rules for ending an inspection are its own: the protocol is known and nothing more is
 * expected of the flow, or it has had as many packets as that reader would give it; then come the guesses.
 */
#include "config.h"

#include "capture/classify.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "capture/classify_impl.h"

/* After so many packets ndpiReader gives up (telnet needs the 80, some voice protocols the 24). */
#define PACKETS_MAX_TCP 80
#define PACKETS_MAX_UDP 24
#define POOL_KEEP 4096 /* states kept for reuse: about 3 MB */
#define SYN_HEADERS_MAX 128 /* IP header with what extensions may come before a SYN forged for nDPI */
#define TCP_LEN 20
#define TCP_SYN 2
#define HANDSHAKE_PACKETS 3
#define PORT_DNS 53
#define PORT_MDNS 5353
#define PORT_LLMNR 5355

/* Names of one protocol pair and category, as nDPI spells them: asked for once instead of for every flow. */
struct names {
	uint32_t pair; /* master and application; an empty place has no app */
	int category;
	char app[FLOW_APP_STRLEN];
	char category_name[FLOW_APP_STRLEN];
};
#define NAMES_CACHED 256

struct classify {
	struct ndpi_detection_module_struct *mod;
	struct names names[NAMES_CACHED];
	struct classify_flow *pool;
	size_t pooled;
	uint64_t last_ms; /* nDPI's caches want time that never goes back */
};

#if HAVE_DECL_NDPI_BITMASK_COMPARE && NDPI_MAJOR == 4
/*
 * Of every packet, nDPI asks twice for each of its 200 dissectors whether two sets of protocols meet, 32 bits and a
 * branch at a time: a seventh of all instructions of reading a capture. The question goes through the dynamic linker,
 * which takes the program's answer before the library's. (Words of 64 bits, since the arguments were stored as such:
 * wider ones would wait for the store.)
 */
int NDPI_BITMASK_COMPARE(NDPI_PROTOCOL_BITMASK a, NDPI_PROTOCOL_BITMASK b)
{
#pragma GCC unroll 8
	for (size_t i = 0; i < sizeof(a) / sizeof(uint64_t); i++) {
		uint64_t x, y;

		memcpy(&x, (const char *)&a + i * sizeof(x), sizeof(x));
		memcpy(&y, (const char *)&b + i * sizeof(y), sizeof(y));
		if (x & y)
			return 1;
	}
	return 0;
}
#endif

int classify_new(struct classify **out)
{
	static pthread_mutex_t once_at_a_time = PTHREAD_MUTEX_INITIALIZER; /* libgcrypt's start is global */
	struct classify *c;

	if (ndpi_detection_get_sizeof_ndpi_flow_struct() != sizeof(struct ndpi_flow_struct))
		return -ELIBBAD; /* built against another nDPI than the one loaded */
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	pthread_mutex_lock(&once_at_a_time);
	c->mod = compat_module_new();
	pthread_mutex_unlock(&once_at_a_time);
	if (!c->mod) {
		free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void classify_free(struct classify *c)
{
	if (!c)
		return;
	while (c->pool) {
		struct classify_flow *f = c->pool;

		c->pool = f->next;
		free(f);
	}
	ndpi_exit_detection_module(c->mod);
	free(c);
}

struct classify_flow *classify_flow_new(struct classify *c)
{
	struct classify_flow *f = c->pool;

	if (!f)
		return calloc(1, sizeof(*f));
	c->pool = f->next;
	c->pooled--;
	memset(f, 0, sizeof(*f));
	return f;
}

void classify_flow_free(struct classify *c, struct classify_flow *f)
{
	if (!f)
		return;
	ndpi_free_flow_data(&f->ndpi);
	buf_fini(&f->dns);
	if (c->pooled >= POOL_KEEP) {
		free(f);
		return;
	}
	f->next = c->pool;
	c->pool = f;
	c->pooled++;
}

void classify_flow_syn(struct classify_flow *f)
{
	f->syn = true;
}

/* Where a packet's transport payload lies. */
struct view {
	const uint8_t *l4_start, *payload;
	size_t len;
	uint16_t port[2];
	uint8_t l4;
	bool whole; /* captured to the end of what the IP header promises: nDPI looks at no other */
};

static bool view_transport(struct view *v, const uint8_t *p, size_t len)
{
	size_t skip;

	v->port[0] = v->port[1] = 0;
	v->l4_start = v->payload = p;
	v->len = len;
	if (v->l4 == IPPROTO_TCP && len >= 20)
		skip = (size_t)(p[12] >> 4) * 4;
	else if (v->l4 == IPPROTO_UDP && len >= 8)
		skip = 8;
	else
		return v->l4 != IPPROTO_TCP && v->l4 != IPPROTO_UDP;
	if (skip > len)
		return false;
	v->port[0] = (uint16_t)(p[0] << 8 | p[1]);
	v->port[1] = (uint16_t)(p[2] << 8 | p[3]);
	v->payload = p + skip;
	v->len = len - skip;
	return true;
}

/* Hop-by-hop options, routing and destination options, as far as nDPI walks them, too. */
static bool view_ipv6(struct view *v, const uint8_t *ip, size_t len)
{
	size_t at = 40, end = 40 + (size_t)(ip[4] << 8 | ip[5]);

	v->whole = len >= end;
	if (len < end)
		end = len;
	v->l4 = ip[6];
	while (v->l4 == IPPROTO_HOPOPTS || v->l4 == IPPROTO_ROUTING || v->l4 == IPPROTO_DSTOPTS ||
	       v->l4 == IPPROTO_FRAGMENT) {
		size_t skip;

		if (at + 8 > end)
			return false;
		skip = v->l4 == IPPROTO_FRAGMENT ? 8 : ((size_t)ip[at + 1] + 1) * 8;
		v->l4 = ip[at];
		at += skip;
	}
	return at <= end && view_transport(v, ip + at, end - at);
}

static bool view_init(struct view *v, const uint8_t *ip, size_t len)
{
	size_t head, total;

	if (len < 20)
		return false;
	if (ip[0] >> 4 == 6)
		return len >= 40 && view_ipv6(v, ip, len);
	head = (size_t)(ip[0] & 15) * 4;
	total = (size_t)(ip[2] << 8 | ip[3]);
	v->whole = total <= len && total >= head;
	if (!v->whole)
		total = len;
	v->l4 = ip[9];
	return head >= 20 && head <= total && view_transport(v, ip + head, total - head);
}

static bool port_is_dns(const struct view *v)
{
	for (unsigned i = 0; i < 2; i++) {
		if (v->port[i] == PORT_DNS || v->port[i] == PORT_LLMNR || v->port[i] == PORT_MDNS)
			return true;
	}
	return false;
}

/* Reads a DNS message; over TCP only one that lies whole in its segment. */
static void packet_dns(struct classify_flow *f, const struct view *v)
{
	size_t skip = v->l4 == IPPROTO_TCP ? 2 : 0;

	if (v->len <= skip)
		return;
	f->names = true;
	classify_dns_packet(f, v->payload + skip, v->len - skip);
}

static bool enough_packets(const struct classify_flow *f)
{
	return (f->l4 == IPPROTO_TCP && f->packets > PACKETS_MAX_TCP) ||
	       (f->l4 == IPPROTO_UDP && f->packets > PACKETS_MAX_UDP);
}

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void swap_bytes(uint8_t *a, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

/*
 * Shows nDPI the SYN that was seen before there was a state: some of its dissectors (tinc) and its retransmission check
 * want it. It is remade from the first segment with payload, whose sequence number is one behind the SYN's.
 */
static void show_syn(struct classify *c, struct classify_flow *f, const uint8_t *ip, const struct view *v,
		     bool from_client, uint64_t time_ms)
{
	bool v6 = ip[0] >> 4 == 6;
	size_t head = (size_t)(v->l4_start - ip), alen = v6 ? 16 : 4, src = v6 ? 8 : 12;
	uint8_t syn[SYN_HEADERS_MAX + TCP_LEN + CLASSIFY_SLACK], *tcp = syn + head;
	struct compat_proto ignored;

	if (head > SYN_HEADERS_MAX)
		return;
	memcpy(syn, ip, head + TCP_LEN);
	if (!from_client) {
		swap_bytes(syn + src, syn + src + alen, alen);
		swap_bytes(tcp, tcp + 2, 2);
		memcpy(tcp + 4, tcp + 8, 4); /* what the server acknowledges is the client's next */
	}
	for (unsigned i = 7; i >= 4 && tcp[i]-- == 0; i--)
		;
	memset(tcp + 8, 0, 4);
	tcp[12] = TCP_LEN / 4 << 4;
	tcp[13] = TCP_SYN;
	put16(v6 ? syn + 4 : syn + 2, v6 ? head + TCP_LEN - 40 : head + TCP_LEN);
	compat_process(&ignored, c->mod, &f->ndpi, syn, (uint16_t)(head + TCP_LEN), time_ms, true);
	f->packets += HANDSHAKE_PACKETS;
}

/* Shows nDPI a whole packet. */
static void show(struct classify *c, struct classify_flow *f, const uint8_t *ip, uint16_t len, const struct view *v,
		 bool from_client, uint64_t time_ms)
{
	uint8_t reframed[CLASSIFY_DTLS_MAX + CLASSIFY_SLACK];
	size_t udp = v->len + (size_t)(v->payload - v->l4_start);

	if (v->l4 == IPPROTO_UDP && classify_dtls_unsafe(ip, v->l4_start, udp)) {
		len = (uint16_t)classify_dtls_as_ipv6(reframed, ip, v->l4_start, udp);
		if (!len)
			return;
		ip = reframed;
	}
	compat_process(&f->proto, c->mod, &f->ndpi, ip, len, time_ms, from_client);
}

/* Gives nDPI the packet, if it is one that it takes, and ends the inspection where its own reader would. */
static void inspect(struct classify *c, struct classify_flow *f, const uint8_t *ip, uint16_t len, const struct view *v,
		    bool from_client, uint64_t time_ms)
{
	bool enough;

	if (v->whole) {
		f->inspected = true;
		if (f->syn && v->l4 == IPPROTO_TCP)
			show_syn(c, f, ip, v, from_client, time_ms);
		f->syn = false;
		show(c, f, ip, len, v, from_client, time_ms);
	}
	enough = enough_packets(f);
	if (enough && f->inspected && !compat_known(&f->proto))
		compat_giveup(&f->proto, c->mod, &f->ndpi);
	f->final = enough || (compat_known(&f->proto) && !compat_more_wanted(&f->proto, c->mod, &f->ndpi));
}

bool classify_packet(struct classify *c, struct classify_flow *f, const uint8_t *ip, size_t len, bool from_client,
		     uint64_t time_ms)
{
	struct view v;

	if (time_ms < c->last_ms)
		time_ms = c->last_ms;
	c->last_ms = time_ms;
	f->packets++;
	if (!view_init(&v, ip, len))
		return false;
	f->l4 = v.l4;
	if (v.len == 0 && v.l4 == IPPROTO_TCP && !enough_packets(f))
		return false; /* acknowledgements tell nDPI nothing */
	if (v.len && (port_is_dns(&v) || f->names))
		packet_dns(f, &v);
	if (!f->final)
		inspect(c, f, ip, len > UINT16_MAX ? UINT16_MAX : (uint16_t)len, &v, from_client, time_ms);
	/* nDPI is content with one DNS answer; a resolver asks for A and AAAA in one flow. */
	return f->final && (f->dns_responses >= f->dns_queries || enough_packets(f));
}

/* A SYN, datagram or bare header of the record's conversation, as if just seen: what nDPI can say of addresses, ports
 * and protocol alone. Returns its length. */
static size_t packet_forge(uint8_t ip[80], const struct flow_rec *r)
{
	bool v4 = addr_is_v4(&r->addr[0]) && addr_is_v4(&r->addr[1]);
	size_t head = v4 ? 20 : 40, l4 = r->proto == IPPROTO_TCP ? 20 : 8;

	memset(ip, 0, 80);
	if (v4) {
		ip[0] = 0x45;
		ip[3] = (uint8_t)(head + l4);
		ip[8] = 64;
		ip[9] = r->proto;
		memcpy(ip + 12, r->addr[0].b + 12, 4);
		memcpy(ip + 16, r->addr[1].b + 12, 4);
	} else {
		ip[0] = 0x60;
		ip[5] = (uint8_t)l4;
		ip[6] = r->proto;
		ip[7] = 64;
		memcpy(ip + 8, r->addr[0].b, 16);
		memcpy(ip + 24, r->addr[1].b, 16);
	}
	for (unsigned i = 0; i < 2 && (r->proto == IPPROTO_TCP || r->proto == IPPROTO_UDP); i++) {
		ip[head + 2 * i] = (uint8_t)(r->port[i] >> 8);
		ip[head + 2 * i + 1] = (uint8_t)r->port[i];
	}
	if (r->proto == IPPROTO_TCP) {
		ip[head + 12] = 5 << 4;
		ip[head + 13] = 2;
	} else if (r->proto == IPPROTO_UDP) {
		ip[head + 5] = 8;
	}
	return head + l4;
}

static const struct names *names_of(struct classify *c, const struct compat_proto *p)
{
	uint32_t pair = (uint32_t)compat_master(p) << 16 | compat_app(p);
	int category = (int)p->raw.category;
	struct names *n = &c->names[(pair ^ pair >> 13 ^ (uint32_t)category * 31) % NAMES_CACHED];
	const char *name;
	char buf[64];

	if (n->pair == pair && n->category == category && n->app[0])
		return n;
	n->pair = pair;
	n->category = category;
	name = compat_name(c->mod, p, buf, sizeof(buf));
	snprintf(n->app, sizeof(n->app), "%s", name && *name ? name : "Unknown");
	name = category ? ndpi_category_get_name(c->mod, p->raw.category) : "";
	snprintf(n->category_name, sizeof(n->category_name), "%s", name ? name : "");
	return n;
}

static void verdict_fill(struct classify *c, const struct classify_flow *f, struct flow_rec *out)
{
	const struct names *n = names_of(c, &f->proto);

	out->app_master = compat_master(&f->proto);
	out->app_proto = compat_app(&f->proto);
	out->confidence = (uint8_t)compat_confidence(&f->ndpi);
	out->risk = f->ndpi.risk;
	memcpy(out->app, n->app, sizeof(out->app));
	memcpy(out->category, n->category_name, sizeof(out->category));
}

/* The verdict on a flow without payload, or of whose payload nothing whole was captured: its state lives only here. */
static void verdict_guess(struct classify *c, struct flow_rec *out)
{
	struct classify_flow *f = classify_flow_new(c);
	uint8_t ip[80];
	size_t len;

	if (!f)
		return;
	f->l4 = out->proto;
	len = packet_forge(ip, out);
	compat_process(&f->proto, c->mod, &f->ndpi, ip, (uint16_t)len, c->last_ms, true);
	if (!compat_known(&f->proto))
		compat_giveup(&f->proto, c->mod, &f->ndpi);
	verdict_fill(c, f, out);
	out->risk = 0; /* the forged packet is nobody's fault */
	classify_flow_free(c, f);
}

void classify_verdict(struct classify *c, struct classify_flow *f, bool giveup, struct flow_rec *out,
		      struct buf *attrs)
{
	if (!f || !f->inspected) {
		out->app_master = out->app_proto = 0;
		out->confidence = FLOW_CONF_UNKNOWN;
		out->risk = 0;
		out->category[0] = '\0';
		snprintf(out->app, sizeof(out->app), "Unknown");
		if (giveup || (f && f->final))
			verdict_guess(c, out);
	} else {
		if (giveup && !f->final) {
			compat_giveup(&f->proto, c->mod, &f->ndpi);
			f->final = true;
		}
		verdict_fill(c, f, out);
	}
	if (f)
		classify_attrs(f, attrs);
}

const char *classify_risk_name(unsigned n)
{
	return n > NDPI_NO_RISK && n < NDPI_MAX_RISK ? ndpi_risk2str((ndpi_risk_enum)n) : NULL;
}

const char *classify_risk_severity(unsigned n)
{
	const ndpi_risk_info *info = n > NDPI_NO_RISK && n < NDPI_MAX_RISK ? ndpi_risk2severity((ndpi_risk_enum)n) : NULL;

	return info ? ndpi_severity2str(info->severity) : NULL;
}

const char *classify_library_version(void)
{
	return ndpi_revision();
}
