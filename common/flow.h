/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The flow record: one bidirectional conversation (RFC 7011 biflow) as capture reports it, the store keeps it and every
 * answer is made of it. End 0 is the client (originator), end 1 the server (responder); where direction is
 * FLOW_DIR_UNKNOWN they are merely the sender of the first packet seen and the other.
 *
 * A conversation that is still going is reported again and again under the same id and start_ns with grown counters
 * (reason FLOW_REASON_ACTIVE); the last report wins. One that outlives the active timeout is cut into records that
 * share conv_id and have their own start_ns, id and counters, so that old time buckets can be dropped.
 */
#ifndef WEIR_COMMON_FLOW_H
#define WEIR_COMMON_FLOW_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/buf.h"

/* How it is known which end is the client. */
enum flow_direction {
	FLOW_DIR_UNKNOWN,   /* capture began in mid-conversation: never becomes a rule */
	FLOW_DIR_SYN,       /* TCP SYN or SYN-ACK, SCTP INIT seen */
	/* connectionless: the first packet of a conversation that began under our eyes, ICMP request */
	FLOW_DIR_FIRST,
	FLOW_DIR_CONNTRACK, /* the kernel's original tuple */
	FLOW_DIR_LISTENER,  /* a listening socket */
};

/* TCP: how far it got. Others: NEW until the other end has answered, then ESTABLISHED. */
enum flow_state {
	FLOW_STATE_NEW,         /* nothing but the first side's packets */
	FLOW_STATE_ESTABLISHED, /* both sides heard (TCP: handshake done, or payload both ways in mid-flow) */
	FLOW_STATE_CLOSED,      /* FIN from both sides */
	FLOW_STATE_RESET,       /* RST after it was established */
	FLOW_STATE_REFUSED,     /* RST, or an ICMP unreachable, as the answer to the first packets */
	FLOW_STATE_HALF_OPEN,   /* SYN-ACK but no further packet of the client */
	FLOW_STATE_MID,         /* TCP seen from the middle, one side only */
};

/* Why this record was written. */
enum flow_reason {
	FLOW_REASON_ACTIVE,  /* still going: will be reported again */
	FLOW_REASON_CLOSED,  /* FIN or RST, or SCTP shutdown */
	FLOW_REASON_IDLE,    /* idle timeout */
	FLOW_REASON_CUT,     /* active timeout: continues in another record with the same conv_id */
	FLOW_REASON_EVICTED, /* the flow table needed the place */
	FLOW_REASON_EOF,     /* end of capture file, interface gone, or shutdown */
};

enum flow_tunnel {
	FLOW_TUNNEL_NONE,
	FLOW_TUNNEL_VXLAN,
	FLOW_TUNNEL_GENEVE,
	FLOW_TUNNEL_GRE,
	FLOW_TUNNEL_IPIP,
	FLOW_TUNNEL_GTP, /* GTP-U, mobile networks */
	FLOW_TUNNEL_CAPWAP,
	FLOW_TUNNEL_TZSP,
	FLOW_TUNNEL_MAX_
};

/* Why an end that lies where workloads are has no name. Set by the engine of a running daemon. */
enum flow_unnamed {
	FLOW_UNNAMED_NONE,    /* it has one, or it is the host or an address of the world */
	FLOW_UNNAMED_NEVER,   /* neither the kernel nor a runtime told of a workload with this address */
	FLOW_UNNAMED_GONE,    /* a workload had it, and was gone before it could be asked for its name */
	FLOW_UNNAMED_FAILED,  /* a workload came then, and looking it up failed */
	FLOW_UNNAMED_MISSED,  /* the kernel's or the runtime's notices of that time were lost */
	FLOW_UNNAMED_SILENT,  /* the inventory had not got as far when the record was written */
	FLOW_UNNAMED_PRIVATE, /* a private address in no network of a bridge that is watched */
	FLOW_UNNAMED_MAX_
};

/* How nDPI knew (its own names by flow_confidence_name; nDPI 4.2 ndpi_confidence_t, mapped in capture/classify). */
enum flow_confidence {
	FLOW_CONF_UNKNOWN,
	FLOW_CONF_PORT,     /* "Match by port": a guess */
	FLOW_CONF_IP,       /* "Match by IP": a guess */
	FLOW_CONF_DPI_CACHE,
	FLOW_CONF_DPI,
	FLOW_CONF_NBPF,
	FLOW_CONF_DPI_PARTIAL,       /* "DPI (partial)" */
	FLOW_CONF_DPI_PARTIAL_CACHE, /* "DPI (partial cache)" */
	FLOW_CONF_DPI_AGGRESSIVE,
	FLOW_CONF_OTHER,
};

/* Attributes: what the payload told, as type-length-value (u8 type, u16 length big-endian, bytes; text has no NUL). */
enum flow_attr {
	FLOW_ATTR_END,
	FLOW_ATTR_SNI,         /* TLS/QUIC server name */
	FLOW_ATTR_HTTP_HOST,
	FLOW_ATTR_HTTP_URL,
	FLOW_ATTR_HTTP_AGENT,
	FLOW_ATTR_DNS_QUERY,
	FLOW_ATTR_DNS_QTYPE,   /* u16 */
	FLOW_ATTR_DNS_RCODE,   /* u16 */
	FLOW_ATTR_DNS_ANSWER,  /* repeated: u32 TTL in seconds, then 4 or 16 address bytes */
	FLOW_ATTR_JA3,         /* lower-case hex */
	FLOW_ATTR_JA3S,
	FLOW_ATTR_JA4,
	FLOW_ATTR_HASSH_CLIENT,
	FLOW_ATTR_HASSH_SERVER,
	FLOW_ATTR_TLS_VERSION, /* text: "TLSv1.3" */
	FLOW_ATTR_TLS_CERT_SHA1,
	FLOW_ATTR_ALPN,
	FLOW_ATTR_HOSTNAME,    /* any other name nDPI found (SMB, DHCP, NetBIOS, ...) */
	FLOW_ATTR_MAX_
};
#define FLOW_ATTRS_MAX 2048 /* bytes of attributes a record may carry; what does not fit is left out, whole */

#define FLOW_APP_STRLEN 48

struct flow_rec {
	uint64_t id;      /* hash_fixed of conversation ends and start_ns: with start_ns the store's key */
	uint64_t conv_id; /* id of the conversation's first record (RFC 7011 flowId); "flow_id" in JSON */
	uint64_t start_ns, end_ns; /* first and last packet of this record */
	struct addr addr[2];
	uint16_t port[2]; /* ICMP: port[1] is type, port[0] the echo identifier or 0; 0 where the protocol has none */
	uint8_t proto;
	uint8_t icmp_code;
	uint16_t vlan;    /* innermost VLAN id, 0 for none */
	uint8_t direction, state, reason, tunnel, confidence; /* the enums above */
	uint8_t tcp_flags[2];  /* or of all flags seen from each end */
	uint32_t tunnel_id;    /* VNI or GRE key */
	uint32_t iface;        /* capture interface: index live, 1 + file number offline */
	uint64_t pkts[2], bytes[2]; /* sent by each end; bytes as on the wire, link header included */
	uint64_t payload[2];        /* bytes above the transport header */
	uint16_t app_master, app_proto; /* nDPI ids of the build; 0 unknown */
	uint64_t risk;                  /* nDPI risk bits; names by classify_risk_name */
	char app[FLOW_APP_STRLEN];      /* nDPI's MASTER.APP: "HTTP", "TLS.Google", "Unknown"; never empty */
	char category[FLOW_APP_STRLEN]; /* nDPI's name, or "" */
	/* Set by the engine; 0 and "" as capture reports them. */
	uint64_t workload[2];  /* workload ids; 0: not known when stored (the store's address intervals may know now) */
	struct addr nat_addr;  /* the server's address before DNAT, addr_any for none */
	uint16_t nat_port;
	uint8_t verdict;       /* enum verdict_kind of common/verdict.h; 0 none */
	uint8_t unnamed[2];    /* enum flow_unnamed */
	const uint8_t *attrs;  /* borrowed from whoever filled the record; NULL when attrs_len is 0 */
	uint16_t attrs_len;
};

/* Answered: the server end sent something that is no refusal. Only such a flow can teach. */
bool flow_answered(const struct flow_rec *f);

/* The id of a record: the same for the same ends (in either order), protocol, VLAN and start. */
uint64_t flow_id(const struct flow_rec *f);

const char *flow_direction_name(unsigned v); /* "unknown", "syn", "first-packet", "conntrack", "listener" */
/* "new", "established", "closed", "reset", "refused", "half-open", "mid" */
const char *flow_state_name(unsigned v);
const char *flow_reason_name(unsigned v);    /* "active", "closed", "idle", "cut", "evicted", "eof" */
/* "vxlan", "geneve", "gre", "ipip", "gtp", "capwap", "tzsp"; NULL for none */
const char *flow_tunnel_name(unsigned v);
const char *flow_confidence_name(unsigned v); /* nDPI's: "DPI", "Match by port", ... */
bool flow_confidence_is_guess(unsigned v);    /* by port or by address: nothing of it was seen */

/* "never-announced", "gone-before-lookup", "lookup-failed", "notices-missed", "inventory-silent", "private-address";
 * NULL for none. */
const char *flow_unnamed_name(unsigned v);
const char *flow_unnamed_text(unsigned v); /* the same for people: the rest of a sentence "it has no name: ..." */

/* Appends one attribute; false (and nothing added) when it does not fit FLOW_ATTRS_MAX or is empty. */
bool flow_attr_add(struct buf *b, enum flow_attr type, const void *data, size_t len);
/* First attribute of that type at or behind *cursor (start with 0); advances *cursor. NULL when there is none. */
const uint8_t *flow_attr_next(const struct flow_rec *f, enum flow_attr type, size_t *cursor, size_t *len);
/* The text of the first attribute of that type, copied and made printable; "" when absent. Returns out. */
const char *flow_attr_text(const struct flow_rec *f, enum flow_attr type, char *out, size_t size);

/*
 * The versioned encoding, for the ring and for the store's values (docs/store.md). Decoding borrows attrs from
 * data. 0, -EPROTO for a version not known, -EBADMSG for bytes that are no record; *out is untouched on failure.
 */
void flow_encode(struct buf *b, const struct flow_rec *f);
int flow_decode(struct flow_rec *out, const void *data, size_t len);

/*
 * Unanswered attempts folded under pressure: how many first packets went to one service in one interval, instead of a
 * record each. Written only when the flow table is under pressure; never mixed with answered flows.
 */
struct flow_attempts {
	struct addr dst;
	uint16_t port;
	uint8_t proto;
	uint32_t iface;
	uint64_t start_ns, end_ns; /* first and last attempt folded in */
	uint64_t count, bytes;     /* exact */
	uint64_t sources;          /* estimate of distinct source addresses (HyperLogLog, about 10 % off) */
	uint8_t n_exemplars;
	struct {
		struct addr addr;
		uint16_t port;
	} exemplar[4];
};
void flow_attempts_encode(struct buf *b, const struct flow_attempts *a);
int flow_attempts_decode(struct flow_attempts *out, const void *data, size_t len);
/* The same from a reader, for records that lie back to back; it then stands behind this one. */
struct wire_reader;
int flow_attempts_get(struct flow_attempts *out, struct wire_reader *r);

#endif
