/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ctnetlink's messages to values and back: see linux/netfilter/nfnetlink_conntrack.h for the format. */
#include "config.h"
#include "inventory/conntrack_msg.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#define MSG_TYPE(t) ((uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | (t)))

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP || proto == IPPROTO_DCCP ||
	       proto == IPPROTO_UDPLITE;
}

static bool parse_addr(struct addr *out, const struct nlattr *v4, const struct nlattr *v6)
{
	if (nl_attr_len(v4) == 4)
		*out = addr_from_v4(nl_attr_data(v4));
	else if (nl_attr_len(v6) == 16)
		*out = addr_from_v6(nl_attr_data(v6));
	else
		return false;
	return true;
}

static int parse_tuple(struct ct_tuple *out, const struct nlattr *nest)
{
	const struct nlattr *tb[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *p[CTA_PROTO_MAX + 1];
	const struct nlattr *id;

	memset(out, 0, sizeof(*out));
	if (!nest)
		return -EINVAL;
	nl_attrs_nested(tb, CTA_TUPLE_MAX, nest);
	if (!tb[CTA_TUPLE_IP] || !tb[CTA_TUPLE_PROTO])
		return -EINVAL;
	nl_attrs_nested(ip, CTA_IP_MAX, tb[CTA_TUPLE_IP]);
	nl_attrs_nested(p, CTA_PROTO_MAX, tb[CTA_TUPLE_PROTO]);
	if (!parse_addr(&out->src, ip[CTA_IP_V4_SRC], ip[CTA_IP_V6_SRC]) ||
	    !parse_addr(&out->dst, ip[CTA_IP_V4_DST], ip[CTA_IP_V6_DST]))
		return -EINVAL;
	out->proto = nl_attr_u8(p[CTA_PROTO_NUM]);
	if (is_icmp(out->proto)) {
		id = p[CTA_PROTO_ICMP_ID] ? p[CTA_PROTO_ICMP_ID] : p[CTA_PROTO_ICMPV6_ID];
		out->sport = out->dport = be16toh(nl_attr_u16(id));
		return 0;
	}
	out->sport = be16toh(nl_attr_u16(p[CTA_PROTO_SRC_PORT]));
	out->dport = be16toh(nl_attr_u16(p[CTA_PROTO_DST_PORT]));
	return has_ports(out->proto) ? 0 : -EINVAL;
}

int ct_parse(struct ct_conn *out, const struct nlmsghdr *h)
{
	const struct nlattr *tb[CTA_MAX + 1];
	struct ct_conn c = {0};

	if (h->nlmsg_type >> 8 != NFNL_SUBSYS_CTNETLINK || !nl_body(h, sizeof(struct nfgenmsg)))
		return -EINVAL;
	nl_attrs(tb, CTA_MAX, h, sizeof(struct nfgenmsg));
	if (parse_tuple(&c.orig, tb[CTA_TUPLE_ORIG]) < 0 || parse_tuple(&c.reply, tb[CTA_TUPLE_REPLY]) < 0)
		return -EINVAL;
	c.ended = (h->nlmsg_type & 0xff) == IPCTNL_MSG_CT_DELETE;
	*out = c;
	return 0;
}

bool ct_translated(const struct ct_conn *c)
{
	const struct ct_tuple *o = &c->orig, *r = &c->reply;

	return !addr_equal(&o->src, &r->dst) || !addr_equal(&o->dst, &r->src) || o->sport != r->dport || o->dport != r->sport;
}

int ct_dump(struct nl *s, uint8_t family, nl_fn *fn, void *arg)
{
	struct nfgenmsg *g;
	struct nl_msg m;
	int r = -ENOMEM;

	g = nl_msg_init(&m, MSG_TYPE(IPCTNL_MSG_CT_GET), 0, sizeof(*g));
	if (g) {
		g->nfgen_family = family;
		r = nl_dump(s, &m, fn, arg);
	}
	nl_msg_fini(&m);
	/* Torn means that connections came or went, which the notices tell as well. */
	return r == -EINTR ? 0 : r;
}

static void put_tuple(struct nl_msg *m, const struct ct_tuple *t)
{
	bool v4 = addr_is_v4(&t->src);
	size_t tuple = nl_nest_start(m, CTA_TUPLE_ORIG), ip, proto;

	ip = nl_nest_start(m, CTA_TUPLE_IP);
	if (v4) {
		nl_put(m, CTA_IP_V4_SRC, t->src.b + 12, 4);
		nl_put(m, CTA_IP_V4_DST, t->dst.b + 12, 4);
	} else {
		nl_put(m, CTA_IP_V6_SRC, t->src.b, 16);
		nl_put(m, CTA_IP_V6_DST, t->dst.b, 16);
	}
	nl_nest_end(m, ip);
	proto = nl_nest_start(m, CTA_TUPLE_PROTO);
	nl_put_u8(m, CTA_PROTO_NUM, t->proto);
	if (t->proto == IPPROTO_ICMP) {
		nl_put_u16(m, CTA_PROTO_ICMP_ID, htobe16(t->sport));
		nl_put_u8(m, CTA_PROTO_ICMP_TYPE, ICMP_ECHO);
		nl_put_u8(m, CTA_PROTO_ICMP_CODE, 0);
	} else if (t->proto == IPPROTO_ICMPV6) {
		nl_put_u16(m, CTA_PROTO_ICMPV6_ID, htobe16(t->sport));
		nl_put_u8(m, CTA_PROTO_ICMPV6_TYPE, ICMP6_ECHO_REQUEST);
		nl_put_u8(m, CTA_PROTO_ICMPV6_CODE, 0);
	} else {
		nl_put_u16(m, CTA_PROTO_SRC_PORT, htobe16(t->sport));
		nl_put_u16(m, CTA_PROTO_DST_PORT, htobe16(t->dport));
	}
	nl_nest_end(m, proto);
	nl_nest_end(m, tuple);
}

struct answer {
	struct ct_conn conn;
	bool got;
};

static int take_conn(void *arg, const struct nlmsghdr *h)
{
	struct answer *a = arg;

	a->got |= ct_parse(&a->conn, h) == 0;
	return 0;
}

int ct_get(struct nl *s, const struct ct_tuple *t, struct ct_conn *out)
{
	struct answer a = {.got = false};
	struct nfgenmsg *g;
	struct nl_msg m;
	int r = -ENOMEM;

	if (addr_is_v4(&t->src) != addr_is_v4(&t->dst))
		return -ENOENT;
	if (!is_icmp(t->proto) && !has_ports(t->proto))
		return -ENOENT;
	g = nl_msg_init(&m, MSG_TYPE(IPCTNL_MSG_CT_GET), 0, sizeof(*g));
	if (!g)
		goto out;
	g->nfgen_family = addr_is_v4(&t->src) ? AF_INET : AF_INET6;
	put_tuple(&m, t);
	r = nl_request(s, &m, take_conn, &a);
	if (r == 0 && !a.got)
		r = -ENOENT;
	if (r == 0)
		*out = a.conn;
out:
	nl_msg_fini(&m);
	return r;
}

int ct_filter_translated(struct nl *s)
{
	/* An ack passes: it ends a round of notices (netlink/nl_events.c). Then the offset of the attribute CTA_STATUS
	 * behind nlmsghdr and nfgenmsg, 0: none; then its value, in network order. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htobe16(NLMSG_ERROR), 7, 0),
		BPF_STMT(BPF_LD | BPF_IMM, sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg)),
		BPF_STMT(BPF_LDX | BPF_IMM, CTA_STATUS),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, 0),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_IND, sizeof(struct nlattr)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, IPS_SRC_NAT | IPS_DST_NAT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};

	return setsockopt(nl_fd(s), SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}
