/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A small made-up shop as a store, for the tests of ui-cli: a load balancer, two web servers, a database, a job that
 * lived nine seconds, an intruder, the host and the world; flows, edges, verdicts under a policy in force, coverage.
 * All times are on 2020-03-04 between 10:00 and 10:20 UTC, so that nothing depends on when the tests run.
 */
#ifndef WEIR_TESTS_UI_SHOP_H
#define WEIR_TESTS_UI_SHOP_H
#include <stdint.h>

#include "store/history.h"

#define SHOP_T0_NS 1583316000000000000ull /* 2020-03-04T10:00:00Z */

/* Makes the store in dir (created). lossy: with an interval in which capture dropped packets. 0 or negative errno. */
int shop_make(const char *dir, int lossy);
/* Gives the policy in force of that store another state, GENERATION_ARMED or GENERATION_EXPIRED, and, unless NULL, the
 * deadline by the kernel's clock. 0 or negative errno. */
int shop_change(const char *dir, uint8_t state, const struct confirm_deadline *d);

#endif
