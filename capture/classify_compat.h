/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * nDPI's interface moves with every release: arguments come and go, structures are regrouped, fingerprints are added and
 * retired. This file is the only one that knows. Each function below says what weir wants, and does it for nDPI 4.2
 * (Debian 12) and, by the release that changed it, for those after. Nothing here keeps state or decides anything.
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

#define COMPAT_NDPI(major, minor) (NDPI_MAJOR > (major) || (NDPI_MAJOR == (major) && NDPI_MINOR >= (minor)))

/* A detection module with all protocols enabled and nothing else changed; NULL when memory is short. */
static inline struct ndpi_detection_module_struct *compat_module_new(void)
{
#if COMPAT_NDPI(4, 10)
	struct ndpi_detection_module_struct *m = ndpi_init_detection_module(NULL);
#else
	struct ndpi_detection_module_struct *m = ndpi_init_detection_module(ndpi_no_prefs);
#endif

	if (!m)
		return NULL;
#if !COMPAT_NDPI(5, 0)
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
#if COMPAT_NDPI(5, 0)
	ndpi_protocol_state_t state;
#endif
};

static inline uint16_t compat_master(const struct compat_proto *p)
{
#if COMPAT_NDPI(4, 12)
	return p->raw.proto.master_protocol;
#else
	return p->raw.master_protocol;
#endif
}

static inline uint16_t compat_app(const struct compat_proto *p)
{
#if COMPAT_NDPI(4, 12)
	return p->raw.proto.app_protocol;
#else
	return p->raw.app_protocol;
#endif
}

static inline bool compat_known(const struct compat_proto *p)
{
#if COMPAT_NDPI(4, 4)
	return compat_app(p) != NDPI_PROTOCOL_UNKNOWN || compat_master(p) != NDPI_PROTOCOL_UNKNOWN;
#else
	return compat_app(p) != NDPI_PROTOCOL_UNKNOWN; /* 4.2 puts the one it knows there */
#endif
}

/* One packet from its IP header on. */
static inline void compat_process(struct compat_proto *out, struct ndpi_detection_module_struct *m,
				  struct ndpi_flow_struct *f, const uint8_t *ip, uint16_t len, uint64_t time_ms,
				  bool from_client)
{
#if COMPAT_NDPI(4, 6)
	struct ndpi_flow_input_info info;

	memset(&info, 0, sizeof(info));
	info.in_pkt_dir = from_client ? NDPI_IN_PKT_DIR_C_TO_S : NDPI_IN_PKT_DIR_S_TO_C;
	info.seen_flow_beginning = NDPI_FLOW_BEGINNING_UNKNOWN;
	out->raw = ndpi_detection_process_packet(m, f, ip, len, time_ms, &info);
#else
	(void)from_client; /* it compares ports itself */
	out->raw = ndpi_detection_process_packet(m, f, ip, len, time_ms);
#endif
#if COMPAT_NDPI(5, 0)
	out->state = out->raw.state;
#endif
}

/* Whether more packets can tell more of a flow whose protocol is known (certificates, answers, sub-protocols). */
static inline bool compat_more_wanted(const struct compat_proto *p, struct ndpi_detection_module_struct *m,
				      struct ndpi_flow_struct *f)
{
#if COMPAT_NDPI(5, 0)
	(void)m;
	(void)f;
	return p->state != NDPI_STATE_CLASSIFIED;
#else
	(void)p;
	return ndpi_extra_dissection_possible(m, f);
#endif
}

/* The last word on a flow that came to no verdict: caches, then addresses, then ports. */
static inline void compat_giveup(struct compat_proto *out, struct ndpi_detection_module_struct *m,
				 struct ndpi_flow_struct *f)
{
#if COMPAT_NDPI(5, 0)
	out->raw = ndpi_detection_giveup(m, f);
#elif COMPAT_NDPI(4, 10)
	uint8_t guessed;

	out->raw = ndpi_detection_giveup(m, f, &guessed);
#else
	uint8_t guessed;

	out->raw = ndpi_detection_giveup(m, f, 1, &guessed);
#endif
}

static inline const char *compat_name(struct ndpi_detection_module_struct *m, const struct compat_proto *p, char *buf,
				      size_t size)
{
#if COMPAT_NDPI(4, 12)
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
#if COMPAT_NDPI(4, 4)
	case NDPI_CONFIDENCE_NBPF:
		return FLOW_CONF_NBPF;
	case NDPI_CONFIDENCE_DPI_PARTIAL:
		return FLOW_CONF_DPI_PARTIAL;
	case NDPI_CONFIDENCE_DPI_PARTIAL_CACHE:
		return FLOW_CONF_DPI_PARTIAL_CACHE;
#endif
#if COMPAT_NDPI(4, 6)
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
#if COMPAT_NDPI(5, 0)
	(void)f;
	return "";
#else
	return f->protos.tls_quic.ja3_client;
#endif
}

static inline const char *compat_ja4_client(const struct ndpi_flow_struct *f)
{
#if COMPAT_NDPI(4, 10)
	return f->protos.tls_quic.ja4_client;
#else
	(void)f;
	return "";
#endif
}

/* ALPN as the client offered it; NULL when absent. */
static inline const char *compat_alpn(const struct ndpi_flow_struct *f)
{
#if COMPAT_NDPI(4, 4)
	return f->protos.tls_quic.advertised_alpns;
#else
	return f->protos.tls_quic.alpn;
#endif
}

#endif
