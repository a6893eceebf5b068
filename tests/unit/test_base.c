/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"

#include <errno.h>

static void codes_map_to_grpc_and_exit_codes(void **state)
{
	static const struct {
		writ_rc rc;
		const char *name;
		int grpc, exit;
		bool public;
	} rows[] = {
		{ WRIT_OK, "OK", 0, 0, true },
		{ WRIT_EINVAL, "EINVAL", 3, 2, true },
		{ WRIT_EDENIED, "EDENIED", 7, 4, true },
		{ WRIT_EPROTO, "EPROTO", 13, 8, false },
		{ WRIT_EINTERNAL, "EINTERNAL", 13, 1, false },
		{ WRIT_RC_COUNT, "EINTERNAL", 13, 1, false },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		assert_string_equal(writ_rc_name(rows[i].rc), rows[i].name);
		assert_int_equal(writ_rc_grpc(rows[i].rc), rows[i].grpc);
		assert_int_equal(writ_rc_exit(rows[i].rc), rows[i].exit);
		assert_int_equal(writ_rc_is_public(rows[i].rc), rows[i].public);
	}
	assert_int_equal(writ_rc_from_grpc(16), WRIT_EUNAUTH);
	assert_int_equal(writ_rc_from_grpc(-1), WRIT_EINTERNAL);
	assert_int_equal(writ_rc_from_grpc(17), WRIT_EINTERNAL);
	assert_string_equal(writ_grpc_status_name(7), "PermissionDenied");
	assert_string_equal(writ_grpc_status_name(99), "Unknown");
}

static void errors_wrap_outside_in_and_keep_the_code(void **state)
{
	struct writ_err err;
	(void)state;
	assert_int_equal(writ_fail(&err, WRIT_ENOENT, "entry %d", 7), WRIT_ENOENT);
	assert_int_equal(writ_wrap(&err, WRIT_ENOENT, "delete"), WRIT_ENOENT);
	assert_int_equal(writ_wrap(&err, WRIT_ENOENT, "admin %s", "bob"), WRIT_ENOENT);
	assert_string_equal(err.msg, "admin bob: delete: entry 7");
	assert_int_equal(err.rc, WRIT_ENOENT);
	/* Arguments may be the message itself. */
	writ_fail(&err, WRIT_EIO, "again: %s", err.msg);
	assert_string_equal(err.msg, "again: admin bob: delete: entry 7");
	assert_int_equal(writ_fail(NULL, WRIT_EBUSY, "x"), WRIT_EBUSY);
	assert_int_equal(writ_wrap(NULL, WRIT_EBUSY, "x"), WRIT_EBUSY);
}

static void long_errors_are_cut_not_overrun(void **state)
{
	struct writ_err err;
	char text[2 * WRIT_ERR_MAX];
	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	writ_fail(&err, WRIT_EIO, "%s", text);
	assert_int_equal(strlen(err.msg), WRIT_ERR_MAX - 1);
	writ_wrap(&err, WRIT_EIO, "front");
	assert_int_equal(strlen(err.msg), WRIT_ERR_MAX - 1);
	assert_int_equal(strncmp(err.msg, "front: aaa", 10), 0);
	writ_wrap(&err, WRIT_EIO, "%s", text);
	assert_int_equal(strlen(err.msg), WRIT_ERR_MAX - 1);
}

static void errno_becomes_a_kind_and_a_text(void **state)
{
	static const struct {
		int number;
		writ_rc rc;
	} rows[] = { { ENOENT, WRIT_ENOENT }, { EACCES, WRIT_EDENIED }, { EPERM, WRIT_EDENIED },
		{ EEXIST, WRIT_EEXIST }, { EMFILE, WRIT_ELIMIT }, { ENOSPC, WRIT_ELIMIT },
		{ ETIMEDOUT, WRIT_ETIMEOUT }, { ECONNREFUSED, WRIT_EUNAVAIL },
		{ EPIPE, WRIT_EUNAVAIL }, { EBADF, WRIT_EIO } };
	struct writ_err err;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		assert_int_equal(writ_fail_errno(&err, rows[i].number, "x"), rows[i].rc);
	writ_fail_errno(&err, EACCES, "open %s", "/x");
	assert_string_equal(err.msg, "open /x: Permission denied");
}

static void the_clock_stands_where_a_test_sets_it(void **state)
{
	(void)state;
	writ_clock_set_wall_ms(1700000000999);
	writ_clock_set_mono_us(5000999);
	assert_int_equal(writ_wall_s(), 1700000000);
	assert_int_equal(writ_mono_ms(), 5000);
	writ_clock_set_wall_ms(-1);
	writ_clock_set_mono_us(-1);
	assert_true(writ_wall_s() > 1700000000);
	int64_t before = writ_mono_us();
	assert_true(writ_mono_us() >= before);
}

static void random_numbers_stay_in_their_range(void **state)
{
	(void)state;
	bool seen[7] = { false };
	for (int i = 0; i < 2000; i++) {
		uint64_t v = writ_rand_below(7);
		assert_true(v < 7);
		seen[v] = true;
		int64_t j = writ_jitter(1000, 250);
		assert_in_range(j, 750, 1250);
	}
	for (size_t i = 0; i < WRIT_COUNT(seen); i++)
		assert_true(seen[i]);
	assert_int_equal(writ_jitter(1000, 0), 1000);
	char a[37], b[37];
	writ_rand_uuid(a);
	writ_rand_uuid(b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	assert_string_not_equal(a, b);
}

static void a_secret_is_bounded_compared_and_wiped(void **state)
{
	struct writ_err err;
	struct writ_secret s = { 0 };
	static const uint8_t big[WRIT_SECRET_MAX + 1];
	(void)state;
	assert_fails(writ_secret_set(&s, big, sizeof(big), &err), WRIT_ELIMIT, err, "65537");
	assert_ok(writ_secret_set(&s, "hunter2", 7, &err), err);
	assert_true(writ_secret_eq(&s, "hunter2", 7));
	assert_false(writ_secret_eq(&s, "hunter3", 7));
	assert_false(writ_secret_eq(&s, "hunter", 6));
	assert_ok(writ_secret_set(&s, "other", 5, &err), err);
	assert_true(writ_secret_eq(&s, "other", 5));
	writ_secret_done(&s);
	writ_secret_done(&s);
	assert_null(s.p);
	assert_ok(writ_secret_set(&s, "", 0, &err), err);
	assert_true(writ_secret_eq(&s, "", 0));
	char bytes[] = "secret";
	writ_wipe(bytes, sizeof(bytes));
	assert_memory_equal(bytes, "\0\0\0\0\0\0", 7);
}

static void a_list_keeps_order_and_survives_removal_while_walked(void **state)
{
	struct node {
		int v;
		struct writ_list link;
	} nodes[5];
	struct writ_list list;
	(void)state;
	writ_list_init(&list);
	assert_null(writ_list_pop(&list));
	for (int i = 0; i < 5; i++) {
		nodes[i].v = i;
		writ_list_push(&list, &nodes[i].link);
	}
	int seen = 0;
	WRIT_LIST_EACH (it, &list) {
		struct node *n = writ_container(it, struct node, link);
		assert_int_equal(n->v, seen++);
		if (n->v % 2)
			writ_list_remove(it);
	}
	assert_int_equal(seen, 5);
	writ_list_remove(&nodes[1].link);
	for (int i = 0; i < 5; i += 2)
		assert_ptr_equal(writ_list_pop(&list), &nodes[i].link);
	assert_true(writ_list_empty(&list));
}

static void owned_strings_are_copied_and_handed_on(void **state)
{
	(void)state;
	assert_null(writ_strdup(NULL));
	WRIT_AUTO(writ_freep) char *a = writ_strndup("abcdef", 3);
	assert_string_equal(a, "abc");
	WRIT_AUTO(writ_freep) char *b = writ_steal(a);
	assert_null(a);
	WRIT_AUTO(writ_freep) char *c = writ_asprintf("%s-%d", b, 1);
	assert_string_equal(c, "abc-1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_map_to_grpc_and_exit_codes),
		cmocka_unit_test(errors_wrap_outside_in_and_keep_the_code),
		cmocka_unit_test(long_errors_are_cut_not_overrun),
		cmocka_unit_test(errno_becomes_a_kind_and_a_text),
		cmocka_unit_test(the_clock_stands_where_a_test_sets_it),
		cmocka_unit_test(random_numbers_stay_in_their_range),
		cmocka_unit_test(a_secret_is_bounded_compared_and_wiped),
		cmocka_unit_test(a_list_keeps_order_and_survives_removal_while_walked),
		cmocka_unit_test(owned_strings_are_copied_and_handed_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
