/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop_impl.h"

#include <assert.h>

/* How often tasks may post tasks before sockets get their turn again. */
#define ROUNDS 8

static _Thread_local struct writ_loop *here;

struct writ_loop **writ_loop_here(void)
{
	return &here;
}

/* From the loop's own thread no lock and no system call is needed: the idle handle keeps it awake.
 */
static void post_local(struct writ_loop *l, struct writ_task *t)
{
	t->next = NULL;
	*l->local_end = t;
	l->local_end = &t->next;
	if (uv_is_active((uv_handle_t *)&l->more))
		return;
	int rc = uv_idle_start(&l->more, l->on_more);
	assert(rc == 0);
	(void)rc;
}

void writ_loop_post(struct writ_loop *l, struct writ_task *t)
{
	assert(t->run);
	if (here == l) {
		post_local(l, t);
		return;
	}
	struct writ_task *first = atomic_load_explicit(&l->inbox, memory_order_relaxed);
	do {
		t->next = first;
	} while (!atomic_compare_exchange_weak_explicit(
		&l->inbox, &first, t, memory_order_release, memory_order_relaxed));
	/* The poster that finds it empty wakes the loop, for all that come before the loop looks.
	 */
	if (!first)
		(void)uv_async_send(&l->wake);
}

bool writ_loop_has_tasks(struct writ_loop *l)
{
	return l->local || atomic_load_explicit(&l->inbox, memory_order_relaxed);
}

/* All that waits, oldest first. Foreign tasks go first: the thread may have posted before it ran
 * us. */
static struct writ_task *take(struct writ_loop *l)
{
	struct writ_task *own = l->local, *all = own;
	l->local = NULL;
	l->local_end = &l->local;
	struct writ_task *t = atomic_exchange_explicit(&l->inbox, NULL, memory_order_acquire);
	while (t) {
		struct writ_task *older = t->next;
		t->next = all;
		all = t;
		t = older;
	}
	return all;
}

void writ_loop_drain(struct writ_loop *l)
{
	for (int i = 0; i < ROUNDS && writ_loop_has_tasks(l); i++) {
		struct writ_task *t = take(l);
		while (t) {
			struct writ_task *next = t->next;
			t->run(t); /* may free t, or post it again */
			t = next;
		}
	}
	if (!l->local)
		(void)uv_idle_stop(&l->more);
}
