/* SPDX-License-Identifier: Apache-2.0 */
/* A name cannot change what is read after it: the same line with another name gives the same
 * numbers. */
#include "attest/proc_text.h"
#include "base/buf.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_proc_status status;
	struct writ_proc_stat a;
	struct writ_proc_stat b;
	(void)!writ_proc_status_parse(writ_strn(p, n), &status, NULL);
	struct writ_proc_rights rights = { .seccomp = 0 };
	(void)!writ_proc_rights_parse(writ_strn(p, n), &rights, NULL);
	assert(rights.seccomp <= 2);
	if (writ_proc_stat_parse(writ_strn(p, n), &a, NULL) != WRIT_OK)
		return 0;
	const uint8_t *end = memrchr(p, ')', n);
	struct writ_buf other = WRIT_BUF(n + 64);
	writ_buf_addf(&other, "%llu ((x) Z 1 2 3", (unsigned long long)a.pid);
	writ_buf_add(&other, end, n - (size_t)(end - p));
	assert(writ_proc_stat_parse(writ_buf_str(&other), &b, NULL) == WRIT_OK);
	assert(a.pid == b.pid && a.state == b.state && a.start_time == b.start_time);
	writ_buf_done(&other);
	return 0;
}
