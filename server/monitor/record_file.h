/* SPDX-License-Identifier: Apache-2.0 */
/* record_file: the files of the issuance record: issued.jsonl, to which the signer appends, and
 * issued.jsonl.NNNNNN, which are full; the higher the number the newer. The monitor makes, renames
 * and removes them; the signer gets descriptors (docs/protocol/signer.txt). Blocking. */
#ifndef WRIT_MONITOR_RECORD_FILE_H
#define WRIT_MONITOR_RECORD_FILE_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

#define WRIT_RECORD_NAME "issued.jsonl"

/* When a file is full, and which full ones go. */
struct writ_record_rules {
	int64_t max;    /* bytes; 0: it grows for ever */
	int64_t keep;   /* full files; 0: all */
	int64_t hold_s; /* one that was written to later than that stays all the same: certificates
			   of it may not have ended yet */
};

struct writ_record_file {
	const char *dir; /* borrowed; a folder of ours */
	struct writ_record_rules rules;
	dev_t dev; /* of the one that was handed out last */
	ino_t ino;
};

/* Opens the file, or makes it; then its name is on disk when this returns. *ret is the caller's:
 * O_APPEND, ends with a whole line. WRIT_EDENIED: it is not a file that only we can read. */
WRIT_MUST writ_rc writ_record_file_open(struct writ_record_file *f, int *ret, struct writ_err *err);
/* Is another file there now than the one that was handed out, or none? An operator has renamed it.
 */
bool writ_record_file_moved(const struct writ_record_file *f);
/* Gives the file a number if it is full (by itself: nobody's word is taken), opens a new one, and
 * removes what the rules say. WRIT_EBUSY: it is not full, and nothing has happened. What failed
 * half-way is finished by the next call: the signer goes on with the descriptor it has. */
WRIT_MUST writ_rc writ_record_file_rotate(
	struct writ_record_file *f, int64_t now_s, int *ret, struct writ_err *err);

#endif
