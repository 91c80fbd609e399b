/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verbs over a made-up shop (ui_shop.c): what they print, held against files in tests/unit/golden. Each command line
 * runs in a process of its own, as the program would. WEIR_UPDATE_GOLDEN=1 writes the files anew: read the difference
 * before you commit it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "tests/tap.h"
#include "tests/unit/ui_shop.h"
#include "ui-cli/verb.h"

#define ARGS_MAX 24
#define SHOP "@" /* stands for the state directory */
#define LOSSY "@@"

static char top[512], shop[600], lossy[600];

static const struct {
	const char *golden; /* NULL: only the exit code counts */
	int exits;
	const char *args[ARGS_MAX];
} runs[] = {
	{"flows.txt", 0, {"flows", "--state", SHOP}},
	{"flows_numeric.txt", 0, {"flows", "-n", "--state", SHOP, "tcp and host 10.0.3.5 or ip6"}},
	{"flows_since.txt", 0, {"flows", "--state", SHOP, "--since", "2020-03-04T10:05:00Z", "--until", "2020-03-04T10:11:50Z"}},
	{"flows_count.txt", 0, {"flows", "--state", SHOP, "-c", "2"}},
	{"flows.json", 0, {"flows", "--state", SHOP, "-o", "json"}},
	{"flows.csv", 0, {"flows", "--state", SHOP, "-o", "csv"}},
	{"map.txt", 0, {"map", "--state", SHOP}},
	{"map_lossy.txt", 0, {"map", "--state", LOSSY}},
	{"map_workload.txt", 0, {"map", "--state", SHOP, "--by", "workload"}},
	{"map_filter.txt", 0, {"map", "--state", SHOP, "src.group == busybox"}},
	{"map.json", 0, {"map", "--state", SHOP, "-o", "json"}},
	{"map.dot", 0, {"map", "--state", SHOP, "-o", "dot"}},
	{"map.mermaid", 0, {"map", "--state", SHOP, "-o", "mermaid"}},
	{"map.html", 0, {"map", "--state", SHOP, "-o", "html"}},
	{"who.txt", 0, {"who", "--state", SHOP, "10.0.3.7"}},
	{"who_at.txt", 0, {"who", "--state", SHOP, "10.0.3.7", "--at", "2020-03-04T10:10:05Z"}},
	{"who_between.txt", 1, {"who", "--state", SHOP, "10.0.3.7", "--at", "2020-03-04T10:12:05Z"}},
	{"who_world.txt", 0, {"who", "--state", SHOP, "93.184.216.34"}},
	{"who_nobody.txt", 1, {"who", "--state", SHOP, "198.51.100.77"}},
	{"who.json", 0, {"who", "--state", SHOP, "10.0.3.7", "-o", "json"}},
	{"blocks.txt", 0, {"blocks", "--state", SHOP}},
	{"blocks_brief.txt", 0, {"blocks", "--state", SHOP, "-q"}},
	{"blocks.json", 0, {"blocks", "--state", SHOP, "-o", "json"}},
	{"policy_export.yaml", 0, {"policy", "export", "--state", SHOP}},
	{"explain_miss.txt", 0, {"explain", "--state", SHOP, "intruder", "shop-db-1", "6379/tcp"}},
	{"explain_allow.txt", 0, {"explain", "--state", SHOP, "shop/web", "10.0.3.5", "5432"}},
	{"explain.json", 0, {"explain", "--state", SHOP, "shop/web", "shop/db", "22", "-o", "json"}},
	/* what goes wrong, and how it is told */
	{"bad_filter.txt", 2, {"flows", "--state", SHOP, "tcp and prot 80"}},
	{"bad_store.txt", 1, {"map", "--state", "/nonexistent"}},
	{"bad_option.txt", 2, {"map", "--colour"}},
	{"bad_choice.txt", 2, {"map", "-o", "pdf"}},
	{"bad_time.txt", 2, {"flows", "--since", "yesterday"}},
	{"bad_verb.txt", 2, {"flow"}},
	{"bad_service.txt", 2, {"explain", "a", "b", "http"}},
	{"bad_name.txt", 1, {"explain", "--state", SHOP, "nobody", "shop/db", "22"}},
	{"bad_operand.txt", 2, {"who"}},
	{NULL, 0, {"--version"}},
	{NULL, 0, {"--help"}},
	{NULL, 2, {NULL}},
	{NULL, 0, {"help", "flows"}},
	{NULL, 0, {"help", "policy", "generate"}},
	{NULL, 2, {"help", "nothing"}},
};

/* Runs one command line in a child; everything it prints goes to path. Returns its exit code, or -1. */
static int run(const char *const *args, const char *path)
{
	char *argv[ARGS_MAX + 2];
	int argc = 1, status;
	pid_t pid;

	argv[0] = strdup("weir");
	for (; args[argc - 1]; argc++) {
		const char *a = args[argc - 1];

		argv[argc] = strdup(strcmp(a, SHOP) == 0 ? shop : strcmp(a, LOSSY) == 0 ? lossy : a);
	}
	argv[argc] = NULL;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			_exit(99);
		setvbuf(stdout, NULL, _IOLBF, 0); /* keep complaints in their place */
		status = verb_main(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The file's text, with the state directory, which differs from run to run, as STATE. The caller's to free. */
static char *slurp(const char *path)
{
	struct buf b = BUF_INIT;
	FILE *f = fopen(path, "r");
	char line[16384];

	while (f && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, top);

		if (at)
			buf_printf(&b, "%.*sSTATE%s", (int)(at - line), line, at + strlen(top));
		else
			buf_adds(&b, line);
	}
	if (f)
		fclose(f);
	return buf_take(&b);
}

static void compare(const char *name, const char *got)
{
	const char *src = getenv("top_srcdir");
	char path[1024], saved[1024], command[2400];
	char *want;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/unit/golden/%s", src ? src : ".", name);
	if (getenv("WEIR_UPDATE_GOLDEN")) {
		f = fopen(path, "w");
		CHECK(f != NULL);
		if (f) {
			fputs(got, f);
			fclose(f);
		}
		return;
	}
	want = slurp(path);
	if (!want || strcmp(want, got) != 0) {
		snprintf(saved, sizeof(saved), "%s/got", top);
		f = fopen(saved, "w");
		if (f) {
			fputs(got, f);
			fclose(f);
		}
		snprintf(command, sizeof(command), "diff -u '%s' '%s' >&2", path, saved);
		fprintf(stderr, "golden %s:\n", name);
		if (system(command) == -1)
			fprintf(stderr, "(diff cannot be run)\n");
	}
	CHECK(want && strcmp(want, got) == 0);
	free(want);
}

static void test_runs(void)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/out", top);
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		int code = run(runs[i].args, path);
		char *got = slurp(path);

		if (code != runs[i].exits)
			fprintf(stderr, "weir %s ... (%s):\n%s", runs[i].args[0] ? runs[i].args[0] : "",
				runs[i].golden ? runs[i].golden : "", got ? got : "");
		CHECK_EQ(code, runs[i].exits);
		CHECK(got && *got);
		if (got && runs[i].golden)
			compare(runs[i].golden, got);
		free(got);
	}
}

static void test_nearest(void)
{
	CHECK_STR(verb_nearest("flow"), "flows");
	CHECK_STR(verb_nearest("mpa"), "map");
	CHECK_STR(verb_nearest("bloks"), "blocks");
	CHECK(verb_nearest("xylophone") == NULL);
}

int main(void)
{
	char command[1400];

	setenv("TZ", "UTC", 1);
	setenv("LC_ALL", "C", 1);
	snprintf(top, sizeof(top), "%s/weir-ui-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(top))
		return 99;
	snprintf(shop, sizeof(shop), "%s/shop", top);
	snprintf(lossy, sizeof(lossy), "%s/lossy", top);
	CHECK_EQ(shop_make(shop, 0), 0);
	CHECK_EQ(shop_make(lossy, 1), 0);
	test_runs();
	test_nearest();
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	if (system(command) != 0)
		fprintf(stderr, "%s is left behind\n", top);
	return tap_done();
}
