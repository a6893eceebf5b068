/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/options.h"

#include "check.h"

static const struct writ_option options[] = {
	{ "spiffeID", "spiffe-id", WRIT_OPT_STRING, "ID", "" },
	{ "selector", NULL, WRIT_OPT_LIST, "TYPE:VALUE", "" },
	{ "node", NULL, WRIT_OPT_FLAG, NULL, "" },
	{ "o", NULL, WRIT_OPT_STRING, "FORM", "" },
};

static struct writ_args args;

static writ_rc parse(bool stop, const char *const *argv, struct writ_err *err)
{
	int n = 0;
	while (argv[n])
		n++;
	return writ_args_parse(
		&args, options, WRIT_COUNT(options), n, (char *const *)(uintptr_t)argv, stop, err);
}

#define PARSE(stop, ...) parse(stop, (const char *const[]){ __VA_ARGS__, NULL }, &err)

static void both_spellings_and_both_forms_mean_the_same(void **state)
{
	struct writ_err err;
	static const char *const rows[][2] = { { "-spiffeID", "x" }, { "--spiffeID", "x" },
		{ "-spiffe-id", "x" }, { "--spiffe-id", "x" }, { "-spiffeID=x", NULL },
		{ "--spiffe-id=x", NULL } };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		assert_ok(PARSE(false, rows[i][0], rows[i][1]), err);
		assert_string_equal(writ_arg(&args, "spiffeID"), "x");
		assert_int_equal(args.n_rest, 0);
	}
}

static void values_may_look_like_anything(void **state)
{
	struct writ_err err;
	(void)state;
	assert_ok(PARSE(false, "-spiffeID", "-node", "-selector=a=b", "-selector", ""), err);
	assert_string_equal(writ_arg(&args, "spiffeID"), "-node");
	assert_false(writ_arg_given(&args, "node"));
	assert_string_equal(writ_arg_at(&args, "selector", 0), "a=b");
	assert_string_equal(writ_arg_at(&args, "selector", 1), "");
	assert_null(writ_arg_at(&args, "selector", 2));
	assert_ok(PARSE(false, "-spiffeID=", "-o", "a", "-o", "b"), err);
	assert_string_equal(writ_arg(&args, "spiffeID"), "");
	assert_string_equal(writ_arg(&args, "o"), "b"); /* the last one counts */
}

static void switches_are_on_off_or_a_mistake(void **state)
{
	struct writ_err err;
	(void)state;
	assert_ok(PARSE(false, "-node"), err);
	assert_true(writ_arg_flag(&args, "node"));
	assert_ok(PARSE(false, "--node=true"), err);
	assert_true(writ_arg_flag(&args, "node"));
	assert_ok(PARSE(false, "-node=false"), err);
	assert_false(writ_arg_flag(&args, "node"));
	assert_true(writ_arg_given(&args, "node"));
	assert_fails(PARSE(false, "-node=yes"), WRIT_EINVAL, err, "neither true nor false");
	assert_ok(PARSE(false, "-node", "false"), err); /* as SPIRE: a switch takes no next word */
	assert_true(writ_arg_flag(&args, "node"));
	assert_int_equal(args.n_rest, 1);
}

static void mistakes_name_what_was_meant(void **state)
{
	struct writ_err err;
	(void)state;
	assert_fails(PARSE(false, "-spifeID", "x"), WRIT_EINVAL, err, "did you mean -spiffeID?");
	assert_fails(PARSE(false, "--spife-id=x"), WRIT_EINVAL, err, "did you mean -spiffe-id?");
	assert_fails(PARSE(false, "-zzzzzzzzzzz"), WRIT_EINVAL, err, "see -help");
	assert_fails(PARSE(false, "-spiffeID"), WRIT_EINVAL, err, "-spiffeID needs a value");
	assert_fails(PARSE(false, "-spiffe"), WRIT_EINVAL, err, "unknown flag"); /* not shortened */
	assert_fails(PARSE(false, "---node"), WRIT_EINVAL, err, "unknown flag");
}

static void the_rest_is_what_is_no_flag(void **state)
{
	struct writ_err err;
	(void)state;
	assert_ok(PARSE(false, "a", "-node", "-", "b", "--", "-o", "--"), err);
	assert_int_equal(args.n_rest, 5);
	assert_string_equal(args.rest[1], "-");
	assert_string_equal(args.rest[3], "-o");
	assert_string_equal(args.rest[4], "--");
	assert_true(writ_arg_flag(&args, "node"));
	static const char *const line[] = { "-node", "cmd", "-node=x", "-h", NULL };
	assert_ok(parse(true, line, &err), err);
	assert_int_equal(args.n_rest, 1);
	assert_string_equal(args.rest[0], "cmd");
	assert_string_equal(args.tail[2], "-h");
	assert_null(args.tail[3]);
	assert_false(args.help);
}

static void help_is_asked_in_three_ways(void **state)
{
	struct writ_err err;
	static const char *const ways[] = { "-h", "-help", "--help" };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(ways); i++) {
		assert_ok(PARSE(false, ways[i]), err);
		assert_true(args.help);
	}
	assert_fails(PARSE(false, "-help=x"), WRIT_EINVAL, err, "unknown flag");
}

static void there_is_a_limit(void **state)
{
	struct writ_err err;
	const char *many[WRIT_ARGS_MAX + 2] = { NULL };
	(void)state;
	for (size_t i = 0; i + 1 < WRIT_COUNT(many); i++)
		many[i] = "-node";
	assert_fails(parse(false, many, &err), WRIT_ELIMIT, err, "512 flags");
	for (size_t i = 0; i + 1 < WRIT_COUNT(many); i++)
		many[i] = "x";
	assert_fails(parse(false, many, &err), WRIT_ELIMIT, err, "512 arguments");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_spellings_and_both_forms_mean_the_same),
		cmocka_unit_test(values_may_look_like_anything),
		cmocka_unit_test(switches_are_on_off_or_a_mistake),
		cmocka_unit_test(mistakes_name_what_was_meant),
		cmocka_unit_test(the_rest_is_what_is_no_flag),
		cmocka_unit_test(help_is_asked_in_three_ways),
		cmocka_unit_test(there_is_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
