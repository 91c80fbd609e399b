/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Figures and times for people: see units.h. */
#include "config.h"
#include "ui-cli/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/timefmt.h"

const char *units_bytes(uint64_t bytes, char buf[UNITS_STRLEN])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double v = (double)bytes;
	unsigned u = 0;

	while (v >= 999.5) {
		v /= 1000;
		u++;
	}
	snprintf(buf, UNITS_STRLEN, u && v < 9.95 ? "%.1f %s" : "%.0f %s", v, units[u]);
	return buf;
}

const char *units_share(uint64_t part, uint64_t whole, char buf[UNITS_STRLEN])
{
	double share = whole ? 100.0 * (double)part / (double)whole : 0;

	if (whole == 0)
		strcpy(buf, "-");
	else if (part && share < 0.1)
		strcpy(buf, "< 0.1 %");
	else
		snprintf(buf, UNITS_STRLEN, "%.1f %%", share);
	return buf;
}

const char *units_plural(uint64_t n, const char *one, const char *many, char buf[UNITS_STRLEN])
{
	snprintf(buf, UNITS_STRLEN, "%" PRIu64 " %s", n, n == 1 ? one : many);
	return buf;
}

static void local(uint64_t ns, struct tm *tm)
{
	time_t t = (time_t)(ns / NS_PER_S);

	localtime_r(&t, tm);
}

const char *units_clock(uint64_t ns, uint64_t now_ns, char buf[UNITS_STRLEN])
{
	struct tm then, now;

	local(ns, &then);
	local(now_ns, &now);
	if (then.tm_year != now.tm_year)
		strftime(buf, UNITS_STRLEN, "%Y-%m-%d %H:%M:%S", &then);
	else if (then.tm_yday != now.tm_yday)
		strftime(buf, UNITS_STRLEN, "%m-%d %H:%M:%S", &then);
	else
		strftime(buf, UNITS_STRLEN, "%H:%M:%S", &then);
	return buf;
}

const char *units_clock_ms(uint64_t ns, uint64_t now_ns, char buf[UNITS_STRLEN])
{
	size_t len = strlen(units_clock(ns, now_ns, buf));

	snprintf(buf + len, UNITS_STRLEN - len, ".%03u", (unsigned)(ns % NS_PER_S / NS_PER_MS));
	return buf;
}

/* "+01:00" of that moment. */
static void zone(const struct tm *tm, char out[8])
{
	char z[8] = "+0000";

	strftime(z, sizeof(z), "%z", tm);
	snprintf(out, 8, "%.3s:%.2s", z, z + 3);
}

const char *units_moment(uint64_t ns, char buf[UNITS_STRLEN])
{
	char day[32], offset[8];
	struct tm tm;

	local(ns, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm);
	zone(&tm, offset);
	snprintf(buf, UNITS_STRLEN, "%s %s", day, offset);
	return buf;
}

const char *units_span(uint64_t from_ns, uint64_t to_ns, char *buf, size_t size)
{
	char first[32], last[32], offset[8], took[TIME_STRLEN];
	struct tm from, to;
	bool same_day;

	local(from_ns, &from);
	local(to_ns, &to);
	same_day = from.tm_year == to.tm_year && from.tm_yday == to.tm_yday;
	strftime(first, sizeof(first), "%Y-%m-%d %H:%M:%S", &from);
	strftime(last, sizeof(last), same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &to);
	zone(&to, offset);
	snprintf(buf, size, "%s to %s %s (%s)", first, last, offset,
		 duration_format(to_ns > from_ns ? to_ns - from_ns : 0, took));
	return buf;
}

const char *units_service(uint8_t proto, uint16_t port, char buf[SERVICE_STRLEN])
{
	struct service s = service_of(proto, port);

	return service_format(&s, buf);
}
