/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Frames between two ports of one bridge cross the inet hooks only if the bridge is told so. Docker sets a sysctl
 * for all bridges of the host; where nobody did, this sets the attribute of the one bridge, and writes what was
 * there before into the table first, so that whoever removes the table later, also after a crash, can put it back.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "segment/nft_impl.h"
#include "segment/nft_send.h"

#define SYSCTL "/proc/sys/net/bridge/bridge-nf-call-"
#define NOTE "index %u, nf_call_iptables was %u, nf_call_ip6tables was %u"

/* The host's own setting (of this network namespace): 0, 1, or negative errno; -ENOENT without the br_netfilter
 * module. */
static int read_sysctl(const char *which)
{
	char path[128], c = '0';
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), SYSCTL "%s", which);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, &c, 1);
	close(fd);
	return got == 1 && c != '0';
}

struct state {
	bool found;
	uint8_t v4, v6;
};

static int on_link(void *arg, const struct nlmsghdr *h)
{
	struct state *s = arg;
	const struct nlattr *tb[IFLA_LINKINFO + 1], *info[IFLA_INFO_MAX + 1], *br[IFLA_BR_MAX + 1];
	char kind[16];

	nl_attrs(tb, IFLA_LINKINFO, h, sizeof(struct ifinfomsg));
	nl_attrs_nested(info, IFLA_INFO_MAX, tb[IFLA_LINKINFO]);
	if (strcmp(nl_attr_str(info[IFLA_INFO_KIND], kind, sizeof(kind)), "bridge") != 0)
		return 0;
	nl_attrs_nested(br, IFLA_BR_MAX, info[IFLA_INFO_DATA]);
	s->found = true;
	s->v4 = nl_attr_u8(br[IFLA_BR_NF_CALL_IPTABLES]);
	s->v6 = nl_attr_u8(br[IFLA_BR_NF_CALL_IP6TABLES]);
	return 0;
}

static int get(struct nl *route, uint32_t ifindex, struct state *s)
{
	struct nl_msg m;
	struct ifinfomsg *i = nl_msg_init(&m, RTM_GETLINK, 0, sizeof(*i));
	int rc = -ENOMEM;

	*s = (struct state){false, 0, 0};
	if (i) {
		i->ifi_index = (int)ifindex;
		rc = nl_request(route, &m, on_link, s);
	}
	nl_msg_fini(&m);
	return rc < 0 ? rc : s->found ? 0 : -ENODEV;
}

static int set(struct nl *route, uint32_t ifindex, bool v4, bool v6)
{
	struct nl_msg m;
	struct ifinfomsg *i = nl_msg_init(&m, RTM_NEWLINK, 0, sizeof(*i));
	int rc = -ENOMEM;

	if (i) {
		size_t info, data;

		i->ifi_index = (int)ifindex;
		info = nl_nest_start(&m, IFLA_LINKINFO);
		nl_put(&m, IFLA_INFO_KIND, "bridge", strlen("bridge"));
		data = nl_nest_start(&m, IFLA_INFO_DATA);
		nl_put_u8(&m, IFLA_BR_NF_CALL_IPTABLES, v4);
		nl_put_u8(&m, IFLA_BR_NF_CALL_IP6TABLES, v6);
		nl_nest_end(&m, data);
		nl_nest_end(&m, info);
		rc = nl_request(route, &m, NULL, NULL);
	}
	nl_msg_fini(&m);
	return rc;
}

/* ---- the memory ------------------------------------------------------------------------------------------------- */
int nft_bridges_build(struct nft_model *m, const struct nft *n)
{
	struct nft_set *s = nft_model_find_set(m, NFT_SET_BRIDGES);
	int rc = s ? 0 : -ENOENT;

	for (size_t i = 0; rc == 0 && i < n->n_bridges; i++) {
		const struct nft_bridge *b = &n->bridges[i];
		char key[16] = "", note[NFT_COMMENT_LEN];

		memcpy(key, b->name, strnlen(b->name, sizeof(key) - 1));
		snprintf(note, sizeof(note), NOTE, b->ifindex, b->was4, b->was6);
		rc = nft_set_elem(s, key, sizeof(key), NULL, note, 0);
	}
	nft_model_sort(m);
	return rc;
}

static int remember(struct nft *n, uint32_t ifindex, const char *name, const struct state *s)
{
	struct nft_bridge *p;

	for (size_t i = 0; i < n->n_bridges; i++) {
		p = &n->bridges[i];
		if (p->ifindex == ifindex && strcmp(p->name, name) == 0)
			return 0; /* what was before the first time counts */
		if (strcmp(p->name, name) == 0) { /* another bridge of that name: the old one is gone */
			*p = (struct nft_bridge){.ifindex = ifindex, .was4 = s->v4, .was6 = s->v6};
			snprintf(p->name, sizeof(p->name), "%s", name);
			return 1;
		}
	}
	p = realloc(n->bridges, (n->n_bridges + 1) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	n->bridges = p;
	p = &p[n->n_bridges++];
	*p = (struct nft_bridge){.ifindex = ifindex, .was4 = s->v4, .was6 = s->v6};
	snprintf(p->name, sizeof(p->name), "%s", name);
	return 1;
}

int nft_bridges_read(struct nft *n, const struct nft_model *held)
{
	const struct nft_set *s = nft_model_find_set(held, NFT_SET_BRIDGES);

	for (size_t i = 0; s && i < s->n_elems; i++) {
		unsigned ifindex, was4, was6;
		char name[17];
		int rc;

		snprintf(name, sizeof(name), "%.16s", (const char *)s->elems[i].key);
		if (!s->elems[i].note || sscanf(s->elems[i].note, NOTE, &ifindex, &was4, &was6) != 3)
			continue;
		rc = remember(n, ifindex, name, &(struct state){true, (uint8_t)was4, (uint8_t)was6});
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- the promises ------------------------------------------------------------------------------------------------ */
/* Writes all of the memory into the table. And connections that ran through the bridge unseen are older than what
 * will now be seen of them: they are taken as they are. */
static int write_memory(struct nft *n, char *error)
{
	struct nft_model m = {0};
	struct nft_change c = {0};
	struct nft_set *s = nft_model_set(&m, NFT_SET_BRIDGES, &nft_shape_bridges);
	int rc = s ? nft_bridges_build(&m, n) : -ENOMEM;

	if (rc == 0)
		rc = nft_change_start(&c, 0);
	if (rc == 0) {
		nft_change_flush(&c, NFT_SET_BRIDGES);
		nft_change_elems(&c, NFT_SET_BRIDGES, &nft_shape_bridges, s->elems, s->n_elems, true);
		nft_change_flush(&c, NFT_SET_SETTLING);
		nft_change_settle(&c);
		rc = nft_commit(n, &c, error);
	}
	nft_change_fini(&c);
	nft_model_fini(&m);
	return rc;
}

int nft_bridge_hook(struct nft *n, uint32_t ifindex, const char *name, char *error)
{
	int all4 = read_sysctl("iptables"), all6 = read_sysctl("ip6tables"), rc;
	struct nl *route = NULL;
	struct state s;

	error[0] = '\0';
	if (n->about.generation == 0) {
		snprintf(error, NFT_ERROR_STRLEN,
			 "bridge %s: there is no table to remember its settings in; apply first", name);
		return -ENOENT;
	}
	if (all4 == -ENOENT) {
		snprintf(error, NFT_ERROR_STRLEN,
			 "bridge %s: the kernel cannot filter bridged frames; modprobe br_netfilter", name);
		return -EOPNOTSUPP;
	}
	rc = nl_open(&route, NETLINK_ROUTE);
	if (rc == 0)
		rc = get(route, ifindex, &s);
	if (rc < 0 || ((all4 == 1 || s.v4) && (all6 == 1 || s.v6)))
		goto out;
	rc = remember(n, ifindex, name, &s);
	if (rc >= 0)
		rc = write_memory(n, error);
	if (rc == 0)
		rc = set(route, ifindex, s.v4 || all4 != 1, s.v6 || all6 != 1);
out:
	nl_close(route);
	if (rc < 0 && !error[0])
		snprintf(error, NFT_ERROR_STRLEN, "bridge %s: setting nf_call_iptables: %s", name, strerror(-rc));
	return rc;
}

int nft_bridge_restore_all(struct nft *n, char *error)
{
	struct nl *route = NULL;
	int rc, first = 0;

	error[0] = '\0';
	if (n->n_bridges == 0)
		return 0;
	rc = nl_open(&route, NETLINK_ROUTE);
	for (size_t i = 0; rc == 0 && i < n->n_bridges; i++) {
		const struct nft_bridge *b = &n->bridges[i];
		struct state s;
		int one = get(route, b->ifindex, &s);

		if (one == 0)
			one = set(route, b->ifindex, b->was4, b->was6);
		if (one < 0 && one != -ENODEV && first == 0) {
			first = one;
			snprintf(error, NFT_ERROR_STRLEN, "bridge %s: restoring nf_call_iptables: %s", b->name,
				 strerror(-one));
		}
	}
	nl_close(route);
	if (rc < 0 || first < 0)
		return rc < 0 ? rc : first;
	n->n_bridges = 0;
	return n->about.generation ? write_memory(n, error) : 0;
}
