/* SPDX-License-Identifier: Apache-2.0 */
/* record: the issuance record: one JSON line for each certificate, on disk before the certificate
 * leaves. It may name certificates that never left; it never lacks one that did. */
#ifndef WRIT_SIGNER_RECORD_H
#define WRIT_SIGNER_RECORD_H

#include "base/buf.h"
#include "crypto/issue.h"

#define WRIT_RECORD_BATCH_MAX (4 * 1024 * 1024)

struct writ_record {
	int fd;             /* opened O_APPEND; borrowed */
	uint64_t size;      /* bytes in it */
	uint64_t long_at;   /* it is called long when it has so many; 0: never */
	bool half;          /* the line before was cut short */
	struct writ_buf in; /* lines of the batch that is being built */
};

struct writ_record_line {
	const uint8_t *serial; /* WRIT_SERIAL_LEN */
	const char *spiffe_id, *entry_id, *agent_id, *authority;
	const uint8_t *key_sha256; /* 32: of the SubjectPublicKeyInfo */
	int64_t not_before, not_after;
	bool ca;
};

/* max: bytes from which on it is long; 0: none. fd must be readable too: a line that a killed
 * process cut short is ended first. */
WRIT_MUST writ_rc writ_record_init(
	struct writ_record *r, int fd, uint64_t max, struct writ_err *err);
void writ_record_done(struct writ_record *r);
/* Another file takes its place, one that ends with a whole line. Between commits. Returns the
 * descriptor before. */
int writ_record_change(struct writ_record *r, int fd, uint64_t max);
/* Is it time for another file? True once, and again after each further eighth. */
bool writ_record_is_long(struct writ_record *r);
void writ_record_add(struct writ_record *r, const struct writ_record_line *l);
void writ_record_drop(struct writ_record *r); /* what was added since the last commit */
/* One write and one fdatasync for all lines added. WRIT_ELIMIT when there is no room; then none of
 * these certificates may leave. */
WRIT_MUST writ_rc writ_record_commit(struct writ_record *r, struct writ_err *err);

#endif
