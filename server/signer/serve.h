/* SPDX-License-Identifier: Apache-2.0 */
/* serve: a signer process from its first message to its end. */
#ifndef WRIT_SIGNER_SERVE_H
#define WRIT_SIGNER_SERVE_H

#include "base/err.h"

struct writ_signer_fds {
	int server;  /* socket: requests of the serving process */
	int record;  /* issuance record: O_RDWR, O_APPEND */
	int monitor; /* socket: set-up, keys */
};

/* Takes the set-up from the monitor, locks itself in, answers until the monitor is gone. Owns the
 * descriptors. The answer is the process's exit status (signer/vault.h); err says why when it is
 * not 0. */
int writ_signer_serve(struct writ_signer_fds fds, struct writ_err *err);

#endif
