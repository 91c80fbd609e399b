/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The handle: opening, adopting a table that is there, applying a ruleset, members coming and going, confirming
 * and removing. Every change of the table is worked out against what was just read from the kernel and is refused
 * by it when somebody else was faster; then it is read again.
 */
#include "config.h"
#include "segment/nft.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netlink.h>

#include "common/timefmt.h"
#include "segment/nft_answer.h"
#include "segment/nft_elems.h"
#include "segment/nft_impl.h"
#include "segment/nft_read.h"
#include "segment/nft_send.h"

#define SYNC_TRIES 8
#define RCVBUF (4u << 20)
#define NS_PER_MS 1000000ull

bool nft_is_armed(const struct nft_about *about, uint64_t *timeout_ms)
{
	uint64_t now = time_mono_ns();

	*timeout_ms = 0;
	if (about->armed == NFT_ARMED_FOR_GOOD)
		return true;
	if (about->armed != NFT_ARMED_UNTIL || about->deadline_ns <= now + NS_PER_MS)
		return false;
	*timeout_ms = (about->deadline_ns - now) / NS_PER_MS;
	return true;
}

static int copy_ruleset(struct ruleset *out, const struct ruleset *rs)
{
	struct buf b = BUF_INIT;
	int rc;

	ruleset_encode(&b, rs);
	rc = buf_failed(&b) ? -ENOMEM : ruleset_decode(out, b.data, b.len);
	buf_fini(&b);
	return rc;
}

/* ---- opening -------------------------------------------------------------------------------------------------- */
static int adopt_members(struct nft *n, const struct nft_model *held)
{
	for (int v4 = 1; v4 >= 0; v4--) {
		const struct nft_set *s =
			nft_model_find_set(held, v4 ? NFT_SET_WORKLOADS "_4" : NFT_SET_WORKLOADS "_6");

		for (size_t i = 0; s && i < s->n_elems; i++) {
			struct nft_member m = {.addr = nft_elem_addr(&s->elems[i], s->shape.key_len)};
			int rc;

			if (!s->elems[i].note)
				continue;
			snprintf(m.group, sizeof(m.group), "%s", s->elems[i].note);
			rc = nft_members_put(n, &m);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static int adopt(struct nft *n, char *error)
{
	struct nft_model held = {0};
	int rc;

	do {
		nft_model_fini(&held);
		rc = nft_read(&held, n->nl);
	} while (rc == -EINTR);
	if (rc == 0 && held.present && held.about.generation) {
		n->about = held.about;
		rc = nft_roles_read(&n->roles, &held);
		if (rc == 0)
			rc = adopt_members(n, &held);
		if (rc == 0)
			rc = nft_bridges_read(n, &held);
	}
	if (rc < 0)
		snprintf(error, NFT_ERROR_STRLEN, "reading table inet " NFT_TABLE " back: %s", strerror(-rc));
	nft_model_fini(&held);
	return rc;
}

int nft_open(struct nft **out, uint16_t log_group, char *error)
{
	struct nft *n = calloc(1, sizeof(*n));
	int rc;

	error[0] = '\0';
	if (!n)
		return -ENOMEM;
	n->log_group = log_group;
	rc = nl_open(&n->nl, NETLINK_NETFILTER);
	if (rc < 0)
		snprintf(error, NFT_ERROR_STRLEN, "opening a netlink socket for nftables: %s", strerror(-rc));
	if (rc == 0) {
		nl_set_rcvbuf(n->nl, RCVBUF);
		rc = nft_watch_open(n, error);
	}
	if (rc == 0)
		rc = adopt(n, error);
	if (rc == 0)
		rc = nft_log_open(n, error);
	if (rc == 0)
		rc = nft_poll_counters(n, 0, NULL); /* of an adopted table: what is counted so far */
	if (rc < 0) {
		nft_close(n);
		return rc;
	}
	nft_answer_open(&n->answerer); /* without it refused datagrams get the kernel's limited answers alone */
	*out = n;
	return 0;
}

void nft_close(struct nft *n)
{
	if (!n)
		return;
	nl_close(n->nl);
	nl_close(n->events);
	nl_close(n->log);
	nft_answer_close(n->answerer);
	nft_roles_fini(&n->roles);
	nft_count_fini(n);
	ruleset_fini(&n->rs);
	free(n->members);
	free(n->bridges);
	free(n);
}

uint64_t nft_generation(const struct nft *n)
{
	return n->about.generation;
}

/* ---- applying ------------------------------------------------------------------------------------------------- */
int nft_commit(struct nft *n, struct nft_change *c, char *error)
{
	int rc = nft_change_commit(c, n->nl, error, NFT_ERROR_STRLEN);
	uint32_t now = 0;

	if (rc < 0 || c->n == 0)
		return rc;
	/* One step further, and it was ours; more than one, and somebody else's change is among them. */
	n->genid = n->genid && nft_read_genid(n->nl, &now) == 0 && now == n->genid + 1 ? now : 0;
	return 0;
}

static int sync_once(struct nft *n, const struct nft_model *wanted, size_t *changed, char *error)
{
	struct nft_model held = {0};
	struct nft_change c = {0};
	uint32_t genid = 0;
	int rc = nft_read_genid(n->nl, &genid);

	if (rc == 0)
		rc = nft_read(&held, n->nl);
	if (rc < 0) {
		snprintf(error, NFT_ERROR_STRLEN, "reading the table: %s", strerror(-rc));
		goto out;
	}
	n->genid = genid; /* what there is to know of it has just been read */
	rc = nft_change_start(&c, genid);
	if (rc < 0)
		goto out;
	nft_diff(&c, &held, wanted);
	if (!held.present)
		nft_change_settle(&c);
	rc = nft_commit(n, &c, error);
	if (rc == 0 && !held.present)
		nft_count_forget(n);
	if (rc == 0 && changed)
		*changed = c.n;
out:
	nft_change_fini(&c);
	nft_model_fini(&held);
	return rc;
}

int nft_sync(struct nft *n, size_t *changed, char *error)
{
	struct nft_model wanted = {0};
	uint64_t timeout_ms;
	bool armed = nft_is_armed(&n->about, &timeout_ms);
	int rc;

	if (!n->have_rs) { /* adopted: what is known of the table is not enough to make it */
		snprintf(error, NFT_ERROR_STRLEN, "the table was adopted, and no ruleset has been applied since");
		return -ENODATA;
	}
	rc = nft_build(&wanted, &n->rs, &n->roles, &n->about, n->log_group);
	if (rc == 0)
		rc = nft_elems_build(&wanted, &n->roles, n->members, n->n_members, armed, timeout_ms);
	if (rc == 0)
		rc = nft_bridges_build(&wanted, n);
	if (rc < 0)
		snprintf(error, NFT_ERROR_STRLEN, "building the table: %s", strerror(-rc));
	if (rc == 0)
		rc = nft_check(&wanted, error, NFT_ERROR_STRLEN);
	if (rc < 0)
		goto out;
	/* -ERESTART, -EINTR: somebody changed nftables meanwhile. -ENOENT: an armed element ran out meanwhile. */
	for (int i = 0; i < SYNC_TRIES; i++) {
		rc = sync_once(n, &wanted, changed, error);
		if (rc == 0)
			n->retry_mono_ns = n->retry_wait_ns = 0; /* nothing is behind any more */
		if (rc != -ERESTART && rc != -EINTR && rc != -ENOENT)
			break;
	}
out:
	nft_model_fini(&wanted);
	return rc;
}

int nft_apply(struct nft *n, const struct ruleset *rs, const struct nft_member *members, size_t n_members,
	      uint32_t confirm_within_s, char *error)
{
	struct nft before = *n;
	int rc;

	error[0] = '\0';
	if (rs->generation == 0) {
		snprintf(error, NFT_ERROR_STRLEN, "a ruleset without a generation");
		return -EINVAL;
	}
	ruleset_init(&n->rs);
	n->roles = (struct nft_roles){0};
	n->members = NULL;
	rc = copy_ruleset(&n->rs, rs);
	if (rc == 0)
		rc = nft_roles_build(&n->roles, rs);
	if (rc == 0)
		rc = nft_members_copy(&n->members, &n->n_members, members, n_members);
	n->cap_members = n->n_members;
	n->about.generation = rs->generation;
	n->about.layout = NFT_LAYOUT;
	n->about.armed = confirm_within_s ? NFT_ARMED_UNTIL : NFT_ARMED_FOR_GOOD;
	n->about.deadline_ns = confirm_within_s ? time_mono_ns() + confirm_within_s * 1000 * NS_PER_MS : 0;
	n->expiry_told = false;
	n->have_rs = true;
	if (rc == 0)
		rc = nft_sync(n, NULL, error);
	else
		snprintf(error, NFT_ERROR_STRLEN, "preparing the ruleset: %s", strerror(-rc));
	/* Of the two states the one that did not come to be is given up. */
	if (rc < 0) {
		ruleset_fini(&n->rs);
		nft_roles_fini(&n->roles);
		free(n->members);
		n->rs = before.rs;
		n->have_rs = before.have_rs;
		n->roles = before.roles;
		n->members = before.members;
		n->n_members = before.n_members;
		n->cap_members = before.cap_members;
		n->about = before.about;
		n->expiry_told = before.expiry_told;
	} else {
		ruleset_fini(&before.rs);
		nft_roles_fini(&before.roles);
		free(before.members);
	}
	return rc;
}

/* ---- confirming and removing ------------------------------------------------------------------------------------ */
static int replace_about(struct nft *n, struct nft_change *c, const struct nft_about *about)
{
	struct nft_model wanted = {0}, held = {0};
	const struct nft_chain *chain = NULL, *old = NULL;
	int rc = nft_build(&wanted, &n->rs, &n->roles, about, n->log_group);

	if (rc == 0)
		rc = nft_read(&held, n->nl);
	if (rc == 0) {
		chain = nft_model_find_chain(&wanted, NFT_CHAIN_ABOUT);
		old = nft_model_find_chain(&held, NFT_CHAIN_ABOUT);
		rc = chain && old ? 0 : -ENOENT;
	}
	for (size_t i = 0; rc == 0 && i < old->n_rules; i++)
		nft_change_rule_del(c, chain, old->rules[i].handle);
	if (rc == 0)
		nft_change_rule_add(c, chain, &chain->rules[0], 0);
	nft_model_fini(&wanted);
	nft_model_fini(&held);
	return rc;
}

int nft_confirm(struct nft *n, char *error)
{
	struct nft_about about = n->about;
	struct nft_one o = {.add = true};
	uint64_t timeout_ms;
	int rc;

	error[0] = '\0';
	if (n->about.armed == NFT_ARMED_FOR_GOOD)
		return 0;
	if (!nft_is_armed(&n->about, &timeout_ms)) {
		snprintf(error, NFT_ERROR_STRLEN, "nothing to confirm: %s", n->about.generation == 0
			? "no ruleset is applied" : "enforcement ended before it was confirmed; apply it again");
		return -ETIME;
	}
	about.armed = NFT_ARMED_FOR_GOOD;
	about.deadline_ns = 0;
	rc = nft_change_start(&o.c, 0);
	if (rc == 0)
		rc = replace_about(n, &o.c, &about);
	if (rc == 0) {
		nft_change_flush(&o.c, NFT_SET_ARMED "_4");
		nft_change_flush(&o.c, NFT_SET_ARMED "_6");
		for (size_t i = 0; rc == 0 && i < n->n_members; i++)
			rc = nft_elems_each_armed(&n->roles, &n->members[i], nft_change_elem, &o);
	}
	if (rc == 0)
		rc = nft_commit(n, &o.c, error);
	nft_change_fini(&o.c);
	if (rc == 0)
		n->about = about;
	else if (!error[0])
		snprintf(error, NFT_ERROR_STRLEN, "confirming: %s", strerror(-rc));
	return rc;
}

int nft_remove(struct nft *n, char *error)
{
	struct nft_change c;
	int rc;

	error[0] = '\0';
	rc = nft_change_start(&c, 0);
	if (rc == 0) {
		nft_change_table(&c, false);
		rc = nft_commit(n, &c, error);
	}
	nft_change_fini(&c);
	if (rc == -ENOENT)
		rc = 0;
	if (rc < 0)
		return rc;
	ruleset_fini(&n->rs);
	nft_roles_fini(&n->roles);
	n->have_rs = false;
	n->about = (struct nft_about){0};
	n->retry_mono_ns = n->retry_wait_ns = 0;
	nft_count_forget(n);
	return 0;
}
