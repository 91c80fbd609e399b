/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Refusals added up: see refusals.h. Collected in a list, sorted, then neighbours are merged. */
#include "config.h"
#include "ui-cli/refusals.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "store/history.h"

#define GENERATIONS_KEPT 16

struct collecting {
	struct view *view;
	struct refusals *out;
	size_t max;
};

static void label_end(struct view *v, struct refusal *r, unsigned i)
{
	struct output_end end = {naming_workload(v->naming, v->txn, r->v.workload[i]), r->v.group[i], NULL, NULL};

	if (!end.workload && !r->v.group[i][0])
		naming_addr(v->naming, v->txn, i ? &r->v.dst : &r->v.src, r->v.first_ns, 0, &end);
	naming_label(&end, i ? &r->v.dst : &r->v.src, r->label[i]);
}

static int on_verdict(void *arg, const struct verdict_rec *v)
{
	struct collecting *c = arg;
	struct refusals *out = c->out;

	if (v->kind != VERDICT_BLOCK && v->kind != VERDICT_WOULD_BLOCK)
		return 0;
	if (out->n == c->max) {
		size_t max = c->max ? 2 * c->max : 64;
		struct refusal *more = realloc(out->list, max * sizeof(*more));

		if (!more)
			return -ENOMEM;
		out->list = more;
		c->max = max;
	}
	memset(&out->list[out->n], 0, sizeof(out->list[0]));
	out->list[out->n].v = *v;
	if (v->away) {
		out->list[out->n].away = v->count;
		out->list[out->n].away_since_ns = v->first_ns;
		out->list[out->n].away_until_ns = v->last_ns;
	}
	label_end(c->view, &out->list[out->n], 0);
	label_end(c->view, &out->list[out->n], 1);
	out->n++;
	return 0;
}

static int compare_pair(const struct refusal *a, const struct refusal *b)
{
	int c = strcmp(a->label[0], b->label[0]);

	if (c == 0)
		c = addr_cmp(&a->v.src, &b->v.src);
	if (c == 0)
		c = strcmp(a->label[1], b->label[1]);
	if (c == 0)
		c = addr_cmp(&a->v.dst, &b->v.dst);
	if (c == 0)
		c = (int)a->v.inbound - (int)b->v.inbound;
	if (c == 0)
		c = (int)b->v.kind - (int)a->v.kind;
	return c ? c : (a->v.generation > b->v.generation) - (a->v.generation < b->v.generation);
}

static int compare(const void *pa, const void *pb)
{
	const struct refusal *a = pa, *b = pb;
	int c = compare_pair(a, b);

	if (c == 0)
		c = (int)a->v.proto - (int)b->v.proto;
	return c ? c : (int)a->v.dst_port - (int)b->v.dst_port;
}

bool refusal_same_pair(const struct refusal *a, const struct refusal *b)
{
	return compare_pair(a, b) == 0;
}

static void merge(struct refusal *sum, const struct refusal *more)
{
	sum->v.count += more->v.count;
	if (more->away && (!sum->away || more->away_since_ns < sum->away_since_ns))
		sum->away_since_ns = more->away_since_ns;
	if (more->away_until_ns > sum->away_until_ns)
		sum->away_until_ns = more->away_until_ns;
	sum->away += more->away;
	if (more->v.first_ns < sum->v.first_ns)
		sum->v.first_ns = more->v.first_ns;
	if (more->v.last_ns > sum->v.last_ns)
		sum->v.last_ns = more->v.last_ns;
	if (!sum->v.sampled && more->v.sampled) {
		sum->v.sampled = 1;
		sum->v.src_port = more->v.src_port;
	}
}

/* A single packet was at one time. The kernel tells the last one's to the tick, while that of the first may be no
 * better known than when the counter was read before, and that of a sample is another clock's. */
static void set_fresh(struct refusal *r, uint64_t told, uint64_t told_until_ns)
{
	r->fresh = r->v.count > told ? r->v.count - told : 0;
	r->fresh_first_ns = told_until_ns > r->v.first_ns ? told_until_ns : r->v.first_ns;
	if (r->fresh == 1 || r->fresh_first_ns > r->v.last_ns)
		r->fresh_first_ns = r->v.last_ns;
}

int refusals_read(struct refusals *out, struct view *v, uint64_t since_ns, uint64_t until_ns)
{
	struct refusals r = {0};
	struct collecting c = {v, &r, 0};
	int rc = store_verdict_walk(v->txn, since_ns, until_ns, on_verdict, &c);
	size_t used = 0;

	if (rc < 0) {
		refusals_fini(&r);
		return rc;
	}
	if (r.n)
		qsort(r.list, r.n, sizeof(*r.list), compare);
	for (size_t i = 0; i < r.n; i++) {
		if (used && compare(&r.list[used - 1], &r.list[i]) == 0)
			merge(&r.list[used - 1], &r.list[i]);
		else
			r.list[used++] = r.list[i];
	}
	r.n = used;
	for (size_t i = 0; i < r.n; i++)
		set_fresh(&r.list[i], 0, 0);
	*out = r;
	return 0;
}

void refusals_fini(struct refusals *r)
{
	free(r->list);
	*r = (struct refusals){0};
}

void refusals_compare(struct refusals *now, const struct refusals *before)
{
	for (size_t i = 0; i < now->n; i++) {
		const struct refusal *old = NULL;

		if (before->n)
			old = bsearch(&now->list[i], before->list, before->n, sizeof(*before->list), compare);
		set_fresh(&now->list[i], old ? old->v.count : 0, old ? old->v.last_ns : 0);
	}
}

struct refusal_rules {
	struct {
		uint64_t generation;
		struct ruleset rs;
		bool there, known;
	} slot[GENERATIONS_KEPT];
};

int refusal_rules_new(struct refusal_rules **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void refusal_rules_free(struct refusal_rules *r)
{
	for (size_t i = 0; r && i < GENERATIONS_KEPT; i++) {
		if (r->slot[i].there)
			ruleset_fini(&r->slot[i].rs);
	}
	free(r);
}

const struct ruleset *refusal_rules_get(struct refusal_rules *r, struct store_txn *t, uint64_t generation)
{
	size_t i = (size_t)(generation % GENERATIONS_KEPT);
	struct generation g;

	if (!r->slot[i].known || r->slot[i].generation != generation) {
		if (r->slot[i].there)
			ruleset_fini(&r->slot[i].rs);
		r->slot[i].known = true;
		r->slot[i].generation = generation;
		r->slot[i].there = store_generation_get(t, generation, &g) == 0 &&
				   ruleset_decode(&r->slot[i].rs, g.ruleset, g.ruleset_len) == 0;
	}
	return r->slot[i].there ? &r->slot[i].rs : NULL;
}

/* As eval_names wants it: the end itself counts, also when it is gone by now; 0 for what is no group of workloads. */
static unsigned members_with_itself(const struct members *m, const char *group)
{
	unsigned n = members_of(m, group);

	if (strcmp(group, GROUP_WORLD) == 0 || strcmp(group, GROUP_HOST) == 0)
		return 0;
	return n ? n : 1;
}

bool refusal_ends(const struct refusal *r, const struct ruleset *rs, struct eval_end *src, struct eval_end *dst)
{
	struct eval_end *nobody = r->v.inbound ? src : dst;
	struct eval_result result;
	const char *group;

	*src = (struct eval_end){r->v.src, r->v.group[0]};
	*dst = (struct eval_end){r->v.dst, r->v.group[1]};
	eval(&result, rs, src, dst, r->v.proto, r->v.dst_port);
	if (eval_is_miss(&result) && result.inbound == r->v.inbound)
		return true;
	/* An outbound list decides only on what leaves for an address that is nobody's. */
	group = nobody->group;
	nobody->group = GROUP_WORLD;
	eval(&result, rs, src, dst, r->v.proto, r->v.dst_port);
	if (eval_is_miss(&result) && result.inbound == r->v.inbound)
		return false;
	nobody->group = group;
	return true;
}

void refusal_explain(struct buf *b, const struct refusal *r, const struct ruleset *rs, const struct members *m)
{
	struct eval_end src, dst;
	struct eval_names names = {r->v.workload[0] ? r->label[0] : NULL, r->v.workload[1] ? r->label[1] : NULL,
				   members_with_itself(m, r->v.group[0]), members_with_itself(m, r->v.group[1])};
	struct buf whole = BUF_INIT;
	struct eval_result result;

	if (!rs)
		return;
	if (!refusal_ends(r, rs, &src, &dst)) {
		/* No edit is proposed: a rule for the bare address would help nobody. */
		*(r->v.inbound ? &names.src : &names.dst) = NULL;
		eval_explain(&whole, rs, &src, &dst, r->v.proto, r->v.dst_port, &names);
		buf_printf(b, "%.*s\n", whole.data ? (int)strcspn(whole.data, "\n") : 0, whole.data ? whole.data : "");
		buf_printf(b, "At that moment the address was nobody's: %s had just stopped, or was only starting.\n",
			   r->label[!r->v.inbound]);
		buf_fini(&whole);
		return;
	}
	eval_explain(b, rs, &src, &dst, r->v.proto, r->v.dst_port, &names);
	eval(&result, rs, &src, &dst, r->v.proto, r->v.dst_port);
	if (r->v.kind == VERDICT_WOULD_BLOCK && result.verdict == VERDICT_BLOCK)
		buf_printf(b, "It was let through all the same: nobody had confirmed generation %" PRIu64
			      ", so what it enforces had ended.\n", r->v.generation);
}
