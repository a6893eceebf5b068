/* SPDX-License-Identifier: Apache-2.0 */
/* lock: one serving process for each data folder. */
#ifndef WRIT_SERVE_LOCK_H
#define WRIT_SERVE_LOCK_H

#include "base/err.h"

#include <stdint.h>

/* Takes the lock of the folder; *ret holds it until it is closed or the process ends, however it
 * ends. Waits up to wait_ms for a predecessor that is on its way out. WRIT_EBUSY. Blocks. */
WRIT_MUST writ_rc writ_serve_lock(
	const char *data_dir, int64_t wait_ms, int *ret, struct writ_err *err);

#endif
