/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The small world: see netlab.h. iproute2 makes it, sockets live in it. */
#include "config.h"
#include "tests/netns/netlab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/timefmt.h"

/* ---- making it -------------------------------------------------------------------------------------------------- */
static const char setup[] =
	"set -e; P=%s; N=%d\n"
	"ip netns add ${P}h; ip netns add ${P}x\n"
	"ip -n ${P}h link set lo up; ip -n ${P}x link set lo up\n"
	"ip -n ${P}h link add br0 type bridge; ip -n ${P}h link set br0 up\n"
	"ip -n ${P}h addr add 10.77.0.1/24 dev br0; ip -n ${P}h addr add fd77::1/64 dev br0 nodad\n"
	"ip -n ${P}h link add up0 type veth peer name eth0 netns ${P}x\n"
	"ip -n ${P}h addr add 192.0.2.1/24 dev up0; ip -n ${P}h addr add 2001:db8::1/64 dev up0 nodad\n"
	"ip -n ${P}x addr add 192.0.2.2/24 dev eth0; ip -n ${P}x addr add 2001:db8::2/64 dev eth0 nodad\n"
	"ip -n ${P}h link set up0 up; ip -n ${P}x link set eth0 up\n"
	"ip -n ${P}x route add 10.77.0.0/24 via 192.0.2.1; ip -n ${P}x route add fd77::/64 via 2001:db8::1\n"
	"i=0; while [ $i -lt $N ]; do\n"
	"  ip netns add ${P}w$i; ip -n ${P}w$i link set lo up\n"
	"  ip -n ${P}h link add w$i type veth peer name eth0 netns ${P}w$i\n"
	"  ip -n ${P}h link set w$i master br0 up\n"
	"  ip -n ${P}w$i addr add 10.77.0.$((10+i))/24 dev eth0; ip -n ${P}w$i addr add fd77::$((10+i))/64 dev eth0 "
	"nodad\n"
	"  ip -n ${P}w$i link set eth0 up\n"
	"  ip -n ${P}w$i route add default via 10.77.0.1; ip -n ${P}w$i route add default via fd77::1\n"
	"  i=$((i+1))\n"
	"done\n";

static int shell(const char *text)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", text, (char *)NULL);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) < 0 ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int open_ns(const struct lab *l, const char *suffix)
{
	char path[128];

	snprintf(path, sizeof(path), "/run/netns/%s%s", l->prefix, suffix);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

const char *lab_open(struct lab *l, const char *name, int n)
{
	struct buf b = BUF_INIT;
	bool ok;

	memset(l, 0, sizeof(*l));
	l->n = n;
	l->host = l->world = l->home = -1;
	for (int i = 0; i < LAB_WORKLOADS_MAX; i++)
		l->workload[i] = -1;
	if (geteuid() != 0)
		return "needs root, for network namespaces";
	if (shell("command -v ip >/dev/null && command -v nft >/dev/null") != 0)
		return "needs ip (iproute2) and nft (nftables)";
	snprintf(l->prefix, sizeof(l->prefix), "%s%d", name, (int)getpid());
	l->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	buf_printf(&b, setup, l->prefix, n);
	ok = !buf_failed(&b) && l->home >= 0 && shell(b.data) == 0;
	buf_fini(&b);
	l->host = open_ns(l, "h");
	l->world = open_ns(l, "x");
	for (int i = 0; i < n; i++) {
		char suffix[16];

		snprintf(suffix, sizeof(suffix), "w%d", i);
		l->workload[i] = open_ns(l, suffix);
		ok = ok && l->workload[i] >= 0;
	}
	if (!ok || l->host < 0 || l->world < 0) {
		lab_close(l);
		return "network namespaces cannot be made here";
	}
	lab_enter(l, LAB_HOST);
	write_file("/proc/sys/net/ipv4/ip_forward", "1");
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	return NULL;
}

void lab_close(struct lab *l)
{
	struct buf b = BUF_INIT;

	if (l->home >= 0 && setns(l->home, CLONE_NEWNET) < 0)
		perror("setns");
	buf_printf(&b, "for n in h x w0 w1 w2 w3; do [ ! -e /run/netns/%s$n ] || ip netns del %s$n; done", l->prefix,
		   l->prefix);
	shell(b.data);
	buf_fini(&b);
	for (int i = 0; i < l->n + 3; i++) {
		int fd = i < l->n ? l->workload[i] : i == l->n ? l->host : i == l->n + 1 ? l->world : l->home;

		if (fd >= 0)
			close(fd);
	}
}

void lab_enter(const struct lab *l, int who)
{
	if (setns(who == LAB_HOST ? l->host : who == LAB_WORLD ? l->world : l->workload[who], CLONE_NEWNET) < 0) {
		perror("setns");
		exit(99);
	}
}

struct addr lab_addr(int who, bool v4)
{
	char text[ADDR_STRLEN];
	struct addr a;

	if (who == LAB_WORLD)
		snprintf(text, sizeof(text), "%s", v4 ? "192.0.2.2" : "2001:db8::2");
	else
		snprintf(text, sizeof(text), "%s%d", v4 ? "10.77.0." : "fd77::", who == LAB_HOST ? 1 : 10 + who);
	addr_parse(&a, text);
	return a;
}

int lab_run(const struct lab *l, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	lab_enter(l, LAB_HOST);
	return shell(text);
}

char *lab_output(const struct lab *l, const char *cmd)
{
	struct buf b = BUF_INIT;
	char part[4096];
	size_t n;
	FILE *f;

	lab_enter(l, LAB_HOST);
	f = popen(cmd, "r");
	if (!f)
		return NULL;
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_add(&b, part, n);
	if (pclose(f) != 0) {
		buf_fini(&b);
		return NULL;
	}
	return buf_take(&b);
}

/* ---- living in it ------------------------------------------------------------------------------------------------ */
int lab_wait(struct lab *l, int fd, short events, int ms)
{
	uint64_t deadline = time_mono_ns() + (uint64_t)ms * 1000000;

	for (;;) {
		struct pollfd p[5] = {{.fd = fd, .events = events}};
		uint64_t now = time_mono_ns();
		bool turn = false;

		for (size_t i = 0; i < l->n_fds; i++)
			p[1 + i] = (struct pollfd){.fd = l->fds[i], .events = POLLIN};
		if (now >= deadline)
			return 0;
		if (poll(p, 1 + l->n_fds, (int)((deadline - now) / 1000000) + 1) <= 0)
			continue;
		for (size_t i = 0; i < l->n_fds; i++)
			turn = turn || p[1 + i].revents;
		if (turn && l->turn)
			l->turn(l->arg);
		if (p[0].revents)
			return 1;
	}
}

static socklen_t sock_addr(struct sockaddr_storage *out, const struct addr *a, uint16_t port)
{
	memset(out, 0, sizeof(*out));
	if (addr_is_v4(a)) {
		struct sockaddr_in *s = (void *)out;

		s->sin_family = AF_INET;
		s->sin_port = htons(port);
		memcpy(&s->sin_addr, a->b + 12, 4);
		return sizeof(*s);
	} else {
		struct sockaddr_in6 *s = (void *)out;

		s->sin6_family = AF_INET6;
		s->sin6_port = htons(port);
		memcpy(&s->sin6_addr, a->b, 16);
		return sizeof(*s);
	}
}

static int open_socket(const struct lab *l, int who, const struct addr *a, int type, int proto)
{
	int fd;

	lab_enter(l, who);
	fd = socket(addr_is_v4(a) ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
	lab_enter(l, LAB_HOST);
	return fd < 0 ? -errno : fd;
}

int lab_listen(const struct lab *l, int who, int type, const struct addr *a, uint16_t port)
{
	struct sockaddr_storage s;
	socklen_t len = sock_addr(&s, a, port);
	int fd = open_socket(l, who, a, type, 0), on = 1, rc;

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&s, len) == 0 && (type != SOCK_STREAM || listen(fd, 512) == 0))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int lab_connect(struct lab *l, int who, int type, const struct addr *a, uint16_t port, int ms, int *fd_out)
{
	struct sockaddr_storage s;
	socklen_t len = sock_addr(&s, a, port), size = sizeof(int);
	int fd = open_socket(l, who, a, type, 0), rc = 0, e = 0;

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&s, len) < 0 && errno != EINPROGRESS)
		rc = -errno;
	if (rc == 0 && type == SOCK_DGRAM && send(fd, "?", 1, 0) < 0)
		rc = -errno;
	if (rc == 0 && !lab_wait(l, fd, type == SOCK_DGRAM ? POLLIN : POLLOUT, ms))
		rc = -ETIMEDOUT;
	if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &size) == 0 && e)
		rc = -e;
	if (rc == 0 && fd_out)
		*fd_out = fd;
	else
		close(fd);
	return rc;
}

int lab_poke(const struct lab *l, int who, int type, const struct addr *a, uint16_t port, uint16_t sport)
{
	struct addr any = addr_is_v4(a) ? addr_from_v4("\0\0\0") : addr_any;
	struct sockaddr_storage s, from;
	socklen_t len = sock_addr(&s, a, port);
	int fd = open_socket(l, who, a, type, 0), rc = 0;

	if (fd < 0)
		return fd;
	sock_addr(&from, &any, sport);
	if (sport && bind(fd, (struct sockaddr *)&from, len) < 0)
		rc = -errno;
	if (rc == 0 && connect(fd, (struct sockaddr *)&s, len) < 0 && errno != EINPROGRESS)
		rc = -errno;
	if (rc == 0 && type == SOCK_DGRAM && send(fd, "?", 1, 0) < 0)
		rc = -errno;
	/* A refusal may already be here; that is an outcome, and outcomes are not asked for. */
	if (rc < 0 && rc != -ECONNREFUSED && rc != -EHOSTUNREACH && rc != -EACCES && rc != -EPERM) {
		close(fd);
		return rc;
	}
	return fd;
}

int lab_icmp(const struct lab *l, int who, const struct addr *a, uint8_t type, uint16_t id)
{
	bool v4 = addr_is_v4(a);
	struct sockaddr_storage s;
	socklen_t len = sock_addr(&s, a, 0);
	int fd = open_socket(l, who, a, SOCK_RAW, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6), rc;
	uint8_t m[8] = {type, 0, 0, 0, (uint8_t)(id >> 8), (uint8_t)id, 0, 1};
	uint32_t sum = ((uint32_t)m[0] << 8) + id + 1;

	if (fd < 0)
		return fd;
	sum = ~((sum & 0xffff) + (sum >> 16));
	if (v4) { /* for ICMPv6 the kernel does it */
		m[2] = (uint8_t)((sum & 0xffff) >> 8);
		m[3] = (uint8_t)sum;
	}
	rc = sendto(fd, m, sizeof(m), 0, (struct sockaddr *)&s, len) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

bool lab_talk(struct lab *l, int a, int b)
{
	char got[8];

	for (int way = 0; way < 2; way++) {
		int from = way ? b : a, to = way ? a : b;

		if (send(from, "hello", 5, MSG_NOSIGNAL) != 5 || !lab_wait(l, to, POLLIN, 3000) ||
		    recv(to, got, sizeof(got), 0) != 5)
			return false;
	}
	return true;
}
