/* SPDX-License-Identifier: Apache-2.0 */
/* keys: where the signer's CA keys live beyond its own memory. One vtable for each kind ("memory",
 * "disk"); a kind that keeps keys on a token would give out writ_keys whose generate makes a
 * handle. */
#ifndef WRIT_SIGNER_KEYS_H
#define WRIT_SIGNER_KEYS_H

#include "signer/slot.h"

struct writ_keys;
struct writ_vault_link;

struct writ_keys_vt {
	const char *name; /* as in the configuration */
	bool lasting;     /* keys survive the process */
	WRIT_MUST writ_rc (*generate)(struct writ_keys *k, enum writ_key_type type,
		struct writ_key **ret, struct writ_err *err);
	/* Keeps the slot as it is now; once it returns, a restart brings it back. */
	WRIT_MUST writ_rc (*save)(
		struct writ_keys *k, const struct writ_slot *s, struct writ_err *err);
	WRIT_MUST writ_rc (*forget)(
		struct writ_keys *k, const char *authority, struct writ_err *err);
	void (*close)(struct writ_keys *k);
};

struct writ_keys {
	const struct writ_keys_vt *vt;
};

/* monitor: borrowed, for the life of the keys; "disk" hands it what is to be kept. WRIT_EINVAL: no
 * such kind. */
WRIT_MUST writ_rc writ_keys_open(struct writ_str name, struct writ_vault_link *monitor,
	struct writ_keys **ret, struct writ_err *err);
void writ_keys_close(struct writ_keys *k); /* NULL is fine */

#endif
