/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How fast are packets taken in, without store and engine? Reads capture files through one worker whose records go
 * nowhere, and prints packets a second. -f prints the flows, one a line, for comparison with other tools; -w N/M
 * keeps the flows of worker N of M only; -t SIZE sets the table size; -i looks inside tunnels. -l SECONDS watches
 * interfaces instead of reading files, until all of them have gone, the time is up, or SIGTERM; -r BYTES sets the
 * kernel's ring. The summary is on standard error when flows are printed.
 */
#include "config.h"

#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "capture/worker.h"
#include "common/proto.h"
#include "common/timefmt.h"

static bool print_flows;
static uint64_t n_flows, n_attempts, attempts_sum, n_coverage, lost_kernel, lost_interface;

static int on_flow(void *arg, const struct flow_rec *f)
{
	char a[ADDR_STRLEN], b[ADDR_STRLEN];

	(void)arg;
	n_flows++;
	if (!print_flows)
		return 0;
	printf("%u\t%s\t%u\t%s\t%u\t%u\t%s\t%s\t%llu\t%llu\t%llu\t%llu\t%s\t%s\t%s\t%llu\t%llu\n", f->proto,
	       addr_format(&f->addr[0], a), f->port[0], addr_format(&f->addr[1], b), f->port[1], f->vlan, f->app,
	       flow_confidence_name(f->confidence), (unsigned long long)f->pkts[0], (unsigned long long)f->bytes[0],
	       (unsigned long long)f->pkts[1], (unsigned long long)f->bytes[1], flow_direction_name(f->direction),
	       flow_state_name(f->state), flow_reason_name(f->reason), (unsigned long long)f->start_ns,
	       (unsigned long long)f->end_ns);
	return 0;
}

static int on_attempts(void *arg, const struct flow_attempts *a)
{
	(void)arg;
	n_attempts++;
	attempts_sum += a->count;
	return 0;
}

static int on_coverage(void *arg, const struct coverage_rec *c)
{
	(void)arg;
	lost_kernel += c->lost_kernel;
	lost_interface += c->lost_interface;
	n_coverage++;
	return 0;
}

static volatile sig_atomic_t stopped;

static void on_term(int sig)
{
	stopped = sig;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void summary(const struct worker *w, uint64_t ns)
{
	struct worker_stats s;
	FILE *to = print_flows ? stderr : stdout;
	struct rusage u;

	worker_stats(w, &s);
	getrusage(RUSAGE_SELF, &u);
	fprintf(to, "packets %llu  %.3f Mpps  %.1f ns/packet  wall %.2f s  cpu %.2f s  peak %ld MB\n",
	       (unsigned long long)s.packets, (double)s.packets * 1e3 / (double)ns, (double)ns / (double)s.packets,
	       (double)ns / 1e9, seconds(u.ru_utime) + seconds(u.ru_stime), u.ru_maxrss / 1024);
	fprintf(to, "lost_by_kernel %llu lost_by_interface %llu\n", (unsigned long long)lost_kernel,
	       (unsigned long long)lost_interface);
	fprintf(to, "flows %llu  attempts %llu (records %llu)  coverage %llu  evicted %llu  folded %llu  not IP %llu  "
	       "malformed %llu\n",
	       (unsigned long long)n_flows, (unsigned long long)attempts_sum, (unsigned long long)n_attempts,
	       (unsigned long long)n_coverage, (unsigned long long)s.evicted, (unsigned long long)s.folded,
	       (unsigned long long)s.not_ip, (unsigned long long)s.malformed);
}

static int watch(struct worker *w, char **names, unsigned n, double seconds_max, unsigned group)
{
	uint64_t until = time_mono_ns() + (uint64_t)(seconds_max * 1e9);
	char error[WORKER_ERROR_STRLEN];
	uint32_t gone[16];
	size_t n_gone;

	for (unsigned i = 0; i < n; i++) {
		if (worker_attach(w, names[i], if_nametoindex(names[i]), group, error) != 0) {
			fprintf(stderr, "%s\n", error);
			return 1;
		}
	}
	fprintf(stderr, "watching\n");
	signal(SIGTERM, on_term);
	while (!stopped && time_mono_ns() < until && worker_interfaces(w)) {
		struct pollfd p[16];
		int fds[16];
		size_t count = worker_fds(w, fds, 16);

		for (size_t i = 0; i < count; i++)
			p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
		poll(p, count, 100);
		worker_poll(w, time_now_ns(), gone, &n_gone);
		for (size_t i = 0; i < n_gone; i++)
			fprintf(stderr, "interface %u has gone\n", gone[i]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct worker_sink sink = {on_flow, on_attempts, on_coverage, NULL};
	struct worker_settings set;
	char error[WORKER_ERROR_STRLEN];
	struct worker *w;
	double live = 0;
	uint64_t start;
	int opt, rc = 0;

	for (int i = 1; i < argc; i++)
		live = strcmp(argv[i], "-l") == 0 && i + 1 < argc ? strtod(argv[i + 1], NULL) : live;
	worker_settings_default(&set, live == 0);
	set.write_through_ns = 0; /* every flow once */
	while ((opt = getopt(argc, argv, "fl:r:t:w:i")) != -1) {
		if (opt == 'f')
			print_flows = true;
		else if (opt == 't')
			set.table_size = (uint32_t)strtoul(optarg, NULL, 0);
		else if (opt == 'r')
			set.ring_bytes = strtoull(optarg, NULL, 0);
		else if (opt == 'i')
			set.look_inside = true;
		else if (opt == 'l')
			continue;
		else if (opt != 'w' || sscanf(optarg, "%u/%u", &set.index, &set.count) != 2)
			return 2;
	}
	start = time_mono_ns();
	if (worker_new(&w, &set, &sink) != 0)
		return 1;
	if (live > 0)
		rc = watch(w, argv + optind, (unsigned)(argc - optind), live, 4711);
	for (int i = optind; i < argc && live == 0; i++) {
		if (worker_read_file(w, argv[i], -1, (unsigned)(i - optind), error) != 0) {
			fprintf(stderr, "%s\n", error);
			rc = 1;
		}
	}
	worker_finish(w, FLOW_REASON_EOF);
	summary(w, time_mono_ns() - start);
	worker_free(w);
	return rc;
}
