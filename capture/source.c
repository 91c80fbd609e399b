/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libpcap behind four functions. Ordinary capture files are read in blocks (source_pcap.c), the others through libpcap
 * and a buffer large enough that system calls do not matter. Live interfaces use the kernel's memory-mapped ring
 * (TPACKET_V3), whose blocks are handed over when full or after a few milliseconds. Errors become sentences: what
 * failed, where, what to do about it.
 */
#include "config.h"
#include "capture/source.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/source_private.h"
#include "common/timefmt.h"

#define FILE_BUFFER (256 * 1024)

static const struct {
	int dlt;
	enum link_type link;
} links[] = {
	{DLT_EN10MB, LINK_ETHERNET}, {DLT_LINUX_SLL, LINK_SLL}, {DLT_LINUX_SLL2, LINK_SLL2}, {DLT_RAW, LINK_RAW},
	{DLT_IPV4, LINK_RAW}, {DLT_IPV6, LINK_RAW}, {DLT_NULL, LINK_NULL}, {DLT_LOOP, LINK_NULL}, {DLT_PPP, LINK_PPP},
	{DLT_PPP_SERIAL, LINK_CHDLC}, {DLT_C_HDLC, LINK_CHDLC}, {DLT_FRELAY, LINK_FRAME_RELAY},
	{DLT_IEEE802_11, LINK_80211}, {DLT_IEEE802_11_RADIO, LINK_RADIOTAP},
};

static int link_of(enum link_type *out, int dlt)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (links[i].dlt == dlt) {
			*out = links[i].link;
			return 0;
		}
	}
	return -EPROTONOSUPPORT;
}

struct source *source_alloc(const char *name)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->name = strdup(name);
	if (!s->name) {
		free(s);
		return NULL;
	}
	return s;
}

void source_close(struct source *s)
{
	if (!s)
		return;
	if (s->pcap)
		pcap_close(s->pcap);
	source_pcap_close(s);
	free(s->buffer);
	free(s->name);
	free(s);
}

enum link_type source_link(const struct source *s)
{
	return s->link;
}

int source_fd(const struct source *s)
{
	return s->live ? pcap_get_selectable_fd(s->pcap) : -1;
}

int source_no_memory(char *error, const char *name)
{
	snprintf(error, SOURCE_ERROR_STRLEN, "%s: out of memory", name);
	return -ENOMEM;
}

int source_link_check(struct source *s, const char *hint, char *error)
{
	int dlt = pcap_datalink(s->pcap);
	const char *name = pcap_datalink_val_to_name(dlt);
	int rc = link_of(&s->link, dlt);

	if (rc)
		snprintf(error, SOURCE_ERROR_STRLEN,
			 "%s: link type %s (%d) carries no IP that weir knows how to find; it reads Ethernet, Linux "
			 "cooked, raw IP, BSD loopback, PPP, Cisco HDLC, Frame Relay and 802.11. %s",
			 s->name, name ? name : "without a name", dlt, hint);
	return rc;
}

static int file_open(const char *path, char *error)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC), rc = -errno;

	if (fd >= 0)
		return fd;
	snprintf(error, SOURCE_ERROR_STRLEN, "%s: cannot be opened: %s", path, strerror(-rc));
	return rc;
}

/* Through libpcap; takes fd over. */
static int open_through_pcap(struct source *s, int fd, char *error)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	FILE *f = fdopen(fd, "rb");

	if (!f) {
		int rc = -errno;

		snprintf(error, SOURCE_ERROR_STRLEN, "%s: cannot be read: %s", s->name, strerror(-rc));
		close(fd);
		return rc;
	}
	s->buffer = malloc(FILE_BUFFER);
	if (s->buffer)
		setvbuf(f, s->buffer, _IOFBF, FILE_BUFFER);
	__fsetlocking(f, FSETLOCKING_BYCALLER); /* one thread reads it: a lock for each packet costs more than reading */
	s->pcap = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!s->pcap) {
		fclose(f);
		snprintf(error, SOURCE_ERROR_STRLEN,
			 "%s: is no capture that can be read: %s. weir reads pcap and pcapng, not compressed", s->name,
			 text);
		return -EBADMSG;
	}
	return source_link_check(s, "Capture on the interface itself, or convert the file (editcap -T)", error);
}

int source_open_file(struct source **out, const char *path, int fd, char *error)
{
	struct source *s = source_alloc(path);
	int rc;

	if (!s) {
		if (fd >= 0)
			close(fd);
		return source_no_memory(error, path);
	}
	if (fd < 0)
		fd = file_open(path, error);
	rc = fd < 0 ? fd : source_pcap_open(s, fd);
	if (fd >= 0 && rc)
		rc = open_through_pcap(s, fd, error);
	if (rc) {
		source_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

bool source_frames_stay(const struct source *s)
{
	return s->blocks != NULL;
}

void source_hand_out(struct source *s, const uint8_t *data, uint32_t caplen, uint32_t wirelen, uint32_t sec,
		     uint64_t nsec)
{
	/* A file may say anything of a second's parts, also that they are more than a second. */
	uint64_t time_ns = sec * NS_PER_S + (nsec < NS_PER_S ? nsec : 0);

	if (time_ns < s->since_ns)
		return;
	/* A length on the wire below what is there, or of more than any link carries, is nonsense. */
	if (wirelen < caplen || wirelen > 1u << 24)
		wirelen = caplen;
	s->packets++;
	s->fn(s->arg, data, caplen, wirelen, time_ns);
}

static void on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct source *s = (struct source *)(void *)user;
	/* Asked for nanoseconds: tv_usec holds them. */
	source_hand_out(s, data, h->caplen, h->len, (uint32_t)h->ts.tv_sec, (uint64_t)h->ts.tv_usec);
}

int source_unreadable(const struct source *s, const char *text, char *error)
{
	snprintf(error, SOURCE_ERROR_STRLEN, "%s: unreadable behind packet %llu: %s. What comes before is kept; %s", s->name,
		 (unsigned long long)s->packets, text,
		 strstr(text, "of the first interface")
			 ? "split the file by interface (editcap, tshark -Y frame.interface_id) and read the parts"
			 : "if the file was cut while it was written or copied, fetch it again");
	return -EBADMSG;
}

int source_read(struct source *s, int max, source_packet_fn fn, void *arg, char *error)
{
	int n;

	s->fn = fn;
	s->arg = arg;
	if (s->blocks)
		return source_pcap_read(s, max, error);
	n = pcap_dispatch(s->pcap, max, on_packet, (u_char *)(void *)s);
	if (n > 0)
		return n;
	if (n == 0)
		return s->live ? 0 : SOURCE_END;
	if (s->live)
		return source_live_end(s, on_packet, error);
	return source_unreadable(s, pcap_geterr(s->pcap), error);
}
