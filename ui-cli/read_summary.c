/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Summing up capture files: see read_summary.h. Conversations are added up by (client, server, service) in a table of
 * fixed size; what comes when it is full is counted as others, and said to be.
 */
#include "config.h"
#include "ui-cli/read_summary.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/edge.h"
#include "common/hash.h"
#include "common/proto.h"
#include "common/timefmt.h"
#include "ui-cli/show.h"
#include "ui-cli/table.h"
#include "ui-cli/units.h"

#define SLOTS (1u << 17)
#define ROWS 20
#define GROUP_MANY UINT32_MAX /* the sources of folded attempts */

struct key {
	struct addr addr[2]; /* all zero where the group stands for it */
	uint32_t group[2];
	uint16_t port;
	uint8_t proto, pad;
};

struct row {
	struct key key;
	uint64_t flows, bytes; /* flows 0: free */
	uint8_t confidence;
	char app[FLOW_APP_STRLEN];
};

struct read_summary {
	struct hash_secret secret;
	struct row *rows;
	/* of each row: bits of its key's hash, 0: free. A scan of a million ports asks here, not there */
	uint32_t *tags;
	size_t used;
	uint64_t flows, packets, bytes, others, attempts;
	uint64_t first_ns, last_ns;
};

int read_summary_new(struct read_summary **out)
{
	struct read_summary *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->rows = calloc(SLOTS, sizeof(*s->rows));
	s->tags = calloc(SLOTS, sizeof(*s->tags));
	if (!s->rows || !s->tags) {
		read_summary_free(s);
		return -ENOMEM;
	}
	hash_secret_init(&s->secret);
	*out = s;
	return 0;
}

void read_summary_free(struct read_summary *s)
{
	if (!s)
		return;
	free(s->rows);
	free(s->tags);
	free(s);
}

/* The row of that key, new if need be; NULL when the table is full. */
static struct row *row_for(struct read_summary *s, const struct key *k)
{
	uint64_t h = hash_bytes(&s->secret, k, sizeof(*k));
	uint16_t tag = (uint16_t)(h >> 32) | 1;
	size_t i = h & (SLOTS - 1);

	for (; s->tags[i]; i = (i + 1) & (SLOTS - 1))
		if (s->tags[i] == tag && memcmp(&s->rows[i].key, k, sizeof(*k)) == 0)
			return &s->rows[i];
	if (s->used >= SLOTS / 2) {
		s->others++;
		return NULL;
	}
	s->used++;
	s->tags[i] = tag;
	s->rows[i].key = *k;
	return &s->rows[i];
}

static void span(struct read_summary *s, uint64_t from_ns, uint64_t to_ns)
{
	if (!s->first_ns || from_ns < s->first_ns)
		s->first_ns = from_ns;
	if (to_ns > s->last_ns)
		s->last_ns = to_ns;
}

void read_summary_flow(struct read_summary *s, const struct names *names, const struct flow_rec *f,
		       const struct names_end end[2])
{
	/* Where nobody saw the beginning, the lower port is the better guess for the server. */
	unsigned client = f->direction == FLOW_DIR_UNKNOWN && proto_has_ports(f->proto) && f->port[0] < f->port[1];
	struct key k = {.port = f->port[!client], .proto = f->proto};
	struct row *r;

	(void)names;
	for (unsigned i = 0; i < 2; i++) {
		unsigned from = i ? !client : client;

		if (end[from].workload)
			k.group[i] = end[from].group;
		else
			k.addr[i] = f->addr[from];
	}
	s->flows++;
	s->packets += f->pkts[0] + f->pkts[1];
	s->bytes += f->bytes[0] + f->bytes[1];
	span(s, f->start_ns, f->end_ns);
	r = row_for(s, &k);
	if (!r)
		return;
	r->flows++;
	r->bytes += f->bytes[0] + f->bytes[1];
	if (!r->app[0] || f->confidence > r->confidence ||
	    (f->confidence == r->confidence && edge_app_is_in(f->app, r->app))) {
		memcpy(r->app, f->app, sizeof(r->app));
		r->confidence = f->confidence;
	}
}

void read_summary_attempts(struct read_summary *s, const struct flow_attempts *a)
{
	struct key k = {.addr = {addr_any, a->dst}, .group = {GROUP_MANY, 0}, .port = a->port, .proto = a->proto};
	struct row *r = row_for(s, &k);

	if (r) {
		r->flows += a->count;
		r->bytes += a->bytes;
	}
	s->attempts += a->count;
	s->packets += a->count;
	s->bytes += a->bytes;
	span(s, a->start_ns, a->end_ns);
}

static int by_flows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->flows != y->flows)
		return x->flows > y->flows ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

static const char *label(const struct row *r, unsigned i, const struct names *names, char buf[ADDR_STRLEN])
{
	if (r->key.group[i] == GROUP_MANY)
		return "(attempts, folded)";
	return r->key.group[i] ? names_group(names, r->key.group[i]) : addr_format(&r->key.addr[i], buf);
}

static void print_rows(struct read_summary *s, const struct names *names)
{
	static const struct table_column columns[] = {{"  CLIENT", false, true, 0}, {"SERVER", false, true, 0},
						      {"SERVICE", false, false, 0},
						      {"APPLICATION", false, true, 0}, {"FLOWS", true, false,
											0}, {"BYTES", true, false, 0}};
	struct table *t = table_new(stdout, columns, 6);
	size_t shown = s->used < ROWS ? s->used : ROWS;
	size_t n = 0;

	for (size_t i = 0; i < SLOTS; i++)
		if (s->rows[i].flows)
			s->rows[n++] = s->rows[i];
	qsort(s->rows, n, sizeof(*s->rows), by_flows);
	for (size_t i = 0; t && i < shown; i++) {
		char a[ADDR_STRLEN], service[SERVICE_STRLEN], app[64], bytes[UNITS_STRLEN], client[GROUP_STRLEN + 2];
		const struct row *r = &s->rows[i];
		bool guess;

		snprintf(client, sizeof(client), "  %s", label(r, 0, names, a));
		table_cell(t, TABLE_PLAIN, client);
		table_cell(t, TABLE_PLAIN, label(r, 1, names, a));
		table_cell(t, TABLE_PLAIN, units_service(r->key.proto, r->key.port, service));
		table_cell(t, TABLE_PLAIN, show_app(r->app, r->confidence, app, sizeof(app), &guess));
		table_number(t, r->flows);
		table_cell(t, TABLE_PLAIN, units_bytes(r->bytes, bytes));
	}
	if (t)
		table_flush(t);
	table_free(t);
	if (n > shown || s->others)
		printf("  and %zu more%s\n", n - shown, s->others ? ", and others beyond what is added up here" : "");
}

static void print_counts(const struct coverage_rec *sum, const struct engine_stats *stats)
{
	if (sum->not_ip || sum->malformed)
		printf("  no flow   %llu frames without IP, %llu cut or malformed\n", (unsigned long long)sum->not_ip,
		       (unsigned long long)sum->malformed);
	if (sum->evicted || sum->folded)
		printf("  pressure  %llu flows written early, %llu unanswered "
		       "attempts folded: the flow table was full (--table-size)\n",
		       (unsigned long long)sum->evicted, (unsigned long long)sum->folded);
	if (stats->lost)
		printf("  lost      %llu records or packets: this answer is not complete\n",
		       (unsigned long long)stats->lost);
	if (stats->bad_records)
		printf("  lost      %llu records that could not be read back\n",
		       (unsigned long long)stats->bad_records);
}

void read_summary_print(struct read_summary *s, const struct names *names, const struct coverage_rec *ifaces,
			size_t n_ifaces,
			const struct engine_stats *stats, const char *file, size_t n_files, const char *state)
{
	char bytes[UNITS_STRLEN], packets[UNITS_STRLEN], flows[UNITS_STRLEN], text[128];
	struct coverage_rec sum = {0};

	for (size_t i = 0; i < n_ifaces; i++)
		coverage_merge(&sum, &ifaces[i]);
	if (n_files == 1)
		printf("%s: ", strcmp(file, "-") ? file : "standard input");
	else
		printf("%zu files: ", n_files);
	printf("%s, %s, %s\n", units_plural(sum.received, "packet", "packets", packets),
	       units_plural(s->flows, "flow", "flows", flows), units_bytes(s->bytes, bytes));
	if (s->first_ns)
		printf("  from      %s\n", units_span(s->first_ns, s->last_ns, text, sizeof(text)));
	print_counts(&sum, stats);
	if (s->used) {
		printf("\n");
		print_rows(s, names);
	}
	if (state)
		printf("\nKept in %s: weir map --state %s, weir flows --state %s, ...\n", state, state, state);
	else
		printf("\nNothing was kept: --state DIR does; -o json prints the flows.\n");
}
