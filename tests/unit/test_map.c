/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>

#define KEYS 300

struct item {
	char key[16];
	struct writ_str s;
};

static void an_empty_map_answers(void **state)
{
	struct writ_map m = { 0 };
	size_t i = 0;
	(void)state;
	assert_null(writ_map_get(&m, WRIT_STR("x")));
	assert_null(writ_map_remove(&m, WRIT_STR("x")));
	assert_null(writ_map_next(&m, &i, NULL));
	assert_int_equal(writ_map_count(&m), 0);
	writ_map_done(&m);
}

static void keys_are_bytes(void **state)
{
	struct writ_map m = { 0 };
	int a, b, c;
	(void)state;
	assert_null(writ_map_put(&m, WRIT_STR("k\0x"), &a));
	assert_null(writ_map_put(&m, WRIT_STR("k\0y"), &b));
	assert_null(writ_map_put(&m, WRIT_STR(""), &c));
	assert_ptr_equal(writ_map_get(&m, WRIT_STR("k\0x")), &a);
	assert_ptr_equal(writ_map_get(&m, writ_cstr(NULL)), &c);
	assert_null(writ_map_get(&m, WRIT_STR("k")));
	assert_ptr_equal(writ_map_put(&m, WRIT_STR("k\0x"), &b), &a);
	assert_int_equal(writ_map_count(&m), 3);
	writ_map_done(&m);
}

static void check_against(const struct writ_map *m, const struct item *items, void *const *model)
{
	size_t live = 0, seen = 0, i = 0;
	struct writ_str key;
	for (size_t k = 0; k < KEYS; k++) {
		assert_ptr_equal(writ_map_get(m, items[k].s), model[k]);
		live += model[k] != NULL;
	}
	assert_int_equal(writ_map_count(m), live);
	for (void *v; (v = writ_map_next(m, &i, &key)); seen++)
		assert_ptr_equal(writ_map_get(m, key), v);
	assert_int_equal(seen, live);
}

static void it_agrees_with_a_plain_array(void **state)
{
	static struct item items[KEYS];
	void *model[KEYS] = { NULL };
	struct writ_map m = { 0 };
	unsigned short rng[3] = { 1, 2, 3 };
	(void)state;
	for (size_t k = 0; k < KEYS; k++) {
		snprintf(items[k].key, sizeof(items[k].key), "key-%zu", k);
		items[k].s = writ_cstr(items[k].key);
	}
	for (int step = 0; step < 60000; step++) {
		/* The balance of puts and removes moves, so that the table grows and thins out. */
		long put_of_4 = 1 + step / 10000 % 3;
		size_t k = (size_t)nrand48(rng) % KEYS;
		if (nrand48(rng) % 4 < put_of_4) {
			void *v = &items[(size_t)nrand48(rng) % KEYS];
			assert_ptr_equal(writ_map_put(&m, items[k].s, v), model[k]);
			model[k] = v;
		} else {
			assert_ptr_equal(writ_map_remove(&m, items[k].s), model[k]);
			model[k] = NULL;
		}
		if (step % 1000 == 0)
			check_against(&m, items, model);
	}
	check_against(&m, items, model);
	assert_true(m.cap <= 1024);
	writ_map_done(&m);
}

static void values_can_be_removed_while_walking(void **state)
{
	static struct item items[KEYS];
	struct writ_map m = { 0 };
	size_t i = 0, seen = 0;
	struct item *it;
	(void)state;
	for (size_t k = 0; k < KEYS; k++) {
		snprintf(items[k].key, sizeof(items[k].key), "%zu", k);
		writ_map_put(&m, writ_cstr(items[k].key), &items[k]);
	}
	for (; (it = writ_map_next(&m, &i, NULL)); seen++)
		assert_ptr_equal(writ_map_remove(&m, writ_cstr(it->key)), it);
	assert_int_equal(seen, KEYS);
	assert_int_equal(writ_map_count(&m), 0);
	writ_map_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_map_answers),
		cmocka_unit_test(keys_are_bytes),
		cmocka_unit_test(it_agrees_with_a_plain_array),
		cmocka_unit_test(values_can_be_removed_while_walking),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
