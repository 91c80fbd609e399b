/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tunnels of mobile and wireless networks. No container's traffic runs in them, so a live capture leaves them closed;
 * in a capture file they hide the conversations somebody wants to see, and nDPI's reader opens them, too. Only the
 * place of the passenger is found here, in a datagram whose header capture/decode has checked; it then decodes the
 * passenger.
 */
#include "config.h"

#include "capture/decode.h"

#include "common/flow.h"

#define PORT_GTP_U 2152
#define PORT_CAPWAP_DATA 5247
#define PORT_TZSP 37008

/* GTP-U (3GPP TS 29.281, 5.1): 8 bytes, 4 more when any of three flags is set, then extensions of 4-byte units. */
#define GTP_LEN 8
#define GTP_G_PDU 255
#define GTP_EXTENSIONS_MAX 8

static bool gtp(const uint8_t *h, size_t cap, size_t *off, uint32_t *id)
{
	size_t at = GTP_LEN;

	if (cap < GTP_LEN || h[0] >> 5 != 1 || h[1] != GTP_G_PDU)
		return false;
	if (h[0] & 7)
		at += 4;
	if (h[0] & 4) {
		for (unsigned i = 0; at <= cap && h[at - 1] != 0; i++) {
			if (i == GTP_EXTENSIONS_MAX || at >= cap || h[at] == 0)
				return false;
			at += (size_t)h[at] * 4;
		}
	}
	*off = at;
	*id = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	return at < cap;
}

/* CAPWAP data (RFC 5415, 4.3), whose passenger is an 802.11 data frame with LLC/SNAP. The header's length is in 4-byte
 * units in the upper five bits of the second byte; a fragment or a keep-alive has no whole frame. */
#define WIFI_DATA_LEN 24
#define SNAP_LEN 8

static bool capwap(const uint8_t *h, size_t cap, size_t *off)
{
	size_t at;

	if (cap < 8 || (h[0] & 15) != 0 || (h[3] & 0x80) || (h[3] & 0x08))
		return false;
	at = (size_t)(h[1] >> 3) * 4 + WIFI_DATA_LEN;
	if (at + SNAP_LEN >= cap || h[at] != 0xaa || h[at + 1] != 0xaa)
		return false;
	*off = at + SNAP_LEN;
	return true;
}

/* TZSP: a header of 4 bytes (version, type, what is inside), then tagged fields up to the end tag. */
#define TZSP_LEN 4
#define TZSP_ETHERNET 1
#define TZSP_TAG_PADDING 0
#define TZSP_TAG_END 1

static bool tzsp(const uint8_t *h, size_t cap, size_t *off)
{
	if (cap < TZSP_LEN || h[0] != 1 || h[1] != 0 || (h[2] << 8 | h[3]) != TZSP_ETHERNET)
		return false;
	for (size_t at = TZSP_LEN; at < cap;) {
		if (h[at] == TZSP_TAG_END) {
			*off = at + 1;
			return at + 1 < cap;
		}
		if (h[at] == TZSP_TAG_PADDING)
			at++;
		else if (at + 1 < cap)
			at += 2 + (size_t)h[at + 1];
		else
			break;
	}
	return false;
}

static bool either_port(const struct packet *p, uint16_t port)
{
	return p->port[0] == port || p->port[1] == port;
}

bool decode_mobile(const struct packet *p, size_t *off, bool *ethernet, uint8_t *kind, uint32_t *id)
{
	const uint8_t *h = p->ip + p->payload_off;
	size_t at;

	*ethernet = false;
	*id = 0;
	if (either_port(p, PORT_GTP_U) && gtp(h, p->payload_cap, &at, id)) {
		*kind = FLOW_TUNNEL_GTP;
	} else if (either_port(p, PORT_CAPWAP_DATA) && capwap(h, p->payload_cap, &at)) {
		*kind = FLOW_TUNNEL_CAPWAP;
	} else if (either_port(p, PORT_TZSP) && tzsp(h, p->payload_cap, &at)) {
		*kind = FLOW_TUNNEL_TZSP;
		*ethernet = true;
	} else {
		return false;
	}
	*off = p->payload_off + at;
	return true;
}
