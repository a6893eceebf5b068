/* SPDX-License-Identifier: Apache-2.0 */
/* runtimes: those that the configuration names, ready to be asked. */
#ifndef WRIT_AGENT_RUNTIMES_H
#define WRIT_AGENT_RUNTIMES_H

#include "attest/attestor.h"
#include "config/config.h"
#include "runtime/asks.h"

/* attestors: those that look, ends with NULL; the service manager belongs to "systemd". NULL when
 * there is none to be asked. c is borrowed until the loop is freed. */
struct writ_asks *writ_runtimes_open(const struct writ_agent_config *c,
	const struct writ_attestor_vt *const *attestors, struct writ_loop *loop);
/* The same for operators: names and types only, as WorkloadAttestors; ends with NULL. */
void writ_runtimes_shown(const struct writ_agent_config *c,
	const struct writ_attestor_vt *const *attestors,
	const struct writ_attestor_vt *ret[WRIT_ASKS_ROWS_MAX]);

#endif
