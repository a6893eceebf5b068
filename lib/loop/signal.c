/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop_impl.h"

#include "base/mem.h"

#include <assert.h>

struct writ_signal {
	uv_signal_t uv; /* first: closed and freed as one block */
	void (*fire)(void *arg, int signum);
	void *arg;
};

static void on_signal(uv_signal_t *h, int signum)
{
	struct writ_signal *s = writ_container(h, struct writ_signal, uv);
	s->fire(s->arg, signum); /* may free s */
}

writ_rc writ_signal_new(struct writ_loop *l, int signum, void (*fire)(void *arg, int signum),
	void *arg, struct writ_signal **ret, struct writ_err *err)
{
	assert(writ_loop_is_current(l));
	struct writ_signal *s = writ_alloc(sizeof(*s));
	int rc = uv_signal_init(&l->uv, &s->uv);
	if (rc != 0) {
		writ_free(s);
		return writ_fail_errno(err, -rc, "watch signal %d", signum);
	}
	s->fire = fire;
	s->arg = arg;
	rc = uv_signal_start(&s->uv, on_signal, signum);
	if (rc != 0) {
		writ_signal_free(s);
		return writ_fail_errno(err, -rc, "watch signal %d", signum);
	}
	*ret = s;
	return WRIT_OK;
}

void writ_signal_free(struct writ_signal *s)
{
	if (s)
		writ_loop_close_and_free((uv_handle_t *)&s->uv);
}
