/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Foreign hands on the table: the kernel tells of every change of nftables and who made it. Changes of other
 * tables are other people's business; a change of ours that was not made by this handle is put back at once, and
 * the time during which the table was not what it should be is reported.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "common/timefmt.h"
#include "segment/nft_impl.h"
#include "segment/nft_read.h"

#define TABLE_ATTR                                                                                                     \
	1 /* the table's name: NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, ... alike */
#define RCVBUF (4u << 20)

int nft_watch_open(struct nft *n, char *error)
{
	int rc = nl_open(&n->events, NETLINK_NETFILTER);

	if (rc == 0)
		rc = nl_join(n->events, NFNLGRP_NFTABLES);
	if (rc == 0)
		nl_set_rcvbuf(n->events, RCVBUF);
	else
		snprintf(error, NFT_ERROR_STRLEN, "listening to nftables' notices: %s", strerror(-rc));
	return rc;
}

static const char *what_of(uint16_t type)
{
	switch (type) {
	case NFT_MSG_DELTABLE:
		return "removed the table";
	case NFT_MSG_NEWTABLE:
		return "changed the table";
	case NFT_MSG_NEWCHAIN:
		return "added or changed a chain";
	case NFT_MSG_DELCHAIN:
		return "removed a chain";
	case NFT_MSG_NEWRULE:
		return "added a rule";
	case NFT_MSG_DELRULE:
		return "removed a rule";
	case NFT_MSG_NEWSET:
		return "added a set";
	case NFT_MSG_DELSET:
		return "removed a set";
	case NFT_MSG_NEWSETELEM:
		return "added elements to a set";
	case NFT_MSG_DELSETELEM:
		return "removed elements from a set";
	default:
		return "changed an object";
	}
}

/* The transaction's end, with the name of who made it. */
static void note_author(struct nft *n, const struct nlmsghdr *h)
{
	const struct nlattr *tb[NFTA_GEN_MAX + 1];
	size_t used = strlen(n->foreign_what);
	char name[32];

	nl_attrs(tb, NFTA_GEN_MAX, h, sizeof(struct nfgenmsg));
	if (!tb[NFTA_GEN_PROC_PID] || strchr(n->foreign_what, '('))
		return;
	snprintf(n->foreign_what + used, sizeof(n->foreign_what) - used, " (%s, process %u)",
		 nl_attr_str(tb[NFTA_GEN_PROC_NAME], name, sizeof(name)), ntohl(nl_attr_u32(tb[NFTA_GEN_PROC_PID])));
}

static int on_notice(void *arg, const struct nlmsghdr *h)
{
	struct nft *n = arg;
	const struct nfgenmsg *g = nl_body(h, sizeof(*g));
	const struct nlattr *tb[TABLE_ATTR + 1];
	uint16_t type = h->nlmsg_type & 0xff;
	char table[64];

	if (!g || h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || h->nlmsg_pid == nl_port(n->nl))
		return 0;
	if (type == NFT_MSG_NEWGEN) {
		if (n->foreign_ns)
			note_author(n, h);
		return 0;
	}
	nl_attrs(tb, TABLE_ATTR, h, sizeof(*g));
	if (g->nfgen_family != NFPROTO_INET ||
	    strcmp(nl_attr_str(tb[TABLE_ATTR], table, sizeof(table)), NFT_TABLE) != 0)
		return 0;
	if (!n->foreign_ns) {
		n->foreign_ns = time_mono_ns();
		snprintf(n->foreign_what, sizeof(n->foreign_what), "%s", what_of(type));
	} else if (type == NFT_MSG_DELTABLE) { /* the last notice of a flush, and what it was about */
		snprintf(n->foreign_what, sizeof(n->foreign_what), "%s", what_of(type));
	}
	return 0;
}

int nft_watch_dispatch(struct nft *n, const struct nft_events *ev)
{
	char error[NFT_ERROR_STRLEN] = "";
	uint32_t genid = 0;
	size_t changed = 0;
	uint64_t since;
	int rc = nl_events(n->events, on_notice, n);

	/* A large change of our own can be more than the socket holds; then nobody else has changed anything since. */
	if (rc == -ENOBUFS && !n->foreign_ns && n->genid && nft_read_genid(n->nl, &genid) == 0 && genid == n->genid)
		return 0;
	if (rc == -ENOBUFS && !n->foreign_ns) {
		n->foreign_ns = time_mono_ns();
		snprintf(n->foreign_what, sizeof(n->foreign_what), "notices were lost, the table was compared");
	} else if (rc < 0 && rc != -ENOBUFS) {
		return rc;
	}
	if (!n->foreign_ns)
		return 0;
	since = n->foreign_ns;
	n->foreign_ns = 0;
	if (n->about.generation == 0)
		return 0;
	/* An adopted table of which nobody has said yet what it should be: only nft_apply can tell. */
	rc = nft_sync(n, &changed, error);
	if (rc == 0 && changed == 0)
		return 0;
	if (rc < 0 && error[0])
		snprintf(n->foreign_what, sizeof(n->foreign_what), "%.150s", error);
	if (ev && ev->repaired)
		ev->repaired(ev->arg, rc, time_mono_ns() - since, n->foreign_what);
	return 0;
}

size_t nft_fds(const struct nft *n, int *fds, size_t max)
{
	size_t k = 0;

	if (k < max)
		fds[k++] = nl_fd(n->events);
	if (k < max)
		fds[k++] = nl_fd(n->log);
	return k;
}

int nft_dispatch(struct nft *n, uint64_t now_ns, const struct nft_events *ev)
{
	int rc = nft_watch_dispatch(n, ev), log_rc = nft_log_dispatch(n, now_ns, ev);

	return rc < 0 ? rc : log_rc;
}
