/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/clock.h"
#include "base/mem.h"
#include "loop/op.h"
#include "loop_kit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum state { ASK, WAIT, DONE };

static const char *const names[] = { "ask", "wait", "done" };
static const uint32_t next[] = { 1u << WAIT, 1u << ASK, 0 };

/* A question that an answer timer ends, over and over while rounds are left. */
struct talk {
	struct writ_op op;
	struct writ_timer *answer;
	int64_t answer_ms;
	int rounds, ticks, aborts, completions;
	bool starting, fail_in_tick, done;
	writ_rc rc;
	struct writ_err err;
};

static void answered(void *arg)
{
	struct talk *t = arg;
	writ_op_tick(&t->op);
	writ_op_tick(&t->op); /* two results, one tick */
}

static void talk_tick(struct writ_op *op)
{
	struct talk *t = writ_container(op, struct talk, op);
	assert_false(t->starting);
	t->ticks++;
	if (op->rc != WRIT_OK)
		writ_op_to(op, DONE);
	switch ((enum state)op->state) {
	case ASK:
		if (t->fail_in_tick) {
			writ_op_cancel(op);
			writ_op_to(op, DONE);
			writ_op_done(op);
			return;
		}
		writ_op_to(op, WAIT);
		writ_timer_start(t->answer, t->answer_ms);
		return;
	case WAIT:
		writ_op_to(op, --t->rounds ? ASK : DONE);
		writ_op_tick(op);
		return;
	case DONE: writ_op_done(op); return;
	}
}

static void talk_abort(struct writ_op *op)
{
	struct talk *t = writ_container(op, struct talk, op);
	assert_int_not_equal(op->rc, WRIT_OK);
	t->aborts++;
	writ_timer_stop(t->answer);
}

static const struct writ_op_spec spec = { "talk", names, next, DONE, talk_tick, talk_abort };

static void talk_complete(struct writ_op *op, void *arg)
{
	struct talk *t = arg;
	assert_ptr_equal(op, &t->op);
	t->completions++;
	t->rc = op->rc;
	t->err = op->err;
	t->done = true;
	memset(op, 0xee, sizeof(*op)); /* who touches it now shows */
	writ_timer_free(t->answer);
}

static void begin(struct talk *t, struct writ_loop *l, int64_t deadline_ms)
{
	t->answer = writ_timer_new(l, answered, t);
	t->starting = true;
	writ_op_start(&t->op, &spec, l, deadline_ms, talk_complete, t);
	t->starting = false;
	assert_int_equal(t->completions, 0);
}

static void finish(struct talk *t, struct writ_loop *l)
{
	loop_kit_until(l, &t->done);
	loop_kit_turn(l, 10);
	assert_int_equal(t->completions, 1);
}

static void it_runs_through_its_states_and_completes_once(void **state)
{
	struct talk t = { .rounds = 3, .answer_ms = 1 };
	begin(&t, *state, 20000);
	finish(&t, *state);
	assert_int_equal(t.rc, WRIT_OK);
	assert_int_equal(t.aborts, 0);
	assert_int_equal(t.ticks, 3 * 2 + 1);
}

static void a_deadline_ends_it_and_says_where_it_was(void **state)
{
	struct talk t = { .rounds = 1, .answer_ms = 100000 };
	begin(&t, *state, 15);
	finish(&t, *state);
	assert_int_equal(t.rc, WRIT_ETIMEOUT);
	assert_int_equal(t.err.rc, WRIT_ETIMEOUT);
	assert_string_equal(t.err.msg, "talk: not done within 15 ms, still at 'wait'");
	assert_int_equal(t.aborts, 1);
}

static void cancel_is_idempotent_and_completes_once(void **state)
{
	struct talk t = { .rounds = 1, .answer_ms = 100000 };
	struct writ_err other = { WRIT_EIO, "later" };
	begin(&t, *state, 20000);
	writ_op_cancel(&t.op);
	writ_op_cancel(&t.op);
	writ_op_fail(&t.op, &other); /* the first one wins */
	assert_int_equal(t.completions, 0);
	finish(&t, *state);
	assert_int_equal(t.rc, WRIT_ECANCELED);
	assert_string_equal(t.err.msg, "talk: canceled at 'ask'");
	assert_int_equal(t.aborts, 1);
}

static void a_failure_keeps_its_code_and_text(void **state)
{
	struct talk t = { .rounds = 1, .answer_ms = 100000 };
	struct writ_err why = { WRIT_EPROTO, "bad frame" };
	bool never = false;
	begin(&t, *state, 20000);
	(void)writ_loop_run_until(*state, &never, writ_mono_ms() + 10);
	assert_int_equal(t.op.state, WAIT);
	writ_op_fail(&t.op, &why);
	finish(&t, *state);
	assert_int_equal(t.rc, WRIT_EPROTO);
	assert_string_equal(t.err.msg, "bad frame");
}

static void done_with_a_tick_under_way_waits_for_it(void **state)
{
	struct talk t = { .fail_in_tick = true };
	begin(&t, *state, 20000);
	finish(&t, *state);
	assert_int_equal(t.rc, WRIT_ECANCELED);
	assert_int_equal(t.ticks, 1);
}

static void nop_complete(struct writ_op *op, void *arg)
{
	(void)op;
	(void)arg;
}

/* Runs in a child: true when the step is refused by abort(). */
static bool refused(struct writ_loop *l, int from, int to)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct writ_op op;
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		signal(SIGABRT, SIG_DFL);
		writ_op_start(&op, &spec, l, 1000, nop_complete, NULL);
		op.state = from;
		writ_op_to(&op, to);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void only_the_steps_of_the_table_are_legal(void **state)
{
	static const struct {
		int from, to;
		bool legal;
	} rows[] = { { ASK, WAIT, true }, { ASK, ASK, false }, { ASK, DONE, true },
		{ WAIT, ASK, true }, { WAIT, WAIT, false }, { DONE, DONE, true },
		{ DONE, ASK, false }, { ASK, DONE + 1, false }, { ASK, -1, false } };
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		assert_int_equal(refused(*state, rows[i].from, rows[i].to), !rows[i].legal);
}

int main(void)
{
#define ON_A_LOOP(test) cmocka_unit_test_setup_teardown(test, loop_kit_enter, loop_kit_leave)
	const struct CMUnitTest tests[] = {
		ON_A_LOOP(it_runs_through_its_states_and_completes_once),
		ON_A_LOOP(a_deadline_ends_it_and_says_where_it_was),
		ON_A_LOOP(cancel_is_idempotent_and_completes_once),
		ON_A_LOOP(a_failure_keeps_its_code_and_text),
		ON_A_LOOP(done_with_a_tick_under_way_waits_for_it),
		ON_A_LOOP(only_the_steps_of_the_table_are_legal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
