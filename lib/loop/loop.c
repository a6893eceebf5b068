/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop_impl.h"

#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void on_wake(uv_async_t *h)
{
	struct writ_loop *l = h->data;
	writ_loop_drain(l);
	if (atomic_load(&l->stop))
		uv_stop(&l->uv);
}

static void on_more(uv_idle_t *h)
{
	writ_loop_drain(writ_container(h, struct writ_loop, more));
}

static void on_until(uv_timer_t *h)
{
	(void)h; /* its firing ends uv_run(UV_RUN_ONCE), which is all that it is for */
}

static void on_before_sleep(uv_prepare_t *h)
{
	struct writ_loop *l = writ_container(h, struct writ_loop, before_sleep);
	bool come = l->awaited ? *l->awaited || !uv_is_active((uv_handle_t *)&l->until)
			       : !l->jobs && !writ_loop_has_tasks(l);
	if (come)
		uv_stop(&l->uv);
}

/* What can only fail by a mistake in this folder. */
static void must(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "writ: %s: %s\n", what, uv_strerror(rc));
	abort();
}

writ_rc writ_loop_new(struct writ_loop **ret, struct writ_err *err)
{
	struct writ_loop *l = writ_alloc(sizeof(*l));
	int rc = uv_loop_init(&l->uv);
	if (rc == 0) {
		rc = uv_async_init(&l->uv, &l->wake, on_wake);
		if (rc != 0)
			must(uv_loop_close(&l->uv), "close a loop that never ran");
	}
	if (rc != 0) {
		writ_free(l);
		return writ_fail_errno(err, -rc, "start an event loop");
	}
	must(uv_idle_init(&l->uv, &l->more), "idle handle");
	must(uv_timer_init(&l->uv, &l->until), "timer of the loop");
	must(uv_prepare_init(&l->uv, &l->before_sleep), "prepare handle");
	l->wake.data = l;
	l->local_end = &l->local;
	l->on_more = on_more;
	atomic_init(&l->owner, pthread_self());
	*ret = l;
	return WRIT_OK;
}

struct uv_loop_s *writ_loop_uv(struct writ_loop *l)
{
	return &l->uv;
}

bool writ_loop_is_current(const struct writ_loop *l)
{
	return pthread_equal(atomic_load(&l->owner), pthread_self());
}

static void run(struct writ_loop *l, uv_run_mode mode)
{
	struct writ_loop **here = writ_loop_here(), *outer = *here;
	assert(outer != l); /* a loop does not run inside its own callbacks */
	atomic_store(&l->owner, pthread_self());
	*here = l;
	(void)uv_run(&l->uv, mode);
	*here = outer;
}

void writ_loop_run(struct writ_loop *l)
{
	while (!atomic_load(&l->stop))
		run(l, UV_RUN_DEFAULT);
	atomic_store(&l->stop, false);
}

void writ_loop_stop(struct writ_loop *l)
{
	atomic_store(&l->stop, true);
	(void)uv_async_send(&l->wake);
}

bool writ_loop_run_until(struct writ_loop *l, const bool *flag, int64_t deadline_ms)
{
	l->awaited = flag;
	must(uv_prepare_start(&l->before_sleep, on_before_sleep), "prepare handle");
	while (!*flag && !atomic_load(&l->stop)) {
		int64_t left = deadline_ms - writ_mono_ms();
		if (left <= 0)
			break;
		uv_update_time(&l->uv);
		must(uv_timer_start(&l->until, on_until, (uint64_t)left, 0), "timer of the loop");
		run(l, UV_RUN_ONCE);
	}
	(void)uv_timer_stop(&l->until);
	(void)uv_prepare_stop(&l->before_sleep);
	l->awaited = NULL;
	return *flag;
}

/* Names the handle that its owner forgot: free() of a loop must not leave callbacks behind. */
static void refuse_foreign(uv_handle_t *h, void *arg)
{
	const struct writ_loop *l = arg;
	const void *own[] = { &l->wake, &l->more, &l->until, &l->before_sleep };
	bool ours = uv_is_closing(h);
	for (size_t i = 0; i < WRIT_COUNT(own); i++)
		ours = ours || own[i] == h;
	if (ours)
		return;
	fprintf(stderr, "writ: the loop is freed with an open %s\n", uv_handle_type_name(h->type));
	abort();
}

void writ_loop_free(struct writ_loop *l)
{
	if (!l)
		return;
	must(uv_prepare_start(&l->before_sleep, on_before_sleep), "prepare handle");
	while (l->jobs || writ_loop_has_tasks(l))
		run(l, UV_RUN_ONCE);
	(void)uv_prepare_stop(&l->before_sleep);
	uv_walk(&l->uv, refuse_foreign, l);
	uv_close((uv_handle_t *)&l->wake, NULL);
	uv_close((uv_handle_t *)&l->more, NULL);
	uv_close((uv_handle_t *)&l->until, NULL);
	uv_close((uv_handle_t *)&l->before_sleep, NULL);
	run(l, UV_RUN_DEFAULT);
	must(uv_loop_close(&l->uv), "close the loop");
	writ_free(l);
}

static void free_handle(uv_handle_t *h)
{
	writ_free(h);
}

void writ_loop_close_and_free(uv_handle_t *h)
{
	uv_close(h, free_handle);
}
