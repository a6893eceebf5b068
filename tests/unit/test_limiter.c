/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/clock.h"
#include "base/limiter.h"
#include "base/mem.h"
#include "base/metrics.h"

static int real_clock(void **state)
{
	(void)state;
	writ_clock_set_mono_us(-1);
	return 0;
}

static void a_bucket_starts_full_and_refills_at_its_rate(void **state)
{
	struct writ_bucket b;
	(void)state;
	writ_clock_set_mono_us(1000000);
	writ_bucket_init(&b, 10, 3);
	for (int i = 0; i < 3; i++)
		assert_true(writ_bucket_take(&b, 1));
	assert_false(writ_bucket_take(&b, 1));
	assert_int_equal(writ_bucket_wait_ms(&b, 1), 101);
	writ_clock_set_mono_us(1099000);
	assert_false(writ_bucket_take(&b, 1));
	writ_clock_set_mono_us(1101000);
	assert_int_equal(writ_bucket_wait_ms(&b, 1), 0);
	assert_true(writ_bucket_take(&b, 1));
	assert_false(writ_bucket_take(&b, 1));
	writ_clock_set_mono_us(1000000000);
	assert_false(writ_bucket_take(&b, 4));
	assert_true(writ_bucket_take(&b, 3));
}

static void a_bucket_without_a_rate_never_refills(void **state)
{
	struct writ_bucket b;
	(void)state;
	writ_clock_set_mono_us(0);
	writ_bucket_init(&b, 0, 1);
	assert_true(writ_bucket_take(&b, 1));
	writ_clock_set_mono_us(1000000000000);
	assert_false(writ_bucket_take(&b, 1));
	assert_true(writ_bucket_wait_ms(&b, 1) == INT64_MAX);
}

static void backoff_doubles_up_to_its_maximum(void **state)
{
	static const int64_t steps[] = { 100, 200, 400, 800, 1000, 1000 };
	struct writ_backoff b;
	(void)state;
	writ_backoff_init(&b, 100, 1000);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < WRIT_COUNT(steps); i++) {
			int64_t ms = writ_backoff_next(&b);
			assert_in_range(ms, steps[i] * 3 / 4, steps[i] * 5 / 4);
		}
		writ_backoff_reset(&b);
	}
}

static void metrics_print_in_the_exposition_format(void **state)
{
	static struct writ_metric ok = { .name = "writ_calls_total",
		.labels = "code=\"OK\"",
		.help = "Calls served.",
		.kind = WRIT_COUNTER };
	static struct writ_metric bad = {
		.name = "writ_calls_total", .labels = "code=\"Internal\"", .kind = WRIT_COUNTER
	};
	static struct writ_metric lag = {
		.name = "writ_lag_seconds", .help = "Lag.", .kind = WRIT_GAUGE, .scale = 1e-3
	};
	struct writ_metric *all[] = { &ok, &bad, &lag };
	struct writ_buf out = WRIT_BUF(4096);
	(void)state;
	writ_metric_add(&ok, 2);
	writ_metric_add(&ok, 1);
	writ_metric_set(&lag, 1500);
	writ_metrics_print(all, WRIT_COUNT(all), &out);
	assert_string_equal(writ_buf_cstr(&out),
		"# HELP writ_calls_total Calls served.\n"
		"# TYPE writ_calls_total counter\n"
		"writ_calls_total{code=\"OK\"} 3\n"
		"writ_calls_total{code=\"Internal\"} 0\n"
		"# HELP writ_lag_seconds Lag.\n"
		"# TYPE writ_lag_seconds gauge\n"
		"writ_lag_seconds 1.5\n");
	writ_buf_done(&out);
}

static void histograms_are_cumulative(void **state)
{
	static struct writ_metric h = { .name = "writ_op_seconds",
		.labels = "op=\"x\"",
		.help = "Time.",
		.kind = WRIT_HISTOGRAM };
	struct writ_metric *all[] = { &h };
	struct writ_buf out = WRIT_BUF(4096);
	(void)state;
	writ_metric_observe_us(&h, 100);
	writ_metric_observe_us(&h, 101);
	writ_metric_observe_us(&h, 60000000);
	writ_metrics_print(all, 1, &out);
	const char *text = writ_buf_cstr(&out);
	assert_non_null(strstr(text, "# TYPE writ_op_seconds histogram\n"));
	assert_non_null(strstr(text, "writ_op_seconds_bucket{op=\"x\",le=\"0.0001\"} 1\n"));
	assert_non_null(strstr(text, "writ_op_seconds_bucket{op=\"x\",le=\"0.000316\"} 2\n"));
	assert_non_null(strstr(text, "writ_op_seconds_bucket{op=\"x\",le=\"+Inf\"} 3\n"));
	assert_non_null(strstr(text, "writ_op_seconds_sum{op=\"x\"} 60.000201\n"));
	assert_non_null(strstr(text, "writ_op_seconds_count{op=\"x\"} 3\n"));
	writ_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_starts_full_and_refills_at_its_rate),
		cmocka_unit_test(a_bucket_without_a_rate_never_refills),
		cmocka_unit_test(backoff_doubles_up_to_its_maximum),
		cmocka_unit_test(metrics_print_in_the_exposition_format),
		cmocka_unit_test(histograms_are_cumulative),
	};
	return cmocka_run_group_tests(tests, NULL, real_clock);
}
