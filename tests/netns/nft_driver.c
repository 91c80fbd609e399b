/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drives segment/nft.h from a shell, in the network namespace it is started in: commands on standard input, one a
 * line, each answered by "ok ..." or "error ..."; what happens meanwhile is told as "event ...". For tests that
 * need the kernel's side of a policy without the daemon.
 *
 *   member ADDR GROUP | gone ADDR          a container came, or went
 *   apply FILE GENERATION [SECONDS]        the policy document in FILE, with the members so far
 *   confirm | remove | generation | hook BRIDGE | restore
 *   poll                                   reads the exact counters
 *   counts                                 packets of every rule, with its text
 *   eval SRC DST SERVICE                   what segment/eval says ("world" and "host" by their addresses)
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <net/if.h>

#include "common/timefmt.h"
#include "segment/eval.h"
#include "segment/nft.h"
#include "segment/policy.h"

#define MEMBERS_MAX 65536

struct driver {
	struct nft *nft;
	struct ruleset rs;
	struct nft_member *members;
	size_t n_members;
	char error[NFT_ERROR_STRLEN];
};

static void on_verdict(void *arg, const struct verdict_rec *v)
{
	char src[ADDR_STRLEN], dst[ADDR_STRLEN], service[SERVICE_STRLEN];
	struct service s = service_of(v->proto, v->dst_port);

	(void)arg;
	printf("event %s %s %s %s %s %s from=%s to=%s count=%llu generation=%llu\n", v->sampled ? "sample" : "count",
	       verdict_name(v->kind), v->inbound ? "inbound" : "outbound", addr_format(&v->src, src),
	       addr_format(&v->dst, dst), service_format(&s, service), v->group[0], v->group[1],
	       (unsigned long long)v->count, (unsigned long long)v->generation);
}

static void on_repaired(void *arg, int rc, uint64_t gap_ns, const char *what)
{
	(void)arg;
	printf("event repaired rc=%d gap_us=%llu %s\n", rc, (unsigned long long)gap_ns / 1000, what);
}

static void on_expired(void *arg, uint64_t generation)
{
	(void)arg;
	printf("event expired generation=%llu\n", (unsigned long long)generation);
}

static const struct nft_events events = {.verdict = on_verdict, .repaired = on_repaired, .expired = on_expired};

static int read_file(struct buf *b, const char *path)
{
	FILE *f = fopen(path, "r");
	char part[65536];
	size_t n;

	if (!f)
		return -errno;
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_add(b, part, n);
	fclose(f);
	return buf_failed(b) ? -ENOMEM : 0;
}

static int compile(struct driver *d, const char *path, struct ruleset *out)
{
	struct policy_errors errors = {0};
	struct policy *p = NULL;
	struct buf b = BUF_INIT;
	int rc = read_file(&b, path);

	if (rc == 0)
		rc = policy_parse(&p, b.data, b.len, &errors);
	if (rc < 0 && errors.n)
		snprintf(d->error, sizeof(d->error), "line %u: %s", errors.e[0].line, errors.e[0].text);
	if (rc == 0)
		rc = policy_compile(out, p);
	if (p)
		policy_free(p);
	buf_fini(&b);
	return rc;
}

static int cmd_apply(struct driver *d, const char *path, uint64_t generation, uint32_t seconds)
{
	struct ruleset rs = {0};
	int rc = compile(d, path, &rs);

	rs.generation = generation;
	if (rc == 0)
		rc = nft_apply(d->nft, &rs, d->members, d->n_members, seconds, d->error);
	if (rc < 0) {
		ruleset_fini(&rs);
		return rc;
	}
	ruleset_fini(&d->rs);
	d->rs = rs;
	return 0;
}

static long find(const struct driver *d, const struct addr *a)
{
	for (size_t i = 0; i < d->n_members; i++)
		if (addr_equal(&d->members[i].addr, a))
			return (long)i;
	return -1;
}

static int cmd_member(struct driver *d, const char *addr, const char *group)
{
	struct nft_member m = {.addr = addr_any};
	long i;

	if (addr_parse(&m.addr, addr) < 0 || (group && strlen(group) >= sizeof(m.group)))
		return -EINVAL;
	i = find(d, &m.addr);
	if (!group) {
		if (i >= 0)
			d->members[i] = d->members[--d->n_members];
		return nft_member_del(d->nft, &m.addr, d->error);
	}
	strcpy(m.group, group);
	if (i < 0 && d->n_members == MEMBERS_MAX)
		return -ENOSPC;
	d->members[i < 0 ? (long)d->n_members++ : i] = m;
	return nft_generation(d->nft) ? nft_member_add(d->nft, &m, d->error) : 0;
}

static int cmd_counts(struct driver *d)
{
	struct nft_rule_count *v = NULL;
	size_t n = 0;
	int rc = nft_rule_counts(d->nft, &v, &n);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct buf b = BUF_INIT;
		char peer[GROUP_STRLEN];

		for (size_t k = 0; k < d->rs.n_rules; k++) {
			const struct rule *r = &d->rs.rules[k];

			if (r->id != v[i].rule_id)
				continue;
			buf_printf(&b, "%s %s %s ", d->rs.groups[r->group].name, r->inbound ? "from" : "to",
				   rule_peer_format(r, peer));
			rule_services_format(r, &b);
			break;
		}
		printf("rule %08x packets=%llu %s\n", v[i].rule_id, (unsigned long long)v[i].packets,
		       b.data ? b.data : "?");
		buf_fini(&b);
	}
	free(v);
	return rc;
}

static int cmd_eval(struct driver *d, const char *src, const char *dst, const char *service)
{
	struct eval_end s = {.group = GROUP_WORLD}, t = {.group = GROUP_WORLD};
	struct eval_result r;
	struct service v;
	long i, k;

	if (addr_parse(&s.addr, src) < 0 || addr_parse(&t.addr, dst) < 0 || service_parse(&v, service) < 0)
		return -EINVAL;
	i = find(d, &s.addr);
	k = find(d, &t.addr);
	if (i >= 0)
		s.group = d->members[i].group;
	if (k >= 0)
		t.group = d->members[k].group;
	eval(&r, &d->rs, &s, &t, v.proto, v.lo);
	printf("verdict %s\n", verdict_name(r.verdict));
	return 0;
}

static int run(struct driver *d, char *line)
{
	char *save = NULL, *w[5] = {NULL};
	size_t n = 0;

	for (char *p = strtok_r(line, " \t\n", &save); p && n < 5; p = strtok_r(NULL, " \t\n", &save))
		w[n++] = p;
	if (n == 0)
		return 0;
	if (strcmp(w[0], "apply") == 0 && n >= 3)
		return cmd_apply(d, w[1], strtoull(w[2], NULL, 0), n > 3 ? (uint32_t)strtoul(w[3], NULL, 0) : 0);
	if (strcmp(w[0], "member") == 0 && n == 3)
		return cmd_member(d, w[1], w[2]);
	if (strcmp(w[0], "gone") == 0 && n == 2)
		return cmd_member(d, w[1], NULL);
	if (strcmp(w[0], "confirm") == 0)
		return nft_confirm(d->nft, d->error);
	if (strcmp(w[0], "remove") == 0)
		return nft_remove(d->nft, d->error);
	if (strcmp(w[0], "restore") == 0)
		return nft_bridge_restore_all(d->nft, d->error);
	if (strcmp(w[0], "hook") == 0 && n == 2)
		return nft_bridge_hook(d->nft, if_nametoindex(w[1]), w[1], d->error);
	if (strcmp(w[0], "poll") == 0)
		return nft_poll_counters(d->nft, time_now_ns(), &events);
	if (strcmp(w[0], "counts") == 0)
		return cmd_counts(d);
	if (strcmp(w[0], "eval") == 0 && n == 4)
		return cmd_eval(d, w[1], w[2], w[3]);
	if (strcmp(w[0], "generation") == 0) {
		printf("generation %llu\n", (unsigned long long)nft_generation(d->nft));
		return 0;
	}
	snprintf(d->error, sizeof(d->error), "no such command");
	return -EINVAL;
}

static void answer(struct driver *d, char *line)
{
	char word[32] = "";
	int rc;

	sscanf(line, "%31s", word);
	d->error[0] = '\0';
	rc = run(d, line);
	if (rc < 0)
		printf("error %s: %s\n", word, d->error[0] ? d->error : strerror(-rc));
	else
		printf("ok %s\n", word);
}

int main(int argc, char **argv)
{
	struct driver d = {.members = calloc(MEMBERS_MAX, sizeof(*d.members))};
	struct pollfd p[3] = {{.fd = 0, .events = POLLIN}};
	char line[1024];
	size_t used = 0;
	int fds[2];
	int rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	rc = d.members ? nft_open(&d.nft, argc > 1 ? (uint16_t)atoi(argv[1]) : 5, d.error) : -ENOMEM;
	if (rc < 0) {
		printf("error open: %s\n", d.error[0] ? d.error : strerror(-rc));
		return 1;
	}
	nft_fds(d.nft, fds, 2);
	p[1] = (struct pollfd){.fd = fds[0], .events = POLLIN};
	p[2] = (struct pollfd){.fd = fds[1], .events = POLLIN};
	for (;;) {
		ssize_t got;
		char *end;

		if (poll(p, 3, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents || p[2].revents)
			nft_dispatch(d.nft, time_now_ns(), &events);
		if (!p[0].revents)
			continue;
		got = read(0, line + used, sizeof(line) - 1 - used);
		if (got <= 0)
			break;
		used += (size_t)got;
		line[used] = '\0';
		while ((end = strchr(line, '\n'))) {
			*end++ = '\0';
			answer(&d, line);
			used -= (size_t)(end - line);
			memmove(line, end, used + 1);
		}
	}
	nft_close(d.nft);
	ruleset_fini(&d.rs);
	free(d.members);
	return 0;
}
