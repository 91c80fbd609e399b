/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where do the nanoseconds of a packet go? bench_stages CAPTURE DIR runs the stages of `weir read` over one capture
 * file, each time with one stage more, in one process, and prints CPU time and the growth: reading, decoding, the
 * flow table (look-up, state, expiry), nDPI, handing records over (encode, ring, decode), the store in DIR.
 *
 * A timer around each call to nDPI would cost as much as some of what it measures. So the linker puts these functions
 * in front of classify's (--wrap), and a run without nDPI is one in which they do nothing. Each figure is the least
 * of ROUNDS runs. Stages that the worker interleaves to hide memory's latency add up to a little more here.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/classify.h"
#include "capture/decode.h"
#include "capture/source.h"
#include "capture/worker.h"
#include "common/ring.h"
#include "common/timefmt.h"
#include "store/flows.h"

#define ROUNDS 3
#define COMMIT_RECORDS 50000

static bool with_ndpi;

/* The linker's names: __real_X is classify's, __wrap_X is what the worker calls. */
bool __real_classify_packet(struct classify *c, struct classify_flow *f, const uint8_t *ip, size_t len,
			    bool from_client, uint64_t time_ms);
bool __wrap_classify_packet(struct classify *c, struct classify_flow *f, const uint8_t *ip, size_t len,
			    bool from_client, uint64_t time_ms);
struct classify_flow *__real_classify_flow_new(struct classify *c);
struct classify_flow *__wrap_classify_flow_new(struct classify *c);
void __real_classify_flow_free(struct classify *c, struct classify_flow *f);
void __wrap_classify_flow_free(struct classify *c, struct classify_flow *f);
void __real_classify_flow_syn(struct classify_flow *f);
void __wrap_classify_flow_syn(struct classify_flow *f);
void __real_classify_verdict(struct classify *c, struct classify_flow *f, bool giveup, struct flow_rec *out,
			     struct buf *attrs);
void __wrap_classify_verdict(struct classify *c, struct classify_flow *f, bool giveup, struct flow_rec *out,
			     struct buf *attrs);

bool __wrap_classify_packet(struct classify *c, struct classify_flow *f, const uint8_t *ip, size_t len,
			    bool from_client, uint64_t time_ms)
{
	return !with_ndpi || __real_classify_packet(c, f, ip, len, from_client, time_ms);
}

struct classify_flow *__wrap_classify_flow_new(struct classify *c)
{
	static char nobody;

	return with_ndpi ? __real_classify_flow_new(c) : (struct classify_flow *)(void *)&nobody;
}

void __wrap_classify_flow_free(struct classify *c, struct classify_flow *f)
{
	if (with_ndpi)
		__real_classify_flow_free(c, f);
}

void __wrap_classify_flow_syn(struct classify_flow *f)
{
	if (with_ndpi)
		__real_classify_flow_syn(f);
}

void __wrap_classify_verdict(struct classify *c, struct classify_flow *f, bool giveup, struct flow_rec *out,
			     struct buf *attrs)
{
	if (with_ndpi)
		__real_classify_verdict(c, f, giveup, out, attrs);
}

/* What the worker reported in the last run: records back to back, each behind its length. */
static struct {
	struct buf bytes, one;
	uint64_t packets, flows, attempts;
	bool keep;
} got;

static enum link_type link_now;
static bool decoding;
static volatile unsigned sink_of_values; /* the compiler must not find out that nobody looks */

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void on_frame(void *arg, const uint8_t *data, uint32_t caplen, uint32_t wirelen, uint64_t time_ns)
{
	struct packet p;

	(void)arg;
	(void)time_ns;
	got.packets++;
	if (decoding && decode_frame(&p, link_now, data, caplen, wirelen, DECODE_INSIDE_IPIP) == DECODE_OK)
		sink_of_values += p.proto;
}

static int run_source(const char *path)
{
	char error[SOURCE_ERROR_STRLEN];
	struct source *s;
	int rc = source_open_file(&s, path, -1, error);

	got.packets = 0;
	if (rc) {
		fprintf(stderr, "%s\n", error);
		return rc;
	}
	link_now = source_link(s);
	while ((rc = source_read(s, 64, on_frame, NULL, error)) >= 0)
		;
	source_close(s);
	return rc == SOURCE_END ? 0 : rc;
}

static int on_flow(void *arg, const struct flow_rec *f)
{
	uint32_t len;

	(void)arg;
	got.flows++;
	if (!got.keep)
		return 0;
	buf_clear(&got.one);
	flow_encode(&got.one, f);
	len = (uint32_t)got.one.len;
	buf_add(&got.bytes, &len, sizeof(len));
	buf_add(&got.bytes, got.one.data, len);
	return 0;
}

static int on_attempts(void *arg, const struct flow_attempts *a)
{
	(void)arg;
	(void)a;
	got.attempts++;
	return 0;
}

static int on_coverage(void *arg, const struct coverage_rec *c)
{
	(void)arg;
	(void)c;
	return 0;
}

static int run_worker(const char *path)
{
	const struct worker_sink sink = {on_flow, on_attempts, on_coverage, NULL};
	struct worker_settings set;
	char error[WORKER_ERROR_STRLEN];
	struct worker *w;
	int rc;

	got.flows = got.attempts = 0;
	buf_clear(&got.bytes);
	worker_settings_default(&set, true);
	rc = worker_new(&w, &set, &sink);
	if (rc)
		return rc;
	rc = worker_read_file(w, path, -1, 0, error);
	worker_finish(w, FLOW_REASON_EOF);
	worker_free(w);
	return rc;
}

/* Every record through a ring, and, with a store, into it. */
static int run_records(struct store *s)
{
	struct store_txn *t = NULL;
	struct ring *ring;
	uint64_t n = 0;
	int rc = ring_new(&ring, 4u << 20);

	for (size_t at = 0; !rc && at < got.bytes.len;) {
		enum ring_msg type;
		const void *data;
		struct flow_rec f;
		uint32_t len;
		size_t size;

		memcpy(&len, got.bytes.data + at, sizeof(len));
		rc = flow_decode(&f, got.bytes.data + at + sizeof(len), len);
		at += sizeof(len) + len;
		buf_clear(&got.one);
		flow_encode(&got.one, &f);
		if (rc || ring_put(ring, RING_FLOW, got.one.data, got.one.len) ||
		    ring_get(ring, &type, &data, &size) != 1)
			rc = rc ? rc : -1;
		if (!rc && s && !t)
			rc = store_begin(&t, s, true);
		if (!rc && s)
			rc = flow_decode(&f, data, size) || store_flow_put(t, &f);
		if (!rc && t && ++n % COMMIT_RECORDS == 0) {
			rc = store_commit(t);
			t = NULL;
		}
	}
	if (t && !rc)
		rc = store_commit(t);
	ring_free(ring);
	return rc;
}

enum stage { READ, DECODE, TABLE, NDPI, HAND_OVER, STORE, STAGES };

static int run_stage(enum stage stage, const char *path, const char *dir)
{
	const struct store_options options = {.no_sync = true};
	struct store *s = NULL;
	int rc;

	decoding = stage == DECODE;
	with_ndpi = stage == NDPI;
	got.keep = false;
	if (stage <= DECODE)
		return run_source(path);
	if (stage <= NDPI)
		return run_worker(path);
	rc = stage == STORE ? store_open(&s, dir, STORE_WRITE, &options) : 0;
	if (!rc)
		rc = run_records(s);
	store_close(s);
	return rc;
}

int main(int argc, char **argv)
{
	static const char *const names[STAGES] = {"read", "decode", "flow table", "nDPI", "hand over", "store"};
	uint64_t ns[STAGES], packets, sum = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_stages CAPTURE DIR (a new one, for the store)\n");
		return 2;
	}
	for (unsigned i = 0; i < STAGES; i++) {
		ns[i] = UINT64_MAX;
		if (i == HAND_OVER) { /* the records themselves, once, with everything in them */
			with_ndpi = got.keep = true;
			if (run_worker(argv[1]))
				return 1;
		}
		/* The store is filled once: to fill it again with the same would be another measurement. */
		for (unsigned r = 0; r < (i == STORE ? 1 : ROUNDS); r++) {
			uint64_t start = cpu_ns(), took;

			if (run_stage(i, argv[1], argv[2])) {
				fprintf(stderr, "bench_stages: %s failed\n", names[i]);
				return 1;
			}
			took = cpu_ns() - start;
			ns[i] = took < ns[i] ? took : ns[i];
		}
	}
	packets = got.packets ? got.packets : 1;
	printf("%llu packets, %llu flows, %llu folded records\n", (unsigned long long)packets,
	       (unsigned long long)got.flows, (unsigned long long)got.attempts);
	printf("%-12s %10s %12s %10s\n", "stage", "cpu_ms", "ns/packet", "ns/flow");
	for (unsigned i = 0; i < STAGES; i++) {
		/* Hand over stands by itself; the store's run hands over too. Each other holds the one before it. */
		uint64_t before = i == READ || i == HAND_OVER ? 0 : ns[i - 1],
			 own = ns[i] > before ? ns[i] - before : 0;

		sum += own;
		printf("%-12s %10.0f %12.1f %10.0f\n", names[i], (double)own / 1e6, (double)own / (double)packets,
		       (double)own / (double)(got.flows ? got.flows : 1));
	}
	printf("%-12s %10.0f %12.1f\n", "sum", (double)sum / 1e6, (double)sum / (double)packets);
	buf_fini(&got.bytes);
	buf_fini(&got.one);
	return 0;
}
