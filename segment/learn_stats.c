/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Readiness: how likely it is that the next flow of a group takes an edge never seen, so that enforcing would block it.
 * Good (1953) and Turing: the share of flows whose edge was seen only once estimates the probability of the unseen. Its
 * upper bound is Clopper and Pearson's (1934), by bisection on the regularised incomplete beta function, which is
 * summed as the continued fraction of DLMF 8.17.22 in the way of Lentz.
 */
#include "config.h"
#include "segment/learn.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TINY 1e-300

/* The continued fraction of I_x(a, b), for x below about the mean. */
static double beta_fraction(double a, double b, double x)
{
	double c = 1, d = 1 - (a + b) * x / (a + 1), h;

	d = 1 / (fabs(d) < TINY ? TINY : d);
	h = d;
	/* Converges in about the square root of the larger argument; a million is beyond any count of flows. */
	for (double m = 1; m < 1e6; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double step;

		d = 1 + even * d;
		c = 1 + even / c;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = fabs(c) < TINY ? TINY : c;
		h *= d * c;
		d = 1 + odd * d;
		c = 1 + odd / c;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = fabs(c) < TINY ? TINY : c;
		step = d * c;
		h *= step;
		if (fabs(step - 1) < 1e-14)
			break;
	}
	return h;
}

static double log_gamma(double x)
{
	int sign;

	return lgamma_r(x, &sign);
}

/* I_x(a, b): the probability of at least a hits in a + b - 1 trials of probability x. */
static double beta_regularised(double a, double b, double x)
{
	double front;

	if (x <= 0 || x >= 1)
		return x <= 0 ? 0 : 1;
	front = exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * log(x) + b * log1p(-x));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double learn_upper_bound(uint64_t k, uint64_t n, double confidence)
{
	double lo, hi = 1;

	if (n == 0 || k >= n)
		return 1;
	lo = (double)k / (double)n;
	/* 60 halvings: beyond what a double tells apart. */
	for (unsigned i = 0; i < 60; i++) {
		double mid = (lo + hi) / 2;

		if (beta_regularised((double)k + 1, (double)(n - k), mid) < confidence)
			lo = mid;
		else
			hi = mid;
	}
	return hi;
}

/* An edge on its way to its group's figures. */
struct owned {
	const char *owner;
	const struct edge *edge;
	uint8_t decision;
};

static int by_owner(const void *va, const void *vb)
{
	const struct owned *a = va, *b = vb;

	return strcmp(a->owner, b->owner);
}

/* How often the edge was taken by a flow that teaches. Pieces of one long conversation are one. */
static uint64_t times_taken(const struct edge_agg *a)
{
	uint64_t flows = a->flows ? a->flows : 1;

	return a->teaching < flows ? a->teaching : flows;
}

static void measure(struct learn_readiness *r, const struct owned *o, size_t n)
{
	uint64_t hours[3] = {0, 0, 0};

	memset(r, 0, sizeof(*r));
	snprintf(r->group, sizeof(r->group), "%s", o->owner);
	for (size_t i = 0; i < n; i++) {
		const struct edge_agg *a = &o[i].edge->agg;
		uint64_t times = times_taken(a);

		r->asked += o[i].decision == LEARN_ASK;
		if (o[i].decision != LEARN_ALLOW)
			continue;
		r->edges++;
		r->flows += times;
		r->edges_once += times == 1;
		for (unsigned k = 0; k < 3; k++)
			hours[k] |= a->hours[k];
		if (r->since_ns == 0 || a->first_ns < r->since_ns)
			r->since_ns = a->first_ns;
		if (a->last_ns > r->until_ns)
			r->until_ns = a->last_ns;
	}
	for (unsigned k = 0; k < 3; k++)
		r->hours_of_week += (unsigned)__builtin_popcountll(hours[k]);
	r->p_unseen = r->flows ? (double)r->edges_once / (double)r->flows : 1;
	r->p_unseen_upper = learn_upper_bound(r->edges_once, r->flows, 0.95);
}

int learn_readiness(struct learn_readiness **out, size_t *n_out, const struct edge *edges, size_t n_edges)
{
	struct owned *all = calloc(n_edges + 1, sizeof(*all));
	uint8_t *decisions = calloc(n_edges + 1, 1);
	struct learn_readiness *found = NULL;
	size_t n = 0, n_found = 0;
	bool inbound;
	int rc = all && decisions ? learn_decide_all(decisions, edges, n_edges) : -ENOMEM;

	for (size_t i = 0; i < n_edges && rc == 0; i++) {
		const char *owner = learn_owner(&edges[i], &inbound);

		if (owner)
			all[n++] = (struct owned){owner, &edges[i], decisions[i]};
	}
	if (rc == 0) {
		qsort(all, n, sizeof(*all), by_owner);
		for (size_t i = 0; i < n; i++)
			n_found += i == 0 || by_owner(&all[i - 1], &all[i]) != 0;
		found = calloc(n_found + 1, sizeof(*found));
		rc = found ? 0 : -ENOMEM;
	}
	n_found = 0;
	for (size_t i = 0, k; i < n && rc == 0; i = k) {
		for (k = i + 1; k < n && by_owner(&all[i], &all[k]) == 0;)
			k++;
		measure(&found[n_found++], &all[i], k - i);
	}
	free(all);
	free(decisions);
	if (rc == 0) {
		*out = found;
		*n_out = n_found;
	}
	return rc;
}

void learn_readiness_format(struct buf *b, const struct learn_readiness *r)
{
	double percent = r->p_unseen_upper * 100;

	if (r->flows == 0) {
		buf_adds(b, "no flow that teaches yet");
	} else {
		buf_printf(b,
			   "%" PRIu64 " flow%s on %" PRIu64 " edge%s, %" PRIu64
			   " of them seen once: the next flow takes a new edge "
			   "with a probability below %.*f %% (95 %% sure); %u of 168 hours of the week seen",
			   r->flows, r->flows == 1 ? "" : "s", r->edges, r->edges == 1 ? "" : "s", r->edges_once,
			   percent < 1	  ? 2
			   : percent < 10 ? 1
					  : 0,
			   percent, r->hours_of_week);
	}
	if (r->asked)
		buf_printf(b, "; %u one-way edge%s for you to decide", r->asked, r->asked == 1 ? " waits" : "s wait");
}
