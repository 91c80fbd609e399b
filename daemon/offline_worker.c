/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A worker process that reads capture files: the files are opened first, then every right to open anything is given up,
 * and only then is the first byte read. Complaints travel with the last message.
 */
#include "config.h"
#include "daemon/offline_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "capture/worker.h"
#include "daemon/sandbox.h"

#define ERRORS_MAX 65536

struct reading {
	struct ring *ring;
	struct buf record;
};

/* Waits for room as long as there is somebody to make it: the parent's end ends this process (PR_SET_PDEATHSIG). */
static int put(struct reading *r, enum ring_msg type)
{
	int rc;

	if (buf_failed(&r->record))
		return -EAGAIN;
	while ((rc = ring_put(r->ring, type, r->record.data, r->record.len)) == -EAGAIN) {
		ring_kick(r->ring);
		ring_wait_room(r->ring, 1000);
	}
	return rc ? -EAGAIN : 0;
}

static int sink_flow(void *arg, const struct flow_rec *f)
{
	struct reading *r = arg;

	buf_clear(&r->record);
	flow_encode(&r->record, f);
	return put(r, RING_FLOW);
}

static int sink_attempts(void *arg, const struct flow_attempts *a)
{
	struct reading *r = arg;

	buf_clear(&r->record);
	flow_attempts_encode(&r->record, a);
	return put(r, RING_ATTEMPTS);
}

static int sink_coverage(void *arg, const struct coverage_rec *c)
{
	struct reading *r = arg;
	int rc;

	buf_clear(&r->record);
	coverage_encode(&r->record, c);
	rc = put(r, RING_COVERAGE);
	ring_kick(r->ring); /* often enough, and rarely */
	return rc;
}

/* fds[i]: the open file, or -errno. */
static void open_files(const struct offline_settings *s, int *fds)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	for (size_t i = 0; i < s->n_paths; i++) {
		fds[i] = strcmp(s->paths[i], "-") == 0 ? dup(STDIN_FILENO) : open(s->paths[i], O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0)
			fds[i] = -errno;
	}
}

static void add_error(struct buf *errors, const char *path, const char *text)
{
	if (errors->len > ERRORS_MAX)
		return;
	if (strncmp(text, path, strlen(path)) != 0)
		buf_printf(errors, "%s: ", path);
	buf_printf(errors, "%s\n", text);
}

static int read_files(const struct offline_settings *s, struct worker *w, const int *fds, struct buf *errors)
{
	char error[WORKER_ERROR_STRLEN];

	for (size_t i = 0; i < s->n_paths; i++) {
		const char *name = strcmp(s->paths[i], "-") == 0 ? "standard input" : s->paths[i];
		int rc;

		if (fds[i] < 0) {
			add_error(errors, name, strerror(-fds[i]));
			continue;
		}
		error[0] = '\0';
		rc = worker_read_file(w, name, fds[i], (unsigned)i, error);
		if (rc)
			add_error(errors, name, error[0] ? error : strerror(-rc));
	}
	worker_finish(w, FLOW_REASON_EOF);
	return 0;
}

int offline_worker(const struct offline_settings *s, unsigned index, unsigned count, struct ring *ring)
{
	struct reading r = {ring, BUF_INIT};
	const struct worker_sink sink = {sink_flow, sink_attempts, sink_coverage, &r};
	int *fds = calloc(s->n_paths + 1, sizeof(*fds));
	struct buf errors = BUF_INIT;
	struct worker_settings ws;
	struct worker *w = NULL;
	int rc = fds ? 0 : -ENOMEM;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "weir-read");
	worker_settings_default(&ws, true);
	ws.index = index;
	ws.count = count;
	ws.look_inside = s->look_inside;
	ws.table_size = s->table_size;
	if (!rc) {
		open_files(s, fds);
		rc = sandbox_capture_offline();
	}
	if (!rc)
		rc = worker_new(&w, &ws, &sink);
	if (!rc)
		rc = read_files(s, w, fds, &errors);
	if (rc)
		buf_printf(&errors, "a capture worker could not be set up: %s\n", strerror(-rc));
	/* All workers read the same files and come to the same complaints: one tells. */
	buf_clear(&r.record);
	if ((index == 0 || rc) && !buf_failed(&errors) && errors.len)
		buf_add(&r.record, errors.data, errors.len);
	else
		buf_adds(&r.record, "");
	put(&r, RING_DONE);
	ring_kick(ring);
	worker_free(w);
	buf_fini(&errors);
	buf_fini(&r.record);
	free(fds);
	return rc ? 1 : 0;
}
