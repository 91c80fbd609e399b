/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The coverage ledger: what each interface counted and lost, written to the store and remembered long enough to say
 * of a flow whether anything was lost while it lasted. Records of a batch that the store did not take are a loss of
 * their own.
 */
#include "config.h"
#include "daemon/engine.h"

#include <errno.h>
#include <string.h>

#include "common/timefmt.h"
#include "daemon/engine_impl.h"
#include "store/history.h"

/* A place for one more: that of the interface that has been quiet longest, and has nothing left to write down. */
static size_t reuse(struct engine *e)
{
	size_t best = ENGINE_IFACES_MAX;

	for (size_t i = 0; i < ENGINE_IFACES_MAX; i++)
		if (!e->ifaces[i].pending && !e->ifaces[i].lost_store &&
		    (best == ENGINE_IFACES_MAX || e->sums[i].end_ns < e->sums[best].end_ns))
			best = i;
	return best;
}

struct ledger_iface *ledger_iface_of(struct engine *e, uint32_t iface)
{
	size_t at;

	/* The same one comes again and again. */
	if (e->last_iface < e->n_ifaces && e->sums[e->last_iface].iface == iface)
		return &e->ifaces[e->last_iface];
	for (size_t i = 0; i < e->n_ifaces; i++) {
		if (e->sums[i].iface == iface) {
			e->last_iface = i;
			return &e->ifaces[i];
		}
	}
	/* Bridges come and go, each with a number of its own. */
	at = e->n_ifaces < ENGINE_IFACES_MAX ? e->n_ifaces++ : reuse(e);
	if (at == ENGINE_IFACES_MAX)
		return NULL;
	memset(&e->sums[at], 0, sizeof(e->sums[0]));
	memset(&e->ifaces[at], 0, sizeof(e->ifaces[0]));
	e->sums[at].iface = iface;
	e->last_iface = at;
	return &e->ifaces[at];
}

bool ledger_complete(struct engine *e, const struct flow_rec *f)
{
	const struct ledger_iface *l = ledger_iface_of(e, f->iface);

	for (unsigned i = 0; l && i < LOSS_WINDOWS; i++)
		if (l->loss[i].end_ns && f->start_ns <= l->loss[i].end_ns && f->end_ns >= l->loss[i].start_ns)
			return false;
	return l != NULL;
}

static void count(struct engine *e, const struct coverage_rec *c)
{
	struct ledger_iface *l = ledger_iface_of(e, c->iface);

	if (l) {
		struct coverage_rec *sum = &e->sums[l - e->ifaces];

		coverage_merge(sum, c);
		memcpy(sum->iface_name, c->iface_name, sizeof(sum->iface_name));
		if (!coverage_complete(c)) {
			l->loss[l->next_loss].start_ns = c->start_ns;
			l->loss[l->next_loss].end_ns = c->end_ns;
			l->next_loss = (l->next_loss + 1) % LOSS_WINDOWS;
		}
	}
	e->stats.gaps += c->gap;
	e->stats.lost += c->lost_kernel + c->lost_interface + c->lost_ring + c->lost_store;
	if (c->end_ns > e->stats.newest_ns)
		e->stats.newest_ns = c->end_ns;
}

int engine_coverage(struct engine *e, const struct coverage_rec *told)
{
	struct coverage_rec c = *told;

	if (engine_is_ahead(e, c.iface, c.start_ns, c.end_ns))
		return -EBADMSG;
	if (c.end_ns < c.start_ns) /* the clock was set back meanwhile */
		c.end_ns = c.start_ns;
	count(e, &c);
	if (engine_txn(e))
		engine_failed(e, store_coverage_add(e->txn, &c));
	return 0;
}

static int recall(void *arg, const struct coverage_rec *c)
{
	count(arg, c);
	return 0;
}

void engine_recall(struct engine *e, uint64_t since_ns)
{
	if (!engine_txn(e))
		return;
	/* All that was counted here so far is in this transaction, too, but for what is to be written with the next
	 * commit. */
	e->stats.gaps = e->stats.lost = 0;
	for (size_t i = 0; i < e->n_ifaces; i++) {
		struct coverage_rec sum = {.iface = e->sums[i].iface, .lost_store = e->ifaces[i].lost_store};

		memcpy(sum.iface_name, e->sums[i].iface_name, sizeof(sum.iface_name));
		e->sums[i] = sum;
		e->stats.lost += sum.lost_store;
	}
	store_coverage_walk(e->txn, since_ns, 0, recall, e);
}

void ledger_batch_kept(struct engine *e)
{
	for (size_t i = 0; i < e->n_ifaces; i++)
		e->ifaces[i].pending = e->ifaces[i].lost_store = 0;
}

void ledger_lost(struct engine *e, uint32_t iface)
{
	struct ledger_iface *l = ledger_iface_of(e, iface);

	if (l) {
		l->lost_store++;
		e->sums[l - e->ifaces].lost_store++;
	}
	e->stats.lost_store++;
	e->stats.lost++;
}

void ledger_batch_failed(struct engine *e)
{
	for (size_t i = 0; i < e->n_ifaces; i++) {
		struct ledger_iface *l = &e->ifaces[i];

		l->lost_store += l->pending;
		e->sums[i].lost_store += l->pending;
		e->stats.lost_store += l->pending;
		e->stats.lost += l->pending;
		l->pending = 0;
	}
}

int ledger_write_lost(struct engine *e)
{
	uint64_t now = e->o.live ? time_now_ns() : e->stats.newest_ns;
	int rc = 0;

	for (size_t i = 0; i < e->n_ifaces && rc == 0; i++) {
		struct coverage_rec c = {0};

		if (!e->ifaces[i].lost_store)
			continue;
		c.start_ns = now - now % COVERAGE_INTERVAL_NS;
		c.end_ns = now;
		c.iface = e->sums[i].iface;
		memcpy(c.iface_name, e->sums[i].iface_name, sizeof(c.iface_name));
		c.lost_store = e->ifaces[i].lost_store;
		rc = store_coverage_add(e->txn, &c);
	}
	return rc;
}

size_t engine_ifaces(const struct engine *e, const struct coverage_rec **out)
{
	*out = e->sums;
	return e->n_ifaces;
}
