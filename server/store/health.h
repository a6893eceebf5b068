/* SPDX-License-Identifier: Apache-2.0 */
/* health: is the file of a store sound? For operators; a server that runs is not disturbed. */
#ifndef WRIT_STORE_HEALTH_H
#define WRIT_STORE_HEALTH_H

#include "base/err.h"

#include <stdint.h>

struct writ_store_health {
	int64_t bytes; /* of the database, with what is still in its log */
	int entries;
	int version, version_ours; /* of the schema; the server brings an older one up to ours */
};

/* Looks at pages, references and schema of the SQLite file at path; changes nothing, takes no lock,
 * needs as much memory as the file has bytes. WRIT_ENOENT: no file. WRIT_EDENIED: not for this
 * user. WRIT_EIO: damaged. WRIT_EPRECOND: of a newer or another program. WRIT_ELIMIT, WRIT_EBUSY:
 * not known, as in writ_image_read. Blocks. */
WRIT_MUST writ_rc writ_store_check(
	const char *path, struct writ_store_health *ret, struct writ_err *err);

#endif
