/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/clock.h"
#include "base/mem.h"
#include "loop_kit.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

/* --- tasks --- */

#define SENDERS 4
#define EACH    5000

struct note {
	struct writ_task task;
	int sender, number;
};

static struct {
	struct writ_loop *loop;
	int next[SENDERS + 1], total;
	bool done;
	struct note notes[SENDERS][EACH];
} mail;

static void receive(struct writ_task *t)
{
	struct note *n = writ_container(t, struct note, task);
	assert_true(writ_loop_is_current(mail.loop));
	assert_int_equal(n->number, mail.next[n->sender]);
	mail.next[n->sender]++;
	mail.done = ++mail.total == SENDERS * EACH;
}

static void *send_all(void *arg)
{
	struct note *notes = arg;
	for (int i = 0; i < EACH; i++)
		writ_loop_post(mail.loop, &notes[i].task);
	return NULL;
}

static void tasks_of_many_threads_arrive_in_the_order_of_each(void **state)
{
	pthread_t threads[SENDERS];
	memset(&mail, 0, sizeof(mail));
	mail.loop = *state;
	for (int s = 0; s < SENDERS; s++) {
		for (int i = 0; i < EACH; i++)
			mail.notes[s][i] = (struct note){ { NULL, receive }, s, i };
		assert_int_equal(pthread_create(&threads[s], NULL, send_all, mail.notes[s]), 0);
	}
	loop_kit_until(mail.loop, &mail.done);
	for (int s = 0; s < SENDERS; s++)
		pthread_join(threads[s], NULL);
	assert_int_equal(mail.total, SENDERS * EACH);
}

struct chain {
	struct writ_task task;
	struct writ_loop *loop;
	int left;
	bool inside, done;
};

static void again(struct writ_task *t)
{
	struct chain *c = writ_container(t, struct chain, task);
	assert_false(c->inside);
	if (!c->left--) {
		c->done = true;
		return;
	}
	c->inside = true;
	writ_loop_post(c->loop, &c->task); /* must not run in here */
	c->inside = false;
}

static void a_task_may_post_itself_again(void **state)
{
	struct chain c = { .task.run = again, .loop = *state, .left = 1000 };
	writ_loop_post(c.loop, &c.task);
	assert_false(c.done);
	loop_kit_until(c.loop, &c.done);
	assert_int_equal(c.left, -1);
}

static void free_task(struct writ_task *t)
{
	writ_free(writ_container(t, struct note, task));
}

static void what_is_posted_before_the_end_still_runs(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct note *n =
			writ_alloc(sizeof(*n)); /* freed by its run, or a leak is reported */
		n->task.run = free_task;
		writ_loop_post(*state, &n->task);
	}
}

static void endless(struct writ_task *t)
{
	struct chain *c = writ_container(t, struct chain, task);
	if (!c->done)
		writ_loop_post(c->loop, &c->task);
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

static void tasks_that_never_end_do_not_starve_timers(void **state)
{
	static struct chain c; /* its last round runs when the loop is freed */
	c = (struct chain){ .task.run = endless, .loop = *state };
	struct writ_timer *t = writ_timer_new(*state, set_flag, &c.done);
	writ_timer_start(t, 5);
	writ_loop_post(c.loop, &c.task);
	loop_kit_until(c.loop, &c.done);
	writ_timer_free(t);
}

static void *stop_from_outside(void *arg)
{
	writ_loop_stop(arg);
	return NULL;
}

static void another_thread_can_stop_it(void **state)
{
	pthread_t thread;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(pthread_create(&thread, NULL, stop_from_outside, *state), 0);
		writ_loop_run(*state);
		pthread_join(thread, NULL);
	}
}

static void waiting_ends_at_the_deadline(void **state)
{
	bool never = false;
	int64_t before = writ_mono_ms();
	assert_false(writ_loop_run_until(*state, &never, before + 30));
	assert_true(writ_mono_ms() >= before + 30);
	assert_false(writ_loop_run_until(*state, &never, before));
	never = true;
	assert_true(writ_loop_run_until(*state, &never, before));
}

/* --- timers --- */

static int fired[8], n_fired;

static void note_firing(void *arg)
{
	fired[n_fired++] = *(int *)arg;
}

static void timers_fire_in_the_order_of_their_time(void **state)
{
	static const int delays[] = { 30, 10, 20, 0 };
	static const int want[] = { 0, 10, 20, 30 };
	struct writ_timer *timers[WRIT_COUNT(delays)];
	int args[WRIT_COUNT(delays)];
	bool done = false;
	n_fired = 0;
	for (size_t i = 0; i < WRIT_COUNT(delays); i++) {
		args[i] = delays[i];
		timers[i] = writ_timer_new(*state, note_firing, &args[i]);
		writ_timer_start(timers[i], delays[i]);
		assert_true(writ_timer_active(timers[i]));
	}
	struct writ_timer *stopped = writ_timer_new(*state, note_firing, &args[0]);
	writ_timer_start(stopped, 5);
	writ_timer_stop(stopped);
	struct writ_timer *freed = writ_timer_new(*state, note_firing, &args[0]);
	writ_timer_start(freed, 5);
	writ_timer_free(freed);
	struct writ_timer *last = writ_timer_new(*state, set_flag, &done);
	writ_timer_start(last, 5);
	writ_timer_start(last, 45);
	loop_kit_until(*state, &done);
	assert_int_equal(n_fired, WRIT_COUNT(want));
	assert_memory_equal(fired, want, sizeof(want));
	assert_false(writ_timer_active(timers[0]));
	for (size_t i = 0; i < WRIT_COUNT(delays); i++)
		writ_timer_free(timers[i]);
	writ_timer_free(stopped);
	writ_timer_free(last);
	writ_timer_free(NULL);
}

struct again_timer {
	struct writ_timer *t;
	int left;
	bool done;
};

static void rearm(void *arg)
{
	struct again_timer *a = arg;
	if (a->left--) {
		writ_timer_start(a->t, 0);
		return;
	}
	writ_timer_free(a->t);
	a->done = true;
}

static void a_timer_may_rearm_and_free_itself(void **state)
{
	struct again_timer a = { .left = 5 };
	a.t = writ_timer_new(*state, rearm, &a);
	writ_timer_start(a.t, 0);
	loop_kit_until(*state, &a.done);
}

/* --- jobs, workers, signals --- */

struct sum {
	struct writ_job job;
	struct writ_loop *loop;
	int in, out;
	int *left;
	bool *all;
};

static void square(struct writ_job *j)
{
	struct sum *s = writ_container(j, struct sum, job);
	assert_false(writ_loop_is_current(s->loop));
	s->out = s->in * s->in;
}

static void squared(struct writ_job *j)
{
	struct sum *s = writ_container(j, struct sum, job);
	assert_true(writ_loop_is_current(s->loop));
	assert_int_equal(s->out, s->in * s->in);
	*s->all = --*s->left == 0;
}

static void jobs_work_elsewhere_and_end_on_the_loop(void **state)
{
	struct sum sums[64];
	int left = WRIT_COUNT(sums);
	bool all = false;
	for (int i = 0; i < (int)WRIT_COUNT(sums); i++) {
		sums[i] =
			(struct sum){ { NULL, square, squared, NULL }, *state, i, -1, &left, &all };
		writ_job_run(*state, &sums[i].job);
	}
	loop_kit_until(*state, &all);
}

static void freeing_the_loop_waits_for_jobs(void **state)
{
	static struct sum s;
	static int left = 1;
	static bool all;
	struct writ_loop *l = NULL;
	struct writ_err err;
	(void)state;
	assert_ok(writ_loop_new(&l, &err), err);
	s = (struct sum){ { NULL, square, squared, NULL }, l, 9, -1, &left, &all };
	writ_job_run(l, &s.job);
	writ_loop_free(l);
	assert_true(all);
	writ_loop_free(NULL);
}

struct shop {
	pthread_mutex_t door;
	atomic_int next, batches;
	struct note notes[1000];
};

static void serve(void *arg, struct writ_task *first)
{
	struct shop *s = arg;
	pthread_mutex_lock(&s->door); /* closed until all are submitted */
	pthread_mutex_unlock(&s->door);
	s->batches++;
	for (struct writ_task *t = first; t; t = t->next)
		assert_int_equal(writ_container(t, struct note, task)->number, s->next++);
}

static void a_worker_takes_all_that_waits_as_one_batch(void **state)
{
	static struct shop s = { .door = PTHREAD_MUTEX_INITIALIZER };
	struct writ_worker *w = NULL;
	struct writ_err err;
	(void)state;
	pthread_mutex_lock(&s.door);
	assert_ok(writ_worker_start("writ-test-with-a-long-name", serve, &s, &w, &err), err);
	for (int i = 0; i < (int)WRIT_COUNT(s.notes); i++) {
		s.notes[i].number = i;
		writ_worker_submit(w, &s.notes[i].task);
	}
	pthread_mutex_unlock(&s.door);
	writ_worker_stop(w);
	assert_int_equal(s.next, WRIT_COUNT(s.notes));
	assert_in_range(s.batches, 1, 2);
	writ_worker_stop(NULL);
}

struct trip {
	struct writ_task task;
	struct writ_loop *loop;
	bool back;
};

static void come_back(struct writ_task *t)
{
	writ_container(t, struct trip, task)->back = true;
}

static void go(struct writ_task *t)
{
	struct trip *p = writ_container(t, struct trip, task);
	assert_false(writ_loop_is_current(p->loop));
	p->task.run = come_back;
	writ_loop_post(p->loop, &p->task);
}

static void a_task_goes_to_a_worker_and_comes_back(void **state)
{
	struct writ_worker *w = NULL;
	struct writ_err err;
	assert_ok(writ_worker_start("trip", NULL, NULL, &w, &err), err);
	for (int i = 0; i < 200; i++) {
		struct trip t = { .task.run = go, .loop = *state };
		writ_worker_submit(w, &t.task);
		loop_kit_until(*state, &t.back);
	}
	writ_worker_stop(w);
}

static void note_signal(void *arg, int signum)
{
	assert_int_equal(signum, SIGUSR1);
	*(bool *)arg = true;
}

static void signals_are_events(void **state)
{
	struct writ_signal *s = NULL;
	struct writ_err err;
	bool got = false;
	assert_ok(writ_signal_new(*state, SIGUSR1, note_signal, &got, &s, &err), err);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	assert_false(got);
	loop_kit_until(*state, &got);
	writ_signal_free(s);
	assert_fails(writ_signal_new(*state, SIGKILL, note_signal, &got, &s, &err), WRIT_EIO, err,
		"signal 9");
	writ_signal_free(NULL);
}

struct awaited {
	struct writ_task task;
	struct writ_loop *loop;
	bool done;
};

static void arrive(struct writ_task *t)
{
	writ_container(t, struct awaited, task)->done = true;
}

static void arrive_by_timer(void *arg)
{
	((struct awaited *)arg)->done = true;
}

static void post_by_timer(void *arg)
{
	struct awaited *a = arg;
	writ_loop_post(a->loop, &a->task);
}

/* What a timer or a task brings in the iteration that would sleep next is not slept on. */
static void waiting_ends_at_once_when_it_has_come(void **state)
{
	void (*const ways[])(void *) = { arrive_by_timer, post_by_timer };
	for (size_t i = 0; i < WRIT_COUNT(ways); i++) {
		struct awaited a = { .task.run = arrive, .loop = *state };
		struct writ_timer *t = writ_timer_new(a.loop, ways[i], &a);
		int64_t start = writ_mono_ms();
		writ_timer_start(t, 0);
		assert_true(writ_loop_run_until(a.loop, &a.done, start + LOOP_KIT_PATIENCE_MS));
		assert_in_range(writ_mono_ms() - start, 0, LOOP_KIT_PATIENCE_MS / 2);
		writ_timer_free(t);
	}
}

int main(void)
{
#define ON_A_LOOP(test) cmocka_unit_test_setup_teardown(test, loop_kit_enter, loop_kit_leave)
	const struct CMUnitTest tests[] = {
		ON_A_LOOP(tasks_of_many_threads_arrive_in_the_order_of_each),
		ON_A_LOOP(a_task_may_post_itself_again),
		ON_A_LOOP(what_is_posted_before_the_end_still_runs),
		ON_A_LOOP(tasks_that_never_end_do_not_starve_timers),
		ON_A_LOOP(another_thread_can_stop_it),
		ON_A_LOOP(waiting_ends_at_the_deadline),
		ON_A_LOOP(timers_fire_in_the_order_of_their_time),
		ON_A_LOOP(a_timer_may_rearm_and_free_itself),
		ON_A_LOOP(jobs_work_elsewhere_and_end_on_the_loop),
		ON_A_LOOP(waiting_ends_at_once_when_it_has_come),
		cmocka_unit_test(freeing_the_loop_waits_for_jobs),
		cmocka_unit_test(a_worker_takes_all_that_waits_as_one_batch),
		ON_A_LOOP(a_task_goes_to_a_worker_and_comes_back),
		ON_A_LOOP(signals_are_events),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
