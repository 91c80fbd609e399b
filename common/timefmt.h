/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Times. Everywhere in weir a time is UTC nanoseconds since 1970 in a uint64_t named *_ns; people see local time with
 * its offset, machines see RFC 3339 UTC.
 */
#ifndef WEIR_COMMON_TIMEFMT_H
#define WEIR_COMMON_TIMEFMT_H
#include <stddef.h>
#include <stdint.h>

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull
#define TIME_STRLEN 40
#define TIME_MAX_NS UINT64_MAX

uint64_t time_now_ns(void);  /* CLOCK_REALTIME */
uint64_t time_mono_ns(void); /* CLOCK_MONOTONIC: for intervals only */

/* Which boot of this machine it is, whose clock time_mono_ns reads: the kernel's random id; "" when that cannot be
 * read. Returns buf. */
#define TIME_BOOT_STRLEN 40
const char *time_boot_id(char buf[TIME_BOOT_STRLEN]);

/*
 * What a user may write for a time: RFC 3339 ("2026-11-21T02:14:00Z", "...+01:00"), "YYYY-MM-DD HH:MM[:SS]" or
 * "YYYY-MM-DD" (local), "HH:MM[:SS]" (today, local), "now", or a span back from now_ns: "-90m" (s, m, h, d, w).
 * 0, or -EINVAL with *out untouched.
 */
int time_parse(uint64_t *out, const char *text, uint64_t now_ns);
/* A span: "90s", "10m", "2h", "7d", "1w", "250ms"; a bare number is seconds. 0 or -EINVAL. */
int duration_parse(uint64_t *out_ns, const char *text);

/* "2026-11-21 02:14:00.123 +01:00": local time. Returns buf. */
const char *time_format_local(uint64_t ns, char buf[TIME_STRLEN]);
/* "2026-11-21T01:14:00.123456789Z". Returns buf. */
const char *time_format_utc(uint64_t ns, char buf[TIME_STRLEN]);
/* "9.2s", "4m10s", "3h05m", "12d": at most 8 characters. Returns buf. */
const char *duration_format(uint64_t ns, char buf[TIME_STRLEN]);

#endif
