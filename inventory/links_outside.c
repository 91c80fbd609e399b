/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The veth that leads outside. Where weir's host is itself a container or a namespace, its way out is a veth too. What
 * goes over it is seen on the link of the workload that it is about as well, and here mostly under the host's name;
 * what is left is the host's own traffic with the world, not captured on an ordinary host either. So it is left out for
 * as long as the routes say that it leads outside. They may come after weir, and may go: what is known is asked
 * again when they change, though not ten times in a moment.
 */
#include "config.h"
#include "inventory/links_impl.h"

#include <stdio.h>

#include "common/timefmt.h"

#define ASK_EVERY_NS (100 * NS_PER_MS)

static void ask(struct links *l, struct link *k)
{
	struct addr own[16];
	struct routes_link about = {.ifindex = k->k.ifindex, .in_vrf = k->k.master != 0, .addrs = own};
	uint64_t now = time_mono_ns();

	if (k->asked)
		return;
	if (k->asked_ns && now - k->asked_ns < ASK_EVERY_NS) {
		links_wake(l, k->asked_ns + ASK_EVERY_NS);
		return; /* the last answer will do until then */
	}
	for (size_t i = 0; i < l->n_addrs && about.n_addrs < sizeof(own) / sizeof(own[0]); i++)
		if (l->addrs[i].ifindex == k->k.ifindex)
			own[about.n_addrs++] = l->addrs[i].addr;
	k->asked = true;
	k->asked_ns = now;
	/* On failure it is what it was: better one link too many. */
	(void)routes_ask(l->routes, &k->via, &about);
}

bool links_lead_outside(struct links *l, struct link *k)
{
	char text[160];

	if (k->k.kind != RTNL_VETH)
		return false;
	ask(l, k);
	if (l->patterns) /* somebody wants it */
		return false;
	if (k->via.outside && !k->outside_told) {
		snprintf(text, sizeof(text), "%s has the default route%s: it leads outside, not to a workload, and is %s "
			 "captured on", k->k.name, k->told ? " now" : "", k->told ? "no longer" : "not");
		l->ev->notice(l->ev->arg, false, text);
		k->outside_told = true;
	}
	return k->via.outside;
}

void links_routes_changed(void *arg, uint32_t ifindex)
{
	struct links *l = arg;

	if (ifindex) {
		struct link *k = *links_slot(l, ifindex);

		if (k)
			k->asked = false;
		return;
	}
	for (struct link *k = links_after(l, NULL); k; k = links_after(l, k))
		k->asked = false;
}
