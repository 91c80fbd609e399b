/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verbs over a made-up shop (ui_shop.c): what they print, held against files in tests/unit/golden. Each command
 * line runs in a process of its own, as the program would. WEIR_UPDATE_GOLDEN=1 writes the files anew: read the
 * difference before you commit it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/timefmt.h"
#include "tests/tap.h"
#include "tests/unit/ui_shop.h"
#include "ui-cli/verb.h"

#define ARGS_MAX 24
#define SHOP "@" /* stands for the state directory */
#define LOSSY "@@"
#define LAPSED "@lapsed" /* its policy ran out unconfirmed */
#define NARROW "@narrow" /* a policy that allows less than what was seen */
#define BROKEN "@broken"
#define TYPO "@typo" /* a peer that nobody has seen */

static char top[512], shop[600], lossy[600], lapsed[600], narrow[600], broken[600], typo[600];

static const char narrow_text[] =
	"weir: 1\n"
	"policy:\n"
	"  shop/db:\n"
	"    stage: enforce\n"
	"    inbound:\n"
	"      - {from: shop/web, ports: [5432/tcp]}\n"
	"    outbound: []\n"
	"  shop/web:\n"
	"    stage: enforce\n"
	"    inbound:\n"
	"      - {from: shop/lb, ports: [8081/tcp]}\n";
static const char broken_text[] =
	"weir: 1\n"
	"policy:\n"
	"  shop/db:\n"
	"    stage: nonsense\n"
	"    inbound:\n"
	"      - {from: shop/web, ports: [99999/tcp]}\n";

static const struct {
	const char *golden; /* NULL: only the exit code counts */
	int exits;
	const char *args[ARGS_MAX];
} runs[] = {
	{"flows.txt", 0, {"flows", "--state", SHOP}},
	{"flows_numeric.txt", 0, {"flows", "-n", "--state", SHOP, "tcp and host 10.0.3.5 or ip6"}},
	{"flows_since.txt", 0,
	 {"flows", "--state", SHOP, "--since", "2020-03-04T10:05:00Z", "--until", "2020-03-04T10:11:50Z"}},
	{"flows_count.txt", 0, {"flows", "--state", SHOP, "-c", "2"}},
	{"flows_lossy.txt", 0, {"flows", "--state", LOSSY, "--until", "2020-03-04T10:05:00Z"}},
	{"flows_lossy.json", 0, {"flows", "--state", LOSSY, "-o", "json", "--since", "2020-03-04T10:00:12.500Z", "--until",
				"2020-03-04T10:05:00Z"}},
	{"flows.json", 0, {"flows", "--state", SHOP, "-o", "json"}},
	{"flows.csv", 0, {"flows", "--state", SHOP, "-o", "csv"}},
	{"map.txt", 0, {"map", "--state", SHOP}},
	{"map_lossy.txt", 0, {"map", "--state", LOSSY}},
	{"map_workload.txt", 0, {"map", "--state", SHOP, "--by", "workload"}},
	{"map_address.txt", 0, {"map", "--state", SHOP, "--by", "address", "port 5432"}},
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
	{"trace.txt", 0, {"trace", "--state", SHOP, "shop-lb-1"}},
	{"trace_cron.txt", 0, {"trace", "--state", SHOP, "shop-cron-1"}},
	{"trace_late.txt", 0, {"trace", "--state", SHOP, "shop-lb-1", "--at", "2020-03-04T10:00:10.500Z"}},
	{"trace_back.txt", 0, {"trace", "--state", SHOP, "shop-db-1", "--back", "--at", "2020-03-04T10:00:11Z"}},
	{"trace.json", 0, {"trace", "--state", SHOP, "intruder", "-o", "json"}},
	{"learn_lossy.txt", 0, {"learn", "--state", LOSSY, "--until", "2020-03-04T10:05:00Z"}},
	{"learn.txt", 0, {"learn", "--state", SHOP}},
	{"policy_generate_clients.yaml", 0, {"policy", "generate", "--clients", "--state", SHOP}},
	{"map_icmp_errors.txt", 0, {"map", "--icmp-errors", "--state", SHOP}},
	{"learn.json", 0, {"learn", "--state", SHOP, "-o", "json"}},
	{"backtest.txt", 3, {"learn", "--state", SHOP, "--backtest"}},
	{"policy_generate.yaml", 0, {"policy", "generate", "--state", SHOP}},
	{"policy_check.txt", 3, {"policy", "check", NARROW, "--state", SHOP}},
	{"policy_check_typo.txt", 3, {"policy", "check", TYPO, "--state", SHOP}},
	{NULL, 0, {"policy", "check", TYPO, "--state", "/nonexistent"}}, /* nobody knows better */
	{"policy_check_bad.txt", 1, {"policy", "check", BROKEN, "--state", SHOP}},
	{"policy_diff.txt", 3, {"policy", "diff", "--state", SHOP, NARROW}},
	{"policy_diff.json", 3, {"policy", "diff", "--state", SHOP, NARROW, "-o", "json"}},
	{"plan.txt", 3, {"plan", "--state", SHOP, NARROW, "--since", "2020-01-01T00:00:00Z"}},
	{"plan_lapsed.txt", 3, {"plan", "--state", LAPSED, NARROW, "--since", "2020-01-01T00:00:00Z"}},
	{"plan.json", 3, {"plan", "--state", LAPSED, NARROW, "--since", "2020-01-01T00:00:00Z", "-o", "json"}},
	{"replay.txt", 3, {"replay", "--state", SHOP, NARROW}},
	{"replay.json", 3, {"replay", "--state", SHOP, NARROW, "-o", "json"}},
	{"explain_document.txt", 0, {"explain", "--state", SHOP, "intruder", "shop/web", "80", "-p", NARROW}},
	{NULL, 1, {"status", "--state", SHOP}},
	{"policy_export.yaml", 0, {"policy", "export", "--state", SHOP}},
	{"explain_miss.txt", 0, {"explain", "--state", SHOP, "intruder", "shop-db-1", "6379/tcp"}},
	{"explain_ipv6.txt", 0, {"explain", "--state", SHOP, "fd00:3::9", "shop-db-1", "5432"}}, /* by its IPv6 address */
	{"explain_lapsed.txt", 0, {"explain", "--state", LAPSED, "intruder", "shop-db-1", "6379/tcp"}},
	{"explain_lapsed.json", 0, {"explain", "--state", LAPSED, "intruder", "shop-db-1", "6379/tcp", "-o", "json"}},
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
	{"bad_group.txt", 1, {"who", "--state", SHOP, "shop/db"}},
	{"bad_operand.txt", 2, {"who"}},
	{NULL, 0, {"--version"}},
	{NULL, 0, {"--help"}},
	{NULL, 2, {NULL}},
	{NULL, 0, {"help", "flows"}},
	{NULL, 0, {"help", "policy", "generate"}},
	{NULL, 2, {"help", "nothing"}},
};
static const char typo_text[] =
	"weir: 1\n"
	"policy:\n"
	"  shop/db:\n"
	"    stage: observe\n"
	"    inbound:\n"
	"      - {from: shop/wep, ports: [5432/tcp]}\n";

/* What an argument of the table stands for. */
static const char *stands_for(const char *arg)
{
	static const struct {
		const char *sign, *value;
	} signs[] = {{SHOP, shop}, {LOSSY, lossy}, {LAPSED, lapsed}, {NARROW, narrow}, {BROKEN, broken}, {TYPO, typo}};

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (strcmp(signs[i].sign, arg) == 0)
			return signs[i].value;
	}
	return arg;
}

/* Runs one command line in a child; everything it prints goes to path. Returns its exit code, or -1. */
static int run(const char *const *args, const char *path)
{
	char *argv[ARGS_MAX + 2];
	int argc = 1, status;
	pid_t pid;

	argv[0] = strdup("weir");
	for (; args[argc - 1]; argc++)
		argv[argc] = strdup(stands_for(args[argc - 1]));
	argv[argc] = NULL;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			_exit(99);
		setvbuf(stdout, NULL, _IOLBF, 0); /* keep complaints in their place */
		status = verb_main(argc, argv);
		exit(status); /* as main does: with what a leak checker has to say */
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
		const char *rest = line;

		for (char *at; (at = strstr(rest, top)); rest = at + strlen(top))
			buf_printf(&b, "%.*sSTATE", (int)(at - rest), rest);
		buf_adds(&b, rest);
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
	CHECK(verb_nearest("blah") == NULL); /* half a word away from "plan" */
	CHECK_STR(verb_nearest("blan"), "plan");
	CHECK_STR(verb_nearest("polciy"), "policy");
	CHECK_STR(verb_nearest("stats"), "status");
	CHECK(verb_nearest("") == NULL);
}

static void write_file(char path[600], const char *name, const char *text)
{
	FILE *f;

	snprintf(path, 600, "%s/%s", top, name);
	f = fopen(path, "w");
	CHECK(f && fputs(text, f) >= 0);
	if (f)
		fclose(f);
}

/* Merging into a file: what is there stays, the mode too, and a second time there is nothing left to add. */
static void test_merge(void)
{
	const char *const merge[] = {"policy", "generate", "--state", SHOP, "-w", NARROW, NULL};
	char out[1024], *first, *second, *text;
	struct stat st;

	snprintf(out, sizeof(out), "%s/out", top);
	CHECK_EQ(chmod(narrow, 0640), 0);
	CHECK_EQ(run(merge, out), 0);
	first = slurp(out);
	CHECK_EQ(stat(narrow, &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0640);
	text = slurp(narrow);
	CHECK(text && strstr(text, "shop/lb, ports: [8081/tcp, 8080/tcp]") && strstr(text, "    outbound: []\n"));
	compare("policy_merge.txt", first);
	CHECK_EQ(run(merge, out), 0);
	second = slurp(out);
	CHECK(second && strstr(second, "nothing to add"));
	free(first);
	free(second);
	free(text);
}

/* With no weir running: how much of the time to confirm is left by the kernel's clock, whatever the wall clock says;
 * the shop's own times are long past. */
static void test_deadline(void)
{
	const char *const status[] = {"status", "--state", LAPSED, NULL};
	struct confirm_deadline d = {.generation = 1, .mono_ns = time_mono_ns() + 3000 * NS_PER_S};
	static const char *const says[] = {" (in 49m", "the kernel has ended enforcement by itself",
					   "not applied since this machine was started"};
	char out[1024], *text;

	snprintf(out, sizeof(out), "%s/out", top);
	time_boot_id(d.boot_id);
	for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		CHECK_EQ(shop_change(lapsed, GENERATION_ARMED, &d), 0);
		CHECK_EQ(run(status, out), 1);
		text = slurp(out);
		CHECK(text && strstr(text, says[i]));
		free(text);
		d.mono_ns = 1;
		if (i == 1)
			d.boot_id[0] ^= 1;
	}
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
	snprintf(lapsed, sizeof(lapsed), "%s/lapsed", top);
	CHECK_EQ(shop_make(lapsed, 0), 0);
	CHECK_EQ(shop_change(lapsed, GENERATION_EXPIRED, NULL), 0);
	write_file(narrow, "narrow.yaml", narrow_text);
	write_file(broken, "broken.yaml", broken_text);
	write_file(typo, "typo.yaml", typo_text);
	test_runs();
	test_nearest();
	test_merge();
	test_deadline();
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	if (system(command) != 0)
		fprintf(stderr, "%s is left behind\n", top);
	return tap_done();
}
