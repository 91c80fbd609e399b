/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Samples of what is (or would be) refused: the kernel's NFLOG, header bytes only. A sample adds to the exact
 * counters what they cannot hold, the source port, and is what a refused datagram is answered from. The prefix
 * says which verdict and which generation; which list and group follows from the addresses, by the same table.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include "segment/nft_answer.h"
#include "segment/nft_impl.h"

#define COPY_RANGE 60     /* the rules' own limit is lower; this one binds what others may log into our group */
#define RCVBUF (4u << 20)
#define TOLD_PER_SECOND 100

/* One configuration request for our group. */
static int configure(struct nft *n, uint16_t attr, const void *data, size_t len)
{
	struct nl_msg m;
	struct nfgenmsg *g = nl_msg_init(&m, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG, 0, sizeof(*g));
	int rc = -ENOMEM;

	if (g) {
		g->version = NFNETLINK_V0;
		g->res_id = htons(n->log_group);
		nl_put(&m, attr, data, len);
		rc = nl_request(n->log, &m, NULL, NULL);
	}
	nl_msg_fini(&m);
	return rc;
}

int nft_log_open(struct nft *n, char *error)
{
	struct nfulnl_msg_config_cmd bind = {.command = NFULNL_CFG_CMD_BIND};
	struct nfulnl_msg_config_mode mode = {.copy_range = htonl(COPY_RANGE), .copy_mode = NFULNL_COPY_PACKET};
	uint32_t one_be = htonl(1);
	int rc = nl_open(&n->log, NETLINK_NETFILTER);

	if (rc == 0)
		rc = configure(n, NFULA_CFG_CMD, &bind, sizeof(bind));
	if (rc == 0)
		rc = configure(n, NFULA_CFG_MODE, &mode, sizeof(mode));
	if (rc == 0)
		rc = configure(n, NFULA_CFG_QTHRESH, &one_be, sizeof(one_be));
	if (rc == 0)
		nl_set_rcvbuf(n->log, RCVBUF);
	else
		snprintf(error, NFT_ERROR_STRLEN, "NFLOG group %u: %s%s", n->log_group, strerror(-rc),
			 rc == -EBUSY || rc == -EPERM /* the kernel says so to a second listener, too */
				 ? " (is another weir, or another program, listening to it in this network namespace?)"
				 : "");
	return rc;
}

/* "weir block 7 " */
static bool read_prefix(struct verdict_rec *v, const struct nlattr *a)
{
	char text[128];
	unsigned long long generation;

	nl_attr_str(a, text, sizeof(text));
	if (sscanf(text, "weir would-block %llu ", &generation) == 1)
		v->kind = VERDICT_WOULD_BLOCK;
	else if (sscanf(text, "weir block %llu ", &generation) == 1)
		v->kind = VERDICT_BLOCK;
	else
		return false;
	v->generation = generation;
	return true;
}

/* Ports, or the ICMP type, at the transport header; p has len bytes left. */
static void read_transport(struct verdict_rec *v, const uint8_t *p, size_t len)
{
	if (proto_has_ports(v->proto) && len >= 4) {
		v->src_port = (uint16_t)(p[0] << 8 | p[1]);
		v->dst_port = (uint16_t)(p[2] << 8 | p[3]);
	} else if (proto_is_icmp(v->proto) && len >= 1) {
		v->dst_port = p[0];
	}
}

bool nft_log_packet(struct verdict_rec *v, const uint8_t *p, size_t len)
{
	if (len >= 20 && p[0] >> 4 == 4) {
		size_t header = (size_t)(p[0] & 0x0f) * 4;

		v->src = addr_from_v4(p + 12);
		v->dst = addr_from_v4(p + 16);
		v->proto = p[9];
		if (header >= 20 && header < len)
			read_transport(v, p + header, len - header);
		return true;
	}
	if (len >= 40 && p[0] >> 4 == 6) {
		size_t at = 40;

		v->src = addr_from_v6(p + 8);
		v->dst = addr_from_v6(p + 24);
		v->proto = p[6];
		/* Hop-by-hop, routing, destination options: as far as the sample reaches. */
		while ((v->proto == 0 || v->proto == 43 || v->proto == 60) && at + 8 <= len) {
			v->proto = p[at];
			at += ((size_t)p[at + 1] + 1) * 8;
		}
		if (at < len)
			read_transport(v, p + at, len - at);
		return true;
	}
	return false;
}

struct context {
	struct nft *n;
	const struct nft_events *ev;
	uint64_t now_ns;
};

static void answer(struct nft *n, const struct verdict_rec *v, const struct nlattr **tb)
{
	const struct nlattr *port = tb[NFULA_IFINDEX_PHYSINDEV] ? tb[NFULA_IFINDEX_PHYSINDEV] : tb[NFULA_IFINDEX_INDEV];
	const struct nfulnl_msg_packet_hw *hw = nl_attr_data(tb[NFULA_HWADDR]);
	struct nft_refused r = {.packet = nl_attr_data(tb[NFULA_PAYLOAD]), .len = nl_attr_len(tb[NFULA_PAYLOAD]),
				.ifindex = ntohl(nl_attr_u32(port))};

	/* To workloads only: whatever comes from elsewhere may have any source written on it. */
	if (!n->answerer || nft_member_find(n, &v->src) < 0)
		return;
	if (!hw || nl_attr_len(tb[NFULA_HWADDR]) < sizeof(*hw) || ntohs(hw->hw_addrlen) > sizeof(hw->hw_addr))
		return;
	r.sender_len = ntohs(hw->hw_addrlen);
	memcpy(r.sender, hw->hw_addr, r.sender_len);
	nft_answer(n->answerer, &r);
}

/* Many samples are there to be answered; what is told of them stays few. The counters are exact in any case. */
static bool may_tell(struct nft *n, uint64_t now_ns)
{
	uint64_t second = now_ns / 1000000000;

	if (second != n->told_second) {
		n->told_second = second;
		n->told = 0;
	}
	return n->told++ < TOLD_PER_SECOND;
}

static int on_sample(void *arg, const struct nlmsghdr *h)
{
	struct context *c = arg;
	const struct nlattr *tb[NFULA_MAX + 1];
	struct verdict_rec v = {.sampled = 1, .first_ns = c->now_ns, .last_ns = c->now_ns};

	if (h->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
		return 0;
	nl_attrs(tb, NFULA_MAX, h, sizeof(struct nfgenmsg));
	if (!read_prefix(&v, tb[NFULA_PREFIX]) ||
	    !nft_log_packet(&v, nl_attr_data(tb[NFULA_PAYLOAD]), nl_attr_len(tb[NFULA_PAYLOAD])))
		return 0;
	if (v.kind == VERDICT_BLOCK)
		answer(c->n, &v, tb);
	if (!may_tell(c->n, c->now_ns))
		return 0;
	v.inbound = nft_member_find(c->n, &v.dst) >= 0;
	snprintf(v.group[0], sizeof(v.group[0]), "%s", nft_member_group(c->n, &v.src));
	snprintf(v.group[1], sizeof(v.group[1]), "%s", nft_member_group(c->n, &v.dst));
	if (c->ev && c->ev->verdict)
		c->ev->verdict(c->ev->arg, &v);
	return 0;
}

int nft_log_dispatch(struct nft *n, uint64_t now_ns, const struct nft_events *ev)
{
	struct context c = {n, ev, now_ns};
	int rc = nl_events(n->log, on_sample, &c);

	return rc == -ENOBUFS ? 0 : rc; /* samples may be lost: the counters are exact */
}
