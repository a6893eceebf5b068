/* SPDX-License-Identifier: Apache-2.0 */
/* keystore: the folder of CA keys: one file NAME.pem each, 0600, replaced whole. The monitor alone
 * opens it. */
#ifndef WRIT_MONITOR_KEYSTORE_H
#define WRIT_MONITOR_KEYSTORE_H

#include "base/buf.h"

struct writ_keystore {
	char *dir; /* owned */
};

/* Makes the folder (0700) or checks it, and removes what a write that was cut short left behind. */
WRIT_MUST writ_rc writ_keystore_open(
	struct writ_keystore *k, const char *data_dir, struct writ_err *err);
/* The same for a folder of any name. */
WRIT_MUST writ_rc writ_keystore_open_at(
	struct writ_keystore *k, const char *dir, struct writ_err *err);
void writ_keystore_done(struct writ_keystore *k);
/* Calls each for every key, at most WRIT_VAULT_KEYS_MAX; data is wiped after the call. A failure
 * ends it. */
WRIT_MUST writ_rc writ_keystore_load(struct writ_keystore *k,
	writ_rc (*each)(
		void *arg, struct writ_str name, struct writ_str data, struct writ_err *err),
	void *arg, struct writ_err *err);
/* name: as writ_vault_name_ok, else WRIT_EINVAL. */
WRIT_MUST writ_rc writ_keystore_save(
	struct writ_keystore *k, struct writ_str name, struct writ_str data, struct writ_err *err);
WRIT_MUST writ_rc writ_keystore_remove(
	struct writ_keystore *k, struct writ_str name, struct writ_err *err); /* none there: fine */

#endif
