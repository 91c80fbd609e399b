/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where packets come from: a capture file or a network interface. The only part of weir that knows libpcap.
 */
#ifndef WEIR_CAPTURE_SOURCE_H
#define WEIR_CAPTURE_SOURCE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/decode.h"

#define SOURCE_ERROR_STRLEN 512

struct source;

/* One frame; data is borrowed for the call, or longer: source_frames_stay. wirelen is never less than caplen. */
typedef void (*source_packet_fn)(void *arg, const uint8_t *data, uint32_t caplen, uint32_t wirelen, uint64_t time_ns);

/*
 * A capture file, pcap or pcapng. fd >= 0: read from there (taken over, also on failure; path only names it); path
 * "-" is standard input. 0 or negative errno with error (SOURCE_ERROR_STRLEN) telling what, where and what to do:
 * -EPROTONOSUPPORT for a link type that carries no IP we know how to find.
 */
int source_open_file(struct source **out, const char *path, int fd, char *error);

struct source_live {
	size_t ring_bytes;       /* kernel ring; 0: default */
	uint32_t snaplen;        /* bytes kept of each frame; 0: default */
	unsigned fanout_group;   /* 16 bits; workers of one group share the packets of an interface */
	unsigned fanout_members; /* 0 or 1: no sharing */
};
/* How long the kernel may keep a packet of a live interface before it hands it over. */
#define SOURCE_HANDOVER_MS 20
/* A live interface, promiscuous. Needs CAP_NET_RAW. */
int source_open_live(struct source **out, const char *name, const struct source_live *live, char *error);
void source_close(struct source *s);

enum link_type source_link(const struct source *s);
int source_fd(const struct source *s); /* to poll; live only, else -1 */

/*
 * Hands up to max packets to fn. Returns how many, 0 when there are none now; SOURCE_END at the end of a file;
 * -ENETDOWN when the interface has gone (what it still held has been handed out); other negative errno with error
 * filled.
 */
#define SOURCE_END (-4096)
int source_read(struct source *s, int max, source_packet_fn fn, void *arg, char *error);

/* Whether the interface itself sent this frame, as opposed to a port of the bridge, or the other end of the veth, which
 * may well write the same source address into theirs. */
bool source_sent_by_itself(const struct source *s, const uint8_t *data, uint32_t caplen, uint32_t wirelen);
/* To be called before each source_read of a live source. True: the interface has another MAC address than it had. What
 * was sent since then may have been taken for somebody else's; from now on both addresses are its own. */
bool source_mac_changed(struct source *s);

/* Whether the frames handed out by one source_read stay where they are until the next, with SOURCE_SLACK bytes behind
 * each that can be read, whatever they say. */
#define SOURCE_SLACK 64
bool source_frames_stay(const struct source *s);

/* Growth since the last call: frames the kernel took in, dropped for want of room, and the interface itself dropped. */
void source_loss(struct source *s, uint64_t *received, uint64_t *dropped, uint64_t *interface_dropped);

#endif
