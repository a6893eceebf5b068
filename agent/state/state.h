/* SPDX-License-Identifier: Apache-2.0 */
/* state: what an agent keeps on disk: its own SVID with the key, and the trust bundle. One file, so
 * that no end of the process can part key and certificate. Blocking: start-up or a job.
 *
 * The file is JSON in the one form that is written here: an object with "agent_id" (text),
 * "svid" and "bundle" (lists of base64 DER), "key" (base64 PKCS#8) and "reattestable" (true or
 * false), each at most once, no escapes in strings. svid and key are both there or both absent. */
#ifndef WRIT_AGENT_STATE_H
#define WRIT_AGENT_STATE_H

#include "spiffe/bundle.h"
#include "spiffe/svid.h"

#define WRIT_STATE_NAME "agent-state.json"
#define WRIT_STATE_MAX  (2 * 1024 * 1024)

struct writ_state {
	struct writ_svid
		*svid; /* reference; NULL: none (expired ones are kept: see key-proof.txt) */
	struct writ_bundle *bundle; /* reference; NULL: none */
	bool reattestable;          /* renew by attesting again, never by RenewAgent */
};

void writ_state_done(struct writ_state *s); /* idempotent */

/* Bytes to values. WRIT_EINVAL: not such a file, or its parts do not belong together or to td.
 * *ret needs writ_state_done after WRIT_OK. */
WRIT_MUST writ_rc writ_state_parse(
	struct writ_str text, struct writ_str td, struct writ_state *ret, struct writ_err *err);
/* out holds a private key afterwards: writ_buf_wipe it. */
WRIT_MUST writ_rc writ_state_print(
	const struct writ_state *s, struct writ_buf *out, struct writ_err *err);

/* WRIT_ENOENT: there is none. WRIT_EDENIED: others may read it. The messages name the file and what
 * to do. */
WRIT_MUST writ_rc writ_state_load(
	const char *path, struct writ_str td, struct writ_state *ret, struct writ_err *err);
WRIT_MUST writ_rc writ_state_save(
	const char *path, const struct writ_state *s, struct writ_err *err);
/* Removes it: the agent is banned, or deleted. No file is fine. */
WRIT_MUST writ_rc writ_state_delete(const char *path, struct writ_err *err);

#endif
