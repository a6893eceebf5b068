/* SPDX-License-Identifier: Apache-2.0 */
#include "front/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND 1000000

static void spends_its_burst_then_its_rate(void **state)
{
	(void)state;
	struct writ_budget b;
	writ_budget_init(&b, 100, 10, 0);
	for (int i = 0; i < 100; i++) {
		assert_true(writ_budget_has(&b, 1, 0));
		writ_budget_take(&b, 1, 0);
	}
	assert_false(writ_budget_has(&b, 1, 0));
	int64_t ready = writ_budget_ready_us(&b, 1, 0);
	assert_in_range(ready, SECOND / 10, SECOND / 10 + 10);
	assert_true(writ_budget_has(&b, 1, ready));
	assert_false(writ_budget_has(&b, 2, ready));
}

static void never_holds_more_than_its_burst(void **state)
{
	(void)state;
	struct writ_budget b;
	writ_budget_init(&b, 100, 10, 0);
	writ_budget_repay(&b, 1000);
	assert_true(writ_budget_has(&b, 100, 3600LL * SECOND));
	writ_budget_take(&b, 100, 3600LL * SECOND);
	assert_false(writ_budget_has(&b, 1, 3600LL * SECOND));
}

static void a_price_over_the_burst_is_the_burst(void **state)
{
	(void)state;
	struct writ_budget b;
	writ_budget_init(&b, 10, 1, 0);
	assert_true(writ_budget_has(&b, 21, 0));
	writ_budget_take(&b, 21, 0);
	assert_false(writ_budget_has(&b, 1, 0));
	assert_true(writ_budget_has(&b, 21, writ_budget_ready_us(&b, 21, 0)));
}

static void a_pause_is_never_too_short_to_be_worth_it(void **state)
{
	(void)state;
	struct writ_budget b;
	writ_budget_init(&b, 100, 1000000, 0);
	writ_budget_take(&b, 100, 0);
	assert_int_equal(writ_budget_ready_us(&b, 1, 0), WRIT_BUDGET_PAUSE_US);
}

static void a_clock_that_stands_or_goes_back_gives_nothing(void **state)
{
	(void)state;
	struct writ_budget b;
	writ_budget_init(&b, 10, 10, 5 * SECOND);
	writ_budget_take(&b, 10, 5 * SECOND);
	assert_false(writ_budget_has(&b, 1, 5 * SECOND));
	assert_false(writ_budget_has(&b, 1, 0));
	assert_true(writ_budget_has(&b, 1, 5 * SECOND + SECOND / 10));
}

static void what_everybody_spends_is_no_debt(void **state)
{
	(void)state;
	struct writ_budget b;
	writ_budget_init(&b, 512, 128, 0);
	writ_budget_take(&b, 64, 0);
	assert_int_equal(writ_budget_owed_us(&b, 0), 0);
	writ_budget_take(&b, 128, 0);
	assert_in_range(writ_budget_owed_us(&b, 0), SECOND, SECOND + 10);
}

/* Regression: debt was once counted again by each heir, and grew beyond every deadline. */
static void debt_is_counted_once_and_has_an_end(void **state)
{
	(void)state;
	struct writ_debt d = { 0 };
	struct writ_budget b;
	int64_t now = 0;
	for (int i = 0; i < 1000; i++) {
		/* Each connection waits for what was left by the last, spends nothing, and leaves.
		 */
		int64_t delay = writ_debt_left_us(&d, now);
		assert_true(delay <= 2 * SECOND);
		now += delay;
		writ_budget_init(&b, 512, 128, now);
		if (i == 0)
			writ_budget_take(&b, 512, now);
		writ_debt_add(&d, writ_budget_owed_us(&b, now), 2 * SECOND, now);
		if (i > 0)
			assert_int_equal(writ_debt_left_us(&d, now), 0);
	}
	assert_int_equal(now, 2 * SECOND);
	for (int i = 0; i < 100; i++)
		writ_debt_add(&d, SECOND, 2 * SECOND, now);
	assert_int_equal(writ_debt_left_us(&d, now), 2 * SECOND);
	assert_int_equal(writ_debt_left_us(&d, now + 2 * SECOND), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spends_its_burst_then_its_rate),
		cmocka_unit_test(never_holds_more_than_its_burst),
		cmocka_unit_test(a_price_over_the_burst_is_the_burst),
		cmocka_unit_test(a_pause_is_never_too_short_to_be_worth_it),
		cmocka_unit_test(a_clock_that_stands_or_goes_back_gives_nothing),
		cmocka_unit_test(what_everybody_spends_is_no_debt),
		cmocka_unit_test(debt_is_counted_once_and_has_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
