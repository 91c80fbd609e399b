/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * capture/worker as a whole, over captures made here: who is the client, how far a conversation got, where its packets
 * are counted, and what happens when the table is too small for all that comes.
 */
#include "config.h"

#include <errno.h>

#include "capture/worker.h"
#include "tests/tap.h"
#include "tests/unit/pcap_build.h"

#define FLOWS_MAX 65536
#define SYN 0x02
#define SYN_ACK 0x12
#define ACK 0x10
#define PSH_ACK 0x18
#define FIN_ACK 0x11
#define RST_ACK 0x14

static struct {
	struct flow_rec flow[FLOWS_MAX];
	size_t n, refuse_from; /* refuse_from: records the sink has room for */
	uint64_t refused, attempts, attempts_bytes, attempts_records, folded, evicted, lost_ring, received, malformed;
	struct worker_stats stats;
	char error[WORKER_ERROR_STRLEN];
	int rc;
} out;

static int on_flow(void *arg, const struct flow_rec *f)
{
	(void)arg;
	if (out.n >= out.refuse_from || out.n == FLOWS_MAX) {
		out.refused++;
		return -EAGAIN;
	}
	out.flow[out.n++] = *f;
	return 0;
}

static int on_attempts(void *arg, const struct flow_attempts *a)
{
	(void)arg;
	out.attempts += a->count;
	out.attempts_bytes += a->bytes;
	out.attempts_records++;
	return 0;
}

static int on_coverage(void *arg, const struct coverage_rec *c)
{
	(void)arg;
	out.folded += c->folded;
	out.evicted += c->evicted;
	out.lost_ring += c->lost_ring;
	out.received += c->received;
	out.malformed += c->malformed;
	return 0;
}

static void run_more(const struct worker_settings *set, const struct build *f, size_t room)
{
	struct worker_sink sink = {on_flow, on_attempts, on_coverage, NULL};
	struct worker *w;

	out.refuse_from = room;
	CHECK_EQ(worker_new(&w, set, &sink), 0);
	out.rc = worker_read_file(w, "made-here.pcap", build_fd(f), 0, out.error);
	worker_finish(w, FLOW_REASON_EOF);
	worker_stats(w, &out.stats);
	worker_free(w);
}

static void run(const struct build *f, uint32_t table_size)
{
	struct worker_settings set;

	memset(&out, 0, sizeof(out));
	worker_settings_default(&set, true);
	set.table_size = table_size;
	run_more(&set, f, FLOWS_MAX);
}

static struct build *fresh(void)
{
	static struct build f;

	buf_fini(&f.b);
	build_init(&f, 101);
	return &f;
}

/* The one flow of a capture, with its client, server port, direction and state. */
static const struct flow_rec *only(uint32_t client, uint16_t port, unsigned direction, unsigned state)
{
	const struct flow_rec *f = &out.flow[0];

	CHECK_EQ(out.n, 1);
	CHECK_EQ(f->addr[0].b[15], client);
	CHECK_EQ(f->port[1], port);
	CHECK_STR(flow_direction_name(f->direction), flow_direction_name(direction));
	CHECK_STR(flow_state_name(f->state), flow_state_name(state));
	CHECK(f->app[0] != '\0');
	CHECK(f->id != 0 && f->conv_id == f->id && f->id == flow_id(f));
	return f;
}

static void test_tcp_whole(void)
{
	struct build *f = fresh();
	const struct flow_rec *r;

	build_tcp(f, 0, 1, 40000, 2, 80, SYN, 0);
	build_tcp(f, 1, 2, 80, 1, 40000, SYN_ACK, 0);
	build_tcp(f, 2, 1, 40000, 2, 80, ACK, 0);
	build_tcp(f, 3, 1, 40000, 2, 80, PSH_ACK, 100);
	build_tcp(f, 4, 2, 80, 1, 40000, PSH_ACK, 1000);
	build_tcp(f, 5, 2, 80, 1, 40000, FIN_ACK, 0);
	build_tcp(f, 6, 1, 40000, 2, 80, FIN_ACK, 0);
	build_tcp(f, 7, 2, 80, 1, 40000, ACK, 0);
	run(f, 0);
	r = only(1, 80, FLOW_DIR_SYN, FLOW_STATE_CLOSED);
	CHECK_EQ(r->reason, FLOW_REASON_CLOSED);
	CHECK_EQ(r->pkts[0], 4);
	CHECK_EQ(r->pkts[1], 4);
	CHECK_EQ(r->bytes[0], 4 * 40 + 100);
	CHECK_EQ(r->bytes[1], 4 * 40 + 1000);
	CHECK_EQ(r->payload[0], 100);
	CHECK_EQ(r->payload[1], 1000);
	CHECK_EQ(r->tcp_flags[0], SYN | PSH_ACK | FIN_ACK);
	CHECK_EQ(r->end_ns - r->start_ns, 7000000);
	CHECK_EQ(r->iface, 1);
	CHECK_EQ(out.received, 8);
	CHECK_EQ(out.rc, 0);
}

static void test_tcp_directions(void)
{
	struct build *f = fresh();

	build_tcp(f, 0, 2, 80, 1, 40000, SYN_ACK, 0); /* the SYN was missed */
	build_tcp(f, 1, 1, 40000, 2, 80, ACK, 0);
	run(f, 0);
	only(1, 80, FLOW_DIR_SYN, FLOW_STATE_ESTABLISHED);

	f = fresh();
	build_tcp(f, 0, 2, 80, 1, 40000, PSH_ACK, 10);
	run(f, 0);
	only(2, 40000, FLOW_DIR_UNKNOWN, FLOW_STATE_MID);
	build_tcp(f, 1, 1, 40000, 2, 80, ACK, 0);
	run(f, 0);
	only(2, 40000, FLOW_DIR_UNKNOWN, FLOW_STATE_ESTABLISHED);

	f = fresh(); /* a stray ACK of the server's, then the handshake tells */
	build_tcp(f, 0, 2, 80, 1, 40000, ACK, 0);
	build_tcp(f, 1, 1, 40000, 2, 80, SYN, 0);
	build_tcp(f, 2, 2, 80, 1, 40000, SYN_ACK, 0);
	build_tcp(f, 3, 1, 40000, 2, 80, ACK, 0);
	run(f, 0);
	only(1, 80, FLOW_DIR_SYN, FLOW_STATE_ESTABLISHED);
	CHECK_EQ(out.flow[0].pkts[0], 2);
	CHECK_EQ(out.flow[0].pkts[1], 2);
}

static void test_tcp_states(void)
{
	struct build *f = fresh();

	build_tcp(f, 0, 1, 40000, 2, 81, SYN, 0);
	run(f, 0);
	only(1, 81, FLOW_DIR_SYN, FLOW_STATE_NEW);
	CHECK(!flow_answered(&out.flow[0]));
	build_tcp(f, 1, 2, 81, 1, 40000, RST_ACK, 0);
	run(f, 0);
	only(1, 81, FLOW_DIR_SYN, FLOW_STATE_REFUSED);
	build_tcp(f, 500, 1, 40000, 2, 81, SYN, 0); /* tries again: still the same */
	build_tcp(f, 501, 2, 81, 1, 40000, RST_ACK, 0);
	run(f, 0);
	only(1, 81, FLOW_DIR_SYN, FLOW_STATE_REFUSED);
	build_tcp(f, 600, 1, 40000, 2, 81, SYN, 0); /* and gets through */
	build_tcp(f, 601, 2, 81, 1, 40000, SYN_ACK, 0);
	run(f, 0);
	only(1, 81, FLOW_DIR_SYN, FLOW_STATE_HALF_OPEN);
	build_tcp(f, 602, 1, 40000, 2, 81, ACK, 0);
	run(f, 0);
	only(1, 81, FLOW_DIR_SYN, FLOW_STATE_ESTABLISHED);
	build_tcp(f, 603, 2, 81, 1, 40000, RST_ACK, 0);
	run(f, 0);
	only(1, 81, FLOW_DIR_SYN, FLOW_STATE_RESET);
	build_tcp(f, 700, 1, 40000, 2, 81, SYN, 0); /* another conversation on the same ends */
	run(f, 0);
	CHECK_EQ(out.n, 2);
	CHECK(out.flow[0].id != out.flow[1].id);
}

static void test_connectionless(void)
{
	struct build *f = fresh();
	uint8_t quoted[28] = {0};

	build_udp(f, 0, 1, 40000, 2, 53, 0, 0, 20);
	run(f, 0);
	only(1, 53, FLOW_DIR_FIRST, FLOW_STATE_NEW);
	build_ip(quoted, 1, 2, 17, 0, 0, 28);
	quoted[20] = 40000 >> 8;
	quoted[21] = 40000 & 0xff;
	quoted[23] = 53;
	build_icmp(f, 1, 2, 1, 3, 3, 0, quoted, sizeof(quoted));
	run(f, 0);
	CHECK_EQ(out.n, 2); /* the error is a conversation of its own, which is no request */
	for (size_t i = 0; i < out.n; i++) {
		CHECK_EQ(out.flow[i].state, out.flow[i].proto == 17 ? FLOW_STATE_REFUSED : FLOW_STATE_NEW);
		CHECK_EQ(out.flow[i].direction, out.flow[i].proto == 17 ? FLOW_DIR_FIRST : FLOW_DIR_UNKNOWN);
	}

	f = fresh();
	build_udp(f, 0, 2, 53, 1, 40000, 0, 0, 20); /* an answer whose question was missed */
	run(f, 0);
	only(2, 40000, FLOW_DIR_UNKNOWN, FLOW_STATE_NEW);

	f = fresh();
	build_icmp(f, 0, 1, 2, 8, 0, 77, "abcd", 4);
	build_icmp(f, 1, 2, 1, 0, 0, 77, "abcd", 4);
	run(f, 0);
	only(1, 8, FLOW_DIR_FIRST, FLOW_STATE_ESTABLISHED);
	CHECK_EQ(out.flow[0].port[0], 77);
	f = fresh();
	build_icmp(f, 1, 2, 1, 0, 0, 77, "abcd", 4);
	run(f, 0);
	CHECK_EQ(out.flow[0].addr[0].b[15], 1);
	CHECK_EQ(out.flow[0].pkts[1], 1);
	CHECK_EQ(out.flow[0].direction, FLOW_DIR_UNKNOWN);
}

static void test_fragments(void)
{
	static const unsigned orders[][3] = {{0, 1, 2}, {1, 2, 0}, {2, 0, 1}};

	for (size_t o = 0; o < 3; o++) {
		struct build *f = fresh();

		for (unsigned i = 0; i < 3; i++) {
			unsigned n = orders[o][i];

			build_udp(f, i, 1, 40000, 2, 5000, 99, (uint16_t)((n < 2 ? 0x2000 : 0) | n * 100),
				  n ? 800 : 792);
		}
		build_udp(f, 5, 2, 5000, 1, 40000, 7, 0, 10);
		run(f, 0);
		only(1, 5000, FLOW_DIR_FIRST, FLOW_STATE_ESTABLISHED);
		CHECK_EQ(out.flow[0].pkts[0], 3);
		CHECK_EQ(out.flow[0].bytes[0], 3 * 820);
		CHECK_EQ(out.malformed, 0);
	}
}

/* Established flows among a flood of embryonic ones: all stay, and every attempt is told, alone or in a count. */
static void test_flood_spares_established(void)
{
	enum { GOOD = 600, FLOOD = 30000 };
	struct build *f = fresh();
	uint64_t good = 0, alone = 0;

	for (uint16_t i = 0; i < GOOD; i++) {
		build_tcp(f, i, 1, (uint16_t)(20000 + i), 2, 80, SYN, 0);
		build_tcp(f, i, 2, 80, 1, (uint16_t)(20000 + i), SYN_ACK, 0);
		build_tcp(f, i, 1, (uint16_t)(20000 + i), 2, 80, ACK, 0);
	}
	for (uint32_t i = 0; i < FLOOD; i++)
		build_tcp(f, GOOD + i / 100, 1000 + i, 1234, 3 + i % 7, 443, SYN, 0);
	for (uint16_t i = 0; i < GOOD; i++)
		build_tcp(f, 20000, 1, (uint16_t)(20000 + i), 2, 80, PSH_ACK, 50);
	run(f, 1024);
	for (size_t i = 0; i < out.n; i++) {
		if (out.flow[i].state == FLOW_STATE_ESTABLISHED) {
			good++;
			CHECK_EQ(out.flow[i].pkts[0], 3);
			CHECK_EQ(out.flow[i].reason, FLOW_REASON_EOF);
		} else {
			alone++;
		}
	}
	CHECK_EQ(good, GOOD);
	CHECK_EQ(alone + out.attempts, FLOOD);
	CHECK(out.attempts > FLOOD / 2);
	CHECK(out.attempts_records < 100);
	CHECK_EQ(out.folded, out.attempts);
	CHECK_EQ(out.evicted, 0);
	CHECK_EQ(out.stats.folded, out.folded);
}

/* More established flows than places: the idle ones go, each is told once, no packet is forgotten. */
static void test_too_many_established(void)
{
	enum { GOOD = 5000 };
	struct build *f = fresh();
	uint64_t pkts = 0, evicted = 0;

	for (uint32_t i = 0; i < GOOD; i++) {
		uint16_t port = (uint16_t)(20000 + i);

		build_tcp(f, i, 1, port, 2, 80, SYN, 0);
		build_tcp(f, i, 2, 80, 1, port, SYN_ACK, 0);
		build_tcp(f, i, 1, port, 2, 80, ACK, 0);
		build_tcp(f, i, 1, 9, 2, 22, i == 0 ? SYN : PSH_ACK, 0); /* a busy one among them */
		if (i == 0)
			build_tcp(f, i, 2, 22, 1, 9, SYN_ACK, 0);
	}
	run(f, 1024);
	CHECK_EQ(out.n, GOOD + 1);
	for (size_t i = 0; i < out.n; i++) {
		pkts += out.flow[i].pkts[0] + out.flow[i].pkts[1];
		evicted += out.flow[i].reason == FLOW_REASON_EVICTED;
		if (out.flow[i].port[1] == 22)
			CHECK_EQ(out.flow[i].pkts[0], GOOD);
	}
	CHECK_EQ(pkts, f->packets);
	CHECK_EQ(evicted, out.evicted);
	CHECK_EQ(out.attempts, 0);
}

/* Random traffic through a table of any size: every byte is told of in exactly one record. */
static void test_conservation(void)
{
	static const uint8_t all_flags[] = {SYN, SYN_ACK, ACK, PSH_ACK, FIN_ACK, RST_ACK};
	uint64_t seed = tap_seed();

	for (unsigned round = 0; round < 6; round++) {
		struct build *f = fresh();
		uint64_t bytes = 0;

		for (unsigned i = 0; i < 40000; i++) {
			uint32_t a = 1 + (uint32_t)(tap_random(&seed) % 50), b = 1 + (uint32_t)(tap_random(&seed) % 50);
			uint16_t pa = (uint16_t)(1 + tap_random(&seed) % 40);
			uint16_t pb = (uint16_t)(1 + tap_random(&seed) % 3);
			uint8_t flags = all_flags[tap_random(&seed) % sizeof(all_flags)];

			if (tap_random(&seed) % 2)
				build_tcp(f, i * 3, a, pa, b, pb, flags, flags == PSH_ACK ? 30 : 0);
			else
				build_udp(f, i * 3, a, pa, b, pb, 0, 0, 10);
		}
		run(f, round % 2 ? 1024 : 0);
		for (size_t i = 0; i < out.n; i++)
			bytes += out.flow[i].bytes[0] + out.flow[i].bytes[1];
		CHECK_EQ(bytes + out.attempts_bytes, f->bytes);
		CHECK_EQ(out.stats.packets, f->packets);
		CHECK_EQ(out.received, f->packets);
	}
}

static void test_workers_share(void)
{
	const struct worker_sink sink = {on_flow, on_attempts, on_coverage, NULL};
	struct worker *none = NULL;
	uint64_t seed = tap_seed(), bytes = 0, one;
	struct build *f = fresh();
	struct worker_settings set;
	unsigned busy = 0;

	for (unsigned i = 0; i < 5000; i++) {
		uint32_t a = 1 + (uint32_t)(tap_random(&seed) % 30), b = 100 + (uint32_t)(tap_random(&seed) % 30);
		uint16_t port = (uint16_t)(1000 + tap_random(&seed) % 5);

		build_udp(f, i, a, port, b, 53, (uint16_t)i, 0x2000, 40);
		build_udp(f, i, a, 0, b, 0, (uint16_t)i, 6, 40);
		build_udp(f, i, b, 53, a, port, 0, 0, 40);
	}
	run(f, 0);
	one = out.n;
	memset(&out, 0, sizeof(out));
	worker_settings_default(&set, true);
	set.count = 3;
	for (set.index = 0; set.index < 3; set.index++) {
		size_t before = out.n;

		run_more(&set, f, FLOWS_MAX);
		busy += out.n > before;
	}
	CHECK_EQ(busy, 3);
	CHECK_EQ(out.n, one);
	CHECK_EQ(out.received, f->packets);
	for (size_t i = 0; i < out.n; i++)
		bytes += out.flow[i].bytes[0] + out.flow[i].bytes[1];
	CHECK_EQ(bytes, f->bytes);
	set.index = 3;
	CHECK_EQ(worker_new(&none, &set, &sink), -EINVAL);
	CHECK(none == NULL);
}

static void test_cut(void)
{
	struct build *f = fresh();
	struct worker_settings set;
	uint64_t pkts = 0;

	for (unsigned i = 0; i < 10000; i++)
		build_udp(f, i * 10, 1, 40000, 2, 5000, 0, 0, 10);
	memset(&out, 0, sizeof(out));
	worker_settings_default(&set, true);
	set.active_timeout_ns = 20ull * 1000000000;
	run_more(&set, f, FLOWS_MAX);
	CHECK(out.n >= 4 && out.n <= 6);
	for (size_t i = 0; i < out.n; i++) {
		pkts += out.flow[i].pkts[0];
		CHECK(out.flow[i].conv_id == out.flow[0].id);
		CHECK(i == 0 || out.flow[i].start_ns > out.flow[i - 1].end_ns);
		CHECK_EQ(out.flow[i].reason, i + 1 < out.n ? FLOW_REASON_CUT : FLOW_REASON_EOF);
		CHECK(out.flow[i].id == flow_id(&out.flow[i]));
	}
	CHECK_EQ(pkts, 10000);
}

static void test_write_through(void)
{
	struct build *f = fresh();
	struct worker_settings set;

	for (unsigned i = 0; i < 10000; i++)
		build_udp(f, i * 3, 1, 40000, 2, 5000, 0, 0, 10);
	memset(&out, 0, sizeof(out));
	worker_settings_default(&set, true);
	set.write_through_ns = 5ull * 1000000000;
	run_more(&set, f, FLOWS_MAX);
	CHECK(out.n >= 6 && out.n <= 8);
	for (size_t i = 0; i < out.n; i++) {
		CHECK(out.flow[i].id == out.flow[0].id);
		CHECK(i == 0 || out.flow[i].pkts[0] > out.flow[i - 1].pkts[0]);
		CHECK_EQ(out.flow[i].reason, i + 1 < out.n ? FLOW_REASON_ACTIVE : FLOW_REASON_EOF);
	}
	CHECK_EQ(out.flow[out.n - 1].pkts[0], 10000);
}

/* A sink without room: what it refused is what is told as lost. */
static void test_ring_full(void)
{
	struct build *f = fresh();
	struct worker_settings set;

	for (uint16_t i = 0; i < 500; i++)
		build_udp(f, i, 1, (uint16_t)(1000 + i), 2, 5000, 0, 0, 10);
	memset(&out, 0, sizeof(out));
	worker_settings_default(&set, true);
	run_more(&set, f, 123);
	CHECK_EQ(out.n, 123);
	CHECK_EQ(out.refused, 377);
	CHECK_EQ(out.lost_ring, 377);
	CHECK_EQ(out.stats.lost_ring, 377);
}

static void test_bad_files(void)
{
	struct build *f = fresh();

	build_udp(f, 0, 1, 40000, 2, 5000, 0, 0, 10);
	build_udp(f, 1, 1, 40000, 2, 5000, 0, 0, 10);
	f->b.len -= 3;
	run(f, 0);
	CHECK_EQ(out.rc, -EBADMSG);
	CHECK(strstr(out.error, "made-here.pcap: unreadable behind packet 1: ") == out.error);
	only(1, 5000, FLOW_DIR_FIRST, FLOW_STATE_NEW);
	CHECK_EQ(out.flow[0].pkts[0], 1);

	f->b.len = 10;
	run(f, 0);
	CHECK_EQ(out.rc, -EBADMSG);
	CHECK_EQ(out.n, 0);

	buf_fini(&f->b);
	build_init(f, 143); /* DOCSIS */
	run(f, 0);
	CHECK_EQ(out.rc, -EPROTONOSUPPORT);
	CHECK(strstr(out.error, "DOCSIS") != NULL);

}

int main(void)
{
	test_tcp_whole();
	test_tcp_directions();
	test_tcp_states();
	test_connectionless();
	test_fragments();
	test_flood_spares_established();
	test_too_many_established();
	test_conservation();
	test_workers_share();
	test_cut();
	test_write_through();
	test_ring_full();
	test_bad_files();
	buf_fini(&fresh()->b);
	return tap_done();
}
