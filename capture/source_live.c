/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Watching an interface. The ring is TPACKET_V3, whose blocks the kernel hands over when they are full or some
 * milliseconds old; so the last packets of an interface that goes away are in a block that has not been handed over
 * yet, and reading goes on for a little longer than that after the interface has gone.
 *
 * Several workers share an interface by PACKET_FANOUT with a program of ours: it spreads packets by the pair of
 * addresses, the same in both directions, so that a conversation, its fragments and its sisters between the same ends
 * meet one worker; an ICMP error goes where the packet that it quotes went. (The kernel's own hash includes the
 * ports, which fragments lack.)
 */
#include "config.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "capture/source_private.h"
#include "common/timefmt.h"

#define RING_DEFAULT (16u << 20)
#define SNAPLEN_DEFAULT 4096u
/* A frame on a veth may have 64 KiB. Those beyond what a sender may have under way before the first acknowledgement
 * (ten segments, RFC 6928) carry bulk data, whose beginning is not worth the copying. */
#define BULK_LEN 16384u
#define BULK_SNAPLEN 512u
#define FORGED_LESS 8u /* a frame cut that much shorter than any other is a forged one */
#define VLAN_TAG_LEN 4u /* libpcap puts the tag back into what the kernel has cut */
#define BLOCK_MS (SOURCE_HANDOVER_MS / 2)
#define LAST_WORDS_MS 50 /* how long a handle whose interface has gone may still give something */

#define NET(off) (uint32_t)(SKF_NET_OFF + (off))

/* X = X ^ the word at off from the network header, mixed over A. */
#define XOR_WORD(off) \
	BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NET(off)), \
	BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0)
#define SPREAD \
	BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 0x9e3779b1u), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16), \
	BPF_STMT(BPF_RET | BPF_A, 0)

static int fanout_join(int fd, unsigned group)
{
	static struct sock_filter code[] = {
		/* 0: which version? */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NET(0)),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 22, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
		/* 5: IPv4; an ICMP error behind a header without options? */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NET(9)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 11),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NET(0)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x45, 0, 9),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NET(20)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 3, 0, 7),
		/* 11: the quoted packet's addresses */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NET(40)),
		XOR_WORD(44),
		SPREAD,
		/* 18: its own addresses */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NET(12)),
		XOR_WORD(16),
		SPREAD,
		BPF_STMT(BPF_RET | BPF_K, 0),
		/* 26: IPv6; "destination unreachable"? */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NET(6)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 58, 0, 27),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NET(40)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 25),
		/* 30: the quoted packet's addresses */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NET(56)),
		XOR_WORD(60), XOR_WORD(64), XOR_WORD(68), XOR_WORD(72), XOR_WORD(76), XOR_WORD(80), XOR_WORD(84),
		SPREAD,
		/* 55: its own addresses */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NET(8)),
		XOR_WORD(12), XOR_WORD(16), XOR_WORD(20), XOR_WORD(24), XOR_WORD(28), XOR_WORD(32), XOR_WORD(36),
		SPREAD,
	};
	struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};
	int arg = (int)((group & 0xffff) | (uint32_t)PACKET_FANOUT_CBPF << 16);

	if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &arg, sizeof(arg)) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_FANOUT_DATA, &prog, sizeof(prog)) != 0)
		return -errno;
	return 0;
}

/*
 * How much of a frame is kept: its beginning, less of a large one, so that the ring lasts eight times as long under
 * bulk traffic. And a mark: a frame that bears the interface's own address although the interface did not send it
 * (only the kernel knows) is cut to s->forged_max bytes, or by its last one; no other frame is cut that short.
 */
static int filter_attach(struct source *s)
{
	const uint8_t *m[2] = {s->mac[0], s->mac[1]};
	uint32_t high[2], low[2], bulk = s->snaplen < BULK_SNAPLEN ? s->snaplen : BULK_SNAPLEN;
	uint8_t check = s->has_mac ? 0 : 9; /* jumps over the addresses */

	for (unsigned i = 0; i < 2; i++) {
		high[i] = (uint32_t)m[i][0] << 24 | (uint32_t)m[i][1] << 16 | (uint32_t)m[i][2] << 8 | m[i][3];
		low[i] = (uint32_t)m[i][4] << 8 | m[i][5];
	}
	s->forged_max = bulk - FORGED_LESS;

	struct sock_filter code[] = {
		/* 0: sent by the interface? */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 9, check),
		/* 2: by its source address? */
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_ALEN + 4),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ETH_ALEN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high[0], 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high[1], 2, 4),
		BPF_STMT(BPF_MISC | BPF_TXA, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low[0], 6, high[0] == high[1] ? 1 : 2),
		BPF_STMT(BPF_MISC | BPF_TXA, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low[1], 4, 0),
		/* 11: an honest frame */
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, BULK_LEN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, bulk),
		BPF_STMT(BPF_RET | BPF_K, s->snaplen),
		/* 15: the other kind */
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, s->forged_max, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, s->forged_max),
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 1),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};

	return setsockopt(pcap_fileno(s->pcap), SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0 ? 0 : -errno;
}

static int open_error(int status, struct source *s, char *error)
{
	const char *more = pcap_geterr(s->pcap);

	if (status == PCAP_ERROR_PERM_DENIED) {
		snprintf(error, SOURCE_ERROR_STRLEN, "%s: watching an interface needs CAP_NET_RAW: run as root, or by "
			 "the systemd unit, which grants it", s->name);
		return -EPERM;
	}
	if (status == PCAP_ERROR_NO_SUCH_DEVICE) {
		snprintf(error, SOURCE_ERROR_STRLEN, "%s: there is no such interface", s->name);
		return -ENODEV;
	}
	if (status == PCAP_ERROR_IFACE_NOT_UP) {
		snprintf(error, SOURCE_ERROR_STRLEN, "%s: the interface is down: ip link set %s up", s->name, s->name);
		return -ENETDOWN;
	}
	snprintf(error, SOURCE_ERROR_STRLEN, "%s: cannot be watched: %s%s%s", s->name, pcap_statustostr(status),
		 more && *more ? ": " : "", more ? more : "");
	return -EIO;
}

static int activate(struct source *s, const struct source_live *live, char *error)
{
	size_t ring = live->ring_bytes ? live->ring_bytes : RING_DEFAULT;
	uint32_t snaplen = live->snaplen ? live->snaplen : SNAPLEN_DEFAULT;
	int status;

	pcap_set_snaplen(s->pcap, (int)snaplen);
	pcap_set_promisc(s->pcap, 1);
	pcap_set_timeout(s->pcap, BLOCK_MS);
	pcap_set_buffer_size(s->pcap, (int)(ring > 1u << 30 ? 1u << 30 : ring));
	pcap_set_tstamp_precision(s->pcap, PCAP_TSTAMP_PRECISION_NANO);
	status = pcap_activate(s->pcap);
	if (status < 0)
		return open_error(status, s, error);
	s->snaplen = snaplen;
	/* Without the filter everything works, only with more copying, and what is forged passes for the interface's. */
	(void)filter_attach(s);
	return 0;
}

/* A bridge that was given no address takes that of one of its ports, and so another when ports come and go. */
bool source_mac_changed(struct source *s)
{
	struct ifreq r = {0};

	if (!s->live || s->link != LINK_ETHERNET)
		return false;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", s->name);
	if (ioctl(pcap_fileno(s->pcap), SIOCGIFHWADDR, &r) < 0 || r.ifr_hwaddr.sa_family != ARPHRD_ETHER ||
	    memcmp(s->mac[0], r.ifr_hwaddr.sa_data, sizeof(s->mac[0])) == 0)
		return false;
	memcpy(s->mac[1], s->has_mac ? s->mac[0] : (const uint8_t *)r.ifr_hwaddr.sa_data, sizeof(s->mac[1]));
	memcpy(s->mac[0], r.ifr_hwaddr.sa_data, sizeof(s->mac[0]));
	s->has_mac = true;
	(void)filter_attach(s);
	return true;
}

bool source_sent_by_itself(const struct source *s, const uint8_t *data, uint32_t caplen, uint32_t wirelen)
{
	if (!s->has_mac || caplen < 2 * ETH_ALEN || (memcmp(data + ETH_ALEN, s->mac[0], ETH_ALEN) != 0 &&
						     memcmp(data + ETH_ALEN, s->mac[1], ETH_ALEN) != 0))
		return false;
	return caplen == wirelen || caplen > s->forged_max + VLAN_TAG_LEN;
}

int source_open_live(struct source **out, const char *name, const struct source_live *live, char *error)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	struct source *s = source_alloc(name);
	int rc;

	if (!s)
		return source_no_memory(error, name);
	s->live = true;
	s->pcap = pcap_create(name, text);
	if (!s->pcap) {
		rc = source_no_memory(error, name);
		goto out;
	}
	rc = activate(s, live, error);
	if (rc)
		goto out;
	rc = source_link_check(s, "Watch the bridge that the traffic crosses instead", error);
	if (rc)
		goto out;
	if (live->fanout_members > 1) {
		rc = fanout_join(pcap_fileno(s->pcap), live->fanout_group);
		if (rc) {
			snprintf(error, SOURCE_ERROR_STRLEN,
				 "%s: several workers cannot share it: %s. Run one worker only", name, strerror(-rc));
			goto out;
		}
		s->since_ns = time_now_ns();
	}
	if (pcap_setnonblock(s->pcap, 1, text) != 0) {
		snprintf(error, SOURCE_ERROR_STRLEN, "%s: %s", name, text);
		rc = -EIO;
		goto out;
	}
	(void)source_mac_changed(s);
	*out = s;
	return 0;
out:
	source_close(s);
	return rc;
}

int source_live_end(struct source *s, pcap_handler fn, char *error)
{
	const struct timespec pause = {0, BLOCK_MS * (long)NS_PER_MS};
	int n;

	snprintf(error, SOURCE_ERROR_STRLEN, "%s: %s", s->name, pcap_geterr(s->pcap));
	for (unsigned waited = 0; waited < LAST_WORDS_MS; waited += BLOCK_MS) {
		n = pcap_dispatch(s->pcap, -1, fn, (u_char *)(void *)s);
		if (n > 0)
			return n;
		nanosleep(&pause, NULL);
	}
	return -ENETDOWN;
}

void source_loss(struct source *s, uint64_t *received, uint64_t *dropped, uint64_t *interface_dropped)
{
	struct pcap_stat now;

	*received = *dropped = *interface_dropped = 0;
	if (!s->live || pcap_stats(s->pcap, &now) != 0)
		return;
	/* The counters are 32 bits wide and wrap; their differences do not mind. */
	*received = now.ps_recv - s->before.ps_recv;
	*dropped = now.ps_drop - s->before.ps_drop;
	*interface_dropped = now.ps_ifdrop - s->before.ps_ifdrop;
	s->before = now;
}
