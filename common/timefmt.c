/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times as text and back: see timefmt.h. Calendar work is the C library's. */
#include "config.h"
#include "common/timefmt.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t time_now_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t time_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

const char *time_boot_id(char buf[TIME_BOOT_STRLEN])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f || !fgets(buf, TIME_BOOT_STRLEN, f))
		buf[0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	if (f)
		fclose(f);
	return buf;
}

int duration_parse(uint64_t *out_ns, const char *text)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {{"ms", NS_PER_MS}, {"s", NS_PER_S}, {"", NS_PER_S}, {"m", 60 * NS_PER_S},
		     {"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S}, {"w", 7 * 86400 * NS_PER_S}};
	char *end;
	double v;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	v = strtod(text, &end);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		if (!(v * (double)units[i].ns < 9.0e18))
			return -EINVAL;
		*out_ns = (uint64_t)(v * (double)units[i].ns);
		return 0;
	}
	return -EINVAL;
}

/* The fraction and zone that may follow RFC 3339 seconds; *utc is false where no zone was given. 0 or -EINVAL. */
static int parse_tail(const char *s, uint64_t *frac_ns, long *offset_s, int *utc)
{
	unsigned h, m;
	int used = 0;

	*frac_ns = 0;
	*offset_s = 0;
	*utc = 0;
	if (*s == '.') {
		uint64_t unit = NS_PER_S / 10;

		for (s++; isdigit((unsigned char)*s); s++, unit /= 10)
			*frac_ns += (uint64_t)(*s - '0') * unit;
	}
	if (*s == ' ')
		s++;
	if (*s == '\0')
		return 0;
	*utc = 1;
	if ((*s == 'Z' || *s == 'z') && s[1] == '\0')
		return 0;
	if ((*s != '+' && *s != '-') || sscanf(s + 1, "%2u:%2u%n", &h, &m, &used) != 2 || s[1 + used] || h > 23 ||
	    m > 59)
		return -EINVAL;
	*offset_s = (long)(h * 3600 + m * 60) * (*s == '-' ? -1 : 1);
	return 0;
}

int time_parse(uint64_t *out, const char *text, uint64_t now_ns)
{
	static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
					      "%Y-%m-%d %H:%M", "%Y-%m-%d", "%H:%M:%S", "%H:%M"};
	uint64_t span, frac;
	long offset;
	int utc;

	if (strcmp(text, "now") == 0) {
		*out = now_ns;
		return 0;
	}
	if (text[0] == '-') {
		if (duration_parse(&span, text + 1) < 0 || span > now_ns)
			return -EINVAL;
		*out = now_ns - span;
		return 0;
	}
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct tm tm = {.tm_isdst = -1};
		time_t day = (time_t)(now_ns / NS_PER_S), t;
		const char *rest;

		if (formats[i][1] == 'H') {
			localtime_r(&day, &tm);
			tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
			tm.tm_isdst = -1;
		}
		rest = strptime(text, formats[i], &tm);
		if (!rest || parse_tail(rest, &frac, &offset, &utc) < 0)
			continue;
		t = utc ? timegm(&tm) - offset : mktime(&tm);
		if (t < 0)
			return -EINVAL;
		*out = (uint64_t)t * NS_PER_S + frac;
		return 0;
	}
	return -EINVAL;
}

const char *time_format_local(uint64_t ns, char buf[TIME_STRLEN])
{
	time_t t = (time_t)(ns / NS_PER_S);
	char zone[8] = "+0000", day[24];
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(buf, TIME_STRLEN, "%s.%03u %.3s:%.2s", day, (unsigned)(ns % NS_PER_S / NS_PER_MS), zone, zone + 3);
	return buf;
}

const char *time_format_utc(uint64_t ns, char buf[TIME_STRLEN])
{
	time_t t = (time_t)(ns / NS_PER_S);
	char day[24];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, TIME_STRLEN, "%s.%09uZ", day, (unsigned)(ns % NS_PER_S));
	return buf;
}

const char *duration_format(uint64_t ns, char buf[TIME_STRLEN])
{
	unsigned long long s = ns / NS_PER_S;

	if (ns < NS_PER_S)
		snprintf(buf, TIME_STRLEN, "%llums", (unsigned long long)(ns / NS_PER_MS));
	else if (s < 60)
		snprintf(buf, TIME_STRLEN, "%llu.%llus", s, (unsigned long long)(ns % NS_PER_S / (NS_PER_S / 10)));
	else if (s < 3600)
		snprintf(buf, TIME_STRLEN, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, TIME_STRLEN, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(buf, TIME_STRLEN, "%llud%02lluh", s / 86400, s / 3600 % 24);
	return buf;
}
