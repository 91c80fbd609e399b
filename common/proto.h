/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * IP protocol numbers and services as text. A service is what an edge or a rule names: a protocol with the server's
 * port, written "443/tcp", "53/udp", "8000-8100/tcp"; ICMP by type: "echo-request/icmp", "128/icmpv6"; a protocol
 * without ports: "gre", or "proto-89". Numbers: IANA protocol-numbers; ICMP types: icmp-parameters.
 */
#ifndef WEIR_COMMON_PROTO_H
#define WEIR_COMMON_PROTO_H
#include <stdbool.h>
#include <stdint.h>

#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_GRE 47
#define PROTO_ICMP6 58
#define PROTO_SCTP 132
#define PROTO_STRLEN 24
#define SERVICE_STRLEN 48

/* Ports lo to hi of proto. For ICMP and ICMPv6 lo is the type and hi == lo; 0..65535 means any port or type. */
struct service {
	uint16_t lo, hi;
	uint8_t proto; /* 0: any protocol (then lo 0, hi 65535) */
};

bool proto_has_ports(uint8_t proto); /* TCP, UDP, SCTP */
bool proto_is_icmp(uint8_t proto);   /* ICMP, ICMPv6 */
/* Neighbour discovery and multicast membership of IPv6 (RFC 4861, 2710, 3810): ICMPv6 types without which no address
 * works and which no policy is asked about. */
bool proto_is_housekeeping(uint8_t proto, uint16_t port_or_type);
/* ICMP that tells of another packet's fate (RFC 792, 4443): unreachable, source quench, redirect, time exceeded,
 * parameter problem; packet too big. */
bool proto_is_icmp_error(uint8_t proto, uint16_t type);
/* JSON form: "TCP", "UDP", "SCTP", "ICMP", "ICMPv6", else the number. Returns buf. */
const char *proto_format_json(uint8_t proto, char buf[PROTO_STRLEN]);
/* Policy form: "tcp", "udp", "sctp", "icmp", "icmpv6", "gre", "esp", ..., else "proto-N". Returns buf. */
const char *proto_format(uint8_t proto, char buf[PROTO_STRLEN]);
/* Either form or a number, case ignored. 0 or -EINVAL. */
int proto_parse(uint8_t *out, const char *text);

const char *service_format(const struct service *s, char buf[SERVICE_STRLEN]);
/* As above, and "any", "tcp" (any port), "80" is refused: a port needs its protocol. 0 or -EINVAL. */
int service_parse(struct service *out, const char *text);
/* A flow's service: its server port, or ICMP type. */
struct service service_of(uint8_t proto, uint16_t port_or_type);
bool service_contains(const struct service *s, uint8_t proto, uint16_t port_or_type);

#endif
