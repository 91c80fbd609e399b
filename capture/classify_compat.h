/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * nDPI's interface moves with every release: arguments come and go, structures are regrouped, fingerprints are added
 * and retired. This file is the only one that knows. Each function below says what weir wants, and does it for nDPI 4.2
 * (Debian 12, Ubuntu 24.04) and for those after, up to 6.0. configure finds out which pieces there are; some pieces
 * came and went together, and then one stands for all:
 *   ndpi_flow_input_info (4.6)                     the packet call takes hints about direction
 *   no ndpi_no_prefs (4.10)                        a module takes a context, giving up takes no "guess, please"
 *   ndpi_protocol.proto (4.12)                     the two ids are nested
 *   no ndpi_set_protocol_detection_bitmask2 (5.0)  all protocols are on; the result has a state; giving up takes two
 *                                                  arguments
 *   NDPI_LICENSE_... (6.0)                         a module takes the licence it is used under
 */
#ifndef WEIR_CAPTURE_CLASSIFY_COMPAT_H
#define WEIR_CAPTURE_CLASSIFY_COMPAT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Its headers are not written for -Wpedantic. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wvariadic-macros"
#pragma GCC diagnostic ignored "-Wundef"
#include <ndpi_api.h>
#pragma GCC diagnostic pop

#include "common/flow.h"

/* Whether a DTLS certificate's known subject over IPv4 is safe (classify_dtls.c). */
#ifdef HAVE_STRUCT_NDPI_FLOW_INPUT_INFO
#define COMPAT_DTLS_SUBJECT_SAFE true
#else
#define COMPAT_DTLS_SUBJECT_SAFE false
#endif

/* A detection module with all protocols enabled and nothing else changed; NULL when memory is short. */
static inline struct ndpi_detection_module_struct *compat_module_new(void)
{
#if HAVE_DECL_NDPI_LICENSE_NOT_FOR_PROFIT_LGPL
	struct ndpi_detection_module_struct *m = ndpi_init_detection_module(NULL, NDPI_LICENSE_NOT_FOR_PROFIT_LGPL);
#elif HAVE_DECL_NDPI_NO_PREFS
	struct ndpi_detection_module_struct *m = ndpi_init_detection_module(ndpi_no_prefs);
#else
	struct ndpi_detection_module_struct *m = ndpi_init_detection_module(NULL);
#endif

	if (!m)
		return NULL;
#if HAVE_DECL_NDPI_SET_PROTOCOL_DETECTION_BITMASK2
	NDPI_PROTOCOL_BITMASK all;

	NDPI_BITMASK_SET_ALL(all);
	ndpi_set_protocol_detection_bitmask2(m, &all);
#endif
	(void)ndpi_finalize_initialization(m);
	return m;
}

/* What nDPI found: its protocol ids and category, apart from how a release wraps them. */
struct compat_proto {
	ndpi_protocol raw;
};

static inline uint16_t compat_master(const struct compat_proto *p)
{
#ifdef HAVE_NDPI_PROTOCOL_PROTO
	return p->raw.proto.master_protocol;
#else
	return p->raw.master_protocol;
#endif
}

static inline uint16_t compat_app(const struct compat_proto *p)
{
#ifdef HAVE_NDPI_PROTOCOL_PROTO
	return p->raw.proto.app_protocol;
#else
	return p->raw.app_protocol;
#endif
}

/* Whether it came to a protocol. Before there was a state, the application's id told. */
static inline bool compat_known(const struct compat_proto *p)
{
#ifdef HAVE_NDPI_PROTOCOL_STATE
	return p->raw.state == NDPI_STATE_CLASSIFIED || p->raw.state == NDPI_STATE_MONITORING;
#else
	return compat_app(p) != NDPI_PROTOCOL_UNKNOWN;
#endif
}

/* One packet from its IP header on. */
static inline void compat_process(struct compat_proto *out, struct ndpi_detection_module_struct *m,
				  struct ndpi_flow_struct *f, const uint8_t *ip, uint16_t len, uint64_t time_ms,
				  bool from_client)
{
#ifdef HAVE_STRUCT_NDPI_FLOW_INPUT_INFO
	struct ndpi_flow_input_info info;

	memset(&info, 0, sizeof(info));
	info.in_pkt_dir = from_client ? NDPI_IN_PKT_DIR_C_TO_S : NDPI_IN_PKT_DIR_S_TO_C;
	info.seen_flow_beginning = NDPI_FLOW_BEGINNING_UNKNOWN;
	out->raw = ndpi_detection_process_packet(m, f, ip, len, time_ms, &info);
#else
	(void)from_client; /* it compares ports itself */
	out->raw = ndpi_detection_process_packet(m, f, ip, len, time_ms);
#endif
}

/* Whether more packets can tell more of a flow whose protocol is known (certificates, answers, sub-protocols). */
static inline bool compat_more_wanted(const struct compat_proto *p, struct ndpi_detection_module_struct *m,
				      struct ndpi_flow_struct *f)
{
#ifdef HAVE_NDPI_PROTOCOL_STATE
	(void)m;
	return p->raw.state == NDPI_STATE_CLASSIFIED && f->extra_packets_func;
#else
	(void)p;
	return ndpi_extra_dissection_possible(m, f);
#endif
}

/* The last word on a flow that came to no verdict: caches, then addresses, then ports. */
static inline void compat_giveup(struct compat_proto *out, struct ndpi_detection_module_struct *m,
				 struct ndpi_flow_struct *f)
{
#if !HAVE_DECL_NDPI_SET_PROTOCOL_DETECTION_BITMASK2
	out->raw = ndpi_detection_giveup(m, f);
#else
	uint8_t guessed;

#if HAVE_DECL_NDPI_NO_PREFS
	out->raw = ndpi_detection_giveup(m, f, 1, &guessed);
#else
	out->raw = ndpi_detection_giveup(m, f, &guessed);
#endif
#endif
}

static inline const char *compat_name(struct ndpi_detection_module_struct *m, const struct compat_proto *p, char *buf,
				      size_t size)
{
#ifdef HAVE_NDPI_PROTOCOL_PROTO
	return ndpi_protocol2name(m, p->raw.proto, buf, (unsigned)size);
#else
	return ndpi_protocol2name(m, p->raw, buf, (unsigned)size);
#endif
}

static inline enum flow_confidence compat_confidence(const struct ndpi_flow_struct *f)
{
	switch (f->confidence) {
	case NDPI_CONFIDENCE_UNKNOWN:
		return FLOW_CONF_UNKNOWN;
	case NDPI_CONFIDENCE_MATCH_BY_PORT:
		return FLOW_CONF_PORT;
	case NDPI_CONFIDENCE_MATCH_BY_IP:
		return FLOW_CONF_IP;
	case NDPI_CONFIDENCE_DPI_CACHE:
		return FLOW_CONF_DPI_CACHE;
	case NDPI_CONFIDENCE_DPI:
		return FLOW_CONF_DPI;
#if HAVE_DECL_NDPI_CONFIDENCE_NBPF
	case NDPI_CONFIDENCE_NBPF:
		return FLOW_CONF_NBPF;
#endif
#if HAVE_DECL_NDPI_CONFIDENCE_DPI_PARTIAL
	case NDPI_CONFIDENCE_DPI_PARTIAL:
		return FLOW_CONF_DPI_PARTIAL;
	case NDPI_CONFIDENCE_DPI_PARTIAL_CACHE:
		return FLOW_CONF_DPI_PARTIAL_CACHE;
#endif
#if HAVE_DECL_NDPI_CONFIDENCE_DPI_AGGRESSIVE
	case NDPI_CONFIDENCE_DPI_AGGRESSIVE:
		return FLOW_CONF_DPI_AGGRESSIVE;
#endif
	default:
		return FLOW_CONF_OTHER;
	}
}

/* Fingerprints: "" where this release has none. */
static inline const char *compat_ja3_client(const struct ndpi_flow_struct *f)
{
#ifdef HAVE_STRUCT_NDPI_FLOW_STRUCT_PROTOS_TLS_QUIC_JA3_CLIENT
	return f->protos.tls_quic.ja3_client;
#else
	(void)f;
	return "";
#endif
}

static inline const char *compat_ja4_client(const struct ndpi_flow_struct *f)
{
#ifdef HAVE_STRUCT_NDPI_FLOW_STRUCT_PROTOS_TLS_QUIC_JA4_CLIENT
	return f->protos.tls_quic.ja4_client;
#else
	(void)f;
	return "";
#endif
}

/* The 20 bytes of the server certificate's SHA-1, NULL when none was seen. In 4.2 only TCP flows have the mark, the
 * others a digest that is not all zeros. */
static inline const uint8_t *compat_cert_sha1(const struct ndpi_flow_struct *f, bool tcp)
{
#ifdef HAVE_STRUCT_NDPI_FLOW_STRUCT_PROTOS_TLS_QUIC_FINGERPRINT_SET
	(void)tcp;
	return f->protos.tls_quic.fingerprint_set ? f->protos.tls_quic.sha1_certificate_fingerprint : NULL;
#else
	static const uint8_t none[sizeof(f->protos.tls_quic.sha1_certificate_fingerprint)];
	const uint8_t *sha1 = f->protos.tls_quic.sha1_certificate_fingerprint;

	return (tcp ? f->l4.tcp.tls.fingerprint_set : memcmp(sha1, none, sizeof(none)) != 0) ? sha1 : NULL;
#endif
}

/* ALPN as the client offered it; NULL when absent. */
static inline const char *compat_alpn(const struct ndpi_flow_struct *f)
{
#ifdef HAVE_STRUCT_NDPI_FLOW_STRUCT_PROTOS_TLS_QUIC_ADVERTISED_ALPNS
	return f->protos.tls_quic.advertised_alpns;
#else
	return f->protos.tls_quic.alpn;
#endif
}

#endif
