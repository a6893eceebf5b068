/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/op.h"

#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>

static void complete(struct writ_op *op)
{
	op->complete(op, op->arg); /* may free op */
}

static void run_tick(struct writ_task *t)
{
	struct writ_op *op = writ_container(t, struct writ_op, posted);
	op->tick_posted = false;
	if (op->finished)
		complete(op);
	else
		op->spec->tick(op);
}

static void on_deadline(void *arg)
{
	struct writ_op *op = arg;
	struct writ_err err;
	writ_fail(&err, WRIT_ETIMEOUT, "%s: not done within %" PRId64 " ms, still at '%s'",
		op->spec->name, op->limit_ms, op->spec->states[op->state]);
	writ_op_fail(op, &err);
}

void writ_op_start(struct writ_op *op, const struct writ_op_spec *spec, struct writ_loop *loop,
	int64_t deadline_ms, void (*on_complete)(struct writ_op *op, void *arg), void *arg)
{
	assert(deadline_ms > 0);
	*op = (struct writ_op){
		.spec = spec,
		.loop = loop,
		.limit_ms = deadline_ms,
		.posted.run = run_tick,
		.complete = on_complete,
		.arg = arg,
	};
	op->deadline = writ_timer_new(loop, on_deadline, op);
	writ_timer_start(op->deadline, deadline_ms);
	writ_op_tick(op);
}

void writ_op_to(struct writ_op *op, int state)
{
	const struct writ_op_spec *spec = op->spec;
	assert(state >= 0 && state <= spec->done);
	assert(state == spec->done || (spec->next[op->state] >> state & 1));
	op->state = state;
}

void writ_op_tick(struct writ_op *op)
{
	if (op->tick_posted || op->finished)
		return;
	op->tick_posted = true;
	writ_loop_post(op->loop, &op->posted);
}

void writ_op_fail(struct writ_op *op, const struct writ_err *err)
{
	assert(err->rc != WRIT_OK);
	if (op->finished || op->rc != WRIT_OK)
		return;
	op->rc = err->rc;
	op->err = *err;
	writ_timer_stop(op->deadline);
	if (op->spec->abort)
		op->spec->abort(op);
	writ_op_tick(op);
}

void writ_op_cancel(struct writ_op *op)
{
	struct writ_err err;
	writ_fail(&err, WRIT_ECANCELED, "%s: canceled at '%s'", op->spec->name,
		op->spec->states[op->state]);
	writ_op_fail(op, &err);
}

void writ_op_done(struct writ_op *op)
{
	assert(op->state == op->spec->done && !op->finished);
	op->finished = true;
	writ_timer_free(writ_steal(op->deadline));
	/* A tick under way would find the op freed: it completes instead. */
	if (!op->tick_posted)
		complete(op);
}
