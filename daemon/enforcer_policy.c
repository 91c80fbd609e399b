/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel's table in the parent: orders from the engine carried out, members kept as containers come and go,
 * verdicts handed on. The engine decides what the policy is and records it; this file only knows the ruleset it was
 * given last and the selectors that say who is a member of what.
 */
#include "config.h"
#include "daemon/enforcer_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/timefmt.h"
#include "common/wire.h"

static void tell_u64(struct enforcer *e, enum msg_type type, uint64_t v)
{
	struct buf b = BUF_INIT;

	wire_put_u64(&b, v);
	enforcer_tell(e, type, &b);
	buf_fini(&b);
}

static void tell_done(struct enforcer *e, uint64_t token, int rc, const char *error)
{
	struct body_done d = {token, rc, ""};
	struct buf b = BUF_INIT;

	snprintf(d.error, sizeof(d.error), "%s", error);
	body_done_encode(&b, &d);
	enforcer_tell(e, IPC_DONE, &b);
	buf_fini(&b);
	tell_u64(e, IPC_KERNEL, e->nft ? nft_generation(e->nft) : 0);
}

static void on_verdict(void *arg, const struct verdict_rec *v)
{
	struct buf b = BUF_INIT;

	verdict_encode(&b, v);
	enforcer_tell(arg, IPC_VERDICT, &b);
	buf_fini(&b);
}

static void on_repaired(void *arg, int rc, uint64_t gap_ns, const char *what)
{
	if (rc)
		enforcer_notice(arg, true,
				"somebody changed table inet " NFT_TABLE " (%s) and it could not be put back: %s. "
					   "Nothing is confined; apply the policy again", what, strerror(-rc));
	else
		enforcer_notice(arg, true, "somebody changed table inet " NFT_TABLE " (%s): put back after %.1f ms",
				what,
				(double)gap_ns / 1e6);
}

static void on_expired(void *arg, uint64_t generation)
{
	enforcer_notice(arg, true,
			"generation %llu was not confirmed in time: the kernel lets everything through again",
			(unsigned long long)generation);
	tell_u64(arg, IPC_EXPIRED, generation);
}

static void on_nft(void *arg, int fd, uint32_t events);

/* Sockets may come and go with the table. */
static void watch_nft(struct enforcer *e)
{
	int fds[sizeof(e->nft_fds) / sizeof(e->nft_fds[0])];
	size_t n = e->nft ? nft_fds(e->nft, fds, sizeof(fds) / sizeof(fds[0])) : 0;

	if (n == e->n_nft_fds && memcmp(fds, e->nft_fds, n * sizeof(fds[0])) == 0)
		return;
	for (size_t i = 0; i < e->n_nft_fds; i++)
		loop_io_del(e->loop, e->nft_fds[i]);
	for (size_t i = 0; i < n; i++)
		loop_io_add(e->loop, fds[i], EPOLLIN, on_nft, e);
	memcpy(e->nft_fds, fds, n * sizeof(fds[0]));
	e->n_nft_fds = n;
}

static void on_nft(void *arg, int fd, uint32_t events)
{
	struct enforcer *e = arg;
	const struct nft_events ev = {.verdict = on_verdict, .counter = enforcer_counter, .repaired = on_repaired,
				      .expired = on_expired, .arg = e};
	int rc = nft_dispatch(e->nft, time_now_ns(), &ev);

	(void)fd;
	(void)events;
	if (rc)
		log_debug("following the kernel's table failed: %s", strerror(-rc));
	watch_nft(e);
}

void enforcer_policy_open(struct enforcer *e)
{
	char error[NFT_ERROR_STRLEN] = "";
	int rc;

	if (!e->has_admin) {
		enforcer_notice(
			e, true,
			"no CAP_NET_ADMIN: policies cannot be applied here, and names inside network namespaces "
			"are not seen. Run as root or as the service");
		return;
	}
	rc = nft_open(&e->nft, (uint16_t)e->s->nflog_group, error);
	if (rc) {
		e->nft = NULL;
		enforcer_notice(e, true, "nftables cannot be used: %s. Policies cannot be applied",
				error[0] ? error : strerror(-rc));
		return;
	}
	watch_nft(e);
}

/* A later order makes up for an adoption that still waits. */
static void forget_adopt(struct enforcer *e)
{
	if (e->adopt)
		body_apply_fini(e->adopt);
	free(e->adopt);
	e->adopt = NULL;
}

void enforcer_policy_close(struct enforcer *e)
{
	if (e->nft)
		nft_close(e->nft);
	policy_free(e->groups);
	forget_adopt(e);
}

static void poll_counters(struct enforcer *e)
{
	const struct nft_events ev = {.verdict = on_verdict, .counter = enforcer_counter, .repaired = on_repaired,
				      .expired = on_expired, .arg = e};
	uint64_t now = time_now_ns();
	int rc;

	/* What nobody has heard of is read when somebody does. */
	if (!e->nft || !nft_generation(e->nft) || !e->counters_known)
		return;
	rc = nft_poll_counters(e->nft, now, &ev);
	if (rc)
		log_debug("reading the kernel's counters failed: %s", strerror(-rc));
	else
		tell_u64(e, IPC_COUNTED, now);
	watch_nft(e);
}

/* Who has which address now, by the selectors given. The list is the caller's to free. */
static int members_of(const struct enforcer *e, const struct policy *groups, struct nft_member **out, size_t *n)
{
	size_t count = 0, i = 0;
	struct nft_member *m;

	for (const struct enforcer_workload *k = e->workloads; k; k = k->next)
		count += k->ended ? 0 : k->w.n_addrs;
	for (const struct enforcer_soon *s = e->soon; s; s = s->next)
		count += s->w.n_addrs;
	m = calloc(count ? count : 1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	for (const struct enforcer_workload *k = e->workloads; k; k = k->next) {
		for (unsigned a = 0; !k->ended && a < k->w.n_addrs; a++, i++) {
			m[i].addr = k->w.addrs[a];
			snprintf(m[i].group, sizeof(m[i].group), "%s", policy_group_of(groups, &k->w));
		}
	}
	for (const struct enforcer_soon *s = e->soon; s; s = s->next) {
		for (unsigned a = 0; a < s->w.n_addrs; a++, i++) {
			m[i].addr = s->w.addrs[a];
			snprintf(m[i].group, sizeof(m[i].group), "%s", policy_group_of(groups, &s->w));
		}
	}
	*out = m;
	*n = count;
	return 0;
}

/* What the kernel did not take: by the handle where it knows the whole table, one by one where it only adopted it. */
static void retry_members(struct enforcer *e)
{
	char error[NFT_ERROR_STRLEN];
	struct nft_member *members = NULL;
	size_t n = 0;
	int rc = nft_retry(e->nft, error);

	if (!rc && e->groups)
		rc = members_of(e, e->groups, &members, &n);
	for (size_t i = 0; i < n && !rc; i++) /* what is so already costs a look */
		rc = nft_member_add(e->nft, &members[i], error);
	free(members);
	if (rc)
		return;
	e->members_late = false;
	enforcer_notice(e, false, "all members are in their groups again");
}

void enforcer_policy_second(struct enforcer *e)
{
	poll_counters(e);
	if (e->nft && nft_generation(e->nft) && e->members_late)
		retry_members(e);
}

static void hook_bridges(struct enforcer *e, char *warning, size_t size)
{
	char error[NFT_ERROR_STRLEN];

	for (size_t i = 0; i < e->n_links; i++) {
		const struct body_link *l = &e->links[i].link;

		error[0] = '\0';
		if (l->bridge && nft_bridge_hook(e->nft, l->ifindex, l->name, error) && warning)
			snprintf(warning, size, "traffic inside bridge %s is not confined: %s", l->name, error);
	}
}

/* Makes the kernel hold the ruleset and keeps its selectors for the members to come. */
static int put_in_force(struct enforcer *e, struct body_apply *a, uint32_t confirm_within_s, char *error)
{
	struct nft_member *members = NULL;
	size_t n = 0;
	int rc;

	if (!e->nft) {
		snprintf(error, NFT_ERROR_STRLEN,
			 "this weir has no access to nftables (see weir status): nothing was applied");
		return -EPERM;
	}
	poll_counters(e); /* what was counted so far belongs to the generation before */
	rc = members_of(e, a->groups, &members, &n);
	if (!rc)
		rc = nft_apply(e->nft, &a->ruleset, members, n, confirm_within_s, error);
	free(members);
	if (rc)
		return rc;
	policy_free(e->groups);
	e->groups = a->groups;
	a->groups = NULL;
	e->generation = a->ruleset.generation;
	hook_bridges(e, error, NFT_ERROR_STRLEN);
	watch_nft(e);
	return 0;
}

static void order_apply(struct enforcer *e, const struct msg *m)
{
	char error[NFT_ERROR_STRLEN] = "";
	struct body_apply a = {0};
	int rc = body_apply_decode(&a, m->data, m->len);

	if (rc) {
		log_err("an order from the engine cannot be read: %s", strerror(-rc));
		return;
	}
	forget_adopt(e);
	rc = put_in_force(e, &a, a.confirm_within_s, error);
	tell_done(e, a.token, rc, error);
	body_apply_fini(&a);
}

/* The time that was left when the engine asked goes on while the inventory is awaited: it must not begin anew. */
static uint32_t confirm_left(const struct enforcer *e, const struct body_apply *a)
{
	uint64_t waited_s = (time_mono_ns() - e->adopt_mono_ns + NS_PER_S - 1) / NS_PER_S;

	if (a->confirm_within_s == 0 || a->confirm_within_s == ADOPT_LAPSED)
		return a->confirm_within_s;
	return waited_s < a->confirm_within_s ? a->confirm_within_s - (uint32_t)waited_s : ADOPT_LAPSED;
}

/*
 * The store says which generation is in force; the kernel may have it still (the daemon was restarted), may have
 * nothing (the host was), or may have it lapsed. Done once the inventory is complete, so that no member is dropped
 * for not having been seen yet.
 */
static void adopt(struct enforcer *e, struct body_apply *a)
{
	char error[NFT_ERROR_STRLEN] = "";
	struct nft_member *members = NULL;
	uint32_t left = confirm_left(e, a);
	size_t n = 0;
	int rc = 0;

	if (e->generation == a->ruleset.generation && e->groups) {
		rc = 0; /* it is only the engine that is new */
	} else if (left != ADOPT_LAPSED) {
		rc = put_in_force(e, a, left, error);
	} else if (e->nft && nft_generation(e->nft) == a->ruleset.generation) {
		rc = members_of(e, a->groups, &members, &n);
		for (size_t i = 0; i < n && !rc; i++)
			rc = nft_member_add(e->nft, &members[i], error);
		free(members);
		policy_free(e->groups);
		e->groups = a->groups;
		a->groups = NULL;
		e->generation = a->ruleset.generation;
	}
	if (rc)
		enforcer_notice(e, true, "generation %llu should be in force but cannot be put there: %s",
				(unsigned long long)a->ruleset.generation, error[0] ? error : strerror(-rc));
	tell_done(e, a->token, rc, error);
}

static void run_adopt(struct enforcer *e)
{
	adopt(e, e->adopt);
	forget_adopt(e);
}

static void order_adopt(struct enforcer *e, const struct msg *m)
{
	struct body_apply *a = calloc(1, sizeof(*a));

	if (!a || body_apply_decode(a, m->data, m->len)) {
		free(a);
		return;
	}
	forget_adopt(e);
	e->adopt = a;
	e->adopt_mono_ns = time_mono_ns();
	if (e->settled)
		run_adopt(e);
}

void enforcer_policy_settled(struct enforcer *e)
{
	if (e->adopt)
		run_adopt(e);
	else if (e->nft && nft_generation(e->nft) && !e->groups && e->engine.ready)
		enforcer_notice(
			e, true,
			"the kernel has a table of generation %llu that this state directory knows nothing of: it "
			"stays; `weir rollback 0` removes it",
			(unsigned long long)nft_generation(e->nft));
}

static void order_remove(struct enforcer *e, uint64_t token)
{
	char error[NFT_ERROR_STRLEN] = "";
	int rc = 0;

	forget_adopt(e);
	poll_counters(e); /* the last counts */
	if (e->nft) {
		rc = nft_bridge_restore_all(e->nft, error);
		if (!rc)
			rc = nft_remove(e->nft, error);
	}
	if (!rc) {
		policy_free(e->groups);
		e->groups = NULL;
		e->generation = 0;
		watch_nft(e);
	}
	tell_done(e, token, rc, error);
}

void enforcer_order(struct enforcer *e, const struct msg *m)
{
	char error[NFT_ERROR_STRLEN] = "";
	struct wire_reader r;
	uint64_t token;

	if (m->type == IPC_APPLY || m->type == IPC_ADOPT) {
		if (m->type == IPC_APPLY)
			order_apply(e, m);
		else
			order_adopt(e, m);
		return;
	}
	wire_reader_init(&r, m->data, m->len);
	token = wire_get_u64(&r);
	if (!wire_ok(&r))
		return;
	if (m->type == IPC_CONFIRM) {
		int rc = e->nft ? nft_confirm(e->nft, error) : -EPERM;

		if (!rc && e->adopt) /* what is yet to be put in force was meant as well */
			e->adopt->confirm_within_s = 0;
		tell_done(e, token, rc, error);
	} else if (m->type == IPC_REMOVE) {
		order_remove(e, token);
	}
}

static bool has_addr(const struct workload *w, const struct addr *a)
{
	for (unsigned i = 0; w && i < w->n_addrs; i++)
		if (addr_equal(&w->addrs[i], a))
			return true;
	return false;
}

/* Another workload that lives, or is about to, and has the address. */
static const struct workload *owner_of(const struct enforcer *e, const struct addr *a, uint64_t not_id)
{
	for (const struct enforcer_workload *k = e->workloads; k; k = k->next)
		if (!k->ended && k->w.id != not_id && has_addr(&k->w, a))
			return &k->w;
	for (const struct enforcer_soon *s = e->soon; s; s = s->next)
		if (has_addr(&s->w, a))
			return &s->w;
	return NULL;
}

static void member_add(struct enforcer *e, const struct addr *a, const struct workload *w)
{
	char error[NFT_ERROR_STRLEN] = "";
	struct nft_member m = {*a, ""};

	snprintf(m.group, sizeof(m.group), "%s", policy_group_of(e->groups, w));
	if (nft_member_add(e->nft, &m, error) == 0)
		return;
	enforcer_notice(e, true, "%s could not be put into group %s: %s; it is tried again", w->name, m.group, error);
	e->members_late = true;
}

static void member_del(struct enforcer *e, const struct addr *a, const struct workload *w)
{
	const struct workload *owner = owner_of(e, a, w->id);
	char error[NFT_ERROR_STRLEN] = "";
	int rc;

	/* Whoever has it still is in the group it had, if the one that goes had another. */
	if (owner) {
		member_add(e, a, owner);
		return;
	}
	rc = nft_member_del(e->nft, a, error);
	if (rc == 0 || rc == -ENOENT)
		return;
	enforcer_notice(e, true, "%s could not be taken out of its group: %s; it is tried again", w->name, error);
	e->members_late = true;
}

void enforcer_member_up(struct enforcer *e, const struct workload *w, const struct workload *before)
{
	const char *group;

	if (!e->nft || !e->groups || !nft_generation(e->nft))
		return;
	for (unsigned i = 0; before && i < before->n_addrs; i++)
		if (!has_addr(w, &before->addrs[i]))
			member_del(e, &before->addrs[i], w);
	group = policy_group_of(e->groups, w);
	for (unsigned i = 0; i < w->n_addrs; i++)
		if (!has_addr(before, &w->addrs[i]) || strcmp(policy_group_of(e->groups, before), group) != 0)
			member_add(e, &w->addrs[i], w);
}

void enforcer_member_down(struct enforcer *e, const struct workload *w)
{
	if (!e->nft || !e->groups || !nft_generation(e->nft))
		return;
	for (unsigned i = 0; i < w->n_addrs; i++)
		member_del(e, &w->addrs[i], w);
}

void enforcer_bridge_up(struct enforcer *e, const struct body_link *l)
{
	char error[NFT_ERROR_STRLEN] = "";

	if (e->nft && e->groups && nft_generation(e->nft) && nft_bridge_hook(e->nft, l->ifindex, l->name, error))
		enforcer_notice(e, true, "traffic inside bridge %s is not confined: %s", l->name, error);
}
