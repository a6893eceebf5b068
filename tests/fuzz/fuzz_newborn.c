/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/stat and cgroup as a launch reads them: whatever a process calls itself, nothing before
 * the end of its name is believed. */
#include "run/newborn.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct writ_str text = { (const char *)data, size };
	struct writ_newborn_stat s = { .pid = 0 };
	if (writ_newborn_parse(text, &s, NULL) == WRIT_OK)
		assert(s.pid > 0 && s.pid <= INT32_MAX && s.ppid <= INT32_MAX);
	struct writ_str path = writ_cgroup_v2_path(text);
	assert(!path.n || !memchr(path.p, '\n', path.n));
	return 0;
}
