/* SPDX-License-Identifier: Apache-2.0 */
/* target: one connection to the tool, with a deadline. */
#ifndef WRIT_GATE_TARGET_H
#define WRIT_GATE_TARGET_H

#include "config.h"

#include "loop/loop.h"

struct writ_target;

/* done() once, never inside this call: fd is connected, non-blocking and the callee's; or -1 with
 * err. The handle is gone after it. */
struct writ_target *writ_target_connect(struct writ_loop *loop, const struct writ_gate_address *a,
	int64_t deadline_ms, void (*done)(void *arg, int fd, const struct writ_err *err),
	void *arg);
void writ_target_cancel(struct writ_target *t); /* no callback any more */

#endif
