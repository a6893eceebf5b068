/* SPDX-License-Identifier: Apache-2.0 */
/* findings: what runtimes said a moment ago, and which of them are left alone for now. Bounded: a
 * newer one takes the place of an older one with the same hash. Loop thread. */
#ifndef WRIT_RUNTIME_FINDINGS_H
#define WRIT_RUNTIME_FINDINGS_H

#include "attest/wire.h"

/* An answer, or why there is none. Shared by reference; read-only. */
struct writ_finding {
	int refs;
	char *key; /* owned */
	int64_t until_ms;
	writ_rc rc;
	struct writ_answer answer; /* with WRIT_OK */
	struct writ_err err;       /* else */
};

struct writ_finding *writ_finding_ref(struct writ_finding *f);
void writ_finding_unref(struct writ_finding *f); /* NULL is fine */
/* Adds selectors and notes; of selectors all or none: too many become a note. name: of the runtime,
 * for the note that there is no answer. */
void writ_finding_add(const struct writ_finding *f, const char *name, struct writ_answer *answer);

struct writ_findings; /* opaque */

struct writ_findings *writ_findings_new(void);
void writ_findings_free(struct writ_findings *f);
struct writ_finding *writ_findings_get(
	const struct writ_findings *f, const char *key);                   /* borrowed */
void writ_findings_put(struct writ_findings *f, struct writ_finding *one); /* takes a reference */

/* A runtime, and for those of users whose. */
void writ_findings_rest(struct writ_findings *f, size_t row, uint32_t owner, int64_t ms);
bool writ_findings_rests(const struct writ_findings *f, size_t row, uint32_t owner);

#endif
