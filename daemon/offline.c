/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading capture files with several processes: see offline.h. Each worker reads every file and keeps the flows that
 * are its own by hash, so that no packet is copied between processes; only finished records cross, through one ring a
 * worker. A full ring makes the worker wait: offline nothing is dropped.
 */
#include "config.h"
#include "daemon/offline.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ring.h"
#include "common/timefmt.h"
#include "daemon/offline_worker.h"

#define RING_BYTES (4u << 20)
#define ROUND_MAX 2048
#define BATCH_MAX 50000u /* records a commit: LMDB keeps the pages of a transaction in memory */
#define RETAIN_EVERY 16  /* commits */
/* Less than this, all files together, is read by one worker: another takes longer to start than it saves, and what nDPI
 * remembers from one conversation to the next (of STUN, say) is then all in one place. */
#define SHARED_FROM_BYTES (64u << 20)

struct offline_process {
	pid_t pid;
	struct ring *ring;
	bool done, reaped;
	int status;
};

struct offline {
	struct offline_process p[OFFLINE_WORKERS_MAX];
	unsigned n, commits;
	uint64_t clock_ns;
	bool complained;
	int store_rc;
	void (*error)(void *arg, const char *text);
	void *arg;
};

/* A pipe can be read once only, so by one worker; small files are not worth more unless asked for. */
static unsigned choose_workers(const struct offline_settings *s)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = s->workers ? s->workers : cores < 1 ? 1 : cores > 4 ? 4 : (unsigned)cores;
	uint64_t bytes = 0;
	struct stat st;

	for (size_t i = 0; i < s->n_paths; i++) {
		int rc = strcmp(s->paths[i], "-") == 0 ? fstat(STDIN_FILENO, &st) : stat(s->paths[i], &st);

		if (strcmp(s->paths[i], "-") == 0 || (rc == 0 && !S_ISREG(st.st_mode)))
			return 1;
		if (rc == 0)
			bytes += (uint64_t)st.st_size;
	}
	if (!s->workers && bytes < SHARED_FROM_BYTES)
		return 1;
	return n > OFFLINE_WORKERS_MAX ? OFFLINE_WORKERS_MAX : n;
}

int offline_start(struct offline **out, const struct offline_settings *s)
{
	struct offline *o = calloc(1, sizeof(*o));
	unsigned count = choose_workers(s);
	int rc = 0;

	if (!o)
		return -ENOMEM;
	for (unsigned i = 0; i < count && !rc; i++) {
		rc = ring_new(&o->p[i].ring, RING_BYTES);
		if (rc)
			break;
		o->n = i + 1;
		fflush(NULL);
		o->p[i].pid = fork();
		if (o->p[i].pid == 0) /* not _exit: a leak checker looks when a process exits; nothing is buffered */
			exit(offline_worker(s, i, count, o->p[i].ring));
		if (o->p[i].pid < 0) {
			rc = -errno;
			o->p[i].reaped = true;
		}
	}
	if (rc) {
		offline_free(o);
		return rc;
	}
	*out = o;
	return 0;
}

static void complain(struct offline *o, const char *text)
{
	o->complained = true;
	o->error(o->arg, text);
}

static void commit(struct offline *o, struct engine *e)
{
	struct engine_stats s;
	int rc = engine_commit(e);

	engine_stats(e, &s);
	if (rc == -ENOSPC || ++o->commits % RETAIN_EVERY == 0)
		engine_retain(e, s.newest_ns);
	if (rc && !o->store_rc)
		o->store_rc = rc;
}

/* The texts of a worker's errors, one a line. Only the first worker tells of files: all read the same ones. */
static void take_done(struct offline *o, struct offline_process *p, const char *text, size_t len)
{
	p->done = true;
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;
		char line[1024];

		snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : sizeof(line) - 1), text);
		for (char *c = line; *c; c++)
			if ((unsigned char)*c < 0x20 || *c == 0x7f)
				*c = '?';
		if (line[0])
			complain(o, line);
		n += end != NULL;
		text += n;
		len -= n;
	}
}

static void take(struct offline *o, struct offline_process *p, struct engine *e, enum ring_msg type, const void *data,
		 size_t len)
{
	struct coverage_rec c;

	switch (type) {
	case RING_FLOW:
		engine_flow(e, data, len, 0);
		break;
	case RING_ATTEMPTS:
		engine_attempts(e, data, len);
		break;
	case RING_COVERAGE:
		if (coverage_decode(&c, data, len) == 0)
			engine_coverage(e, &c);
		break;
	case RING_DONE:
		take_done(o, p, data, len);
		break;
	case RING_TIME:
		break;
	}
	if (engine_pending(e) >= BATCH_MAX)
		commit(o, e);
}

/* True when something was taken. */
static bool drain(struct offline *o, struct offline_process *p, struct engine *e)
{
	enum ring_msg type;
	const void *data;
	size_t len;
	bool any = false;

	for (unsigned i = 0; i < ROUND_MAX && !p->done; i++) {
		int rc = ring_get(p->ring, &type, &data, &len);

		if (rc < 0) {
			p->done = true;
			complain(o, "a capture worker wrote nonsense and was ended: what it had read before is kept");
			kill(p->pid, SIGKILL);
		}
		if (rc <= 0)
			break;
		any = true;
		take(o, p, e, type, data, len);
	}
	return any;
}

/* A worker that said it was done must also end well: where its memory is damaged, or leaks, it shows at the end. */
static void await_end(struct offline *o, struct offline_process *p)
{
	char text[160];

	if (p->reaped || waitpid(p->pid, &p->status, 0) != p->pid)
		return;
	p->reaped = true;
	if (o->complained || (WIFEXITED(p->status) && WEXITSTATUS(p->status) == 0))
		return;
	snprintf(text, sizeof(text),
		 "a capture worker ended badly (%s %d) after its last record: what it read is kept; please report this",
		 WIFSIGNALED(p->status) ? "signal" : "status",
		 WIFSIGNALED(p->status) ? WTERMSIG(p->status) : WEXITSTATUS(p->status));
	complain(o, text);
}

/* A worker that is gone without a word: told once its ring is empty. */
static void check_alive(struct offline *o, struct offline_process *p)
{
	char text[160];

	if (!p->reaped && waitpid(p->pid, &p->status, WNOHANG) == p->pid) {
		p->reaped = true;
		return; /* it may have written up to the end: once more */
	}
	if (!p->reaped)
		return;
	p->done = true;
	if (WIFSIGNALED(p->status))
		snprintf(text, sizeof(text),
			 "a capture worker was ended by signal %d (%s): its share of the flows is missing",
			 WTERMSIG(p->status), strsignal(WTERMSIG(p->status)));
	else
		snprintf(text, sizeof(text),
			 "a capture worker ended early (status %d): its share of the flows is missing",
			 WEXITSTATUS(p->status));
	complain(o, text);
}

static void wait_for_any(struct offline *o)
{
	struct pollfd fds[OFFLINE_WORKERS_MAX];
	nfds_t n = 0;

	for (unsigned i = 0; i < o->n; i++) {
		if (o->p[i].done)
			continue;
		if (ring_sleep(o->p[i].ring))
			return; /* something came in meanwhile */
		fds[n++] = (struct pollfd){ring_eventfd(o->p[i].ring), POLLIN, 0};
	}
	if (n)
		poll(fds, n, 200);
}

int offline_pump(struct offline *o, struct engine *e, void (*error)(void *arg, const char *text), void *arg)
{
	unsigned done = 0;

	o->error = error;
	o->arg = arg;
	while (done < o->n) {
		bool any = false;

		done = 0;
		for (unsigned i = 0; i < o->n; i++) {
			struct offline_process *p = &o->p[i];
			bool got = !p->done && drain(o, p, e);

			if (!got && !p->done)
				check_alive(o, p);
			any |= got;
			done += p->done;
		}
		if (!any && done < o->n)
			wait_for_any(o);
	}
	engine_release(e, 0, true);
	commit(o, e);
	for (unsigned i = 0; i < o->n; i++)
		await_end(o, &o->p[i]);
	if (o->store_rc)
		return o->store_rc;
	return o->complained ? -EIO : 0;
}

void offline_free(struct offline *o)
{
	if (!o)
		return;
	for (unsigned i = 0; i < o->n; i++) {
		struct offline_process *p = &o->p[i];

		if (!p->reaped) {
			if (!p->done)
				kill(p->pid, SIGKILL);
			waitpid(p->pid, &p->status, 0);
		}
		ring_free(p->ring);
	}
	free(o);
}
