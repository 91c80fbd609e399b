/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The way of a record through the engine: decode, name both ends, hold it back a moment if a name may still come
 * (engine_hold.c), say what the policy says of it, fold it into its edge, store it. See engine.h.
 */
#include "config.h"
#include "daemon/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto.h"
#include "common/timefmt.h"
#include "daemon/engine_impl.h"
#include "segment/eval.h"
#include "store/flows.h"
#include "store/history.h"

#define PROTO_IGMP 2
/* How far a record may be ahead of the clock, which may just have been set back. What lies further ahead would stay in
 * the store for ever: its time to be forgotten does not come. */
#define AHEAD_NS (3600 * NS_PER_S)

int engine_new(struct engine **out, struct store *store, const struct engine_options *o)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->o = *o;
	e->store = store;
	e->held_end = &e->held;
	hash_secret_init(&e->secret);
	if (names_new(&e->names, !o->live) || fold_new(&e->fold)) {
		engine_free(e);
		return -ENOMEM;
	}
	*out = e;
	return 0;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	store_abort(e->txn);
	hold_free(e);
	fold_free(e->fold);
	names_free(e->names);
	policy_free(e->policy);
	if (e->ruleset)
		ruleset_fini(e->ruleset);
	free(e->ruleset);
	free(e->answers);
	free(e->unnamed);
	free(e);
}

struct names *engine_names(struct engine *e)
{
	return e->names;
}

void engine_failed(struct engine *e, int rc)
{
	if (rc && !e->txn_error)
		e->txn_error = rc;
}

struct store_txn *engine_txn(struct engine *e)
{
	if (!e->txn && e->store && !e->txn_error) {
		int rc = store_begin(&e->txn, e->store, true);

		if (rc) {
			e->txn = NULL;
			engine_failed(e, rc);
		}
	}
	return e->txn_error ? NULL : e->txn;
}

static struct answer *answer_slot(const struct engine *e, const struct addr *a)
{
	return &e->answers[hash_bytes(&e->secret, a->b, sizeof(a->b)) % ANSWERS];
}

/* DNS answers seen in the flow: kept in the store, and at hand for naming edges. */
static void learn_answers(struct engine *e, const struct flow_rec *f)
{
	size_t cursor = 0, len;
	const uint8_t *p;
	char name[256];

	if (!f->attrs_len || f->state == FLOW_STATE_NEW)
		return;
	name[0] = '\0';
	while ((p = flow_attr_next(f, FLOW_ATTR_DNS_ANSWER, &cursor, &len))) {
		uint32_t ttl;
		struct addr a;
		int rc;

		if (len != 8 && len != 20)
			continue;
		if (!name[0])
			flow_attr_text(f, FLOW_ATTR_DNS_QUERY, name, sizeof(name));
		if (!name[0])
			return;
		ttl = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
		a = len == 8 ? addr_from_v4(p + 4) : addr_from_v6(p + 4);
		if (!e->answers)
			e->answers = calloc(ANSWERS, sizeof(*e->answers));
		if (e->answers) {
			struct answer *slot = answer_slot(e, &a);

			slot->addr = a;
			memset(slot->name, 0, sizeof(slot->name));
			memcpy(slot->name, name, strnlen(name, sizeof(slot->name) - 1));
		}
		if (engine_txn(e)) {
			rc = store_name_put(e->txn, &a, name, ttl, f->end_ns);
			engine_failed(e, rc);
		}
	}
}

static const char *answer_of(const struct engine *e, const struct addr *a)
{
	const struct answer *slot = e->answers ? answer_slot(e, a) : NULL;

	return slot && addr_equal(&slot->addr, a) ? slot->name : "";
}

/* What the policy in force says of a connection that began under it. */
static uint8_t verdict_of(const struct engine *e, const struct flow_rec *f, const struct names_end end[2])
{
	struct eval_end src, dst;
	struct eval_result r;

	if (!e->ruleset || f->direction == FLOW_DIR_UNKNOWN || f->start_ns < e->policy_since_ns || f->conv_id != f->id)
		return VERDICT_NONE;
	if (proto_is_icmp_error(f->proto, f->port[1])) /* it goes with the conversation that it is about */
		return VERDICT_NONE;
	src.addr = f->addr[0];
	src.group = names_group(e->names, end[0].group);
	dst.addr = f->addr[1];
	dst.group = names_group(e->names, end[1].group);
	eval(&r, e->ruleset, &src, &dst, f->proto, f->port[1]);
	return r.verdict == VERDICT_BLOCK && e->lapsed ? VERDICT_WOULD_BLOCK : r.verdict;
}

void engine_find_ends(const struct engine *e, const struct flow_rec *f, struct names_end end[2])
{
	for (unsigned i = 0; i < 2; i++) {
		names_find(e->names, &f->addr[i], f->start_ns, &end[i]);
		if (end[i].late && f->end_ns != f->start_ns)
			names_find(e->names, &f->addr[i], f->end_ns, &end[i]);
	}
}

static int put_flow(struct engine *e, struct flow_rec *f)
{
	int rc = store_flow_put(e->txn, f);

	if (rc == -EMSGSIZE) {
		f->attrs = NULL;
		f->attrs_len = 0;
		rc = store_flow_put(e->txn, f);
	}
	return rc;
}

/* The report before this one of the same record, if there is one; turns f (and end) to how it was found to be. False: f
 * says nothing new, having been held back while a later report went past it. */
static bool follow_up(struct engine *e, struct flow_rec *f, struct names_end end[2], struct flow_rec *last, bool *found)
{
	*found = e->o.live && engine_txn(e) && store_flow_get(e->txn, f->start_ns, f->id, last) == 0;
	if (!*found)
		return true;
	if (last->reason != FLOW_REASON_ACTIVE || last->pkts[0] + last->pkts[1] > f->pkts[0] + f->pkts[1])
		return false;
	if (hold_inherit(f, last))
		engine_find_ends(e, f, end);
	return true;
}

/* What hosts say on a link to keep it going (RFC 4861, RFC 3810, RFC 3376): kept as flows, but nobody's traffic with
 * anybody, so no edge. */
static bool is_housekeeping(const struct flow_rec *f)
{
	uint16_t type = f->port[1];

	return f->proto == PROTO_IGMP || (f->proto == PROTO_ICMP6 && ((type >= 130 && type <= 137) || type == 143));
}

void engine_write(struct engine *e, struct flow_rec *f, const struct names_end found_end[2])
{
	struct names_end end[2] = {found_end[0], found_end[1]};
	struct ledger_iface *iface = ledger_iface_of(e, f->iface);
	struct fold_flow fold;
	struct flow_rec last;
	bool again;

	if (f->end_ns < f->start_ns) /* the clock was set back while it lasted; the store takes no such record */
		f->end_ns = f->start_ns;
	if (!follow_up(e, f, end, &last, &again))
		return;
	for (unsigned i = 0; i < 2; i++) {
		f->workload[i] = end[i].workload;
		f->unnamed[i] = FLOW_UNNAMED_NONE;
		if (end[i].late && e->o.live)
			f->unnamed[i] = unnamed_why(e, f, i, &end[i]);
	}
	f->verdict = verdict_of(e, f, end);
	if (again && f->verdict == VERDICT_NONE)
		f->verdict = last.verdict;
	fold = (struct fold_flow){f, again ? &last : NULL, end[0].group, end[1].group, ledger_complete(e, f),
				  answer_of(e, &f->addr[1])};
	if (!is_housekeeping(f))
		fold_add(e->fold, &fold);
	e->stats.flows += !again;
	if (!again && !is_housekeeping(f)) { /* an IPv6 host's solicitations from its link's address miss no name */
		e->stats.unnamed += end[0].late + end[1].late;
		e->stats.unnamed_why[f->unnamed[0]]++;
		e->stats.unnamed_why[f->unnamed[1]]++;
	}
	learn_answers(e, f);
	if (engine_txn(e))
		engine_failed(e, put_flow(e, f));
	if (iface)
		iface->pending++;
	e->pending++;
	if (f->end_ns > e->stats.newest_ns)
		e->stats.newest_ns = f->end_ns;
	if (e->o.on_flow)
		e->o.on_flow(e->o.arg, f, end);
}

bool engine_is_ahead(struct engine *e, uint32_t iface, uint64_t start_ns, uint64_t end_ns)
{
	uint64_t limit = e->o.live ? time_now_ns() + AHEAD_NS : UINT64_MAX;

	if (start_ns <= limit && end_ns <= limit)
		return false;
	e->stats.bad_records++;
	ledger_lost(e, iface);
	return true;
}

int engine_flow(struct engine *e, const void *data, size_t len, uint64_t now_ns)
{
	struct names_end end[2];
	struct flow_rec f;
	int rc = flow_decode(&f, data, len);

	if (rc) {
		e->stats.bad_records++;
		return rc;
	}
	if (engine_is_ahead(e, f.iface, f.start_ns, f.end_ns))
		return -EBADMSG;
	engine_find_ends(e, &f, end);
	if (e->o.live && e->o.grace_ns) {
		bool ask = hold_wants_origin(e, &f, end);

		if (ask || end[0].late || end[1].late) {
			hold_add(e, data, len, now_ns + e->o.grace_ns, ask ? ++e->last_token : 0);
			if (ask)
				e->o.ask(e->o.arg, &f, e->last_token);
			return 0;
		}
	}
	engine_write(e, &f, end);
	return 0;
}

int engine_attempts(struct engine *e, const void *data, size_t len)
{
	struct flow_attempts a;
	struct names_end dst;
	struct ledger_iface *iface;
	int rc = flow_attempts_decode(&a, data, len);

	if (rc) {
		e->stats.bad_records++;
		return rc;
	}
	if (engine_is_ahead(e, a.iface, a.start_ns, a.end_ns))
		return -EBADMSG;
	if (a.end_ns < a.start_ns)
		a.end_ns = a.start_ns;
	e->stats.attempts++;
	e->pending++;
	iface = ledger_iface_of(e, a.iface);
	if (iface)
		iface->pending++;
	if (engine_txn(e))
		engine_failed(e, store_attempts_put(e->txn, &a));
	if (a.end_ns > e->stats.newest_ns)
		e->stats.newest_ns = a.end_ns;
	if (e->o.on_attempts) {
		names_find(e->names, &a.dst, a.start_ns, &dst);
		e->o.on_attempts(e->o.arg, &a, &dst);
	}
	return 0;
}

void engine_verdict(struct engine *e, const struct verdict_rec *v)
{
	struct verdict_rec named = *v;
	const struct addr *const addr[2] = {&v->src, &v->dst};

	if (named.last_ns < named.first_ns) /* the clock was set back meanwhile */
		named.last_ns = named.first_ns;
	for (unsigned i = 0; i < 2; i++) {
		struct names_end end;

		names_find(e->names, addr[i], named.last_ns, &end);
		if (!named.workload[i])
			named.workload[i] = end.workload;
		if (!named.group[i][0])
			memcpy(named.group[i], names_group(e->names, end.group),
			       strnlen(names_group(e->names, end.group), sizeof(named.group[i]) - 1));
	}
	if (engine_txn(e))
		engine_failed(e, store_verdict_add(e->txn, &named));
	e->pending++;
}

int engine_commit(struct engine *e)
{
	uint64_t start = time_mono_ns(), took;
	struct store_txn *t;
	int rc = 0;

	if (!e->store)
		return 0; /* edges stay gathered: they are the answer */
	if (!e->txn && !e->txn_error && !fold_pending(e->fold))
		return 0;
	if (engine_txn(e))
		engine_failed(e, ledger_write_lost(e));
	if (engine_txn(e))
		engine_failed(e, fold_flush(e->fold, e->txn, e->names));
	t = e->txn;
	e->txn = NULL;
	rc = e->txn_error;
	if (rc)
		store_abort(t);
	else if (t)
		rc = store_commit(t);
	e->txn_error = 0;
	e->stats.last_error = rc;
	if (rc) {
		/* What grew is measured against what the store has; edges of a batch it does not have must go too. */
		ledger_batch_failed(e);
		fold_free(e->fold);
		if (fold_new(&e->fold))
			abort(); /* the daemon cannot go on without; its parent starts a new engine */
	} else {
		ledger_batch_kept(e);
		e->stats.commits++;
	}
	e->pending = 0;
	took = time_mono_ns() - start;
	if (took > e->stats.commit_ns_max)
		e->stats.commit_ns_max = took;
	return rc;
}

size_t engine_pending(const struct engine *e)
{
	return e->pending;
}

int engine_retain(struct engine *e, uint64_t now_ns)
{
	uint64_t dropped;
	int rc = engine_commit(e);
	int kept = e->store ? store_retain(e->store, now_ns, &dropped) : 0;

	return rc ? rc : kept;
}

void engine_edges(const struct engine *e, void (*fn)(void *arg, const struct edge_key *key, const struct edge_agg *agg),
		  void *arg)
{
	fold_each(e->fold, e->names, fn, arg);
}

void engine_stats(const struct engine *e, struct engine_stats *out)
{
	*out = e->stats;
	out->edges_pending = fold_pending(e->fold);
}
