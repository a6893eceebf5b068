/* SPDX-License-Identifier: Apache-2.0 */
/* wire: a snapshot and an attestor's answer as bytes, so that attestors can run in another process.
 * One encoding for each value: what decodes encodes to the same bytes. Pure. Numbers are
 * little-endian.
 *
 * A request is "WAR1", the numbers of struct writ_snapshot in the order of the table in wire.c (u64
 * each), then groups (u32 each), path of exe and cgroup, each after its length in bytes (u32). auxv
 * stays behind: attestors need to know only whether it could be read.
 *
 * An answer is "WAA1", the number of selectors (u16) and the selectors, sorted, each once, then the
 * number of notes (u16) and the notes; each text after its length (u16). */
#ifndef WRIT_ATTEST_WIRE_H
#define WRIT_ATTEST_WIRE_H

#include "attest/selectors.h"
#include "attest/snapshot.h"

#define WRIT_WIRE_REQUEST_MAX (16 * 1024)
#define WRIT_WIRE_ANSWER_MAX  (WRIT_SELECTORS_BYTES + 16 * 1024)
#define WRIT_WIRE_NOTES_MAX   16
#define WRIT_WIRE_NOTE_MAX    512

/* What attestors found, and in words what they withheld and why. */
struct writ_answer {
	struct writ_selectors selectors; /* sealed when decoded */
	struct writ_buf notes;           /* lines, each ended by '\n' */
	size_t nnotes;
};

void writ_answer_init(struct writ_answer *a);
void writ_answer_done(struct writ_answer *a);
/* Adds a note, cut to WRIT_WIRE_NOTE_MAX; line ends in it become blanks. Dropped when there are
 * WRIT_WIRE_NOTES_MAX. */
void writ_answer_note(struct writ_answer *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

void writ_request_encode(const struct writ_snapshot *s, struct writ_buf *out);
/* WRIT_EPROTO: not a request. *ret needs writ_snapshot_done after WRIT_OK. */
WRIT_MUST writ_rc writ_request_decode(
	struct writ_str bytes, struct writ_snapshot *ret, struct writ_err *err);
void writ_answer_encode(struct writ_answer *a, struct writ_buf *out); /* seals the selectors */
/* WRIT_EPROTO: not an answer. *ret needs writ_answer_done after WRIT_OK. */
WRIT_MUST writ_rc writ_answer_decode(
	struct writ_str bytes, struct writ_answer *ret, struct writ_err *err);

#endif
