/* SPDX-License-Identifier: Apache-2.0 */
/* serve: the attestation process at work: pins the peers it is asked about, keeps what it saw of
 * each until the handle is forgotten, and says whether that still holds. */
#ifndef WRIT_ATTESTOR_SERVE_H
#define WRIT_ATTESTOR_SERVE_H

#include "attest/attestor.h"

#define WRIT_ATTESTOR_HANDLES_MAX 65536
/* For one caller; it is denied then, and may call again. */
#define WRIT_ATTESTOR_DEADLINE_MS 2000

struct writ_attestor_config {
	struct writ_attest_ctx ctx;
	const struct writ_attestor_vt *const *attestors; /* ends with NULL */
	struct writ_ns_self self;
	struct writ_pin_rules rules;
};

/* Answers what comes over fd (SOCK_SEQPACKET; owned) until the other side is gone. Runs a loop of
 * its own on this thread. lock_in, or NULL: called when all descriptors are made, before the first
 * byte is read and the first thread started. */
WRIT_MUST writ_rc writ_attestor_serve(const struct writ_attestor_config *cfg, int fd,
	writ_rc (*lock_in)(struct writ_err *err), struct writ_err *err);

#endif
