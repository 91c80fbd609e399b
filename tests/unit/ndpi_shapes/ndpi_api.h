/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The shape, not the substance, of nDPI's interface as far as weir uses it, by release: argument lists and member
 * names as the releases' documentation and change logs give them. Nothing is linked against it; test_ndpi_shapes.sh
 * compiles capture/classify with it, so that a branch of classify_compat.h for a release that is not installed cannot
 * rot.
 */
#ifndef WEIR_TESTS_NDPI_SHAPES_H
#define WEIR_TESTS_NDPI_SHAPES_H
#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>

struct ndpi_detection_module_struct;
struct ndpi_flow_struct;
typedef uint64_t ndpi_risk;
typedef enum { NDPI_NO_RISK, NDPI_MAX_RISK = 60 } ndpi_risk_enum;
typedef enum { NDPI_RISK_LOW } ndpi_risk_severity;
typedef struct { ndpi_risk_severity severity; } ndpi_risk_info;
typedef int ndpi_protocol_category_t;
typedef enum {
	NDPI_CONFIDENCE_UNKNOWN,
	NDPI_CONFIDENCE_MATCH_BY_PORT,
#if NDPI_SHAPE >= 404
	NDPI_CONFIDENCE_DPI_PARTIAL,
	NDPI_CONFIDENCE_DPI_PARTIAL_CACHE,
#endif
#if NDPI_SHAPE >= 406
	NDPI_CONFIDENCE_NBPF,
	NDPI_CONFIDENCE_DPI_AGGRESSIVE,
#endif
	NDPI_CONFIDENCE_DPI_CACHE,
	NDPI_CONFIDENCE_DPI,
	NDPI_CONFIDENCE_MATCH_BY_IP,
	NDPI_CONFIDENCE_MAX,
} ndpi_confidence_t;
enum {
	NDPI_PROTOCOL_UNKNOWN, NDPI_PROTOCOL_TLS, NDPI_PROTOCOL_QUIC, NDPI_PROTOCOL_DTLS, NDPI_PROTOCOL_MAIL_SMTPS,
	NDPI_PROTOCOL_MAIL_POPS, NDPI_PROTOCOL_MAIL_IMAPS, NDPI_PROTOCOL_SSH, NDPI_PROTOCOL_HTTP, NDPI_PROTOCOL_DNS,
};

#if NDPI_SHAPE >= 412
typedef struct { uint16_t master_protocol, app_protocol; } ndpi_master_app_protocol;
typedef struct {
	ndpi_master_app_protocol proto;
	ndpi_protocol_category_t category;
#if NDPI_SHAPE >= 500
	enum { NDPI_STATE_INSPECTING, NDPI_STATE_PARTIAL, NDPI_STATE_CLASSIFIED, NDPI_STATE_MONITORING } state;
#endif
} ndpi_protocol;
#define NDPI_NAMED ndpi_master_app_protocol
#else
typedef struct {
	uint16_t master_protocol, app_protocol;
	ndpi_protocol_category_t category;
} ndpi_protocol;
#define NDPI_NAMED ndpi_protocol
#endif

struct ndpi_flow_struct {
	ndpi_confidence_t confidence;
	int (*extra_packets_func)(struct ndpi_detection_module_struct *, struct ndpi_flow_struct *);
	union {
		struct {
			struct {
				uint8_t fingerprint_set : 1;
			} tls;
		} tcp;
	} l4;
	char host_server_name[80];
	ndpi_risk risk;
	struct {
		char *url, *user_agent;
	} http;
	union {
		struct {
#if NDPI_SHAPE >= 406
			char *advertised_alpns;
			uint8_t fingerprint_set : 1;
#else
			char *alpn;
#endif
#if NDPI_SHAPE < 414
			char ja3_client[33];
#endif
#if NDPI_SHAPE >= 410
			char ja4_client[37];
#endif
			char ja3_server[33];
			uint8_t sha1_certificate_fingerprint[20];
			uint16_t ssl_version;
		} tls_quic;
		struct {
			char hassh_client[33], hassh_server[33];
		} ssh;
	} protos;
};

#if NDPI_SHAPE >= 600
typedef enum { NDPI_LICENSE_NOT_FOR_PROFIT_LGPL } ndpi_license;
struct ndpi_detection_module_struct *ndpi_init_detection_module(void *context, ndpi_license licence);
#elif NDPI_SHAPE >= 410
struct ndpi_detection_module_struct *ndpi_init_detection_module(void *context);
#else
typedef enum { ndpi_no_prefs } ndpi_init_prefs;
struct ndpi_detection_module_struct *ndpi_init_detection_module(ndpi_init_prefs prefs);
#endif

#if NDPI_SHAPE < 500
typedef struct { uint32_t bits[16]; } NDPI_PROTOCOL_BITMASK;
#define NDPI_BITMASK_SET_ALL(b) (b).bits[0] = ~0u
void ndpi_set_protocol_detection_bitmask2(struct ndpi_detection_module_struct *m, const NDPI_PROTOCOL_BITMASK *b);
void ndpi_finalize_initialization(struct ndpi_detection_module_struct *m);
uint8_t ndpi_extra_dissection_possible(struct ndpi_detection_module_struct *m, struct ndpi_flow_struct *f);
#else
int ndpi_finalize_initialization(struct ndpi_detection_module_struct *m);
#endif

#if NDPI_SHAPE >= 500
ndpi_protocol ndpi_detection_giveup(struct ndpi_detection_module_struct *m, struct ndpi_flow_struct *f);
#elif NDPI_SHAPE >= 410
ndpi_protocol ndpi_detection_giveup(struct ndpi_detection_module_struct *m, struct ndpi_flow_struct *f,
				    uint8_t *guessed);
#else
ndpi_protocol ndpi_detection_giveup(struct ndpi_detection_module_struct *m, struct ndpi_flow_struct *f, uint8_t guess,
				    uint8_t *guessed);
#endif

#if NDPI_SHAPE >= 406
#define NDPI_IN_PKT_DIR_C_TO_S 1
#define NDPI_IN_PKT_DIR_S_TO_C 2
#define NDPI_FLOW_BEGINNING_UNKNOWN 0
struct ndpi_flow_input_info {
	unsigned char in_pkt_dir, seen_flow_beginning;
};
ndpi_protocol ndpi_detection_process_packet(struct ndpi_detection_module_struct *m, struct ndpi_flow_struct *f,
					    const unsigned char *packet, const unsigned short len, const uint64_t ms,
					    struct ndpi_flow_input_info *info);
#else
ndpi_protocol ndpi_detection_process_packet(struct ndpi_detection_module_struct *m, struct ndpi_flow_struct *f,
					    const unsigned char *packet, const unsigned short len, const uint64_t ms);
#endif

void ndpi_exit_detection_module(struct ndpi_detection_module_struct *m);
void ndpi_free_flow_data(struct ndpi_flow_struct *f);
uint32_t ndpi_detection_get_sizeof_ndpi_flow_struct(void);
char *ndpi_protocol2name(struct ndpi_detection_module_struct *m, NDPI_NAMED p, char *buf, unsigned len);
const char *ndpi_category_get_name(struct ndpi_detection_module_struct *m, ndpi_protocol_category_t c);
const char *ndpi_risk2str(ndpi_risk_enum risk);
ndpi_risk_info *ndpi_risk2severity(ndpi_risk_enum risk);
const char *ndpi_severity2str(ndpi_risk_severity s);
char *ndpi_ssl_version2str(char *buf, int len, uint16_t version, uint8_t *unknown);
char *ndpi_revision(void);

#endif
