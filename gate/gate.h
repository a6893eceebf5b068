/* SPDX-License-Identifier: Apache-2.0 */
/* gate: mutual TLS and an allow list in front of a tool that has neither. Connections that pass are
 * relayed byte for byte; nobody else's bytes reach the tool. Loop thread. */
#ifndef WRIT_GATE_GATE_H
#define WRIT_GATE_GATE_H

#include "config.h"

#include "base/metrics.h"
#include "loop/loop.h"

struct writ_gate;

/* Borrows cfg until stop is done. Listens once the first SVID is there; *port says where when the
 * kernel picked the port, through `listening`. */
struct writ_gate_hooks {
	void (*listening)(void *arg, uint16_t port); /* once */
	void (*fatal)(void *arg, const struct writ_err *err);
	void *arg;
};
WRIT_MUST writ_rc writ_gate_start(struct writ_loop *loop, const struct writ_gate_config *cfg,
	const struct writ_gate_hooks *hooks, struct writ_gate **ret, struct writ_err *err);
bool writ_gate_ready(const struct writ_gate *g); /* listening, with a valid SVID */
void writ_gate_metrics(struct writ_gate *g, struct writ_buf *out);
/* Stops accepting, gives open connections deadline_ms to end, cuts the rest; done once. */
void writ_gate_stop(struct writ_gate *g, int64_t deadline_ms, void (*done)(void *arg), void *arg);

#endif
