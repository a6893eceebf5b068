/* SPDX-License-Identifier: Apache-2.0 */
/* attestor: how the server finds out which machine an agent runs on. One vtable a kind, of SPIRE's
 * names and payload forms (AttestAgent's data.type and data.payload). An attestor judges; the
 * stream, the deadlines, the ban, the certificate and the registry are api/attest.c's.
 *
 *   begin(payload) -> refused | known | a challenge, then respond(answer) -> refused | known
 *
 * begin and respond run on the pool, one at a time for one exchange, any number of exchanges at
 * once: what they need of the attestor must not change. They compute and never wait: what has to
 * ask somebody over a network sets x->ask and goes on in ask(), on the loop.
 *
 * Nobody has proved anything before respond: begin checks what costs nothing (form, sizes, times),
 * and respond checks possession, one signature, before chains. */
#ifndef WRIT_NODE_ATTESTOR_H
#define WRIT_NODE_ATTESTOR_H

#include "base/buf.h"
#include "config/config.h"
#include "crypto/cert.h"
#include "loop/loop.h"

#define WRIT_NODE_ATTESTORS_MAX 8
/* No attestor's payload_max is above it: a stranger's stream ends at 64 KiB (serve/listen.c), and
 * the request for the certificate has to fit as well. */
#define WRIT_NODE_PAYLOAD_MAX   (56 * 1024)
#define WRIT_NODE_CHALLENGE_MAX (16 * 1024)
#define WRIT_NODE_PATH_MAX      1024
#define WRIT_NODE_ASKS_MAX      64 /* exchanges in ask() at once; more are told to try again */

struct writ_node_attestor_vt;

/* First member of an attestor's object. */
struct writ_node_attestor {
	const struct writ_node_attestor_vt *vt;
	const struct writ_server_config *cfg; /* borrowed: outlives it */
};

/* One attestation. The caller makes it and fills the first part; it lives until end. */
struct writ_node_exchange {
	const struct writ_node_attestor *by;
	struct writ_loop *loop;   /* for ask */
	struct writ_str td;       /* our trust domain; borrowed */
	struct writ_anchors *own; /* its CAs at the start; NULL: none. A reference */
	int64_t now;              /* Unix seconds, set before each step */
	char address[64];         /* of the caller, numeric, without the port; "": not by TCP */

	void *state; /* the attestor's, until its end() */

	/* What a step leaves behind. */
	struct writ_buf challenge; /* begin: not empty: it is sent, and respond gets the answer */
	bool ask;                  /* goes on in ask() */
	struct writ_buf path;      /* known: the agent's ID below spiffe://td/spire/agent: "/k/x" */
	struct writ_buf selectors; /* a pack of values, see writ_node_select */
	bool can_reattest;
	bool first_only; /* refused when there is an agent of that ID already (trust on first use)
			  */

	void (*asked)(struct writ_node_exchange *x, writ_rc rc, const struct writ_err *err);
	void *arg; /* the caller's */
};

/* WRIT_EINVAL: the payload or answer is malformed. WRIT_EDENIED, WRIT_EEXPIRED, WRIT_ECRYPTO: it
 * does not hold. WRIT_EBUSY, WRIT_EUNAVAIL, WRIT_ETIMEOUT: not now. The agent and the audit record
 * get the text; that of any other kind stays with us. Texts from peers go in quoted and cut. */
struct writ_node_attestor_vt {
	const char *name; /* "x509pop" */
	size_t payload_max, answer_max;
	size_t is_on; /* where in struct writ_server_config the bool is that names it */
	size_t size;  /* of its object, zeroed at first */
	/* Once, at the start; reads files. NULL: there is nothing to read. */
	writ_rc (*open)(struct writ_node_attestor *a, struct writ_err *err);
	/* Frees what open made, also when that failed half-way; the object is freed by the caller.
	 * NULL: nothing. */
	void (*close)(struct writ_node_attestor *a);
	writ_rc (*begin)(
		struct writ_node_exchange *x, struct writ_str payload, struct writ_err *err);
	writ_rc (*respond)(struct writ_node_exchange *x, struct writ_str answer,
		struct writ_err *err); /* NULL: it never challenges */
	/* After begin or respond returned WRIT_OK with ask set. On the loop; has a deadline of its
	 * own, at most 10 s, and ends in exactly one writ_node_asked, never inside ask. The caller
	 * may be gone by then. NULL: it never sets ask. */
	void (*ask)(struct writ_node_exchange *x);
	void (*end)(struct writ_node_exchange *x); /* frees x->state (may be NULL). On the loop */
};

/* For attestors. */
/* Adds the selector NAME:value, with the attestor's name as its type. */
void writ_node_select(struct writ_node_exchange *x, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void writ_node_asked(struct writ_node_exchange *x, writ_rc rc, const struct writ_err *err);

/* For the caller. */
void writ_node_exchange_init(struct writ_node_exchange *x, const struct writ_node_attestor *by);
void writ_node_exchange_done(struct writ_node_exchange *x); /* calls end; not while a step runs */
/* The agent's whole SPIFFE ID, checked. WRIT_EINVAL: what the path says is no ID. */
WRIT_MUST writ_rc writ_node_exchange_id(
	const struct writ_node_exchange *x, struct writ_buf *ret, struct writ_err *err);
/* The selectors as the registry wants them (a set of "type:value"). */
WRIT_MUST writ_rc writ_node_exchange_selectors(
	const struct writ_node_exchange *x, struct writ_buf *ret, struct writ_err *err);

/* The attestors that a configuration names. */
struct writ_node_attestors {
	struct writ_node_attestor *list[WRIT_NODE_ATTESTORS_MAX];
	size_t n;
};
WRIT_MUST writ_rc writ_node_attestors_open(const struct writ_server_config *cfg,
	struct writ_node_attestors *ret, struct writ_err *err);
void writ_node_attestors_close(struct writ_node_attestors *a);
struct writ_node_attestor *writ_node_attestors_find(
	const struct writ_node_attestors *a, struct writ_str name); /* NULL */

extern const struct writ_node_attestor_vt writ_node_x509pop, writ_node_http_challenge,
	writ_node_k8s_psat, writ_node_tpm_devid;
extern const struct writ_node_attestor_vt writ_node_sshpop;

#endif
