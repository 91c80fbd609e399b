/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Members as elements: see nft_elems.h. The one place that knows which sets an address is in. */
#include "config.h"
#include "segment/nft_elems.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <libnftnl/udata.h>

#include "common/verdict.h"

static int emit(const struct nft_member *member, const char *base, const char *target, const char *note,
		uint64_t timeout_ms, nft_elem_fn *fn, void *arg)
{
	bool v4 = addr_is_v4(&member->addr);
	char set[NFT_NAME_LEN + 2];

	snprintf(set, sizeof(set), "%s_%d", base, v4 ? 4 : 6);
	return fn(arg, set, member->addr.b + (v4 ? 12 : 0), v4 ? 4 : 16, target, note, timeout_ms);
}

int nft_elems_each(const struct nft_roles *roles, const struct nft_member *member, bool armed, uint64_t timeout_ms,
		   nft_elem_fn *fn, void *arg)
{
	const struct nft_role *role = nft_roles_find(roles, member->group);
	const struct nft_way *ways;
	char chain[NFT_NAME_LEN];
	size_t n;
	int rc = emit(member, NFT_SET_WORKLOADS, NULL, member->group, 0, fn, arg);

	ways = nft_roles_ways(roles, member->group, &n);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = emit(member, ways[i].list, ways[i].part, NULL, 0, fn, arg);
	if (rc < 0 || !role || !role->listed)
		return rc;
	nft_name_list(chain, role->base, true);
	rc = emit(member, NFT_MAP_INBOUND, chain, NULL, 0, fn, arg);
	if (rc == 0) {
		nft_name_list(chain, role->base, false);
		rc = emit(member, NFT_MAP_OUTBOUND, chain, NULL, 0, fn, arg);
	}
	if (rc == 0 && armed && role->stage == STAGE_ENFORCE)
		rc = emit(member, NFT_SET_ARMED, NULL, NULL, timeout_ms, fn, arg);
	return rc;
}

int nft_elems_each_armed(const struct nft_roles *roles, const struct nft_member *member, nft_elem_fn *fn, void *arg)
{
	const struct nft_role *role = nft_roles_find(roles, member->group);

	return role && role->listed && role->stage == STAGE_ENFORCE
		       ? emit(member, NFT_SET_ARMED, NULL, NULL, 0, fn, arg)
		       : 0;
}

static int into_model(void *arg, const char *set, const void *key, size_t key_len, const char *target, const char *note,
		      uint64_t timeout_ms)
{
	struct nft_set *s = nft_model_find_set(arg, set);

	return s ? nft_set_elem(s, key, key_len, target, note, timeout_ms) : -ENOENT;
}

int nft_elems_build(struct nft_model *m, const struct nft_roles *roles, const struct nft_member *members, size_t n,
		    bool armed, uint64_t timeout_ms)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = nft_elems_each(roles, &members[i], armed, timeout_ms, into_model, m);
	nft_model_sort(m);
	return rc;
}

size_t nft_elem_note(uint8_t out[NFT_USERDATA_LEN], const char *note)
{
	struct nft_note n = {0};

	if (!note)
		return 0;
	nft_name_comment(n.comment, sizeof(n.comment), note);
	snprintf(n.group, sizeof(n.group), "%s", note);
	return nft_note_encode(out, NFTNL_UDATA_SET_ELEM_COMMENT, &n);
}

struct addr nft_elem_addr(const struct nft_elem *e, uint32_t key_len)
{
	return key_len == 4 ? addr_from_v4(e->key) : addr_from_v6(e->key);
}
