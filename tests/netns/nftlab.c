/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The small world with a table in it: see nftlab.h. */
#include "config.h"
#include "tests/netns/nftlab.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "common/timefmt.h"
#include "segment/policy.h"

static void on_verdict(void *arg, const struct verdict_rec *v)
{
	struct nftlab *t = arg;

	if (v->sampled) {
		t->samples++;
		return;
	}
	if (v->count == 1 && !v->away && !addr_is_zero(&v->src)) {
		t->singles++;
		t->spread += v->first_ns != v->last_ns;
	}
	t->total[v->kind] += v->count;
	t->unplaced += addr_is_zero(&v->src) ? v->count : 0;
	for (size_t i = 0; i < t->n_recs; i++) {
		struct verdict_rec *r = &t->recs[i];

		if (r->kind == v->kind && r->proto == v->proto && r->dst_port == v->dst_port &&
		    addr_equal(&r->src, &v->src) && addr_equal(&r->dst, &v->dst)) {
			r->count += v->count;
			return;
		}
	}
	if (t->n_recs < NFTLAB_RECS)
		t->recs[t->n_recs++] = *v;
}

static void on_repaired(void *arg, int rc, uint64_t gap_ns, const char *what)
{
	struct nftlab *t = arg;

	t->repairs++;
	t->repair_rc = rc;
	t->gap_ns = gap_ns;
	snprintf(t->what, sizeof(t->what), "%s", what);
}

static void on_expired(void *arg, uint64_t generation)
{
	(void)generation;
	((struct nftlab *)arg)->expiries++;
}

static void turn(void *arg)
{
	struct nftlab *t = arg;
	const struct nft_events ev = {.verdict = on_verdict, .repaired = on_repaired, .expired = on_expired, .arg = t};

	lab_enter(&t->lab, LAB_HOST);
	nft_dispatch(t->nft, time_now_ns(), &ev);
}

static int open_handle(struct nftlab *t)
{
	int rc = nft_open(&t->nft, 7, t->error);

	t->lab.n_fds = rc < 0 ? 0 : nft_fds(t->nft, t->lab.fds, 4);
	return rc;
}

const char *nftlab_open(struct nftlab *t, const char *name, const char *const *groups, int n)
{
	const char *why;

	memset(t, 0, sizeof(*t));
	why = lab_open(&t->lab, name, n);
	if (why)
		return why;
	t->lab.turn = turn;
	t->lab.arg = t;
	for (int i = 0; i < 2 * n; i++) {
		struct nft_member *m = &t->members[t->n_members++];

		m->addr = lab_addr(i / 2, i % 2 == 0);
		snprintf(m->group, sizeof(m->group), "%s", groups[i / 2]);
	}
	/* The host's own sysctl is off: what crosses the hooks does so because of the bridge's attribute. */
	lab_run(&t->lab, "echo 0 | tee /proc/sys/net/bridge/bridge-nf-call-iptables "
			 "/proc/sys/net/bridge/bridge-nf-call-ip6tables "
			 ">/dev/null");
	if (open_handle(t) < 0) {
		snprintf(t->what, sizeof(t->what), "nftables cannot be used here: %.180s", t->error);
		lab_close(&t->lab);
		return t->what;
	}
	return NULL;
}

void nftlab_close(struct nftlab *t)
{
	nft_close(t->nft);
	lab_close(&t->lab);
}

int nftlab_reopen(struct nftlab *t)
{
	nft_close(t->nft);
	t->nft = NULL;
	lab_enter(&t->lab, LAB_HOST);
	return open_handle(t);
}

int nftlab_compile(struct ruleset *out, const char *policy)
{
	struct policy_errors errors = {0};
	struct policy *p = NULL;
	int rc = policy_parse(&p, policy, strlen(policy), &errors);

	if (rc < 0)
		fprintf(stderr, "policy, line %u: %s\n", errors.e[0].line, errors.e[0].text);
	if (rc == 0)
		rc = policy_compile(out, p);
	policy_free(p);
	return rc;
}

int nftlab_apply(struct nftlab *t, const char *policy, uint64_t generation, uint32_t confirm_within_s)
{
	struct ruleset rs = {0};
	int rc = nftlab_compile(&rs, policy);

	lab_enter(&t->lab, LAB_HOST);
	rs.generation = generation;
	if (rc == 0)
		rc = nft_apply(t->nft, &rs, t->members, t->n_members, confirm_within_s, t->error);
	if (rc == 0)
		rc = nft_bridge_hook(t->nft, if_nametoindex("br0"), "br0", t->error);
	ruleset_fini(&rs);
	if (rc < 0)
		fprintf(stderr, "apply: %s\n", t->error);
	return rc;
}

void nftlab_forget(struct nftlab *t)
{
	nftlab_poll(t);
	t->n_recs = 0;
	memset(t->total, 0, sizeof(t->total));
	t->unplaced = 0;
	t->samples = t->repairs = t->expiries = 0;
}

void nftlab_poll(struct nftlab *t)
{
	const struct nft_events ev = {.verdict = on_verdict, .repaired = on_repaired, .expired = on_expired, .arg = t};

	turn(t);
	nft_poll_counters(t->nft, time_now_ns(), &ev);
}

uint64_t nftlab_count(const struct nftlab *t, uint8_t kind, int from, int to, bool v4, const char *service)
{
	struct addr src = lab_addr(from, v4), dst = lab_addr(to, v4);
	struct service s;
	uint64_t sum = 0;

	if (service_parse(&s, service) < 0)
		return UINT64_MAX;
	for (size_t i = 0; i < t->n_recs; i++) {
		const struct verdict_rec *r = &t->recs[i];

		if (r->kind == kind && addr_equal(&r->src, &src) && addr_equal(&r->dst, &dst) &&
		    service_contains(&s, r->proto, r->dst_port))
			sum += r->count;
	}
	return sum;
}

uint64_t nftlab_total(const struct nftlab *t, uint8_t kind)
{
	return t->total[kind];
}

bool nftlab_await(struct nftlab *t, uint8_t kind, uint64_t n)
{
	uint64_t deadline = time_mono_ns() + 20 * 1000000000ull;

	do {
		nftlab_poll(t);
		if (nftlab_total(t, kind) >= n)
			return true;
		lab_wait(&t->lab, -1, 0, 20);
	} while (time_mono_ns() < deadline);
	return false;
}
