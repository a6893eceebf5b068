/* SPDX-License-Identifier: Apache-2.0 */
/* issue: the steps that every issuance has: the request's key is checked on the pool, the signer
 * signs. On the loop; callbacks never inside the call that asked. */
#ifndef WRIT_API_ISSUE_H
#define WRIT_API_ISSUE_H

#include "api/api.h"
#include "crypto/csr.h"

struct Spire__Api__Types__X509SVID;

/* Checks one CSR. Embedded; der is borrowed until done. */
struct writ_csr_work {
	struct writ_job job;
	const void *der;
	size_t n;
	struct writ_pubkey key;
	writ_rc rc;
	struct writ_err err;
	void (*done)(struct writ_csr_work *w);
};
void writ_csr_check(struct writ_loop *loop, struct writ_csr_work *w);

/* An agent's certificate, from a key that was checked. Embedded in the caller's object. */
struct writ_agent_svid {
	struct writ_call *call;
	struct writ_str agent_id; /* NUL-terminated */
	struct writ_ca_item item;
	int64_t began_us;
	struct Spire__Api__Types__X509SVID *svid; /* result, as are these two; with the call */
	struct writ_str serial;
	int64_t not_after;
	void (*done)(struct writ_agent_svid *s, writ_rc rc, const struct writ_err *err);
};
/* The certificate is in the audit log when done says WRIT_OK. */
void writ_agent_svid_sign(struct writ_agent_svid *s, const struct writ_pubkey *key);

/* No CA of ours has this key (T23: nobody gets a certificate for it). */
WRIT_MUST writ_rc writ_key_is_no_ca(
	const struct writ_ca *ca, const struct writ_pubkey *key, struct writ_err *err);

#endif
