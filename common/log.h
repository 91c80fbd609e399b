/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages for whoever runs weir: one line each on standard error, "weir[engine]: text". Libraries do not log; whoever
 * decides what an error means does, once.
 */
#ifndef WEIR_COMMON_LOG_H
#define WEIR_COMMON_LOG_H

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_init(const char *role, enum log_level level); /* role: a string constant, or NULL for none */
void log_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
