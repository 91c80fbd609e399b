/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Starting child processes: see roles.h. The program is /proc/self/exe, so that a child is always of the same build as
 * its parent, also when the file was replaced meanwhile. Between fork and exec the child keeps to system calls.
 */
#include "config.h"
#include "daemon/roles.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/timefmt.h"
#include "daemon/sandbox.h"

#define QUEUE_MAX (256u << 20) /* bytes that may wait for a child: a whole inventory and a ruleset fit many times */
#define BACKOFF_MIN_NS (100 * NS_PER_MS)
#define BACKOFF_MAX_NS (30 * NS_PER_S)
#define STEADY_NS (30 * NS_PER_S) /* having run this long, a child is started again at once */
#define FD_HIGH 100               /* out of the way of the fixed numbers */

/* Moves descriptors to where the role expects them and closes all others. Only returns on failure. */
static void child_run(const struct role *r, int sock, const int *fds, unsigned n_fds)
{
	static char *const empty[] = {NULL};
	char role[sizeof(r->name)];
	char *argv[] = {(char[]){"weir"}, (char[]){"run"}, (char[]){"--role"}, role, NULL};
	char *env[4] = {NULL};
	unsigned n_env = 0;
	int high[1 + ROLE_FDS_MAX];
	sigset_t none;

	memcpy(role, r->name, sizeof(role));
	/* A sanitizer's options are the one thing worth handing on, and only where there is a sanitizer. */
	for (char **e = environ; !sandbox_filters() && e && *e && n_env < 3; e++)
		if (strncmp(*e, "ASAN_OPTIONS=", 13) == 0 || strncmp(*e, "UBSAN_OPTIONS=", 14) == 0 ||
		    strncmp(*e, "LSAN_OPTIONS=", 13) == 0)
			env[n_env++] = *e;
	high[0] = fcntl(sock, F_DUPFD, FD_HIGH);
	for (unsigned i = 0; i < n_fds; i++)
		high[1 + i] = fcntl(fds[i], F_DUPFD, FD_HIGH);
	for (unsigned i = 0; i < 1 + n_fds; i++)
		if (high[i] < 0 || dup2(high[i], ROLE_FD_CHANNEL + (int)i) < 0)
			return;
	if (close_range(ROLE_FD_FIRST + n_fds, ~0u, 0) < 0)
		return;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Ctrl-C, a closed terminal and a service manager reach the whole group: the parent decides what it means, and has
	 * capture hand over what it holds before the engine ends. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (chdir("/") < 0 || sandbox_hand_over(r->raw))
		return;
	execve("/proc/self/exe", argv, n_env ? env : empty);
}

int role_start(struct role *r, const int *fds, unsigned n_fds)
{
	int pair[2], rc;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	rc = channel_new(&r->channel, pair[0], QUEUE_MAX);
	if (rc) {
		r->channel = NULL;
		close(pair[1]);
		return rc;
	}
	pid = fork();
	if (pid == 0) {
		static const char failed[] = "weir: a child process could not be started\n";

		child_run(r, pair[1], fds, n_fds);
		(void)!write(STDERR_FILENO, failed, sizeof(failed) - 1);
		_exit(126);
	}
	rc = pid < 0 ? -errno : 0;
	close(pair[1]);
	if (rc) {
		channel_free(r->channel);
		r->channel = NULL;
		return rc;
	}
	r->pid = pid;
	r->ready = r->stopping = false;
	r->started_ns = time_now_ns();
	r->started_mono_ns = time_mono_ns();
	return 0;
}

void role_ended(struct role *r)
{
	uint64_t now = time_mono_ns();

	channel_free(r->channel);
	r->channel = NULL;
	r->pid = 0;
	r->ready = false;
	if (now - r->started_mono_ns > STEADY_NS)
		r->backoff_ns = 0;
	r->again_mono_ns = now + r->backoff_ns;
	r->backoff_ns = r->backoff_ns ? r->backoff_ns * 2 : BACKOFF_MIN_NS;
	if (r->backoff_ns > BACKOFF_MAX_NS)
		r->backoff_ns = BACKOFF_MAX_NS;
}

void role_kill(struct role *r)
{
	if (r->pid > 0)
		kill(r->pid, SIGKILL);
}

int role_main(const char *name)
{
	char comm[16];
	unsigned worker;
	char rest;

	snprintf(comm, sizeof(comm), "weir-%.10s", name);
	prctl(PR_SET_NAME, comm);
	/* Nobody but the parent starts roles: the channel must be there. */
	if (fcntl(ROLE_FD_CHANNEL, F_GETFD) < 0) {
		fprintf(stderr, "weir run: --role is for weir's own use\n");
		return 2;
	}
	if (strcmp(name, "engine") == 0)
		return engine_role();
	if (sscanf(name, "capture-%u%c", &worker, &rest) == 1 && worker < 1000)
		return capture_role(worker);
	fprintf(stderr, "weir run: there is no role \"%s\"\n", name);
	return 2;
}
