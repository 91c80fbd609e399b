/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * nDPI's state costs thirty times what a flow costs, so few flows have one and none has it for long: it is taken at
 * the first payload byte and given back at the verdict, of which only plain values stay. The number of states is
 * bounded; when all are taken, the one that has been held longest is brought to a verdict on what it has seen so far.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "capture/worker_private.h"
#include "common/proto.h"
#include "common/timefmt.h"

#define LARGE_MAX 65535 /* what an IP header can promise */
_Static_assert(SOURCE_SLACK >= CLASSIFY_SLACK, "frames that stay are given to nDPI where they lie");

int inspect_init(struct worker *w)
{
	size_t bytes = (size_t)w->set.dpi_flows_max * sizeof(*w->dpi);

	buf_init(&w->attrs);
	w->dpi = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (w->dpi == MAP_FAILED) {
		w->dpi = NULL;
		return -ENOMEM;
	}
	return classify_new(&w->classify);
}

void inspect_fini(struct worker *w)
{
	if (w->dpi) {
		for (uint32_t i = 0; i < w->dpi_high; i++)
			if (w->dpi[i].state)
				classify_flow_free(w->classify, w->dpi[i].state);
		munmap(w->dpi, (size_t)w->set.dpi_flows_max * sizeof(*w->dpi));
	}
	if (w->classify)
		classify_free(w->classify);
	buf_fini(&w->attrs);
	free(w->large);
}

static void release(struct worker *w, struct flow *f)
{
	uint32_t i = f->dpi_slot;

	classify_flow_free(w->classify, w->dpi[i].state);
	w->dpi[i].state = NULL;
	w->dpi[i].flow = NULL;
	w->dpi[i].next_free = w->dpi_free;
	w->dpi_free = i + 1;
	w->dpi_live--;
	f->flags &= (uint8_t)~FLOW_HAS_DPI;
}

static void ends_of(struct flow_rec *rec, const struct flow *f)
{
	for (unsigned i = 0; i < 2; i++) {
		rec->addr[i] = f->key.addr[i];
		rec->port[i] = f->key.port[i];
	}
	rec->proto = f->key.proto;
	rec->icmp_code = f->icmp_code;
}

/* The verdict into values that stay; the state goes. Without memory the flow stays unknown. */
static void settle(struct worker *w, struct flow *f, bool giveup)
{
	struct flow_rec rec = {0};
	struct flow_app *app;

	ends_of(&rec, f);
	buf_clear(&w->attrs);
	classify_verdict(w->classify, w->dpi[f->dpi_slot].state, giveup, &rec, &w->attrs);
	release(w, f);
	if (buf_failed(&w->attrs))
		buf_fini(&w->attrs);
	app = malloc(sizeof(*app) + w->attrs.len);
	f->app = app;
	if (!app) {
		f->flags |= FLOW_NO_DPI;
		return;
	}
	app->risk = rec.risk;
	app->master = rec.app_master;
	app->proto = rec.app_proto;
	app->confidence = rec.confidence;
	memcpy(app->app, rec.app, sizeof(app->app));
	memcpy(app->category, rec.category, sizeof(app->category));
	app->attrs_len = (uint16_t)w->attrs.len;
	if (w->attrs.len)
		memcpy(app->attrs, w->attrs.data, w->attrs.len);
	f->flags |= FLOW_HAS_APP;
}

/* A slot for f; false when there is no memory for the state behind it. */
static bool acquire(struct worker *w, struct flow *f)
{
	struct classify_flow *state;
	uint32_t i;

	if (w->dpi_free == 0 && w->dpi_high == w->set.dpi_flows_max) {
		settle(w, w->dpi[w->dpi_hand].flow, true);
		w->dpi_hand = (w->dpi_hand + 1) % w->set.dpi_flows_max;
	}
	state = classify_flow_new(w->classify);
	if (!state)
		return false;
	if (w->dpi_free) {
		i = w->dpi_free - 1;
		w->dpi_free = w->dpi[i].next_free;
	} else {
		i = w->dpi_high++;
	}
	if (f->key.proto == PROTO_TCP && (f->tcp_flags[0] & TCP_SYN))
		classify_flow_syn(state);
	w->dpi[i].state = state;
	w->dpi[i].flow = f;
	w->dpi_live++;
	f->dpi_slot = i;
	f->flags |= FLOW_HAS_DPI;
	return true;
}

/* A packet too large to be copied before is looked at where it lies, which may be at the very end of a ring: nDPI gets
 * it with room behind it. NULL without memory. */
static const uint8_t *with_slack(struct worker *w, const struct packet *p, size_t *len)
{
	*len = p->ip_len;
	if (w->frames_stay || p->ip_len <= PENDING_BYTES)
		return p->ip;
	if (!w->large)
		w->large = malloc(LARGE_MAX + CLASSIFY_SLACK);
	if (!w->large)
		return NULL;
	*len = p->ip_len < LARGE_MAX ? p->ip_len : LARGE_MAX;
	memset(w->large + *len, 0, CLASSIFY_SLACK);
	return memcpy(w->large, p->ip, *len);
}

void inspect_packet(struct worker *w, struct flow *f, const struct packet *p, unsigned dir)
{
	const uint8_t *ip;
	size_t len;

	if (!(f->flags & FLOW_HAS_DPI) && !acquire(w, f)) {
		f->flags |= FLOW_NO_DPI;
		return;
	}
	ip = with_slack(w, p, &len);
	if (ip && classify_packet(w->classify, w->dpi[f->dpi_slot].state, ip, len, dir == 0, w->now_ns / NS_PER_MS))
		settle(w, f, false);
}

void inspect_report(struct worker *w, struct flow *f, struct flow_rec *rec, bool final)
{
	if ((f->flags & FLOW_HAS_DPI) && final)
		settle(w, f, true);
	memcpy(rec->app, "Unknown", sizeof("Unknown"));
	if (f->flags & FLOW_HAS_APP) {
		rec->risk = f->app->risk;
		rec->app_master = f->app->master;
		rec->app_proto = f->app->proto;
		rec->confidence = f->app->confidence;
		memcpy(rec->app, f->app->app, sizeof(rec->app));
		memcpy(rec->category, f->app->category, sizeof(rec->category));
		rec->attrs_len = f->app->attrs_len;
		rec->attrs = rec->attrs_len ? f->app->attrs : NULL;
		return;
	}
	if (!(f->flags & FLOW_HAS_DPI) && !final)
		return;
	buf_clear(&w->attrs);
	classify_verdict(w->classify, f->flags & FLOW_HAS_DPI ? w->dpi[f->dpi_slot].state : NULL, final, rec,
			 &w->attrs);
	if (buf_failed(&w->attrs))
		buf_fini(&w->attrs);
	rec->attrs_len = (uint16_t)w->attrs.len;
	rec->attrs = rec->attrs_len ? (const uint8_t *)w->attrs.data : NULL;
}

void inspect_forget(struct worker *w, struct flow *f)
{
	if (f->flags & FLOW_HAS_DPI)
		release(w, f);
	if (f->flags & FLOW_HAS_APP)
		free(f->app);
	f->flags &= (uint8_t)~FLOW_HAS_APP;
}
