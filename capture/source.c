/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libpcap behind four functions. Files are read through a buffer large enough that system calls do not matter. Live
 * interfaces use the kernel's memory-mapped ring (TPACKET_V3), whose blocks are handed over when full or after a few
 * milliseconds. Errors become sentences: what failed, where, what to do about it.
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

static FILE *file_open(const char *path, int fd, int *rc, char *error)
{
	FILE *f;

	if (fd < 0)
		fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		*rc = -errno;
		snprintf(error, SOURCE_ERROR_STRLEN, "%s: cannot be opened: %s", path, strerror(-*rc));
		return NULL;
	}
	f = fdopen(fd, "rb");
	if (!f) {
		*rc = -errno;
		snprintf(error, SOURCE_ERROR_STRLEN, "%s: cannot be read: %s", path, strerror(-*rc));
		close(fd);
	}
	return f;
}

int source_open_file(struct source **out, const char *path, int fd, char *error)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	struct source *s = source_alloc(path);
	FILE *f;
	int rc = 0;

	if (!s) {
		if (fd >= 0)
			close(fd);
		return source_no_memory(error, path);
	}
	f = file_open(path, fd, &rc, error);
	if (!f)
		goto out;
	s->buffer = malloc(FILE_BUFFER);
	if (s->buffer)
		setvbuf(f, s->buffer, _IOFBF, FILE_BUFFER);
	__fsetlocking(f, FSETLOCKING_BYCALLER); /* one thread reads it: a lock for each packet costs more than reading */
	s->pcap = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!s->pcap) {
		fclose(f);
		rc = -EBADMSG;
		snprintf(error, SOURCE_ERROR_STRLEN,
			 "%s: is no capture that can be read: %s. weir reads pcap and pcapng, not compressed", path,
			 text);
		goto out;
	}
	rc = source_link_check(s, "Capture on the interface itself, or convert the file (editcap -T)", error);
	if (rc)
		goto out;
	*out = s;
	return 0;
out:
	source_close(s);
	return rc;
}

static void on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct source *s = (struct source *)(void *)user;
	uint32_t wirelen = h->len;
	/* Asked for nanoseconds: tv_usec holds them. A file may say anything; then so does the time. */
	uint64_t ns = (uint64_t)(uint32_t)h->ts.tv_sec * NS_PER_S + (uint64_t)h->ts.tv_usec;

	if (ns < s->since_ns)
		return;
	/* A length on the wire below what is there, or of more than any link carries, is nonsense. */
	if (wirelen < h->caplen || wirelen > 1u << 24)
		wirelen = h->caplen;
	s->packets++;
	s->fn(s->arg, data, h->caplen, wirelen, ns);
}

int source_read(struct source *s, int max, source_packet_fn fn, void *arg, char *error)
{
	const char *text;
	int n;

	s->fn = fn;
	s->arg = arg;
	n = pcap_dispatch(s->pcap, max, on_packet, (u_char *)(void *)s);
	if (n > 0)
		return n;
	if (n == 0)
		return s->live ? 0 : SOURCE_END;
	if (s->live)
		return source_live_end(s, on_packet, error);
	text = pcap_geterr(s->pcap);
	snprintf(error, SOURCE_ERROR_STRLEN, "%s: unreadable behind packet %llu: %s. What comes before is kept; %s", s->name,
		 (unsigned long long)s->packets, text,
		 strstr(text, "of the first interface")
			 ? "split the file by interface (editcap, tshark -Y frame.interface_id) and read the parts"
			 : "if the file was cut while it was written or copied, fetch it again");
	return -EBADMSG;
}
