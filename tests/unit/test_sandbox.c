/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a confined role cannot do, tried from inside the real sandbox: each attempt runs in a child that first calls
 * what the role calls, and reports through its exit status. A sanitizer's build has no filters, and says so.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/sandbox.h"
#include "tests/tap.h"

/* Runs confine, then attempt, in a child. Its exit status: 0 the attempt worked, an errno it failed with, 256 +
 * signal. */
static int try_in(int (*confine)(void), int (*attempt)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int rc = confine();

		if (rc)
			_exit(255);
		errno = 0;
		_exit(attempt() < 0 ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int read_file(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static int create_file(void)
{
	return open("/tmp/weir-sandbox-test", O_WRONLY | O_CREAT, 0600);
}

static int stat_file(void)
{
	struct stat st;

	return stat("/etc/passwd", &st);
}

static int list_self(void)
{
	return openat(AT_FDCWD, "/proc/self/maps", O_RDONLY);
}

static int netlink_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
}

static int route_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}

static int inet_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int inet6_socket(void)
{
	return socket(AF_INET6, SOCK_DGRAM, 0);
}

static int unix_stream(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int packet_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

/* The Unix socket that libpcap asks about interfaces with must not reach a Unix server. */
static int unix_send(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	int fd = socket(AF_UNIX, SOCK_RAW, 0);

	return fd < 0 ? fd : (int)sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, sizeof(sa));
}

static int unix_connect(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	int fd = socket(AF_UNIX, SOCK_RAW, 0);

	return fd < 0 ? fd : connect(fd, (struct sockaddr *)&sa, sizeof(sa));
}

static int start_program(void)
{
	char name[] = "true", *const argv[] = {name, NULL}, *const env[] = {NULL};

	return execve("/bin/true", argv, env);
}

static int fork_one(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : 0;
}

static int trace_parent(void)
{
	return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static int kill_parent(void)
{
	return kill(getppid(), 0);
}

static int executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int plain_memory(void)
{
	void *p = malloc(1 << 22);

	free(p);
	return p ? 0 : -1;
}

static int raise_caps(void)
{
	return setuid(0) < 0 || setgid(0) < 0 ? -1 : 0;
}

static int dump_core(void)
{
	const struct rlimit core = {1 << 20, 1 << 20};

	return setrlimit(RLIMIT_CORE, &core);
}

static int own_limit(void)
{
	struct rlimit r;

	return getrlimit(RLIMIT_MEMLOCK, &r);
}

static int limit_parent(void)
{
	return (int)syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, NULL);
}

static void refused(const char *role, int (*confine)(void), const char *what, int (*attempt)(void))
{
	int got = try_in(confine, attempt);

	if (got != EPERM && got != EACCES && got != 256 + SIGSYS)
		fprintf(stderr, "%s: %s: got %d\n", role, what, got);
	CHECK(got == EPERM || got == EACCES || got == 256 + SIGSYS);
}

static void test_common(const char *role, int (*confine)(void))
{
	refused(role, confine, "read a file", read_file);
	refused(role, confine, "create a file", create_file);
	refused(role, confine, "stat by name", stat_file);
	refused(role, confine, "read /proc", list_self);
	refused(role, confine, "nftables socket", netlink_socket);
	refused(role, confine, "rtnetlink socket", route_socket);
	refused(role, confine, "TCP socket", inet_socket);
	refused(role, confine, "UDP socket", inet6_socket);
	refused(role, confine, "Unix stream socket", unix_stream);
	refused(role, confine, "send to a Unix socket", unix_send);
	refused(role, confine, "connect a Unix socket", unix_connect);
	refused(role, confine, "fork", fork_one);
	refused(role, confine, "signal the parent", kill_parent);
	refused(role, confine, "executable memory", executable_memory);
	refused(role, confine, "become root", raise_caps);
	refused(role, confine, "the parent's limits", limit_parent);
	/* No code of ours does these there: the process ends at once. */
	CHECK_EQ(try_in(confine, start_program), 256 + SIGSYS);
	CHECK_EQ(try_in(confine, trace_parent), 256 + SIGSYS);
	CHECK_EQ(try_in(confine, plain_memory), 0);
	CHECK_EQ(try_in(confine, own_limit), 0);
}

static void test_packet_sockets(void)
{
	refused("offline", sandbox_capture_offline, "packet socket", packet_socket);
	refused("engine", sandbox_engine, "packet socket", packet_socket);
	if (geteuid() == 0)
		CHECK_EQ(try_in(sandbox_capture, packet_socket), 0);
}

static int nothing(void)
{
	return 0;
}

int main(void)
{
	/* Capabilities, core size: set in every build. */
	refused("engine", sandbox_engine, "core files", dump_core);
	CHECK_EQ(try_in(sandbox_capture, nothing), 0);
	if (!sandbox_filters()) {
		printf("# no system call filters in a sanitizer's build: the rest is not tried\n");
		return tap_done();
	}
	test_common("capture", sandbox_capture);
	test_common("offline", sandbox_capture_offline);
	test_common("engine", sandbox_engine);
	test_packet_sockets();
	return tap_done();
}
