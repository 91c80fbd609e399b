/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parent tells people: the lines on start, and, for `weir status`, what each process is allowed, read from the
 * kernel itself (/proc/PID/status) and not from what we meant it to be.
 */
#include "config.h"
#include "daemon/enforcer_impl.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/timefmt.h"

static void read_proc(struct body_role *out, pid_t pid)
{
	char path[64], line[256];
	unsigned long long v;
	unsigned uid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "CapEff: %llx", &v) == 1)
			out->caps_effective = v;
		else if (sscanf(line, "CapPrm: %llx", &v) == 1)
			out->caps_permitted = v;
		else if (sscanf(line, "VmRSS: %llu", &v) == 1)
			out->rss_bytes = v * 1024;
		else if (sscanf(line, "Seccomp: %llu", &v) == 1)
			out->seccomp = (uint8_t)v;
		else if (sscanf(line, "NoNewPrivs: %llu", &v) == 1)
			out->no_new_privs = v != 0;
		else if (sscanf(line, "Uid: %*u %u", &uid) == 1)
			snprintf(out->user, sizeof(out->user), "%u", uid);
	}
	fclose(f);
}

static void report(struct enforcer *e, struct body_role *out, const char *name, pid_t pid, uint64_t started_ns,
		   unsigned restarts)
{
	char uid[16];

	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", name);
	out->pid = pid;
	out->started_ns = started_ns;
	out->restarts = restarts;
	if (pid)
		read_proc(out, pid);
	snprintf(uid, sizeof(uid), "%u", (unsigned)e->user.uid);
	if (strcmp(out->user, uid) == 0)
		snprintf(out->user, sizeof(out->user), "%s", e->user.name);
}

void enforcer_report_roles(struct enforcer *e)
{
	struct body_role roles[BODY_ROLES_MAX];
	struct buf b = BUF_INIT;
	size_t n = 0;

	if (!e->engine.channel || channel_pending(e->engine.channel))
		return;
	report(e, &roles[n++], "enforcer", getpid(), e->started_ns, 0);
	report(e, &roles[n++], e->engine.name, e->engine.pid, e->engine.started_ns, e->engine.restarts);
	for (unsigned i = 0; i < e->n_capture; i++)
		report(e, &roles[n++], e->capture[i].name, e->capture[i].pid, e->capture[i].started_ns,
		       e->capture[i].restarts);
	body_roles_encode(&b, roles, n);
	enforcer_tell(e, IPC_ROLES, &b);
	buf_fini(&b);
}

static void say_links(const struct enforcer *e)
{
	char text[ADDR_STRLEN];

	if (!e->n_links) {
		printf("  captures   nothing yet: there is no bridge with "
		       "containers; it will be followed when it comes\n");
		return;
	}
	for (size_t i = 0; i < e->n_links; i++) {
		const struct body_link *l = &e->links[i].link;

		printf("  %s %s", i ? "          " : "captures  ", l->name);
		for (unsigned a = 0; a < l->n_addrs; a++)
			if (!addr_is_linklocal(&l->addrs[a]))
				printf(" %s", addr_format(&l->addrs[a], text));
		printf("%s\n", l->bridge ? "" : " (a veth on no bridge)");
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void say_workloads(const struct enforcer *e)
{
	const char *groups[256];
	size_t n = 0, count = 0, distinct = 0;

	for (const struct enforcer_workload *k = e->workloads; k; k = k->next) {
		if (k->ended)
			continue;
		count++;
		if (n < sizeof(groups) / sizeof(groups[0]))
			groups[n++] = k->w.group;
	}
	if (!count) {
		printf("  knows      no workload yet: containers and network namespaces are named as they come\n");
		return;
	}
	qsort(groups, n, sizeof(groups[0]), by_text);
	for (size_t i = 0; i < n; i++)
		distinct += i == 0 || strcmp(groups[i], groups[i - 1]) != 0;
	printf("  knows      %zu workload%s in %zu group%s:", count, count == 1 ? "" : "s", distinct,
	       distinct == 1 ? "" : "s");
	for (size_t i = 0, shown = 0; i < n; i++) {
		if (i && strcmp(groups[i], groups[i - 1]) == 0)
			continue;
		if (shown++ == 12) {
			printf(" ...");
			break;
		}
		printf(" %s", groups[i]);
	}
	printf("\n");
}

void enforcer_hello(struct enforcer *e)
{
	uint64_t generation = e->nft ? nft_generation(e->nft) : 0;

	e->said_hello = true;
	printf("weir %s: state in %s, as user %s\n", PACKAGE_VERSION, e->s->state, e->user.name);
	say_links(e);
	say_workloads(e);
	if (generation)
		printf("  policy     generation %llu is in the kernel; see weir status\n",
		       (unsigned long long)generation);
	else
		printf("  policy     none in force: everything is let through\n");
	for (size_t i = 0; i < e->n_notices; i++)
		printf("  %s %s\n", e->notices[i].problem ? "problem   " : "note      ", e->notices[i].text);
	printf("  ready      weir map%s%s\n", strcmp(e->s->state, "/var/lib/weir") ? " --state " : "",
	       strcmp(e->s->state, "/var/lib/weir") ? e->s->state : "");
	fflush(stdout);
}
