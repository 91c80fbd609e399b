/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The store against naive arrays: random flows with short and very long lives, reported again with grown counters, in
 * many buckets, some transactions aborted, the store reopened now and then; every random question must get
 * exactly the answer a linear search gives, in order. The same for address intervals bound and unbound out of order.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "store/db.h"
#include "store/flows.h"
#include "store/identity.h"
#include "tests/tap.h"
#include "tests/unit/store_help.h"

static uint64_t rnd;

static uint64_t below(uint64_t n)
{
	return tap_random(&rnd) % n;
}

/* qsort, to which nothing must not be given as NULL. */
static void sort(void *v, size_t n, size_t size, int (*cmp)(const void *a, const void *b))
{
	if (n)
		qsort(v, n, size, cmp);
}

/* ---- flows ---- */

struct model {
	struct flow_rec *f; /* sorted by (start, id) only when asked */
	size_t n, cap;
};

static void model_put(struct model *m, const struct flow_rec *f)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->f[i].start_ns == f->start_ns && m->f[i].id == f->id) {
			m->f[i] = *f;
			return;
		}
	}
	if (m->n == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 256;
		m->f = realloc(m->f, m->cap * sizeof(*m->f));
		if (!m->f)
			abort();
	}
	m->f[m->n++] = *f;
}

static void model_copy(struct model *to, const struct model *from)
{
	to->n = to->cap = from->n;
	to->f = realloc(to->f, (from->n + 1) * sizeof(*to->f));
	if (!to->f)
		abort();
	if (from->n)
		memcpy(to->f, from->f, from->n * sizeof(*to->f));
}

static int by_start(const void *a, const void *b)
{
	const struct flow_rec *x = a, *y = b;

	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static struct addr random_addr(void)
{
	uint8_t v4[4] = {10, 0, 0, (uint8_t)below(12)}, v6[16] = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

	v6[15] = (uint8_t)below(6);
	return below(3) ? addr_from_v4(v4) : addr_from_v6(v6);
}

static uint64_t random_life(void)
{
	switch (below(6)) {
	case 0:
		return 0;
	case 1:
		return 59 * NS_PER_S + below(2 * NS_PER_S);
	case 2:
		return below(6 * 3600 * NS_PER_S);
	default:
		return below(20 * NS_PER_S);
	}
}

/* Coarse times on purpose: equal starts and touching ends must come up. */
static void random_flow(struct flow_rec *f, uint64_t span)
{
	help_flow(f, below(1000));
	f->start_ns = HELP_EPOCH_NS + below(span / NS_PER_S) * NS_PER_S;
	f->end_ns = f->start_ns + random_life() / NS_PER_S * NS_PER_S;
	f->addr[0] = random_addr();
	f->addr[1] = random_addr();
	f->port[0] = (uint16_t)below(8);
	f->workload[0] = below(3) ? 0 : 1 + below(5);
	f->workload[1] = below(3) ? 0 : 1 + below(5);
	f->nat_addr = below(8) ? addr_any : random_addr();
	f->id = flow_id(f);
	if (below(4) == 0) /* ids whose first bits are equal */
		f->id = (f->id & 0xffff) | 0x1234000000000000ull;
	f->conv_id = f->id;
}

static bool model_wants(const struct flow_query *q, const struct flow_rec *f)
{
	if (f->end_ns < q->since_ns || (q->until_ns && f->start_ns > q->until_ns))
		return false;
	if (q->workload && f->workload[0] != q->workload && f->workload[1] != q->workload)
		return false;
	return addr_equal(&q->addr, &addr_any) || addr_equal(&q->addr, &f->addr[0]) ||
	       addr_equal(&q->addr, &f->addr[1]) || addr_equal(&q->addr, &f->nat_addr);
}

struct answer {
	const struct model *m;
	const struct flow_query *q;
	size_t at; /* how many of the model's are accounted for */
	size_t n, stop;
	bool wrong;
};

/* The next of the model's that the question wants. */
static const struct flow_rec *model_next(struct answer *a)
{
	while (a->at < a->m->n) {
		size_t i = a->q->newest_first ? a->m->n - 1 - a->at : a->at;

		a->at++;
		if (model_wants(a->q, &a->m->f[i]))
			return &a->m->f[i];
	}
	return NULL;
}

static int each_flow(void *arg, const struct flow_rec *f)
{
	struct answer *a = arg;
	const struct flow_rec *want = model_next(a);

	a->wrong = a->wrong || !want || !help_flow_equal(f, want);
	return ++a->n == a->stop ? 7 : 0;
}

static void ask(struct store_txn *t, const struct model *m, uint64_t span)
{
	struct flow_query q = {0};
	struct answer a = {.m = m, .q = &q};
	int rc;

	if (below(4))
		q.since_ns = HELP_EPOCH_NS + below(span / NS_PER_S) * NS_PER_S;
	if (below(4))
		q.until_ns = (q.since_ns ? q.since_ns : HELP_EPOCH_NS) + below(2) * below(3600) * NS_PER_S;
	if (below(3) == 0)
		q.workload = 1 + below(6);
	if (below(3) == 0)
		q.addr = random_addr();
	q.newest_first = below(2);
	a.stop = below(5) ? SIZE_MAX : 1 + below(3);
	rc = store_flow_walk(t, &q, each_flow, &a);
	CHECK_EQ(rc, a.n == a.stop ? 7 : 0);
	CHECK(!a.wrong);
	CHECK(a.n == a.stop || !model_next(&a));
}

static void check_get(struct store_txn *t, const struct model *m)
{
	struct flow_rec f;
	const struct flow_rec *want;

	if (!m->n)
		return;
	want = &m->f[below(m->n)];
	CHECK_EQ(store_flow_get(t, want->start_ns, want->id, &f), 0);
	CHECK(help_flow_equal(&f, want));
	CHECK_EQ(store_flow_get(t, want->start_ns, want->id + 1, &f), -ENOENT);
}

static void check_stats(struct store_txn *t, const struct model *m)
{
	struct store_stats st;

	CHECK_EQ(store_stats(t, &st), 0);
	CHECK_EQ(st.flows, m->n);
	CHECK_EQ(st.oldest_flow_ns, m->n ? m->f[0].start_ns : 0);
	CHECK_EQ(st.newest_flow_ns, m->n ? m->f[m->n - 1].start_ns : 0);
}

static void write_some(struct store *s, struct model *m, uint64_t span)
{
	struct model kept = {0};
	struct store_txn *t;
	size_t puts = below(2) ? below(400) : below(20);

	model_copy(&kept, m);
	CHECK_EQ(store_begin(&t, s, true), 0);
	for (size_t i = 0; i < puts; i++) {
		struct flow_rec f;

		random_flow(&f, span);
		if (m->n && below(4) == 0) { /* reported again: lasted longer, a workload is known now */
			f = m->f[below(m->n)];
			f.end_ns += random_life() / NS_PER_S * NS_PER_S;
			f.pkts[0]++;
			f.workload[below(2)] = 1 + below(5);
		}
		CHECK_EQ(store_flow_put(t, &f), 0);
		model_put(m, &f);
		if (below(100) == 0) { /* the transaction sees what it wrote */
			sort(m->f, m->n, sizeof(*m->f), by_start);
			ask(t, m, span);
		}
	}
	sort(m->f, m->n, sizeof(*m->f), by_start);
	if (below(6) == 0) {
		store_abort(t);
		model_copy(m, &kept);
	} else {
		CHECK_EQ(store_commit(t), 0);
	}
	free(kept.f);
}

static void test_flows_model(const struct store_options *o, uint64_t span, unsigned rounds)
{
	char *dir = help_dir();
	struct model m = {0};
	struct store *s;
	struct store_txn *t;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, o), 0);
	for (unsigned i = 0; i < rounds; i++) {
		write_some(s, &m, span);
		if (below(8) == 0) {
			store_close(s);
			CHECK_EQ(store_open(&s, dir, STORE_WRITE, o), 0);
		}
		CHECK_EQ(store_begin(&t, s, false), 0);
		for (unsigned k = 0; k < 20; k++)
			ask(t, &m, span);
		check_get(t, &m);
		check_stats(t, &m);
		store_abort(t);
	}
	store_close(s);
	free(m.f);
	help_remove(dir);
}

/* ---- what retention leaves ---- */

static int collect(void *arg, const struct flow_rec *f)
{
	model_put(arg, f);
	return 0;
}

/* Whole buckets go: what is left is a suffix in time, holds all that is young enough, and its indexes agree. */
static void test_retention_model(void)
{
	struct store_options o = {.keep_ns = 6 * 3600 * NS_PER_S, .no_sync = true};
	uint64_t span = 48 * 3600 * NS_PER_S, now = HELP_EPOCH_NS + span, dropped;
	struct flow_query all = {0};
	struct model m = {0}, left = {0};
	char *dir = help_dir();
	struct store_txn *t;
	struct store *s;
	size_t young = 0, found = 0;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, &o), 0);
	while (m.n < 1500)
		write_some(s, &m, span);
	CHECK_EQ(store_retain(s, now, &dropped), 0);
	CHECK_EQ(store_begin(&t, s, false), 0);
	CHECK_EQ(store_flow_walk(t, &all, collect, &left), 0);
	CHECK_EQ(left.n + dropped, m.n);
	CHECK(dropped > m.n / 2);
	for (size_t i = 0; i < m.n; i++)
		young += m.f[i].end_ns >= now - o.keep_ns;
	for (size_t i = 0; i < left.n; i++)
		found += left.f[i].end_ns >= now - o.keep_ns;
	CHECK_EQ(found, young);
	sort(left.f, left.n, sizeof(*left.f), by_start);
	for (unsigned k = 0; k < 200; k++)
		ask(t, &left, span);
	check_stats(t, &left);
	store_abort(t);
	store_close(s);
	free(m.f);
	free(left.f);
	help_remove(dir);
}

/* ---- address intervals ---- */

#define TIMES 400
#define ADDRS 3

struct line {
	struct addr_interval v[TIMES * 2];
	size_t n;
};

static int by_from(const void *a, const void *b)
{
	const struct addr_interval *x = a, *y = b;

	return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

static bool covers(const struct addr_interval *i, uint64_t at)
{
	return i->from_ns <= at && (i->to_ns == 0 || i->to_ns > at);
}

static void line_remove(struct line *l, uint64_t from)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].from_ns == from) {
			l->v[i] = l->v[--l->n];
			return;
		}
	}
}

/* The rules of identity.h in the plainest form. */
static void line_bind(struct line *l, uint64_t workload, uint64_t from)
{
	struct addr_interval new = {.workload = workload, .from_ns = from}, next = {.from_ns = UINT64_MAX};

	for (size_t i = 0; i < l->n; i++) {
		struct addr_interval *v = &l->v[i];

		if (v->workload == workload && v->from_ns == from && i == l->n - 1)
			v->to_ns = 0;
		if (v->workload == workload && (covers(v, from) || v->from_ns == from))
			return;
		if (v->from_ns > from && v->from_ns < next.from_ns)
			next = *v;
	}
	line_remove(l, from);
	for (size_t i = 0; i < l->n; i++)
		if (covers(&l->v[i], from))
			l->v[i].to_ns = from;
	if (next.workload == workload) {
		new.to_ns = next.to_ns;
		line_remove(l, next.from_ns);
	} else if (next.workload) {
		new.to_ns = next.from_ns;
	}
	l->v[l->n++] = new;
	sort(l->v, l->n, sizeof(l->v[0]), by_from);
}

static void line_unbind(struct line *l, uint64_t workload, uint64_t to)
{
	struct addr_interval *v = l->n ? &l->v[l->n - 1] : NULL;

	if (v && v->workload == workload && v->to_ns == 0)
		v->to_ns = to > v->from_ns ? to : v->from_ns;
}

/* Nearest within slack; of several the one that began last. */
static const struct addr_interval *line_who(const struct line *l, uint64_t at, uint64_t slack)
{
	const struct addr_interval *best = NULL;
	uint64_t best_off = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct addr_interval *v = &l->v[i];
		uint64_t off = v->from_ns > at ? v->from_ns - at : v->to_ns && v->to_ns < at ? at - v->to_ns : 0;

		if (off > slack)
			continue;
		if (!best || off < best_off || (off == best_off && v->from_ns <= at)) {
			best = v;
			best_off = off;
		}
	}
	return best;
}

static void check_line(struct store_txn *t, const struct addr *a, const struct line *l)
{
	struct addr_interval *v = NULL, who;
	size_t n = 0;

	CHECK_EQ(store_addr_history(t, a, &v, &n), 0);
	CHECK_EQ(n, l->n);
	for (size_t i = 0; i < n && i < l->n; i++)
		CHECK(v[i].workload == l->v[i].workload && v[i].from_ns == l->v[i].from_ns &&
		      v[i].to_ns == l->v[i].to_ns && addr_equal(&v[i].addr, a));
	free(v);
	for (unsigned k = 0; k < 30; k++) {
		uint64_t at = below(TIMES + 20), slack = below(3) ? 0 : below(15);
		const struct addr_interval *want = line_who(l, at, slack);
		int rc = store_addr_who(t, a, at, slack, &who);

		CHECK_EQ(rc, want ? 0 : -ENOENT);
		if (want && !rc)
			CHECK(who.workload == want->workload && who.from_ns == want->from_ns);
	}
}

static void test_addr_model(unsigned rounds)
{
	static const char *const texts[ADDRS] = {"10.0.0.1", "10.0.0.2", "fd00::1"};
	static struct line line[ADDRS];
	char *dir = help_dir();
	struct store_options o = {.no_sync = true};
	struct store_txn *t;
	struct store *s;

	CHECK_EQ(store_open(&s, dir, STORE_WRITE, &o), 0);
	for (unsigned r = 0; r < rounds; r++) {
		memset(line, 0, sizeof(line));
		CHECK_EQ(store_begin(&t, s, true), 0);
		for (unsigned k = 0; k < 60; k++) {
			unsigned which = (unsigned)below(ADDRS);
			uint64_t w = 1 + below(4), at = 1 + below(TIMES);
			struct addr a;

			CHECK_EQ(addr_parse(&a, texts[which]), 0);
			if (below(3)) {
				CHECK_EQ(store_addr_bind(t, &a, w, at), 0);
				line_bind(&line[which], w, at);
			} else {
				CHECK_EQ(store_addr_unbind(t, &a, w, at), 0);
				line_unbind(&line[which], w, at);
			}
			check_line(t, &a, &line[which]);
		}
		store_abort(t); /* so that each round begins with nothing */
	}
	store_close(s);
	help_remove(dir);
}

int main(void)
{
	struct store_options plain = {.no_sync = true};
	struct store_options narrow = {.keep_ns = NS_PER_S, .no_sync = true};
	struct store_options small = {.size_budget = 4 << 20, .no_sync = true};

	rnd = tap_seed();
	test_flows_model(&plain, 24 * 3600 * NS_PER_S, 25);
	test_flows_model(&narrow, 60 * 24 * 3600 * NS_PER_S, 25); /* more ten-minute buckets than there can be */
	test_flows_model(&small, 600 * NS_PER_S, 10);             /* buckets closed by size */
	test_retention_model();
	test_addr_model(40);
	return tap_done();
}
