/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The time that is left to confirm, while somebody sets the clock: the kernel counts on, and so must weir. The wall
 * clock is replaced by one that the test sets (the linker's --wrap).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "daemon/engine_role.h"
#include "store/history.h"
#include "tests/tap.h"
#include "tests/unit/store_help.h"

#define WINDOW_S 600u

uint64_t __real_time_now_ns(void);
uint64_t __wrap_time_now_ns(void);

static int64_t set_by_ns; /* how far the clock was set */

uint64_t __wrap_time_now_ns(void)
{
	return __real_time_now_ns() + (uint64_t)set_by_ns;
}

static void role_open(struct engine_role *r, const char *dir, const char *boot_id)
{
	const struct engine_options o = {.live = true};

	memset(r, 0, sizeof(*r));
	strcpy(r->boot_id, boot_id);
	CHECK_EQ(store_open(&r->store, dir, STORE_WRITE, NULL), 0);
	CHECK_EQ(engine_new(&r->engine, r->store, &o), 0);
	generation_current(r);
}

static void role_close(struct engine_role *r)
{
	engine_free(r->engine);
	store_close(r->store);
}

/* Left of the window, but for the moments that the test takes. */
static bool nearly(uint64_t left_ns, uint64_t s)
{
	return left_ns <= s * NS_PER_S && left_ns + 30 * NS_PER_S > s * NS_PER_S;
}

static void apply(struct engine_role *r)
{
	struct ruleset rs;
	uint64_t number = 0;

	ruleset_init(&rs);
	CHECK_EQ(generation_new(r, &number, "weir: 1\n", 8, 0, "", WINDOW_S, &rs), 0);
	CHECK_EQ(number, 1);
	CHECK_EQ(generation_deadline(r, number, time_mono_ns() + WINDOW_S * NS_PER_S), 0);
	CHECK_EQ(generation_change(r, number, GENERATION_ARMED, time_now_ns() + WINDOW_S * NS_PER_S, NULL), 0);
	generation_current(r);
	ruleset_fini(&rs);
}

static void look(struct engine_role *r, uint64_t left_s)
{
	CHECK(nearly(generation_left_ns(r), left_s));
	engine_orders_second(r);
	CHECK_EQ(r->generation_state, GENERATION_ARMED);
}

int main(void)
{
	struct engine_role *r = malloc(sizeof(*r));
	char *dir = help_dir();

	if (!r)
		return 1;
	role_open(r, dir, "this-boot");
	apply(r);
	look(r, WINDOW_S);
	set_by_ns = 3600 * (int64_t)NS_PER_S; /* forward, past the deadline */
	look(r, WINDOW_S);
	generation_current(r);
	look(r, WINDOW_S);
	role_close(r);
	role_open(r, dir, "this-boot"); /* a new engine */
	look(r, WINDOW_S);
	set_by_ns = -3600 * (int64_t)NS_PER_S; /* and back */
	generation_current(r);
	look(r, WINDOW_S);
	role_close(r);
	set_by_ns = 60 * (int64_t)NS_PER_S;
	role_open(r, dir, "another-boot"); /* the wall clock is all there is */
	look(r, WINDOW_S - 60);
	set_by_ns = 3600 * (int64_t)NS_PER_S;
	generation_current(r);
	CHECK_EQ(generation_left_ns(r), 0);
	CHECK_EQ(generation_change(r, 1, GENERATION_CONFIRMED, 0, NULL), 0);
	generation_current(r);
	CHECK_EQ(generation_left_ns(r), 0);
	CHECK_EQ(r->confirm_mono_ns, 0);
	role_close(r);
	help_remove(dir);
	free(r);
	return tap_done();
}
