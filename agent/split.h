/* SPDX-License-Identifier: Apache-2.0 */
/* split: the agent becomes two processes, before its first thread: one that attests and keeps the
 * capabilities for it, and one that goes on, serves callers and has none (docs/adr/0012). */
#ifndef WRIT_AGENT_SPLIT_H
#define WRIT_AGENT_SPLIT_H

#include "attest/attestor.h"
#include "config/config.h"

#include <sys/types.h>

#define WRIT_SPLIT_ATTESTORS_MAX 16

struct writ_split {
	int fd;    /* to the attestation process; owned */
	pid_t pid; /* of it */
	const struct writ_attestor_vt *attestors[WRIT_SPLIT_ATTESTORS_MAX + 1];
	unsigned wants; /* enum writ_attest_flag that the configuration asks for always */
};

/* To be asked before anything is touched. WRIT_EPRECOND: the agent must not start in these
 * namespaces; the message says what to change. */
WRIT_MUST writ_rc writ_split_check(const struct writ_agent_config *c, struct writ_err *err);
/* WRIT_EUNSUP: it is done (*ret is good), but for the capabilities, which end with an exec only:
 * that is writ_split_hand_on, and in the program's second life writ_split_take. */
WRIT_MUST writ_rc writ_split(
	const struct writ_agent_config *c, struct writ_split *ret, struct writ_err *err);
/* Runs the program again with its arguments; returns when that failed. keeper: a descriptor that
 * goes along, or -1. */
WRIT_MUST writ_rc writ_split_hand_on(
	const struct writ_split *s, int keeper, char *const *argv, struct writ_err *err);
#define WRIT_SPLIT_ENV "WRIT_SPLIT" /* the value of this variable is what take wants */
WRIT_MUST writ_rc writ_split_take(const struct writ_agent_config *c, const char *handed,
	struct writ_split *ret, int *keeper, struct writ_err *err);
void writ_split_end(struct writ_split *s); /* ends the attestation process; idempotent */

#endif
