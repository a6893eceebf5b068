/* SPDX-License-Identifier: Apache-2.0 */
/* A number's name is its own, and not that of the number that was asked for before. */
#include "check.h"

#include "attest/names.h"
#include "base/mem.h"

#include <grp.h>
#include <pwd.h>

static char out[WRIT_NAME_MAX];

static writ_rc get(struct writ_names *n, enum writ_name_kind kind, uint32_t id, bool may_block)
{
	snprintf(out, sizeof(out), "-");
	return writ_names_get(n, kind, id, may_block, out, NULL);
}

static void a_name_that_is_known_is_of_that_number(void **state)
{
	struct writ_names *n = writ_names_new();
	(void)state;
	assert_int_equal(get(n, WRIT_NAME_USER, 0, false), WRIT_EBUSY);
	assert_int_equal(get(n, WRIT_NAME_USER, 0, true), WRIT_OK);
	assert_string_equal(out, "root");
	assert_int_equal(get(n, WRIT_NAME_USER, 0, false), WRIT_OK);
	assert_string_equal(out, "root");
	assert_int_equal(get(n, WRIT_NAME_GROUP, 0, false), WRIT_EBUSY);
	/* Whatever place root's name has. */
	for (uint32_t id = 1; id < 100000; id++)
		if (get(n, WRIT_NAME_USER, id, false) != WRIT_EBUSY || out[0] != '-')
			fail_msg("user %u is %s", id, out);
	writ_names_free(n);
}

static void users_and_groups_are_not_each_other(void **state)
{
	struct writ_names *n = writ_names_new();
	bool differ = false;
	(void)state;
	for (uint32_t id = 0; id < 100; id++) {
		const struct passwd *pw = getpwuid(id);
		char user[WRIT_NAME_MAX] = "";
		if (pw)
			snprintf(user, sizeof(user), "%s", pw->pw_name);
		const struct group *gr = getgrgid(id);
		char group[WRIT_NAME_MAX] = "";
		if (gr)
			snprintf(group, sizeof(group), "%s", gr->gr_name);
		for (int again = 0; again < 2; again++) {
			assert_int_equal(
				get(n, WRIT_NAME_USER, id, !again), pw ? WRIT_OK : WRIT_ENOENT);
			if (pw)
				assert_string_equal(out, user);
			assert_int_equal(
				get(n, WRIT_NAME_GROUP, id, !again), gr ? WRIT_OK : WRIT_ENOENT);
			if (gr)
				assert_string_equal(out, group);
		}
		differ = differ || strcmp(user, group) != 0;
	}
	writ_names_free(n);
	if (!differ)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_that_is_known_is_of_that_number),
		cmocka_unit_test(users_and_groups_are_not_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
