/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See store_help.h. */
#include "config.h"
#include "tests/unit/store_help.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/proto.h"
#include "store/flows.h"

char *help_dir(void)
{
	const char *tmp = getenv("TMPDIR");
	char path[256];
	char *dir;

	snprintf(path, sizeof(path), "%s/weir-store-XXXXXX", tmp ? tmp : "/tmp");
	dir = mkdtemp(path) ? strdup(path) : NULL;
	if (!dir) {
		perror("mkdtemp");
		exit(1);
	}
	return dir;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void help_remove(char *dir)
{
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

void help_flow(struct flow_rec *out, uint64_t i)
{
	static const char *const apps[] = {"HTTP", "TLS.Google", "DNS", "Unknown"};
	uint64_t r = mix(i + 1);
	uint8_t client[4] = {10, 0, (uint8_t)(r % 2), (uint8_t)(1 + (r >> 8) % 100)};
	uint8_t server[4] = {10, 0, 9, (uint8_t)(1 + (r >> 16) % 20)};

	memset(out, 0, sizeof(*out));
	out->start_ns = HELP_EPOCH_NS + i * 10000000 + r % 9999999;
	out->end_ns = out->start_ns + (r >> 20) % 2000000000;
	out->addr[0] = addr_from_v4(client);
	out->addr[1] = addr_from_v4(server);
	out->port[0] = (uint16_t)(32768 + (r >> 24) % 28000);
	out->port[1] = (r >> 3) & 1 ? 443 : 8080;
	out->proto = PROTO_TCP;
	out->direction = FLOW_DIR_SYN;
	out->state = FLOW_STATE_CLOSED;
	out->reason = FLOW_REASON_CLOSED;
	out->confidence = FLOW_CONF_DPI;
	out->tcp_flags[0] = out->tcp_flags[1] = 0x1b;
	out->iface = 3;
	for (unsigned k = 0; k < 2; k++) {
		out->pkts[k] = 5 + (r >> 30) % 50;
		out->bytes[k] = out->pkts[k] * (60 + (r >> 40) % 900);
		out->payload[k] = out->bytes[k] - 54 * out->pkts[k];
		out->workload[k] = 1 + (k ? server[3] + 1000u : client[3] + 100u * client[2]);
	}
	strcpy(out->app, apps[r % 4]);
	strcpy(out->category, "Web");
	out->id = flow_id(out);
	out->conv_id = out->id;
}

bool help_flow_equal(const struct flow_rec *a, const struct flow_rec *b)
{
	struct buf x = BUF_INIT, y = BUF_INIT;
	bool same;

	flow_encode(&x, a);
	flow_encode(&y, b);
	same = !buf_failed(&x) && x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
	buf_fini(&x);
	buf_fini(&y);
	return same;
}

static int count_flow(void *arg, const struct flow_rec *f)
{
	(void)f;
	++*(uint64_t *)arg;
	return 0;
}

/* Puts flows from..from+n-1 in one transaction; what commit or the first failure said. */
int help_put_flows(struct store *s, uint64_t from, uint64_t n)
{
	struct store_txn *t;
	struct flow_rec f;
	int rc = store_begin(&t, s, true);

	if (rc)
		return rc;
	for (uint64_t i = from; i < from + n && !rc; i++) {
		help_flow(&f, i);
		rc = store_flow_put(t, &f);
	}
	if (!rc)
		return store_commit(t);
	store_abort(t);
	return rc;
}

/* All flows, by walking everything there is; negative errno when that fails. */
int64_t help_count_flows(struct store *s)
{
	struct flow_query all = {0};
	struct store_txn *t;
	struct store_stats st;
	uint64_t n = 0;
	int rc = store_begin(&t, s, false);

	if (rc)
		return rc;
	rc = store_stats(t, &st);
	if (!rc)
		rc = store_flow_walk(t, &all, count_flow, &n);
	for (unsigned i = 1; i <= 20 && !rc; i++) {
		struct flow_query q = {.workload = 1000 + 1 + i};
		uint64_t ignored = 0;

		rc = store_flow_walk(t, &q, count_flow, &ignored);
	}
	store_abort(t);
	return rc ? rc : (int64_t)n;
}

int64_t help_open_and_count(const char *dir, enum store_mode mode)
{
	struct store *s;
	int64_t n = store_open(&s, dir, mode, NULL);

	if (n)
		return n;
	n = help_count_flows(s);
	if (n >= 0 && mode == STORE_WRITE && help_put_flows(s, 1u << 20, 10) != 0)
		n = -1;
	store_close(s);
	return n;
}

/* The same in a child; -1000 - signal when it died of one. */
int64_t help_try_open(const char *dir, enum store_mode mode)
{
	int64_t n = -999;
	int fd[2], status;
	pid_t pid;

	if (pipe(fd) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		n = help_open_and_count(dir, mode);
		_exit(write(fd[1], &n, sizeof(n)) != sizeof(n));
	}
	close(fd[1]);
	if (read(fd[0], &n, sizeof(n)) != sizeof(n))
		n = -999;
	close(fd[0]);
	if (waitpid(pid, &status, 0) != pid)
		return -999;
	return WIFSIGNALED(status) ? -1000 - WTERMSIG(status) : n;
}

char *help_data_path(char out[300], const char *dir)
{
	snprintf(out, 300, "%s/weir.mdb", dir);
	return out;
}

uint64_t help_file_size(const char *dir)
{
	char path[300];
	struct stat st;

	return stat(help_data_path(path, dir), &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* A whole file in memory, and back. */
char *help_slurp(const char *dir, size_t *len)
{
	char path[300], *p;
	FILE *f = fopen(help_data_path(path, dir), "rb");

	*len = (size_t)help_file_size(dir);
	p = malloc(*len + 1);
	if (!f || !p || fread(p, 1, *len, f) != *len)
		abort();
	fclose(f);
	return p;
}

void help_spill(const char *dir, const char *data, size_t len)
{
	char path[300];
	FILE *f = fopen(help_data_path(path, dir), "wb");

	if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0)
		abort();
}
