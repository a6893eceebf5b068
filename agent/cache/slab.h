/* SPDX-License-Identifier: Apache-2.0 */
/* slab: slots of one size for workloads' private keys, in locked pages that stay out of core files
 * and out of children. An OpenSSL key object takes kilobytes, a slot holds just the PKCS#8 bytes.
 * Loop thread. */
#ifndef WRIT_AGENT_SLAB_H
#define WRIT_AGENT_SLAB_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct writ_slab;

struct writ_slab *writ_slab_new(size_t slot_size); /* a multiple of 16, at most 4096 */
void writ_slab_free(struct writ_slab *s);          /* every slot was put back; aborts otherwise */
size_t writ_slab_slot_size(const struct writ_slab *s);
size_t writ_slab_used(const struct writ_slab *s); /* slots */
/* A slot of zeros. WRIT_ELIMIT: no more memory can be locked; the message says what to raise. */
WRIT_MUST writ_rc writ_slab_take(struct writ_slab *s, uint8_t **ret, struct writ_err *err);
void writ_slab_put(struct writ_slab *s, uint8_t *slot); /* wipes; NULL is fine */

#endif
