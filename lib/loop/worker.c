/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop.h"

#include "base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

struct writ_worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct writ_task *first, **end; /* under lock */
	bool stopping;                  /* under lock */
	void (*batch)(void *arg, struct writ_task *first);
	void *arg;
	char name[16]; /* what the kernel keeps of a thread's name */
};

static void run_each(struct writ_task *t)
{
	while (t) {
		struct writ_task *next = t->next;
		t->run(t);
		t = next;
	}
}

/* All that waits, oldest first; waits itself while there is nothing. NULL: stopped and empty. */
static struct writ_task *next_batch(struct writ_worker *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->first && !w->stopping)
		pthread_cond_wait(&w->filled, &w->lock);
	struct writ_task *first = w->first;
	w->first = NULL;
	w->end = &w->first;
	pthread_mutex_unlock(&w->lock);
	return first;
}

static void *main_of_worker(void *arg)
{
	struct writ_worker *w = arg;
	struct writ_task *first;
	(void)pthread_setname_np(pthread_self(), w->name);
	while ((first = next_batch(w))) {
		if (w->batch)
			w->batch(w->arg, first);
		else
			run_each(first);
	}
	return NULL;
}

static void destroy(struct writ_worker *w)
{
	pthread_cond_destroy(&w->filled);
	pthread_mutex_destroy(&w->lock);
	writ_free(w);
}

writ_rc writ_worker_start(const char *name, void (*batch)(void *arg, struct writ_task *first),
	void *arg, struct writ_worker **ret, struct writ_err *err)
{
	struct writ_worker *w = writ_alloc(sizeof(*w));
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->filled, NULL);
	w->end = &w->first;
	w->batch = batch;
	w->arg = arg;
	(void)snprintf(w->name, sizeof(w->name), "%s", name);
	/* Signals are for the loop's thread. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int e = pthread_create(&w->thread, NULL, main_of_worker, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e) {
		destroy(w);
		return writ_fail_errno(err, e, "start the thread %s", name);
	}
	*ret = w;
	return WRIT_OK;
}

void writ_worker_submit(struct writ_worker *w, struct writ_task *t)
{
	t->next = NULL;
	pthread_mutex_lock(&w->lock);
	assert(!w->stopping);
	bool was_empty = !w->first;
	*w->end = t;
	w->end = &t->next;
	pthread_mutex_unlock(&w->lock);
	if (was_empty)
		pthread_cond_signal(&w->filled);
}

void writ_worker_stop(struct writ_worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_mutex_unlock(&w->lock);
	pthread_cond_signal(&w->filled);
	pthread_join(w->thread, NULL);
	destroy(w);
}
