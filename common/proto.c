/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Protocols and services as text: see proto.h. */
#include "config.h"
#include "common/proto.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	uint8_t number;
	const char *name, *json;
} protos[] = {{PROTO_TCP, "tcp", "TCP"},
	      {PROTO_UDP, "udp", "UDP"},
	      {PROTO_ICMP, "icmp", "ICMP"},
	      {PROTO_ICMP6, "icmpv6", "ICMPv6"},
	      {PROTO_SCTP, "sctp", "SCTP"},
	      {2, "igmp", NULL},
	      {4, "ipip", NULL},
	      {41, "ipv6", NULL},
	      {PROTO_GRE, "gre", NULL},
	      {50, "esp", NULL},
	      {51, "ah", NULL},
	      {89, "ospf", NULL},
	      {103, "pim", NULL},
	      {112, "vrrp", NULL},
	      {136, "udplite", NULL}};

static const struct {
	uint8_t proto, type;
	const char *name;
} icmp_types[] = {{PROTO_ICMP, 0, "echo-reply"},
		  {PROTO_ICMP, 3, "destination-unreachable"},
		  {PROTO_ICMP, 5, "redirect"},
		  {PROTO_ICMP, 8, "echo-request"},
		  {PROTO_ICMP, 11, "time-exceeded"},
		  {PROTO_ICMP, 13, "timestamp-request"},
		  {PROTO_ICMP6, 1, "destination-unreachable"},
		  {PROTO_ICMP6, 2, "packet-too-big"},
		  {PROTO_ICMP6, 3, "time-exceeded"},
		  {PROTO_ICMP6, 128, "echo-request"},
		  {PROTO_ICMP6, 129, "echo-reply"},
		  {PROTO_ICMP6, 133, "router-solicitation"},
		  {PROTO_ICMP6, 134, "router-advertisement"},
		  {PROTO_ICMP6, 135, "neighbour-solicitation"},
		  {PROTO_ICMP6, 136, "neighbour-advertisement"},
		  {PROTO_ICMP6, 143, "mld2-report"}};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

bool proto_has_ports(uint8_t proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP;
}

bool proto_is_icmp(uint8_t proto)
{
	return proto == PROTO_ICMP || proto == PROTO_ICMP6;
}

const char *proto_format_json(uint8_t proto, char buf[PROTO_STRLEN])
{
	for (size_t i = 0; i < COUNT(protos); i++) {
		if (protos[i].number == proto && protos[i].json)
			return strcpy(buf, protos[i].json);
	}
	snprintf(buf, PROTO_STRLEN, "%u", proto);
	return buf;
}

const char *proto_format(uint8_t proto, char buf[PROTO_STRLEN])
{
	for (size_t i = 0; i < COUNT(protos); i++) {
		if (protos[i].number == proto)
			return strcpy(buf, protos[i].name);
	}
	snprintf(buf, PROTO_STRLEN, "proto-%u", proto);
	return buf;
}

bool proto_is_icmp_error(uint8_t proto, uint16_t type)
{
	if (proto == PROTO_ICMP)
		return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	return proto == PROTO_ICMP6 && type >= 1 && type <= 4;
}

bool proto_is_housekeeping(uint8_t proto, uint16_t port_or_type)
{
	return proto == PROTO_ICMP6 && ((port_or_type >= 130 && port_or_type <= 136) || port_or_type == 143);
}

/* A whole decimal number up to max. 0 or -EINVAL. */
static int parse_number(unsigned long *out, const char *text, unsigned long max)
{
	unsigned long v;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	v = strtoul(text, &end, 10);
	if (*end || v > max)
		return -EINVAL;
	*out = v;
	return 0;
}

int proto_parse(uint8_t *out, const char *text)
{
	unsigned long v;

	for (size_t i = 0; i < COUNT(protos); i++) {
		if (strcasecmp(protos[i].name, text) == 0) {
			*out = protos[i].number;
			return 0;
		}
	}
	if (strncasecmp(text, "proto-", 6) == 0)
		text += 6;
	if (parse_number(&v, text, 255) < 0)
		return -EINVAL;
	*out = (uint8_t)v;
	return 0;
}

const char *service_format(const struct service *s, char buf[SERVICE_STRLEN])
{
	char proto[PROTO_STRLEN];

	if (s->proto == 0)
		return strcpy(buf, "any");
	proto_format(s->proto, proto);
	if ((!proto_has_ports(s->proto) && !proto_is_icmp(s->proto)) || (s->lo == 0 && s->hi == 65535))
		return strcpy(buf, proto);
	for (size_t i = 0; i < COUNT(icmp_types); i++) {
		if (icmp_types[i].proto == s->proto && icmp_types[i].type == s->lo) {
			snprintf(buf, SERVICE_STRLEN, "%s/%s", icmp_types[i].name, proto);
			return buf;
		}
	}
	if (s->lo == s->hi)
		snprintf(buf, SERVICE_STRLEN, "%u/%s", s->lo, proto);
	else
		snprintf(buf, SERVICE_STRLEN, "%u-%u/%s", s->lo, s->hi, proto);
	return buf;
}

/* The part before the slash: a port, a range or an ICMP type. 0 or -EINVAL. */
static int parse_ports(struct service *s, char *text)
{
	unsigned long lo, hi, max = proto_is_icmp(s->proto) ? 255 : 65535;
	char *dash;

	if (proto_is_icmp(s->proto)) {
		for (size_t i = 0; i < COUNT(icmp_types); i++) {
			if (icmp_types[i].proto == s->proto && strcasecmp(icmp_types[i].name, text) == 0) {
				s->lo = s->hi = icmp_types[i].type;
				return 0;
			}
		}
	}
	dash = strchr(text, '-');
	if (dash)
		*dash++ = '\0';
	if (parse_number(&lo, text, max) < 0 || parse_number(&hi, dash ? dash : text, max) < 0 || lo > hi ||
	    (dash && proto_is_icmp(s->proto)))
		return -EINVAL;
	s->lo = (uint16_t)lo;
	s->hi = (uint16_t)hi;
	return 0;
}

int service_parse(struct service *out, const char *text)
{
	struct service s = {.lo = 0, .hi = 65535};
	char buf[SERVICE_STRLEN], *slash;
	unsigned long number;

	if (strcasecmp(text, "any") == 0) {
		*out = s;
		return 0;
	}
	if (strlen(text) >= sizeof(buf) || parse_number(&number, text, ULONG_MAX) == 0)
		return -EINVAL;
	strcpy(buf, text);
	slash = strchr(buf, '/');
	if (slash)
		*slash++ = '\0';
	if (proto_parse(&s.proto, slash ? slash : buf) < 0 || s.proto == 0)
		return -EINVAL;
	if (slash && !proto_has_ports(s.proto) && !proto_is_icmp(s.proto))
		return -EINVAL;
	if (slash && parse_ports(&s, buf) < 0)
		return -EINVAL;
	*out = s;
	return 0;
}

struct service service_of(uint8_t proto, uint16_t port_or_type)
{
	if (!proto_has_ports(proto) && !proto_is_icmp(proto))
		return (struct service){.lo = 0, .hi = 65535, .proto = proto};
	return (struct service){.lo = port_or_type, .hi = port_or_type, .proto = proto};
}

bool service_contains(const struct service *s, uint8_t proto, uint16_t port_or_type)
{
	if (s->proto == 0)
		return true;
	if (s->proto != proto)
		return false;
	return (!proto_has_ports(proto) && !proto_is_icmp(proto)) || (s->lo <= port_or_type && port_or_type <= s->hi);
}
