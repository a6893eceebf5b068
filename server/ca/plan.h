/* SPDX-License-Identifier: Apache-2.0 */
/* plan: what to do next with our CAs, from what they are and what time it is. Pure. */
#ifndef WRIT_CA_PLAN_H
#define WRIT_CA_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRIT_CA_MAX     4            /* as many as the signer holds */
#define WRIT_CA_RENEW_S (30 * 86400) /* so long after its end a CA may be certified again */

enum writ_ca_state { WRIT_CA_PREPARED, WRIT_CA_ACTIVE, WRIT_CA_OLD };

struct writ_ca_fact {
	enum writ_ca_state state;
	bool published;     /* in the bundle, durably */
	int64_t begin, end; /* Unix seconds; end is notAfter */
};

enum writ_ca_step {
	WRIT_CA_WAIT,     /* nothing before *wake */
	WRIT_CA_PREPARE,  /* make another one */
	WRIT_CA_PUBLISH,  /* which: put it into the bundle */
	WRIT_CA_ACTIVATE, /* which: sign with it from now on */
	WRIT_CA_DROP,     /* which: forget its key */
	WRIT_CA_RENEW,    /* which: all have ended; certify its key again (docs/adr/0009) */
};

/* A CA is followed by the next one: prepared at half of its life and published, active at 5/6;
 * dropped when it has ended. When all have ended, as after a long outage, the one that signed last
 * is certified again: its key is what agents know. Never activates one that is not published. wake:
 * Unix seconds, set with WRIT_CA_WAIT. */
enum writ_ca_step writ_ca_plan(
	const struct writ_ca_fact *cas, size_t n, int64_t now, size_t *which, int64_t *wake);
/* Can it sign now? */
bool writ_ca_usable(const struct writ_ca_fact *ca, int64_t now);

#endif
