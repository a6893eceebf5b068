/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/plan.h"

#include "base/mem.h"
#include "check.h"

static void the_plan_holds_in_every_state(void **state)
{
	(void)state;
	static const struct {
		struct writ_ca_fact cas[4];
		size_t n;
		int64_t now;
		enum writ_ca_step step;
		size_t which;
	} rows[] = {
		{ { { 0 } }, 0, 0, WRIT_CA_PREPARE, SIZE_MAX },
		{ { { WRIT_CA_PREPARED, false, 0, 600 } }, 1, 0, WRIT_CA_PUBLISH, 0 },
		{ { { WRIT_CA_PREPARED, true, 0, 600 } }, 1, 0, WRIT_CA_ACTIVATE, 0 },
		{ { { WRIT_CA_ACTIVE, false, 0, 600 } }, 1, 0, WRIT_CA_PUBLISH, 0 },
		{ { { WRIT_CA_ACTIVE, true, 0, 600 } }, 1, 299, WRIT_CA_WAIT, 0 },
		{ { { WRIT_CA_ACTIVE, true, 0, 600 } }, 1, 300, WRIT_CA_PREPARE, 0 },
		{ { { WRIT_CA_ACTIVE, true, 0, 600 }, { WRIT_CA_PREPARED, false, 300, 900 } }, 2,
			550, WRIT_CA_PUBLISH, 1 },
		{ { { WRIT_CA_ACTIVE, true, 0, 600 }, { WRIT_CA_PREPARED, true, 300, 900 } }, 2,
			499, WRIT_CA_WAIT, 0 },
		{ { { WRIT_CA_ACTIVE, true, 0, 600 }, { WRIT_CA_PREPARED, true, 300, 900 } }, 2,
			500, WRIT_CA_ACTIVATE, 1 },
		{ { { WRIT_CA_OLD, true, 0, 600 }, { WRIT_CA_ACTIVE, true, 300, 900 } }, 2, 599,
			WRIT_CA_WAIT, 0 },
		{ { { WRIT_CA_OLD, true, 0, 600 }, { WRIT_CA_ACTIVE, true, 300, 900 } }, 2, 600,
			WRIT_CA_DROP, 0 },
		{ { { WRIT_CA_ACTIVE, true, 0, 600 } }, 1, 700, WRIT_CA_RENEW, 0 },
		{ { { WRIT_CA_ACTIVE, true, 0, 600 }, { WRIT_CA_PREPARED, true, 0, 650 } }, 2, 700,
			WRIT_CA_RENEW, 0 },
		{ { { WRIT_CA_OLD, true, 0, 600 }, { WRIT_CA_PREPARED, true, 0, 650 } }, 2, 700,
			WRIT_CA_RENEW, 1 },
		{ { { WRIT_CA_ACTIVE, true, 0, 600 } }, 1, 601 + WRIT_CA_RENEW_S, WRIT_CA_PREPARE,
			0 },
		{ { { WRIT_CA_ACTIVE, true, 0, 600 }, { WRIT_CA_PREPARED, true, 650, 1250 } }, 2,
			700, WRIT_CA_ACTIVATE, 1 },
		{ { { WRIT_CA_OLD, true, 0, 900 }, { WRIT_CA_OLD, true, 0, 800 },
			  { WRIT_CA_OLD, true, 0, 950 }, { WRIT_CA_ACTIVE, true, 0, 1000 } },
			4, 600, WRIT_CA_DROP, 1 },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		size_t which = SIZE_MAX;
		int64_t wake = -1;
		enum writ_ca_step s =
			writ_ca_plan(rows[i].cas, rows[i].n, rows[i].now, &which, &wake);
		if (s != rows[i].step)
			fail_msg("row %zu: step %d", i, (int)s);
		if (s == WRIT_CA_WAIT)
			assert_true(wake > rows[i].now);
		else if (s != WRIT_CA_PREPARE)
			assert_int_equal(which, rows[i].which);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_plan_holds_in_every_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
