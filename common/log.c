/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Log lines: see log.h. A line is written with one write(2), so that lines of several processes do not mix. */
#include "config.h"
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char *log_role;
static enum log_level log_max = LOG_LEVEL_INFO;

void log_init(const char *role, enum log_level level)
{
	log_role = role;
	log_max = level;
}

static void emit(enum log_level level, const char *fmt, va_list ap)
{
	static const char *const tag[] = {"error: ", "warning: ", "", "debug: "};
	char line[1024];
	int n, m;

	if (level > log_max)
		return;
	n = log_role ? snprintf(line, sizeof(line), "weir[%s]: %s", log_role, tag[level])
		     : snprintf(line, sizeof(line), "weir: %s", tag[level]);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	if (m < 0)
		return;
	n += m;
	if ((size_t)n > sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	(void)!write(STDERR_FILENO, line, (size_t)n);
}

#define LOG_FUNCTION(name, level)                                                                                      \
	void name(const char *fmt, ...)                                                                                \
	{                                                                                                              \
		va_list ap;                                                                                            \
                                                                                                                       \
		va_start(ap, fmt);                                                                                     \
		emit(level, fmt, ap);                                                                                  \
		va_end(ap);                                                                                            \
	}

LOG_FUNCTION(log_err, LOG_LEVEL_ERR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
