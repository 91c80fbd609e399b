/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inventory/docker*: the client against an engine played by the test itself (fake_engine.h): every order of replies and
 * events.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/timefmt.h"
#include "inventory/inventory.h"
#include "tests/tap.h"
#include "tests/unit/fake_engine.h"

static char sock_path[64];
static struct inventory *inv; /* the client */

/* ---- what the client told ---------------------------------------------------------------------------------------- */

static struct {
	unsigned ups, downs, soons, notices, problems;
	struct workload up, down, soon;
	uint64_t bound_ns;
	char notice[512];
} told;
static void on_up(void *arg, const struct workload *w)
{
	(void)arg;
	told.ups++;
	told.up = *w;
	told.bound_ns = inventory_bound_ns(inv);
}

static void on_down(void *arg, const struct workload *w)
{
	(void)arg;
	told.downs++;
	told.down = *w;
}

static void on_soon(void *arg, const struct workload *w)
{
	(void)arg;
	told.soons++;
	told.soon = *w;
}

static void on_notice(void *arg, bool problem, const char *text)
{
	(void)arg;
	told.notices++;
	told.problems += problem;
	snprintf(told.notice, sizeof(told.notice), "%s", text);
}

static void client_up(void)
{
	static const char *sockets[] = {sock_path, NULL};
	struct inventory_settings s = {.runtime_sockets = sockets, .no_kernel = true};
	struct inventory_events ev = {.workload_up = on_up, .workload_down = on_down, .workload_soon = on_soon,
				      .notice = on_notice};

	memset(&told, 0, sizeof(told));
	if (inventory_open(&inv, &s, &ev) < 0)
		exit(1);
}

/* Lets both sides run until cond holds, at most as long as a very busy machine needs. */
#define RUN_UNTIL(cond)                                                                                                \
	do {                                                                                                           \
		uint64_t end = time_mono_ns() + 60 * NS_PER_S;                                                         \
                                                                                                                       \
		while (!(cond) && time_mono_ns() < end)                                                                \
			run_once();                                                                                    \
		CHECK(cond);                                                                                           \
	} while (0)

static void run_once(void)
{
	struct pollfd p = {inventory_fd(inv), POLLIN, 0};

	engine_serve();
	(void)poll(&p, 1, 1);
	CHECK_EQ(inventory_dispatch(inv), 0);
}

static void run_a_while(void)
{
	for (int i = 0; i < 60; i++)
		run_once();
}

/* Answers the inspect that was held back, on the connection that waits for it. */
static void release_inspect(void)
{
	world.hold_inspect = false;
	CHECK(engine.held >= 0 && engine.conn[engine.held] >= 0);
	if (engine.held >= 0 && engine.conn[engine.held] >= 0)
		engine_reply(engine.held, "/containers/" ID_A "/json");
}

static void client_reads(void)
{
	CHECK_EQ(inventory_dispatch(inv), 0);
}

static void begin(answer_fn *answer)
{
	engine_up(sock_path, answer, client_reads);
	client_up();
}

static void end(void)
{
	inventory_close(inv);
	engine_down();
}

#define T(s) ((1767225600ull + (s)) * NS_PER_S) /* 2026-01-01 UTC */

/* ---- tests ------------------------------------------------------------------------------------------------------ */

static void test_listed(void)
{
	begin(engine_good);
	world.list_a = world.running_a = true;
	RUN_UNTIL(told.ups == 2); /* with the image's id first, then with its digest */
	RUN_UNTIL(inventory_settled(inv));
	CHECK_STR(told.up.name, "web-1");
	CHECK_STR(told.up.group, "nginx");
	CHECK_STR(told.up.runtime, "docker");
	CHECK_STR(told.up.image_digest, "sha256:99");
	CHECK(told.up.start_ns == T(10));
	CHECK_EQ(told.up.n_addrs, 1);
	CHECK_EQ(told.problems, 0);
	CHECK(strstr(told.notice, "docker 1.2 at") != NULL);

	/* A new name, and a second network. */
	engine_event("container", "rename", ID_A, T(11), "\"name\":\"front\",\"oldName\":\"/web-1\"");
	RUN_UNTIL(told.ups == 3);
	CHECK_STR(told.up.name, "front");
	world.name_a = "front";
	world.address_a = "10.0.0.3";
	engine_event("network", "connect", NET, T(12), "\"container\":\"" ID_A "\"");
	RUN_UNTIL(told.ups == 4);
	CHECK(told.bound_ns == T(12));
	CHECK(told.up.id == workload_id_of("docker", ID_A, T(10)));

	/* An earlier life's end, told again, is not this one's. */
	engine_event("container", "die", ID_A, T(5), "\"exitCode\":\"1\"");
	run_a_while();
	CHECK_EQ(told.downs, 0);
	world.running_a = false;
	engine_event("container", "die", ID_A, T(15), "\"exitCode\":\"9\"");
	RUN_UNTIL(told.downs == 1);
	CHECK(told.down.end_ns == T(15));
	CHECK_EQ(told.down.exit_code, 9);

	/* The same container again: another workload. */
	world.started_a = "2026-01-01T00:00:30Z";
	world.running_a = true;
	engine_event("network", "connect", NET, T(29), "\"container\":\"" ID_A "\"");
	engine_event("container", "start", ID_A, T(30) + 1, "\"name\":\"front\",\"image\":\"nginx:1\"");
	RUN_UNTIL(told.ups == 5);
	CHECK(told.up.start_ns == T(30) && told.bound_ns == T(29));
	CHECK(told.up.id != told.down.id);
	engine_event("container", "destroy", ID_A, T(31), "");
	RUN_UNTIL(told.downs == 2);
	run_a_while();
	CHECK_EQ(told.ups, 5);
	end();
}

/* While it is being started, and no inspect is answered, its name and address are told. */
static void test_soon(void)
{
	begin(engine_good);
	world.hold_inspect = true;
	RUN_UNTIL(inventory_settled(inv));
	engine_event("network", "connect", NET, T(9), "\"container\":\"" ID_A "\"");
	RUN_UNTIL(told.soons == 1);
	CHECK_STR(told.soon.name, "web-1");
	CHECK_STR(told.soon.group, "p/s");
	CHECK_STR(told.soon.image, "nginx:1");
	CHECK_STR(told.soon.runtime_id, ID_A);
	CHECK_EQ(told.soon.n_addrs, 2);
	CHECK(told.soon.id == 0 && told.soon.start_ns == 0);
	CHECK_EQ(told.ups, 0);

	/* Its start fails; then it is tried again, and works: said once more, and not taken back. */
	engine_event("network", "disconnect", NET, T(9) + 5, "\"container\":\"" ID_A "\"");
	RUN_UNTIL(told.soons == 2);
	CHECK_EQ(told.soon.n_addrs, 0);
	CHECK_STR(told.soon.runtime_id, ID_A);
	engine_event("network", "connect", NET, T(9) + 6, "\"container\":\"" ID_A "\"");
	RUN_UNTIL(told.soons == 3);
	CHECK_EQ(told.soon.n_addrs, 2);
	engine_event("container", "start", ID_A, T(10) + 5, "\"name\":\"web-1\",\"image\":\"nginx:1\"");
	world.running_a = true;
	release_inspect();
	RUN_UNTIL(told.ups >= 1);
	engine_event("container", "die", ID_A, T(11), "\"exitCode\":\"0\"");
	RUN_UNTIL(told.downs == 1);
	CHECK_EQ(told.soons, 3);

	/* It dies before the inspect has shown it alive. */
	world.hold_inspect = true;
	world.running_a = false;
	engine_event("network", "connect", NET, T(19), "\"container\":\"" ID_A "\"");
	RUN_UNTIL(told.soons == 4);
	engine_event("container", "die", ID_A, T(20), "\"exitCode\":\"0\"");
	RUN_UNTIL(told.soons == 5);
	CHECK_EQ(told.soon.n_addrs, 0);
	engine_event("container", "destroy", ID_A, T(21), "");
	run_a_while();
	CHECK_EQ(told.soons, 5);
	end();
}

/* It ran between two looks: the inspect finds it stopped, and its addresses gone. */
static void test_ended_before_inspect(void)
{
	begin(engine_good);
	world.finished_a = "2026-01-01T00:00:11Z";
	world.hold_inspect = true; /* as Docker does while the start is under way */
	RUN_UNTIL(inventory_settled(inv));
	engine_event("network", "connect", NET, T(9), "\"container\":\"" ID_A "\"");
	RUN_UNTIL(engine.asked_network == 1 && engine.asked_inspect == 1);
	run_a_while(); /* the network has answered */
	engine_event("container", "start", ID_A, T(10) + 5, "\"name\":\"job\",\"image\":\"nginx:1\"");
	engine_event("container", "die", ID_A, T(11), "\"exitCode\":\"3\"");
	run_a_while();
	CHECK_EQ(told.ups, 0);
	release_inspect();
	RUN_UNTIL(told.downs == 1);
	CHECK_EQ(told.ups, 1);
	CHECK(told.up.start_ns == T(10));
	CHECK(told.bound_ns == T(9));
	CHECK_EQ(told.up.n_addrs, 2);
	CHECK(told.down.end_ns == T(11));
	CHECK_EQ(told.down.exit_code, 3);
	end();
}

/* It was removed before anybody could look: events and the network are all there is. */
static void test_removed_before_inspect(void)
{
	begin(engine_good);
	world.gone_a = true;
	RUN_UNTIL(inventory_settled(inv));
	engine_event("network", "connect", NET, T(9), "\"container\":\"" ID_A "\"");
	RUN_UNTIL(engine.asked_network == 1);
	run_a_while();
	engine_event("container", "start", ID_A, T(10),
	      "\"name\":\"job\",\"image\":\"nginx:1\",\"com.docker.compose.project\":\"p\","
	      "\"com.docker.compose.service\":\"s\"");
	engine_event("container", "die", ID_A, T(11), "\"exitCode\":\"0\",\"name\":\"job\"");
	engine_event("container", "destroy", ID_A, T(12), "");
	RUN_UNTIL(told.downs == 1);
	CHECK_EQ(told.ups, 1);
	CHECK_STR(told.up.name, "job");
	CHECK_STR(told.up.group, "p/s");
	CHECK_EQ(told.up.n_addrs, 2);
	CHECK(told.up.start_ns == T(10) && told.down.end_ns == T(11));
	end();
}

/* The reply was written while it ran and is read after its end: it does not rise again. */
static void test_stale_inspect(void)
{
	begin(engine_good);
	world.list_a = world.running_a = true;
	RUN_UNTIL(told.ups == 2);
	world.hold_inspect = true;
	engine_event("network", "disconnect", NET, T(12), "\"container\":\"" ID_A "\"");
	RUN_UNTIL(engine.asked_inspect == 2);
	engine_event("container", "die", ID_A, T(13), "\"exitCode\":\"0\"");
	engine_event("container", "destroy", ID_A, T(14), "");
	RUN_UNTIL(told.downs == 1);
	release_inspect();
	run_a_while();
	CHECK_EQ(told.ups, 2);
	CHECK_EQ(told.downs, 1);
	end();
}

/* The engine goes away and comes back; meanwhile the container has ended. */
static void test_reconnect(void)
{
	uint64_t id;

	begin(engine_good);
	world.list_a = world.running_a = true;
	RUN_UNTIL(told.ups == 2 && inventory_settled(inv));
	id = told.up.id;
	engine_down();
	RUN_UNTIL(told.problems == 1);
	CHECK(strstr(told.notice, "lost") != NULL);
	run_a_while();
	CHECK_EQ(told.problems, 1); /* once */
	CHECK_EQ(told.downs, 0);    /* a lost connection ends nobody */
	world.list_a = world.running_a = false;
	engine_listen();
	RUN_UNTIL(told.downs == 1);
	CHECK(told.down.id == id);
	CHECK(told.down.end_ns == T(20)); /* FinishedAt */
	CHECK_EQ(told.down.exit_code, 3);
	CHECK_EQ(told.notices, 3);
	end();
}

/* Networks that cannot be watched are told of, once, whether they were there or come. */
static void test_unseen(void)
{
	begin(engine_good);
	world.macvlan = true;
	RUN_UNTIL(told.problems == 1);
	CHECK(strstr(told.notice, "network lan is macvlan") != NULL);
	RUN_UNTIL(engine.stream >= 0);
	engine_event("network", "create", ID_B, T(1), "\"name\":\"plain\",\"type\":\"bridge\"");
	engine_event("network", "connect", NET, T(2),
		     "\"name\":\"lan\",\"type\":\"macvlan\",\"container\":\"" ID_A "\"");
	run_a_while();
	CHECK_EQ(told.problems, 1);
	engine_event("network", "create", ID_A, T(3), "\"name\":\"wan\",\"type\":\"ipvlan\"");
	RUN_UNTIL(told.problems == 2);
	CHECK(strstr(told.notice, "network wan is ipvlan") != NULL);
	end();
}

static void test_since(void)
{
	uint64_t now = time_now_ns();
	char want[64];

	begin(engine_good);
	RUN_UNTIL(inventory_settled(inv));
	engine_event("network", "create", NET, now, "");
	run_a_while();
	engine_hang_up(engine.stream);
	RUN_UNTIL(engine.streams == 2);
	snprintf(want, sizeof(want), "%llu.%09llu", (unsigned long long)((now + 1) / NS_PER_S),
		 (unsigned long long)((now + 1) % NS_PER_S));
	CHECK_STR(engine.since, want);
	end();
}

/* An event may come in pieces, several in one, and be followed by rubbish. */
static void test_framing(void)
{
	static const char text[] =
		"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"" ID_A "\",\"Attributes\":"
		"{\"name\":\"q\\\"}{\",\"image\":\"i\"}},\"timeNano\":1767225610000000000}";

	begin(engine_good);
	world.gone_a = true;
	RUN_UNTIL(inventory_settled(inv));
	engine_chunk(" \r\n]}x", 6);
	for (size_t i = 0; i < sizeof(text) - 1; i += 7) {
		engine_chunk(text + i, sizeof(text) - 1 - i < 7 ? sizeof(text) - 1 - i : 7);
		run_once();
	}
	RUN_UNTIL(told.ups == 1);
	CHECK_STR(told.up.name, "q\"}{");
	engine_chunk("{\"Type\":5}{\"Type\":{}}{]}{}", 26);
	engine_event("container", "die", ID_A, T(11), "");
	RUN_UNTIL(told.downs == 1);
	CHECK_EQ(told.down.exit_code, -1);
	end();
}

/* ---- hostile engines -------------------------------------------------------------------------------------------- */

static int rubbish(const char *path, struct buf *b)
{
	(void)path;
	buf_adds(b, "SSH-2.0-OpenSSH_9\r\n");
	return -1;
}

static int not_json(const char *path, struct buf *b)
{
	(void)path;
	buf_adds(b, "<html>not what you think</html>");
	return 200;
}

static int forbidden(const char *path, struct buf *b)
{
	(void)path;
	(void)b;
	return 403;
}

static int huge(const char *path, struct buf *b)
{
	int status = engine_good(path, b);

	if (strstr(path, ID_A))
		for (int i = 0; i < 5 << 20; i += 64)
			buf_adds(b, "                                                                ");
	return status;
}

static int wrong_types(const char *path, struct buf *b)
{
	if (strcmp(path, "/version") == 0)
		buf_adds(b, "{\"Version\":[],\"Components\":{}}");
	else if (strcmp(path, "/containers/json") == 0)
		buf_adds(b, "[1,null,{\"Id\":7},{\"Id\":\"short\"},{\"Id\":\"" ID_A
			    "\"},{\"Id\":\"../../../etc/passwd/x\"}]");
	else if (strstr(path, "/containers/") == path)
		buf_adds(b, "{\"Id\":\"" ID_B "\",\"State\":{\"Running\":true}}"); /* another one's */
	return 200;
}

static void hostile(answer_fn *answer, const char *notice)
{
	begin(answer);
	world.list_a = world.running_a = true;
	RUN_UNTIL(told.problems == 1);
	CHECK(strstr(told.notice, notice) != NULL);
	run_a_while();
	CHECK_EQ(told.problems, 1); /* the second attempt fails alike: no news */
	CHECK_EQ(told.ups, 0);
	RUN_UNTIL(inventory_settled(inv));
	end();
}

static void test_hostile(void)
{
	hostile(rubbish, "is this a container runtime's socket?");
	hostile(not_json, "is this a container runtime's socket?");
	hostile(forbidden, "HTTP status 403");
	hostile(huge, "too large");
	hostile(wrong_types, "not that container");
}

/* One event that never ends must not fill the memory. */
static void test_endless_event(void)
{
	static char piece[65536];

	begin(engine_good);
	RUN_UNTIL(inventory_settled(inv));
	memset(piece, 'x', sizeof(piece));
	engine_chunk("{\"Type\":\"", 9);
	for (int i = 0; i < 200 && told.problems == 0; i++) {
		int stream = engine.stream;

		if (stream < 0)
			break;
		fcntl(engine.conn[stream], F_SETFL, 0);
		for (size_t at = 0; at < sizeof(piece); at += 4096) {
			engine_chunk(piece, 4096);
			run_once();
			if (engine.stream != stream)
				break;
		}
	}
	RUN_UNTIL(told.problems == 1);
	CHECK(strstr(told.notice, "File too large") != NULL);
	end();
}

static void test_absent(void)
{
	static const char *sockets[] = {"/nonexistent/docker.sock", NULL};
	struct inventory_settings s = {.runtime_sockets = sockets, .no_kernel = true};
	struct inventory_events ev = {.workload_up = on_up, .workload_down = on_down, .notice = on_notice};

	memset(&told, 0, sizeof(told));
	CHECK_EQ(inventory_open(&inv, &s, &ev), 0);
	CHECK(inventory_settled(inv));
	CHECK_EQ(told.problems, 1);
	CHECK(strstr(told.notice, "No such file") != NULL);
	inventory_close(inv);
}

int main(void)
{
	char dir[] = "/tmp/weir-docker-XXXXXX";

	if (!mkdtemp(dir))
		return 1;
	snprintf(sock_path, sizeof(sock_path), "%s/s", dir);
	test_listed();
	test_soon();
	test_ended_before_inspect();
	test_removed_before_inspect();
	test_stale_inspect();
	test_reconnect();
	test_unseen();
	test_since();
	test_framing();
	test_hostile();
	test_endless_event();
	test_absent();
	rmdir(dir);
	return tap_done();
}
