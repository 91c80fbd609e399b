/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names come from outside: whoever may start a container, answer DNS or send a packet chooses them. A store full of
 * names made to break a terminal, JSON, CSV, HTML and graph languages is printed in every form, and nothing breaks.
 */
#include "config.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/edge.h"
#include "common/proto.h"
#include "common/timefmt.h"
#include "store/edges.h"
#include "store/flows.h"
#include "store/history.h"
#include "store/identity.h"
#include "tests/tap.h"
#include "ui-cli/output.h"
#include "ui-cli/verb.h"

#define T0_NS 1583316000000000000ull /* 2020-03-04T10:00:00Z */
#define EVIL_NAME "\033]0;owned\007\r\n<script>alert(\"x\")</script>,=1+1|\\\"]-->\xff\xc2\x9b"
#define EVIL_GROUP "=cmd|' /C calc'!A0\n\"]; evil -> \"x<img src=x onerror=alert(1)>\t\033[2J"
#define EVIL_DNS "a\033[31m.example\";drop"

static char top[256];

static int make_store(void)
{
	static struct workload w = {.kind = WORKLOAD_CONTAINER, .name = EVIL_NAME, .group = EVIL_GROUP, .runtime = "docker",
				    .image = EVIL_NAME, .labels = "a=\033[0m\n", .start_ns = T0_NS, .exit_code = -1, .n_addrs = 1};
	struct flow_rec f = {.start_ns = T0_NS + NS_PER_S, .end_ns = T0_NS + 2 * NS_PER_S, .port = {40000, 443},
			     .proto = PROTO_TCP, .direction = FLOW_DIR_SYN, .state = FLOW_STATE_CLOSED,
			     .reason = FLOW_REASON_CLOSED, .pkts = {5, 5}, .bytes = {500, 500}, .app = "TLS",
			     .confidence = FLOW_CONF_DPI};
	struct edge_key key = {.proto = PROTO_TCP, .port = 443, .client = EVIL_GROUP, .server = "world"};
	struct edge_agg agg;
	struct store_txn *t = NULL;
	struct store *s;
	int rc;

	w.id = workload_id_of("docker", "evil", w.start_ns);
	addr_parse(&w.addrs[0], "10.0.3.3");
	f.addr[0] = w.addrs[0];
	addr_parse(&f.addr[1], "203.0.113.9");
	f.workload[0] = w.id;
	f.id = f.conv_id = flow_id(&f);
	edge_agg_from_flow(&agg, &f, true);
	snprintf(agg.peer[0].name, sizeof(agg.peer[0].name), "%s", EVIL_DNS);
	rc = store_open(&s, top, STORE_WRITE, NULL);
	if (rc < 0)
		return rc;
	rc = store_begin(&t, s, true);
	rc = rc ? rc : store_workload_put(t, &w);
	rc = rc ? rc : store_addr_bind(t, &w.addrs[0], w.id, w.start_ns);
	rc = rc ? rc : store_flow_put(t, &f);
	rc = rc ? rc : store_name_put(t, &f.addr[1], EVIL_DNS, 60, f.start_ns);
	rc = rc ? rc : store_edge_add(t, &key, &agg);
	rc = rc ? rc : store_commit(t);
	store_close(s);
	return rc;
}

/* What the command prints, the caller's to free. */
static char *run(char **argv)
{
	char path[300], block[4096];
	struct buf b = BUF_INIT;
	int argc = 0, status = -1, fd;
	ssize_t got;
	pid_t pid;

	while (argv[argc])
		argc++;
	snprintf(path, sizeof(path), "%s/out", top);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || dup2(fd, 1) < 0)
			_exit(99);
		exit(verb_main(argc, argv));
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	fd = open(path, O_RDONLY);
	while (fd >= 0 && (got = read(fd, block, sizeof(block))) > 0)
		buf_add(&b, block, (size_t)got);
	if (fd >= 0)
		close(fd);
	return buf_take(&b);
}

/* Nothing that a terminal would obey: no control character but newline and our own tab, no C1 as UTF-8, no byte that is
 * not UTF-8. */
static bool harmless(const char *text)
{
	json_t *whole = json_string(text); /* checks UTF-8 */
	bool ok = whole != NULL;

	json_decref(whole);
	for (const unsigned char *p = (const unsigned char *)text; ok && *p; p++)
		ok = (*p >= 0x20 || *p == '\n' || *p == '\t') && *p != 0x7f &&
		     !(p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
	return ok;
}

static size_t lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void check_json(const char *text)
{
	char *copy = strdup(text), *rest, *line;
	unsigned n = 0;

	for (line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), n++) {
		json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

		CHECK(json_is_object(o) && json_integer_value(json_object_get(o, "schema")) == 1);
		json_decref(o);
	}
	CHECK(n > 0);
	free(copy);
}

static void test_forms(void)
{
	static const struct {
		const char *verb, *format, *more;
		bool json;
	} forms[] = {
		{"flows", "table", NULL, false}, {"flows", "csv", NULL, false},   {"flows", "json", NULL, true},
		{"map", "text", NULL, false},    {"map", "json", NULL, true},     {"map", "dot", NULL, false},
		{"map", "mermaid", NULL, false}, {"map", "html", NULL, false},    {"who", "table", "10.0.3.3", false},
		{"who", "json", "10.0.3.3", true}, {"learn", "table", NULL, false}, {"learn", "json", NULL, true},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const char *const args[] = {"weir", forms[i].verb,   "--state",	    top,
					    "-o",   forms[i].format, forms[i].more, NULL};
		char *text = run((char **)(uintptr_t)args);
		bool safe = harmless(text);

		if (!safe)
			fprintf(stderr, "%s -o %s prints:\n%s\n", forms[i].verb, forms[i].format, text);
		CHECK(safe);
		CHECK(*text);
		if (forms[i].json)
			check_json(text);
		CHECK(strstr(text, "<script>alert") == NULL || strcmp(forms[i].format, "html") != 0);
		CHECK(strstr(text, "<img") == NULL || strcmp(forms[i].format, "html") != 0);
		if (strcmp(forms[i].format, "dot") == 0) /* the quote that would end the name is escaped */
			CHECK(strstr(text, "\\\"]; evil") != NULL && strstr(text, " \"]; evil") == NULL);
		if (strcmp(forms[i].format, "mermaid") == 0)
			CHECK(strstr(text, "\"]; evil") == NULL);
		if (strcmp(forms[i].verb, "map") == 0 && strcmp(forms[i].format, "text") == 0)
			/* heading, one edge, blank, sum: no name has begun a line of its own */
			CHECK_EQ(lines(text), 4);
		free(text);
	}
}

static void test_csv(void)
{
	static const struct {
		const char *text, *field;
	} cases[] = {{"plain", "plain"}, {"", ""}, {"a,b", "\"a,b\""}, {"say \"x\"", "\"say \"\"x\"\"\""},
		     {"=1+1", "\"'=1+1\""}, {"+x", "\"'+x\""}, {"-x", "\"'-x\""}, {"@x", "\"'@x\""}, {"two\nlines\t", "two?lines?"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = BUF_INIT;

		output_csv_field(&b, cases[i].text);
		CHECK_STR(b.data ? b.data : "", cases[i].field);
		buf_fini(&b);
	}
}

int main(void)
{
	char command[300];

	setenv("TZ", "UTC", 1);
	snprintf(top, sizeof(top), "%s/weir-ui-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(top))
		return 99;
	CHECK_EQ(make_store(), 0);
	test_forms();
	test_csv();
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	if (system(command) != 0)
		fprintf(stderr, "%s is left behind\n", top);
	return tap_done();
}
