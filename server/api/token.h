/* SPDX-License-Identifier: Apache-2.0 */
/* token: join tokens. The value goes to the operator once; all that stays is its hash. */
#ifndef WRIT_API_TOKEN_H
#define WRIT_API_TOKEN_H

#include "store/rows.h"

/* By this a token is known. */
void writ_token_hash(struct writ_str value, uint8_t hash[WRIT_KEY_HASH_LEN]);

#endif
