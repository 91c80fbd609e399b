/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Figures and times as people read them in a table: short, and with their unit. */
#ifndef WEIR_UI_UNITS_H
#define WEIR_UI_UNITS_H
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/proto.h"

#define UNITS_STRLEN 64

/* "980 B", "1.2 kB", "34 MB": powers of 1000, two digits that matter. Returns buf. */
const char *units_bytes(uint64_t bytes, char buf[UNITS_STRLEN]);
/* "12.5 %", "< 0.1 %" for what is small but not zero; "-" when whole is 0. Returns buf. */
const char *units_share(uint64_t part, uint64_t whole, char buf[UNITS_STRLEN]);
/* "3 flows", "1 flow". Returns buf. */
const char *units_plural(uint64_t n, const char *one, const char *many, char buf[UNITS_STRLEN]);
/* "02:14:00" where ns is on the local day of now_ns, "11-20 02:14:00" before. Returns buf. */
const char *units_clock(uint64_t ns, uint64_t now_ns, char buf[UNITS_STRLEN]);
/* The same with milliseconds: "02:14:00.123". Returns buf. */
const char *units_clock_ms(uint64_t ns, uint64_t now_ns, char buf[UNITS_STRLEN]);
/* "2026-11-21 02:14:00 +01:00": local, to the second. Returns buf. */
const char *units_moment(uint64_t ns, char buf[UNITS_STRLEN]);
/* "2026-11-21 02:14:00 to 02:31:07 +01:00 (17m07s)". Returns buf. */
const char *units_span(uint64_t from_ns, uint64_t to_ns, char *buf, size_t size);
/* A flow's or edge's service as text: "443/tcp". Returns buf. */
const char *units_service(uint8_t proto, uint16_t port, char buf[SERVICE_STRLEN]);

#endif
