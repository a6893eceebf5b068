/* SPDX-License-Identifier: Apache-2.0 */
/* names: user and group names by number, remembered for a while. The lookup goes through NSS, which
 * may wait for a directory server: a caller on the loop asks for what is known only. Any thread;
 * the lock inside is never held across a lookup. */
#ifndef WRIT_ATTEST_NAMES_H
#define WRIT_ATTEST_NAMES_H

#include "base/err.h"

#include <stdint.h>

#define WRIT_NAME_MAX     256
#define WRIT_NAMES_TTL_MS 60000

enum writ_name_kind { WRIT_NAME_USER, WRIT_NAME_GROUP };

struct writ_names; /* opaque; bounded */

struct writ_names *writ_names_new(void);
void writ_names_free(struct writ_names *n);
/* Writes the NUL-terminated name to out. WRIT_ENOENT: the number has no name. WRIT_EBUSY: not known
 * yet and may_block is false. Else what the lookup failed with; that is not remembered. */
WRIT_MUST writ_rc writ_names_get(struct writ_names *n, enum writ_name_kind kind, uint32_t id,
	bool may_block, char out[WRIT_NAME_MAX], struct writ_err *err);

#endif
