/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What source.c (what all have in common, and files through libpcap), source_pcap.c (ordinary capture files) and
 * source_live.c share. For nobody else: pcap.h is in it. */
#ifndef WEIR_CAPTURE_SOURCE_PRIVATE_H
#define WEIR_CAPTURE_SOURCE_PRIVATE_H
#include <pcap/pcap.h>
#include <stdbool.h>

#include "capture/source.h"

struct source {
	pcap_t *pcap;               /* NULL: blocks */
	struct pcap_blocks *blocks; /* an ordinary capture file, read by source_pcap.c */
	char *name;
	char *buffer;
	enum link_type link;
	bool live, has_mac;
	uint8_t mac[2][6];       /* live, Ethernet: the interface's own, and the one before */
	uint32_t snaplen, forged_max; /* live */
	uint64_t packets;
	uint64_t since_ns;       /* live: what is older was meant for another member of the fanout group */
	struct pcap_stat before; /* live: counters as of the last source_loss */
	source_packet_fn fn;     /* during source_read */
	void *arg;
};

struct source *source_alloc(const char *name);
int source_no_memory(char *error, const char *name);
/* Sets s->link from pcap's, or says in error why not, ending with hint. */
int source_link_check(struct source *s, const char *hint, char *error);
/* Gives one frame to s->fn, length on the wire and parts of a second (ns) corrected where they cannot be true. */
void source_hand_out(struct source *s, const uint8_t *data, uint32_t caplen, uint32_t wirelen, uint32_t sec,
		     uint64_t nsec);
/* Says in error that the file cannot be read further, and what text says of it. Returns -EBADMSG. */
int source_unreadable(const struct source *s, const char *text, char *error);

/* source_pcap.c: 0: fd, at the start of the file, is taken over and s->link set; -ENOTSUP: libpcap must read it (fd is
 * where it was), or -ENOMEM. */
int source_pcap_open(struct source *s, int fd);
void source_pcap_close(struct source *s);
/* As source_read. */
int source_pcap_read(struct source *s, int max, char *error);

/* A live handle failed: hands out what it still holds, fills error. Returns packets handed out, or -ENETDOWN when there
 * were none: the failure comes again until everything has been read. */
int source_live_end(struct source *s, pcap_handler fn, char *error);

#endif
