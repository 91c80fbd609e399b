/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Giving an order to a running daemon: connect, one line there, one line back, within a time. See control.h. The error
 * texts are for whoever typed the command: what failed, and what to do.
 */
#include "config.h"
#include "daemon/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/timefmt.h"

#define REPLY_MAX CONTROL_MESSAGE_MAX

static int say(char *error, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int say(char *error, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, CONTROL_ERROR_STRLEN, fmt, ap);
	va_end(ap);
	return rc;
}

/* The name of a Unix socket holds 107 bytes; a descriptor of the directory makes any path fit. */
static int connect_to(int *out, const char *state_dir, uint64_t deadline_ns, char *error)
{
	static const struct timespec pause = {0, 20000000};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int dir = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, rc = 0;

	if (dir < 0) {
		rc = -errno;
		return say(error, rc, "state directory %s: %s; is --state right?", state_dir, strerror(-rc));
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", dir, CONTROL_SOCKET);
	do { /* EAGAIN: so many are connecting that there is no room to wait in */
		rc = fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
		if (rc == -EAGAIN)
			nanosleep(&pause, NULL);
	} while (fd >= 0 && (rc == -EAGAIN || rc == -EINTR) && time_mono_ns() < deadline_ns);
	close(dir);
	if (rc == 0) {
		*out = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	if (rc == -ENOENT || rc == -ECONNREFUSED)
		return say(error, rc,
			   "no weir is running with %s: start it with `weir run --state %s` (or systemctl start weir)",
			   state_dir, state_dir);
	if (rc == -EACCES)
		return say(error, rc, "%s/%s: not allowed: root and members of weir's group may give orders", state_dir,
			   CONTROL_SOCKET);
	return say(error, rc, "%s/%s: %s", state_dir, CONTROL_SOCKET, strerror(-rc));
}

/* Waits for events until the deadline. */
static int wait_for(int fd, short events, uint64_t deadline_ns)
{
	for (;;) {
		struct pollfd p = {fd, events, 0};
		uint64_t now = time_mono_ns();
		int n;

		if (now >= deadline_ns)
			return -ETIMEDOUT;
		n = poll(&p, 1, (int)((deadline_ns - now) / NS_PER_MS + 1));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_all(int fd, const char *data, size_t len, uint64_t deadline_ns)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
		int rc;

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		rc = wait_for(fd, POLLOUT, deadline_ns);
		if (rc)
			return rc;
	}
	return 0;
}

static int read_line(int fd, struct buf *in, uint64_t deadline_ns)
{
	char data[16384];

	for (;;) {
		ssize_t n = recv(fd, data, sizeof(data), 0);
		const char *end;
		int rc;

		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n < 0) {
			rc = wait_for(fd, POLLIN, deadline_ns);
			if (rc)
				return rc;
			continue;
		}
		end = memchr(data, '\n', (size_t)n);
		buf_add(in, data, end ? (size_t)(end - data) : (size_t)n);
		if (buf_failed(in) || in->len > REPLY_MAX)
			return -EMSGSIZE;
		if (end)
			return 0;
	}
}

int control_request(const char *state_dir, const char *order_json, int timeout_ms, char **reply_json, char *error)
{
	uint64_t deadline = time_mono_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	struct buf in = BUF_INIT;
	int fd = -1, rc;

	error[0] = '\0';
	rc = connect_to(&fd, state_dir, deadline, error);
	if (rc)
		return rc;
	rc = send_all(fd, order_json, strlen(order_json), deadline);
	if (!rc)
		rc = send_all(fd, "\n", 1, deadline);
	if (!rc)
		rc = read_line(fd, &in, deadline);
	close(fd);
	if (!rc) {
		*reply_json = buf_take(&in);
		if (*reply_json)
			return 0;
		rc = -ENOMEM;
	}
	buf_fini(&in);
	if (rc == -ETIMEDOUT)
		return say(error, rc, "the daemon did not answer within %d s: see its messages, and weir status",
			   timeout_ms / 1000);
	return say(error, rc, "the daemon broke off the conversation (%s): see its messages", strerror(-rc));
}
