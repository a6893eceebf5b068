/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop_impl.h"

#include "base/mem.h"

#include <assert.h>

struct writ_timer {
	uv_timer_t uv; /* first: closed and freed as one block */
	void (*fire)(void *arg);
	void *arg;
};

static void on_fire(uv_timer_t *h)
{
	struct writ_timer *t = writ_container(h, struct writ_timer, uv);
	t->fire(t->arg); /* may free t */
}

struct writ_timer *writ_timer_new(struct writ_loop *l, void (*fire)(void *arg), void *arg)
{
	assert(writ_loop_is_current(l));
	struct writ_timer *t = writ_alloc(sizeof(*t));
	(void)uv_timer_init(&l->uv, &t->uv); /* always 0 */
	t->fire = fire;
	t->arg = arg;
	return t;
}

void writ_timer_start(struct writ_timer *t, int64_t ms)
{
	/* libuv counts from the start of the iteration; callbacks before us took time that is not
	 * to be lost. At least 1: libuv 1.44 would serve timers of 0 that re-arm themselves for
	 * ever. */
	uint64_t late = uv_hrtime() / 1000000, begun = uv_now(t->uv.loop);
	late = late > begun ? late - begun : 0;
	int rc = uv_timer_start(&t->uv, on_fire, (uint64_t)(ms > 1 ? ms : 1) + late, 0);
	assert(rc == 0);
	(void)rc;
}

void writ_timer_stop(struct writ_timer *t)
{
	(void)uv_timer_stop(&t->uv);
}

bool writ_timer_active(const struct writ_timer *t)
{
	return uv_is_active((const uv_handle_t *)&t->uv);
}

void writ_timer_free(struct writ_timer *t)
{
	if (t)
		writ_loop_close_and_free((uv_handle_t *)&t->uv);
}
