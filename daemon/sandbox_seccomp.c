/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * System call filters, through libseccomp. The confined roles name what they may call; anything else fails with EPERM
 * (a library that merely tries something goes on), and starting a program or touching another process ends the
 * process at once, since no code of ours does that there. The parent works with many libraries and is the trusted
 * one: its filter only takes away what it never needs.
 */
#include "config.h"
#include "daemon/sandbox_seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "daemon/sandbox.h"

#ifndef AF_PACKET
#define AF_PACKET 17
#endif
#define CALLS(...) ((const int[]){__VA_ARGS__, -1})

/* Memory, time, waiting, descriptors that are open already: what every role does. */
static const int *calls_common(void)
{
	static const int calls[] = {
		SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(lseek),
		SCMP_SYS(fstat), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select),
		SCMP_SYS(pselect6), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),
		SCMP_SYS(epoll_create1), SCMP_SYS(eventfd2), SCMP_SYS(signalfd4), SCMP_SYS(recvmsg),
		SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex),
		SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
		SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(getppid),
		SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
		SCMP_SYS(getrusage), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(rt_sigaction),
		SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
		SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(membarrier),
		-1};

	return calls;
}

static int add_list(scmp_filter_ctx ctx, uint32_t action, const int *calls)
{
	for (; *calls != -1; calls++) {
		int rc = seccomp_rule_add(ctx, action, *calls, 0);

		if (rc && rc != -EDOM) /* not a call of this architecture */
			return rc;
	}
	return 0;
}

/* Memory may be mapped, but never to be executed; a file's status may be had by its descriptor, not by its name. */
static int add_common(scmp_filter_ctx ctx)
{
	int rc = add_list(ctx, SCMP_ACT_ALLOW, calls_common());

	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
				      SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	/* Its own limits may be read, which libraries of libpcap's do, and complain when they cannot. */
	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, SCMP_A0(SCMP_CMP_EQ, 0),
				      SCMP_A2(SCMP_CMP_EQ, 0));
	/* send(2): on what is connected already, to no address. */
	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1, SCMP_A4(SCMP_CMP_EQ, 0));
	/* abort(3) and assert(3): signals to itself only. */
	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				      SCMP_A2(SCMP_CMP_EQ, 6 /* SIGABRT */));
	if (!rc)
		rc = add_list(ctx, SCMP_ACT_KILL_PROCESS,
			      CALLS(SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork),
				    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev)));
	return rc;
}

/* What libpcap does to open a packet socket, and no other kind of socket. */
static int add_packet_sockets(scmp_filter_ctx ctx)
{
	static const unsigned long requests[] = {SIOCGIFINDEX, SIOCGIFNAME, SIOCGIFMTU, SIOCGIFFLAGS, SIOCGIFHWADDR,
						 SIOCETHTOOL, SIOCGSTAMP, SIOCBONDINFOQUERY};
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_PACKET));

	/* libpcap asks about the interface through any other socket at hand, and takes a Unix one of type SOCK_RAW when
	 * it gets no better. It reaches nobody: neither connect nor sending to an address is allowed, and bind, which
	 * packet sockets need, finds no folder that this user may write to. */
	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3, SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
				      SCMP_A1(SCMP_CMP_EQ, SOCK_RAW), SCMP_A2(SCMP_CMP_EQ, 0));
	for (size_t i = 0; !rc && i < sizeof(requests) / sizeof(requests[0]); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, requests[i]));
	if (!rc)
		rc = add_list(ctx, SCMP_ACT_ALLOW,
			      CALLS(SCMP_SYS(bind), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(getsockname),
				    SCMP_SYS(recvfrom)));
	return rc;
}

/* The store's file is open and mapped; connections come from the control socket that is bound already. */
static int add_engine(scmp_filter_ctx ctx)
{
	return add_list(ctx, SCMP_ACT_ALLOW,
			CALLS(SCMP_SYS(accept4), SCMP_SYS(getsockopt), SCMP_SYS(recvfrom),
			      SCMP_SYS(shutdown), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(preadv),
			      SCMP_SYS(pwritev), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(msync),
			      SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(flock), SCMP_SYS(mincore),
			      SCMP_SYS(fstatfs), SCMP_SYS(sysinfo)));
}

static int add_parent(scmp_filter_ctx ctx)
{
	return add_list(ctx, SCMP_ACT_ERRNO(EPERM),
			CALLS(SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
			      SCMP_SYS(mount),
			      SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(move_mount),
			      SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(init_module), SCMP_SYS(finit_module),
			      SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load),
			      SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(bpf),
			      SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(keyctl), SCMP_SYS(add_key),
			      SCMP_SYS(request_key), SCMP_SYS(unshare), SCMP_SYS(io_uring_setup), SCMP_SYS(acct),
			      SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(personality),
			      SCMP_SYS(open_by_handle_at), SCMP_SYS(quotactl), SCMP_SYS(syslog)));
}

int sandbox_seccomp(enum sandbox_seccomp_role role)
{
	scmp_filter_ctx ctx;
	int rc;

	if (!sandbox_filters())
		return 0;
	ctx = seccomp_init(role == SANDBOX_SECCOMP_PARENT ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -ENOMEM;
	rc = role == SANDBOX_SECCOMP_PARENT ? add_parent(ctx) : add_common(ctx);
	if (!rc && role == SANDBOX_SECCOMP_CAPTURE)
		rc = add_packet_sockets(ctx);
	if (!rc && role == SANDBOX_SECCOMP_ENGINE)
		rc = add_engine(ctx);
	if (!rc)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return rc;
}
