/* SPDX-License-Identifier: Apache-2.0 */
/* emit: one selector into an attestor's answer. */
#ifndef WRIT_ATTEST_EMIT_H
#define WRIT_ATTEST_EMIT_H

#include "attest/wire.h"

/* Adds "TYPE:KEY:VALUE", or "TYPE:VALUE" where key is "". What cannot be a selector (control
 * characters, not UTF-8, too long) is withheld with a note. */
void writ_emit(struct writ_answer *out, const char *type, const char *key, struct writ_str value);
void writ_emit_number(struct writ_answer *out, const char *type, const char *key, uint64_t value);

#endif
