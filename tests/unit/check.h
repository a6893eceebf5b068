/* SPDX-License-Identifier: Apache-2.0 */
/* check: what most unit tests want from cmocka. */
#ifndef WRIT_TEST_CHECK_H
#define WRIT_TEST_CHECK_H

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A call that has to work: says the message of the error when it does not. */
#define assert_ok(call, err)                                                                       \
	do {                                                                                       \
		writ_rc check_rc_ = (call);                                                        \
		if (check_rc_ != WRIT_OK)                                                          \
			fail_msg("%s: %s: %s", #call, writ_rc_name(check_rc_), (err).msg);         \
	} while (0)

/* A call that has to fail in this way, with this text in its message. */
#define assert_fails(call, want, err, text)                                                        \
	do {                                                                                       \
		writ_rc check_rc_ = (call);                                                        \
		if (check_rc_ != (want))                                                           \
			fail_msg("%s: %s instead of %s", #call, writ_rc_name(check_rc_),           \
				writ_rc_name(want));                                               \
		assert_int_equal((err).rc, want);                                                  \
		if (!strstr((err).msg, text))                                                      \
			fail_msg("%s: no '%s' in '%s'", #call, text, (err).msg);                   \
	} while (0)

#endif
