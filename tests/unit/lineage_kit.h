/* SPDX-License-Identifier: Apache-2.0 */
/* lineage_kit: a process as the lineage attestor sees it. For tests; add lineage_kit.c. */
#ifndef WRIT_TEST_LINEAGE_KIT_H
#define WRIT_TEST_LINEAGE_KIT_H

#include "attest/attestor.h"

struct seen {
	struct writ_pin pin;
	struct writ_snapshot s;
	struct writ_answer a;
	char selectors[16384], notes[8192];
};

extern struct writ_ns_self lineage_self; /* to be read first: writ_ns_self_read */
extern const struct writ_attestor_vt *const lineage_list[];

void lineage_look(struct seen *v, const struct writ_attest_ctx *ctx, pid_t pid);
void lineage_forget(struct seen *v);
bool lineage_has(const struct seen *v, const char *selector);

#endif
