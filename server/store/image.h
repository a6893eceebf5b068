/* SPDX-License-Identifier: Apache-2.0 */
/* image: what a SQLite file held at one moment, in memory. For looking at a store that a running
 * server has locked: it reads the file and its write-ahead log (sqlite.org/fileformat2.html, 4) and
 * takes no lock, makes no file and writes nothing. Private to server/store. */
#ifndef WRIT_STORE_IMAGE_H
#define WRIT_STORE_IMAGE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define WRIT_IMAGE_MAX (INT64_C(1) << 30) /* bytes of the file and of its log, each */

struct writ_image {
	uint8_t *bytes; /* the database as after its last commit, no write-ahead log any more */
	size_t n;
};

/* WRIT_ENOENT: no file. WRIT_EDENIED: not for this user. WRIT_ELIMIT: too large. WRIT_EBUSY: it
 * was changed while being read, each time. WRIT_EIO: no database. Blocks on the file. */
WRIT_MUST writ_rc writ_image_read(const char *path, struct writ_image *ret, struct writ_err *err);
void writ_image_done(struct writ_image *m);

#endif
