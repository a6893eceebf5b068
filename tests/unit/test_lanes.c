/* SPDX-License-Identifier: Apache-2.0 */
/* Work that hangs holds up nobody but its own customer. */
#include "check.h"

#include "base/clock.h"
#include "base/mem.h"
#include "loop/lanes.h"

#include <errno.h>
#include <unistd.h>

#define PATIENCE_MS 20000

/* A job that reads one byte of a pipe: it hangs until the test writes. */
struct item {
	struct writ_lane_job job;
	int fd; /* -1: does not hang */
	bool worked, told, dropped;
	writ_rc fate;
};

struct world {
	struct writ_loop *loop;
	struct writ_lanes *lanes;
	int pipe[2];
};

static void work(struct writ_lane_job *j)
{
	struct item *i = writ_container(j, struct item, job);
	char byte;
	while (i->fd >= 0 && read(i->fd, &byte, 1) < 0 && errno == EINTR)
		;
	i->worked = true;
}

static void done(struct writ_lane_job *j, writ_rc fate)
{
	struct item *i = writ_container(j, struct item, job);
	assert_false(i->told || i->dropped);
	i->told = true;
	i->fate = fate;
}

static void drop(struct writ_lane_job *j)
{
	struct item *i = writ_container(j, struct item, job);
	assert_false(i->dropped);
	i->dropped = true;
}

static void enter(struct world *w, int64_t deadline_ms)
{
	const struct writ_lanes_limits limits = { .threads = 8,
		.threads_a_key = 2,
		.waiting = 6,
		.waiting_a_key = 4,
		.threads_a_family = 3,
		.waiting_a_family = 2,
		.deadline_ms = deadline_ms };
	assert_int_equal(writ_loop_new(&w->loop, NULL), WRIT_OK);
	assert_int_equal(writ_lanes_new(w->loop, &limits, &w->lanes, NULL), WRIT_OK);
	assert_int_equal(pipe(w->pipe), 0);
}

static void leave(struct world *w)
{
	writ_lanes_free(w->lanes, PATIENCE_MS);
	writ_loop_free(w->loop);
	close(w->pipe[0]);
	close(w->pipe[1]);
}

static void start_of(struct world *w, struct item *i, uint64_t key, uint64_t family, bool hangs)
{
	*i = (struct item){ .fd = hangs ? w->pipe[0] : -1 };
	i->job = (struct writ_lane_job){
		.key = key, .family = family, .work = work, .done = done, .drop = drop
	};
	writ_lanes_run(w->lanes, &i->job);
	assert_false(i->told);
}

static void start(struct world *w, struct item *i, uint64_t key, bool hangs)
{
	start_of(w, i, key, 0, hangs);
}

static void await(struct world *w, const bool *flag)
{
	assert_true(writ_loop_run_until(w->loop, flag, writ_mono_ms() + PATIENCE_MS));
}

static void release(struct world *w, int n)
{
	for (; n > 0; n--)
		assert_int_equal(write(w->pipe[1], "x", 1), 1);
}

static void work_is_done_and_dropped(void **state)
{
	(void)state;
	struct world w;
	struct item items[20];
	enter(&w, PATIENCE_MS);
	for (size_t i = 0; i < WRIT_COUNT(items); i++) {
		start(&w, &items[i], i % 3, false);
		await(&w, &items[i].dropped);
		assert_true(items[i].worked && items[i].told);
		assert_int_equal(items[i].fate, WRIT_OK);
	}
	leave(&w);
}

static void what_hangs_is_told_late_and_dropped_when_it_comes_back(void **state)
{
	(void)state;
	struct world w;
	struct item i;
	enter(&w, 300);
	start(&w, &i, 1, true);
	await(&w, &i.told);
	assert_int_equal(i.fate, WRIT_ETIMEOUT);
	assert_false(i.dropped);
	release(&w, 1);
	await(&w, &i.dropped);
	assert_true(i.worked);
	leave(&w);
}

static void one_customers_hanging_work_does_not_hold_up_another(void **state)
{
	(void)state;
	struct world w;
	struct item bad[6];
	struct item good[30];
	enter(&w, 60000);
	for (size_t i = 0; i < 6; i++)
		start(&w, &bad[i], 1, true);
	for (size_t i = 0; i < WRIT_COUNT(good); i++) {
		start(&w, &good[i], 2, false);
		await(&w, &good[i].dropped);
		assert_int_equal(good[i].fate, WRIT_OK);
	}
	for (size_t i = 0; i < 6; i++)
		assert_false(bad[i].worked);
	release(&w, 6);
	for (size_t i = 0; i < 6; i++)
		await(&w, &bad[i].dropped);
	leave(&w);
}

/* Each of them has as little as a customer may have, and together they have not all. */
static void a_family_of_customers_does_not_hold_up_others(void **state)
{
	(void)state;
	struct world w;
	struct item bad[6], good[4];
	enter(&w, 60000);
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		start_of(&w, &bad[i], 100 + i, 1, true);
		if (i < 3) { /* who came before the next one has a thread by then */
			start(&w, &good[0], 200, false);
			await(&w, &good[0].dropped);
		}
	}
	await(&w, &bad[5].dropped); /* three have threads, two wait */
	assert_int_equal(bad[5].fate, WRIT_EBUSY);
	for (size_t i = 0; i < WRIT_COUNT(good); i++) {
		start_of(&w, &good[i], 200 + i, i % 2 ? 2 : 0, false);
		await(&w, &good[i].dropped);
		assert_int_equal(good[i].fate, WRIT_OK);
	}
	for (size_t i = 0; i < 5; i++)
		assert_false(bad[i].worked || bad[i].told);
	release(&w, 5);
	for (size_t i = 0; i < 5; i++)
		await(&w, &bad[i].dropped);
	leave(&w);
}

static void what_waits_behind_hanging_work_never_runs(void **state)
{
	(void)state;
	struct world w;
	struct item hung[2];
	struct item behind;
	enter(&w, 300);
	start(&w, &hung[0], 1, true);
	start(&w, &hung[1], 1, true);
	start(&w, &behind, 1, false);
	await(&w, &behind.dropped);
	assert_int_equal(behind.fate, WRIT_ETIMEOUT);
	assert_false(behind.worked);
	assert_true(hung[0].told && hung[1].told);
	release(&w, 2);
	await(&w, &hung[0].dropped);
	await(&w, &hung[1].dropped);
	leave(&w);
}

static void too_many_that_wait_are_refused(void **state)
{
	(void)state;
	struct world w;
	struct item i[12];
	enter(&w, 60000);
	for (size_t k = 0; k < 10; k++)
		start(&w, &i[k], 1, true);
	/* Whether the first two were taken before the others came is chance: four may wait. */
	await(&w, &i[9].told);
	assert_int_equal(i[9].fate, WRIT_EBUSY);
	assert_true(i[9].dropped && !i[9].worked);
	start(&w, &i[10], 2, false);
	await(&w, &i[10].dropped);
	assert_int_equal(i[10].fate, WRIT_OK);
	release(&w, 10);
	for (size_t k = 0; k < 10; k++)
		await(&w, &i[k].dropped);
	leave(&w);
}

static void an_end_drops_what_waits_and_leaves_what_hangs(void **state)
{
	(void)state;
	struct world w;
	struct item hung[2];
	struct item behind[3];
	enter(&w, 60000);
	for (size_t i = 0; i < 2; i++)
		start(&w, &hung[i], 1, true);
	for (size_t i = 0; i < 3; i++)
		start(&w, &behind[i], 1, false);
	release(&w, 2);
	leave(&w);
	for (size_t i = 0; i < 3; i++)
		assert_true(behind[i].dropped && !behind[i].told);
	for (size_t i = 0; i < 2; i++)
		assert_true(hung[i].dropped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_is_done_and_dropped),
		cmocka_unit_test(what_hangs_is_told_late_and_dropped_when_it_comes_back),
		cmocka_unit_test(one_customers_hanging_work_does_not_hold_up_another),
		cmocka_unit_test(a_family_of_customers_does_not_hold_up_others),
		cmocka_unit_test(what_waits_behind_hanging_work_never_runs),
		cmocka_unit_test(too_many_that_wait_are_refused),
		cmocka_unit_test(an_end_drops_what_waits_and_leaves_what_hangs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
