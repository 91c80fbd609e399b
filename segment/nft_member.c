/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Members: the addresses of the workloads and the group that each is in, as the handle knows them, and the elements
 * that change in the table when one comes, goes or moves.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "segment/nft_elems.h"
#include "segment/nft_impl.h"
#include "segment/nft_send.h"

#define RETRY_MIN_NS (1 * NS_PER_S)
#define RETRY_MAX_NS (32 * NS_PER_S)

long nft_member_find(const struct nft *n, const struct addr *a)
{
	size_t lo = 0, hi = n->n_members;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = addr_cmp(&n->members[mid].addr, a);

		if (c == 0)
			return (long)mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

const char *nft_member_group(const struct nft *n, const struct addr *a)
{
	long i = nft_member_find(n, a);

	return i < 0 ? "" : n->members[i].group;
}

/* Of two entries for one address the later one comes later: qsort alone does not promise that. */
static int place_cmp(const void *a, const void *b)
{
	const struct nft_member *const *x = a, *const *y = b;
	int c = addr_cmp(&(*x)->addr, &(*y)->addr);

	return c ? c : (*x > *y) - (*x < *y);
}

/* Sorted copy; of two entries for one address the later one holds. */
int nft_members_copy(struct nft_member **out, size_t *n_out, const struct nft_member *m, size_t n)
{
	struct nft_member *v = malloc((n + 1) * sizeof(*v));
	const struct nft_member **place = malloc((n + 1) * sizeof(*place));
	size_t k = 0;

	if (!v || !place) {
		free(v);
		free(place);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		place[i] = &m[i];
	if (n)
		qsort(place, n, sizeof(*place), place_cmp);
	for (size_t i = 0; i < n; i++) {
		if (k && addr_equal(&v[k - 1].addr, &place[i]->addr))
			k--;
		v[k++] = *place[i];
	}
	free(place);
	*out = v;
	*n_out = k;
	return 0;
}

int nft_members_put(struct nft *n, const struct nft_member *m)
{
	long i = nft_member_find(n, &m->addr);
	size_t at = 0;

	if (i >= 0) {
		n->members[i] = *m;
		return 0;
	}
	if (n->n_members == n->cap_members) {
		size_t cap = n->cap_members * 2 + 16;
		struct nft_member *p = realloc(n->members, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		n->members = p;
		n->cap_members = cap;
	}
	while (at < n->n_members && addr_cmp(&n->members[at].addr, &m->addr) < 0)
		at++;
	memmove(&n->members[at + 1], &n->members[at], (n->n_members - at) * sizeof(*n->members));
	n->members[at] = *m;
	n->n_members++;
	return 0;
}

static void members_drop(struct nft *n, size_t i)
{
	memmove(&n->members[i], &n->members[i + 1], (n->n_members - i - 1) * sizeof(*n->members));
	n->n_members--;
}

int nft_change_elem(void *arg, const char *set, const void *key, size_t key_len, const char *target,
		       const char *note, uint64_t timeout_ms)
{
	struct nft_one *o = arg;
	const struct nft_shape shape = {.key_len = (uint32_t)key_len, .verdicts = target != NULL};
	struct nft_set s = {0};
	int rc = nft_set_elem(&s, key, key_len, target, note, timeout_ms);

	/* An armed element may have run out by itself, and removing what is not there would fail the whole: put it
	 * there first, which does nothing where it is. */
	if (rc == 0 && !o->add && strncmp(set, NFT_SET_ARMED, strlen(NFT_SET_ARMED)) == 0)
		nft_change_elems(&o->c, set, &shape, s.elems, 1, true);
	if (rc == 0)
		nft_change_elems(&o->c, set, &shape, s.elems, 1, o->add);
	if (s.n_elems)
		nft_elem_fini(&s.elems[0]);
	free(s.elems);
	return rc < 0 ? rc : o->c.rc;
}

/* old and new may be NULL; both have the same address. */
static int change_member(struct nft *n, const struct nft_member *old, const struct nft_member *new, char *error)
{
	struct nft_one o = {.add = false};
	uint64_t timeout_ms;
	bool armed = nft_is_armed(&n->about, &timeout_ms);
	int rc = nft_change_start(&o.c, 0);

	error[0] = '\0';
	if (rc == 0 && old)
		rc = nft_elems_each(&n->roles, old, armed, timeout_ms, nft_change_elem, &o);
	o.add = true;
	if (rc == 0 && new)
		rc = nft_elems_each(&n->roles, new, armed, timeout_ms, nft_change_elem, &o);
	if (rc == 0)
		rc = nft_commit(n, &o.c, error);
	nft_change_fini(&o.c);
	return rc;
}

/* Who has a name is no stranger, and whoever has the address next has its time as a newcomer again. Mostly there is
 * nothing to remove, which the kernel says with -ENOENT; that must not spoil the change above, hence one of its own. */
static void forget_stranger(struct nft *n, const struct addr *a)
{
	bool v4 = addr_is_v4(a);
	/* Newcomers are among the strangers: where there is none, no more is to be done. */
	const char *const sets[] = {v4 ? NFT_SET_STRANGERS "_4" : NFT_SET_STRANGERS "_6",
				    v4 ? NFT_SET_NEWCOMERS "_4" : NFT_SET_NEWCOMERS "_6"};
	char error[NFT_ERROR_STRLEN];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(sets) / sizeof(sets[0]); i++) {
		struct nft_one o = {.add = false};

		rc = nft_change_start(&o.c, 0);
		if (rc == 0)
			rc = nft_change_elem(&o, sets[i], a->b + (v4 ? 12 : 0), v4 ? 4 : 16, NULL, NULL, 0);
		if (rc == 0)
			rc = nft_change_commit(&o.c, n->nl, error, sizeof(error));
		nft_change_fini(&o.c);
	}
}

/* The whole table as it should be; if that fails, once more after a while that grows. */
static int sync_members(struct nft *n, char *error)
{
	int rc = nft_sync(n, NULL, error);

	if (rc < 0) {
		n->retry_wait_ns = n->retry_wait_ns ? 2 * n->retry_wait_ns : RETRY_MIN_NS;
		if (n->retry_wait_ns > RETRY_MAX_NS)
			n->retry_wait_ns = RETRY_MAX_NS;
		n->retry_mono_ns = time_mono_ns() + n->retry_wait_ns;
	}
	return rc;
}

int nft_retry(struct nft *n, char *error)
{
	error[0] = '\0';
	if (!n->retry_mono_ns)
		return 0;
	return time_mono_ns() < n->retry_mono_ns ? -EAGAIN : sync_members(n, error);
}

int nft_member_add(struct nft *n, const struct nft_member *m, char *error)
{
	long i = nft_member_find(n, &m->addr);
	struct nft_member old;
	int rc;

	error[0] = '\0';
	if (i >= 0 && strcmp(n->members[i].group, m->group) == 0)
		return 0;
	if (i >= 0)
		old = n->members[i];
	rc = n->about.generation ? change_member(n, i >= 0 ? &old : NULL, m, error) : 0;
	if (rc == 0 && i < 0 && n->about.generation)
		forget_stranger(n, &m->addr);
	/* Somebody else took elements or the table away: that is put back in the same go. Whatever else was the matter,
	 * the handle says how it should be, and the kernel is brought there as soon as it lets itself. */
	if (rc < 0 && n->have_rs)
		return nft_members_put(n, m) < 0 ? -ENOMEM : sync_members(n, error);
	return rc < 0 ? rc : nft_members_put(n, m);
}

int nft_member_del(struct nft *n, const struct addr *a, char *error)
{
	long i = nft_member_find(n, a);
	struct nft_member old;
	int rc;

	error[0] = '\0';
	if (i < 0)
		return 0;
	old = n->members[i];
	rc = n->about.generation ? change_member(n, &old, NULL, error) : 0;
	if (rc < 0 && n->have_rs) {
		members_drop(n, (size_t)i);
		return sync_members(n, error);
	}
	if (rc == 0)
		members_drop(n, (size_t)i);
	return rc;
}
