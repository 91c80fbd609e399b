/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A list of links waits for the kernel's global lock, for a second and more while many namespaces come and go, and then
 * everybody else's news would wait behind it: the names of new workloads and their membership in the kernel's sets.
 * So a thread asks, with a socket of its own. Questions and answers are two lists under one lock; an eventfd tells of
 * answers.
 */
#include "config.h"
#include "inventory/netns_lister.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct job {
	struct job *next;
	struct netns_question q;
	struct inside inside;
};

struct netns_lister {
	pthread_mutex_t lock;
	pthread_cond_t asked;
	pthread_t thread;
	bool running, stop;
	struct job *questions, *answers; /* of both the first is taken first: the last list told is the newest */
	struct nl *socket; /* the thread's */
	int event;
};

static struct job *next_question(struct netns_lister *l)
{
	struct job *j;

	pthread_mutex_lock(&l->lock);
	while (!l->questions && !l->stop)
		pthread_cond_wait(&l->asked, &l->lock);
	j = l->stop ? NULL : l->questions;
	if (j)
		l->questions = j->next;
	pthread_mutex_unlock(&l->lock);
	return j;
}

static void *work(void *arg)
{
	static const uint64_t one = 1;
	struct netns_lister *l = arg;
	struct job **at, *j;

	while ((j = next_question(l))) {
		bool known = inside_list_links(&j->inside, l->socket, j->q.nsid);

		j->next = NULL;
		pthread_mutex_lock(&l->lock);
		if (known) {
			for (at = &l->answers; *at;)
				at = &(*at)->next;
			*at = j;
		}
		pthread_mutex_unlock(&l->lock);
		if (known)
			(void)!write(l->event, &one, sizeof(one));
		else
			free(j); /* the namespace is gone */
	}
	return NULL;
}

/* Signals are the main thread's. */
static int start(struct netns_lister *l)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&l->thread, NULL, work, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	l->running = r == 0;
	return -r;
}

int netns_lister_ask(struct netns_lister *l, const struct netns_question *q)
{
	struct job **at, *j;
	int r = l->running ? 0 : start(l);

	if (r < 0)
		return r;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->q = *q;
	pthread_mutex_lock(&l->lock);
	for (at = &l->questions; *at && ((*at)->q.nsid != q->nsid || (*at)->q.token != q->token);)
		at = &(*at)->next;
	if (*at)
		free(j);
	else
		*at = j;
	pthread_cond_signal(&l->asked);
	pthread_mutex_unlock(&l->lock);
	return 0;
}

unsigned netns_lister_ready(struct netns_lister *l)
{
	uint64_t ticks;
	unsigned n = 0;

	/* First: who comes between the two is counted now, and makes us look once more for nothing. */
	(void)!read(l->event, &ticks, sizeof(ticks));
	pthread_mutex_lock(&l->lock);
	for (const struct job *j = l->answers; j; j = j->next)
		n++;
	pthread_mutex_unlock(&l->lock);
	return n;
}

bool netns_lister_take(struct netns_lister *l, struct netns_question *q, struct inside *out)
{
	struct job *j;

	pthread_mutex_lock(&l->lock);
	j = l->answers;
	if (j)
		l->answers = j->next;
	pthread_mutex_unlock(&l->lock);
	if (!j)
		return false;
	*q = j->q;
	*out = j->inside;
	free(j);
	return true;
}

int netns_lister_new(struct netns_lister **out)
{
	struct netns_lister *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->asked, NULL);
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = l->event < 0 ? -errno : rtnl_open(&l->socket);
	if (r < 0) {
		netns_lister_free(l);
		return r;
	}
	*out = l;
	return 0;
}

static void free_jobs(struct job *j)
{
	for (struct job *next; j; j = next) {
		next = j->next;
		free(j);
	}
}

void netns_lister_free(struct netns_lister *l)
{
	if (!l)
		return;
	if (l->running) {
		pthread_mutex_lock(&l->lock);
		l->stop = true;
		pthread_cond_signal(&l->asked);
		pthread_mutex_unlock(&l->lock);
		pthread_join(l->thread, NULL);
	}
	free_jobs(l->questions);
	free_jobs(l->answers);
	nl_close(l->socket);
	if (l->event >= 0)
		close(l->event);
	pthread_cond_destroy(&l->asked);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

int netns_lister_fd(const struct netns_lister *l)
{
	return l->event;
}
