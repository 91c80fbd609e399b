/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What source.c (files, and what both have in common) and source_live.c share. For nobody else: pcap.h is in it. */
#ifndef WEIR_CAPTURE_SOURCE_PRIVATE_H
#define WEIR_CAPTURE_SOURCE_PRIVATE_H
#include <pcap/pcap.h>
#include <stdbool.h>

#include "capture/source.h"

struct source {
	pcap_t *pcap;
	char *name;
	char *buffer;
	enum link_type link;
	bool live;
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
/* A live handle failed: hands out what it still holds, fills error. Returns packets handed out, or -ENETDOWN when there
 * were none: the failure comes again until everything has been read. */
int source_live_end(struct source *s, pcap_handler fn, char *error);

#endif
