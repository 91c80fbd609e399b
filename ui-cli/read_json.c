/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sorting and printing the flows of capture files: see read_json.h. */
#include "config.h"
#include "ui-cli/read_json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui-cli/output.h"

#define GATHER_MAX (128u << 20) /* bytes of encoded records */
#define PRINT_MAX (1u << 20)    /* bytes of text a write */

struct entry {
	uint64_t start_ns;
	size_t offset;
	uint32_t len;
	bool attempts;
};

struct read_json {
	const struct read_workloads *workloads;
	struct buf records, text;
	struct entry *entries;
	size_t n, cap;
	int failed;
};

int read_json_new(struct read_json **out, const struct read_workloads *workloads)
{
	struct read_json *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->workloads = workloads;
	*out = j;
	return 0;
}

void read_json_free(struct read_json *j)
{
	if (!j)
		return;
	buf_fini(&j->records);
	buf_fini(&j->text);
	free(j->entries);
	free(j);
}

static int by_start(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static const struct workload *find(const struct read_json *j, uint64_t id)
{
	for (size_t i = 0; id && j->workloads && i < j->workloads->n; i++)
		if (j->workloads->w[i].id == id)
			return &j->workloads->w[i];
	return NULL;
}

static void name_end(const struct read_json *j, struct output_end *out, uint64_t workload)
{
	memset(out, 0, sizeof(*out));
	out->workload = find(j, workload);
	if (out->workload)
		out->group = out->workload->group;
	else if (j->workloads)
		out->group = GROUP_WORLD;
}

static int print_entry(struct read_json *j, const struct entry *e)
{
	const void *data = j->records.data + e->offset;
	struct output_end end[2];
	struct flow_attempts a;
	struct flow_rec f;

	if (e->attempts) {
		name_end(j, &end[0], 0);
		return flow_attempts_decode(&a, data, e->len) ? 0 : output_attempts_json(&j->text, &a, &end[0]);
	}
	if (flow_decode(&f, data, e->len))
		return 0;
	name_end(j, &end[0], f.workload[0]);
	name_end(j, &end[1], f.workload[1]);
	return output_flow_json(&j->text, &f, end);
}

static int print_text(struct read_json *j)
{
	if (j->text.len && fwrite(j->text.data, 1, j->text.len, stdout) != j->text.len)
		return -EIO;
	buf_clear(&j->text);
	return 0;
}

int read_json_flush(struct read_json *j)
{
	int rc = j->failed;

	if (j->n)
		qsort(j->entries, j->n, sizeof(*j->entries), by_start);
	for (size_t i = 0; i < j->n && !rc; i++) {
		rc = print_entry(j, &j->entries[i]);
		if (!rc && j->text.len > PRINT_MAX)
			rc = print_text(j);
	}
	if (!rc)
		rc = print_text(j);
	if (!rc && fflush(stdout))
		rc = -EIO;
	j->n = 0;
	buf_clear(&j->records);
	j->failed = rc;
	return rc;
}

/* Room for one more; false when memory is short. */
static struct entry *entry_new(struct read_json *j, uint64_t start_ns, bool attempts)
{
	if (j->records.len > GATHER_MAX)
		read_json_flush(j);
	if (j->n == j->cap) {
		size_t cap = j->cap ? j->cap * 2 : 4096;
		struct entry *grown = realloc(j->entries, cap * sizeof(*grown));

		if (!grown) {
			j->failed = -ENOMEM;
			return NULL;
		}
		j->entries = grown;
		j->cap = cap;
	}
	j->entries[j->n] = (struct entry){start_ns, j->records.len, 0, attempts};
	return &j->entries[j->n];
}

static void entry_end(struct read_json *j, struct entry *e)
{
	if (buf_failed(&j->records)) {
		j->failed = -ENOMEM;
		return;
	}
	e->len = (uint32_t)(j->records.len - e->offset);
	j->n++;
}

void read_json_flow(struct read_json *j, const struct flow_rec *f)
{
	struct entry *e = entry_new(j, f->start_ns, false);

	if (!e)
		return;
	flow_encode(&j->records, f);
	entry_end(j, e);
}

void read_json_attempts(struct read_json *j, const struct flow_attempts *a)
{
	struct entry *e = entry_new(j, a->start_ns, true);

	if (!e)
		return;
	flow_attempts_encode(&j->records, a);
	entry_end(j, e);
}
