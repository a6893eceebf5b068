/* SPDX-License-Identifier: Apache-2.0 */
/* svid_files: an identity as files for programs that cannot ask for it. DIR/svid.pem, key.pem and
 * bundle.pem are links through DIR/.current to a folder of one generation; a change makes a new
 * folder and swaps the one link. */
#ifndef WRIT_CLI_SVID_FILES_H
#define WRIT_CLI_SVID_FILES_H

#include "workload/client.h"

struct writ_svid_files;

/* dir must exist, or is made (0700). Refuses files there that are not our links. */
WRIT_MUST writ_rc writ_svid_files_open(
	const char *dir, struct writ_svid_files **ret, struct writ_err *err);
WRIT_MUST writ_rc writ_svid_files_put(struct writ_svid_files *f, const struct writ_wl_update *u,
	const struct writ_svid *s, struct writ_err *err);
void writ_svid_files_close(struct writ_svid_files *f); /* what was written stays */

#endif
