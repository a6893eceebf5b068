/* SPDX-License-Identifier: Apache-2.0 */
/* prover: how the agent proves to the server which machine it runs on, other than by a join token.
 * One vtable a kind, of SPIRE's names and payload forms; its counterpart is the server's node
 * attestor of the same name. The link drives it: start, payload, (answer), stop for each
 * attestation, one at a time. */
#ifndef WRIT_AGENT_NODE_PROVER_H
#define WRIT_AGENT_NODE_PROVER_H

#include "base/buf.h"
#include "config/config.h"
#include "loop/loop.h"

#define WRIT_PROOF_PAYLOAD_MAX (56 * 1024) /* the server takes no more from a stranger */
#define WRIT_PROOF_ANSWER_MAX  (64 * 1024)

struct writ_prover_vt;

/* First member of a prover's object. */
struct writ_prover {
	const struct writ_prover_vt *vt;
	const struct writ_agent_config *cfg; /* borrowed: outlives it */
};

/* Errors go to the log and the attestation is tried again later, so files may be mended while the
 * agent runs: read them in payload. */
struct writ_prover_vt {
	const char *name; /* "x509pop" */
	/* payload and answer run on the pool and may block for a moment (files, a TPM); with
	 * on_loop they run on the loop and must not. */
	bool on_loop;
	size_t is_on; /* where in struct writ_agent_config the bool is that names it */
	size_t size;  /* of its object, zeroed at first */
	/* Once, before anything else: what of the configuration can never work. NULL: nothing. */
	writ_rc (*check)(const struct writ_agent_config *cfg, struct writ_err *err);
	/* Before payload, on the loop: for what has to listen meanwhile. NULL: nothing. */
	writ_rc (*start)(struct writ_prover *p, struct writ_loop *loop, struct writ_err *err);
	writ_rc (*payload)(struct writ_prover *p, struct writ_buf *out, struct writ_err *err);
	writ_rc (*answer)(struct writ_prover *p, struct writ_str challenge, struct writ_buf *out,
		struct writ_err *err); /* NULL: a challenge is the server's mistake */
	/* The attestation is over, whatever came of it; on the loop, also after a start or payload
	 * that failed, and before the object is freed. Secrets of payload go here. NULL: nothing.
	 */
	void (*stop)(struct writ_prover *p);
};

/* The one that the configuration names; *ret NULL: none (join_token). */
WRIT_MUST writ_rc writ_prover_open(
	const struct writ_agent_config *cfg, struct writ_prover **ret, struct writ_err *err);
void writ_prover_close(struct writ_prover *p); /* NULL is fine */

extern const struct writ_prover_vt writ_prover_x509pop, writ_prover_http_challenge,
	writ_prover_k8s_psat, writ_prover_tpm_devid;
extern const struct writ_prover_vt writ_prover_sshpop;

#endif
