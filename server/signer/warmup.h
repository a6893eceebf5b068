/* SPDX-License-Identifier: Apache-2.0 */
/* warmup: libraries load things at first use (time zone, algorithms). After the lock-in they could
 * not. */
#ifndef WRIT_SIGNER_WARMUP_H
#define WRIT_SIGNER_WARMUP_H

#include "base/err.h"

/* Makes a CA and a leaf of each key type that a running signer may meet, verifies them, throws them
 * away. Some milliseconds (no RSA key is generated). A self-test too: a failure means that this
 * machine cannot sign. */
WRIT_MUST writ_rc writ_signer_warm_up(struct writ_err *err);

#endif
