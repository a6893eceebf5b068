/* SPDX-License-Identifier: Apache-2.0 */
/* Whose question goes to the attestation process next. */
#include "attestor/turns.h"

#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

enum { LOUD = 1000, QUIET = 1001 };

/* As the link does it. True: it went at once. */
static bool ask(struct writ_turns *t, uid_t uid, uint64_t id, int64_t now_ms)
{
	if (writ_turns_go(t, uid, id, now_ms))
		return true;
	writ_turns_wait(t, uid, writ_turn_new(id, &id, sizeof(id), -1));
	return false;
}

static uint64_t next(struct writ_turns *t, int64_t now_ms)
{
	struct writ_turn *turn = writ_turns_next(t, now_ms);
	uint64_t id = turn ? turn->id : UINT64_MAX;
	writ_turn_free(turn);
	return id;
}

static void fill(struct writ_turns *t, uid_t uid, uint64_t first_id, int64_t now_ms)
{
	writ_turns_init(t);
	for (uint64_t i = 0; i < WRIT_TURNS_WINDOW; i++)
		assert_true(ask(t, uid, first_id + i, now_ms));
}

static void a_user_has_a_few_under_way_and_the_others_wait(void **state)
{
	(void)state;
	struct writ_turns t;
	fill(&t, LOUD, 1, 0);
	assert_false(ask(&t, LOUD, 101, 0));
	assert_false(ask(&t, LOUD, 102, 0));
	assert_true(writ_turns_any(&t));
	assert_int_equal(next(&t, 0), UINT64_MAX);
	writ_turns_answered(&t, LOUD, 999); /* none of them */
	assert_int_equal(next(&t, 0), UINT64_MAX);
	writ_turns_answered(&t, LOUD, 5);
	assert_int_equal(next(&t, 0), 101);
	assert_int_equal(next(&t, 0), UINT64_MAX);
	assert_false(ask(&t, LOUD, 103, 0)); /* not past 102 */
	writ_turns_answered(&t, LOUD, 101);
	assert_int_equal(next(&t, 0), 102);
	writ_turns_done(&t);
}

static void another_user_does_not_wait_for_that(void **state)
{
	(void)state;
	struct writ_turns t;
	fill(&t, LOUD, 1, 0);
	for (uint64_t i = 0; i < 1000; i++)
		assert_false(ask(&t, LOUD, 101 + i, 0));
	for (uint64_t i = 0; i < WRIT_TURNS_WINDOW; i++)
		assert_true(ask(&t, QUIET, 2001 + i, 0));
	/* And when both ask much, they take turns. */
	assert_false(ask(&t, QUIET, 3001, 0));
	assert_false(ask(&t, QUIET, 3002, 0));
	for (uint64_t i = 0; i < 3; i++) {
		writ_turns_answered(&t, LOUD, 1 + i);
		writ_turns_answered(&t, QUIET, 2001 + i);
	}
	static const uint64_t order[] = { 101, 3001, 102, 3002, 103, UINT64_MAX };
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		assert_int_equal(next(&t, 0), order[i]);
	writ_turns_done(&t);
}

static void nobody_waits_behind_what_waits_for_a_disk(void **state)
{
	(void)state;
	struct writ_turns t;
	fill(&t, LOUD, 1, 0);
	assert_false(ask(&t, LOUD, 101, WRIT_TURNS_SLOW_MS - 1));
	assert_int_equal(next(&t, WRIT_TURNS_SLOW_MS - 1), UINT64_MAX);
	assert_int_equal(next(&t, WRIT_TURNS_SLOW_MS), 101);
	assert_true(ask(&t, LOUD, 102, WRIT_TURNS_SLOW_MS));
	writ_turns_done(&t);
}

static void what_is_not_answered_overtakes_nothing_of_its_user(void **state)
{
	(void)state;
	struct writ_turns t;
	writ_turns_init(&t);
	assert_true(ask(&t, QUIET, 0, 0)); /* of a user who has nothing under way */
	assert_int_equal(writ_map_count(&t.users), 0);
	writ_turns_done(&t);
	fill(&t, LOUD, 1, 0);
	assert_true(ask(&t, LOUD, 0, 0));
	assert_false(ask(&t, LOUD, 101, 0));
	assert_false(ask(&t, LOUD, 0, 0));
	writ_turns_answered(&t, LOUD, 1);
	assert_int_equal(next(&t, 0), 101);
	assert_int_equal(next(&t, 0), 0); /* takes nobody's place */
	assert_false(writ_turns_any(&t));
	writ_turns_done(&t);
}

static void users_of_whom_nothing_is_left_are_forgotten(void **state)
{
	(void)state;
	struct writ_turns t;
	fill(&t, LOUD, 1, 0);
	assert_true(ask(&t, QUIET, 101, 0));
	writ_turns_answered(&t, QUIET, 101);
	writ_turns_sweep(&t, 0);
	assert_int_equal(writ_map_count(&t.users), 1);
	assert_false(ask(&t, LOUD, 102, 0));
	writ_turns_sweep(&t, WRIT_TURNS_SLOW_MS);
	assert_int_equal(writ_map_count(&t.users), 1); /* something waits */
	assert_int_equal(next(&t, WRIT_TURNS_SLOW_MS), 102);
	writ_turns_sweep(&t, 2 * WRIT_TURNS_SLOW_MS);
	assert_int_equal(writ_map_count(&t.users), 0);
	writ_turns_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_has_a_few_under_way_and_the_others_wait),
		cmocka_unit_test(another_user_does_not_wait_for_that),
		cmocka_unit_test(nobody_waits_behind_what_waits_for_a_disk),
		cmocka_unit_test(what_is_not_answered_overtakes_nothing_of_its_user),
		cmocka_unit_test(users_of_whom_nothing_is_left_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
