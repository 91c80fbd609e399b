/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target: the engine, told by a capture worker that was taken over. Input: live or offline (one byte), then
 * messages, each its type (one byte), length (two) and body, as the ring has them, with an order to let go and commit
 * among them. Afterwards the store must still answer everything, and hold nothing that it cannot read.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/timefmt.h"
#include "common/ring.h"
#include "daemon/bodies.h"
#include "daemon/engine.h"
#include "store/edges.h"
#include "store/flows.h"
#include "store/history.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/store_help.h"

#define MESSAGES_MAX 64
#define RUNS_PER_STORE 200
#define NOW_NS (HELP_EPOCH_NS + 3600 * NS_PER_S)

enum { TELL_FLOW, TELL_ATTEMPTS, TELL_COVERAGE, TELL_ORIGIN, TELL_VERDICT, TELL_COMMIT, TELL_KINDS };

static struct store *store;
static struct engine *engine[2];
static uint64_t asked; /* the token of the last question about a conversation */

static void on_ask(void *arg, const struct flow_rec *f, uint64_t token)
{
	(void)arg;
	(void)f;
	asked = token;
}

static void name_web(struct engine *e)
{
	struct workload w = {.name = "shop-web-1", .group = "shop/web", .runtime = "docker", .runtime_id = "0123456789abcdef",
			     .start_ns = HELP_EPOCH_NS, .n_addrs = 1, .exit_code = -1};
	const uint8_t v4[4] = {10, 0, 9, 1};

	w.addrs[0] = addr_from_v4(v4);
	w.id = workload_id_of(w.runtime, w.runtime_id, w.start_ns);
	engine_workload(e, &w, false, 0);
}

static void open_all(void)
{
	const struct store_options so = {.no_sync = true, .keep_ns = UINT64_MAX / 2};
	const struct engine_options eo[2] = {{.live = false}, {.live = true, .grace_ns = NS_PER_S, .ask = on_ask}};
	char *dir = help_dir();

	FUZZ_MUST(store_open(&store, dir, STORE_WRITE, &so) == 0);
	for (unsigned i = 0; i < 2; i++) {
		FUZZ_MUST(engine_new(&engine[i], store, &eo[i]) == 0);
		name_web(engine[i]);
		FUZZ_MUST(engine_commit(engine[i]) == 0);
	}
	help_remove(dir); /* the open file lives on, until it is closed */
}

static void close_all(void)
{
	for (unsigned i = 0; i < 2; i++)
		engine_free(engine[i]);
	store_close(store);
	store = NULL;
}

static void tell(struct engine *e, unsigned kind, const uint8_t *data, size_t len)
{
	struct engine_origin origin = {0};
	struct coverage_rec c;
	struct body_origin o;
	static struct verdict_rec v;
	int rc = 0;

	switch (kind) {
	case TELL_FLOW:
		rc = engine_flow(e, data, len, NOW_NS);
		break;
	case TELL_ATTEMPTS:
		rc = engine_attempts(e, data, len);
		break;
	case TELL_COVERAGE:
		if (coverage_decode(&c, data, len) == 0)
			rc = engine_coverage(e, &c);
		break;
	case TELL_ORIGIN:
		if (body_origin_decode(&o, data, len) == 0) {
			origin = (struct engine_origin){o.known, o.first_began, o.client, o.orig_addr, o.server,
							o.client_port, o.orig_port, o.server_port};
			engine_origin(e, o.token & 1 ? asked : o.token, &origin);
		}
		break;
	case TELL_VERDICT:
		if (verdict_decode(&v, data, len) == 0)
			engine_verdict(e, &v);
		break;
	default:
		engine_release(e, NOW_NS, len & 1);
		rc = engine_commit(e);
		FUZZ_MUST(rc == 0);
	}
	FUZZ_MUST(rc <= 0 && rc > -4096);
}

static int any_flow(void *arg, const struct flow_rec *f)
{
	++*(uint64_t *)arg;
	FUZZ_MUST(f->end_ns >= f->start_ns);
	return 0;
}

static int any_attempts(void *arg, const struct flow_attempts *a)
{
	(void)a;
	++*(uint64_t *)arg;
	return 0;
}

static int any_verdict(void *arg, const struct verdict_rec *v)
{
	(void)arg;
	(void)v;
	return 0;
}

static int any_coverage(void *arg, const struct coverage_rec *c)
{
	(void)arg;
	(void)c;
	return 0;
}

/* All of it can be read, and is what the books say. */
static void check_store(void)
{
	const struct flow_query all = {0};
	uint64_t flows = 0, attempts = 0;
	struct edge *edges = NULL;
	struct store_stats s;
	struct store_txn *t;
	size_t n;

	FUZZ_MUST(store_begin(&t, store, false) == 0);
	FUZZ_MUST(store_stats(t, &s) == 0);
	FUZZ_MUST(store_flow_walk(t, &all, any_flow, &flows) == 0 && flows == s.flows);
	FUZZ_MUST(store_attempts_walk(t, 0, 0, any_attempts, &attempts) == 0 && attempts == s.attempts);
	FUZZ_MUST(store_verdict_walk(t, 0, 0, any_verdict, NULL) == 0);
	FUZZ_MUST(store_coverage_walk(t, 0, 0, any_coverage, NULL) == 0);
	FUZZ_MUST(store_edges_read(t, 0, 0, &edges, &n) == 0);
	free(edges);
	store_abort(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = {data, size};
	static unsigned runs;
	struct engine *e;

	if (!store)
		open_all();
	e = engine[fuzz_u8(&in) & 1];
	for (unsigned i = 0; i < MESSAGES_MAX && in.left; i++) {
		unsigned kind = fuzz_u8(&in) % TELL_KINDS;
		size_t len = fuzz_u16(&in);
		const uint8_t *body = fuzz_take(&in, &len);

		tell(e, kind, body, len);
	}
	engine_release(e, NOW_NS, true);
	FUZZ_MUST(engine_commit(e) == 0);
	if (++runs % 16 == 0)
		check_store();
	if (runs % RUNS_PER_STORE == 0)
		close_all();
	return 0;
}
