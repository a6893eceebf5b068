/* SPDX-License-Identifier: Apache-2.0 */
/* ca: our CAs over time, and the way to a signature. It asks the signer to prepare a CA, has it
 * published and waits until that is durable, activates it, drops it at its end, and begins anew
 * where a restart left it. Signing requests of many callers go to the signer in batches. What it
 * needs of the store are two functions. On the loop. */
#ifndef WRIT_CA_CA_H
#define WRIT_CA_CA_H

#include "ca/authority.h"
#include "ca/signer_link.h"
#include "crypto/issue.h"
#include "spiffe/svid.h"

#define WRIT_CA_BACKDATE_S   10    /* notBefore is that long ago, for clocks that are behind */
#define WRIT_CA_QUEUE_MAX    16384 /* items that wait for a signature */
#define WRIT_CA_ITEM_WAIT_MS 5000
#define WRIT_CA_PRUNE_S                                                                            \
	86400 /* a CA stays in the bundle that long after its end, or ca_ttl if less */

struct writ_ca;

/* A change of the store, one transaction. Borrowed from the CA until done. */
struct writ_ca_change {
	const char *authority; /* the slot it is about; NULL: none */
	const char *state; /* "prepared", "active", "old": write the slot down; NULL: remove it */
	struct writ_str cert; /* DER; of the slot, as the next two */
	int64_t issued_at, not_after;
	struct writ_cert *const *roots; /* the bundle has to hold these too */
	size_t n_roots;
	int64_t prune_before; /* not 0: CAs in the bundle that ended before this go */
	void (*done)(struct writ_ca_change *c, writ_rc rc,
		const struct writ_err *err); /* on the loop, not inside commit */
	void *impl;
};

struct writ_ca_hooks {
	void (*commit)(void *arg,
		struct writ_ca_change
			*c);        /* done: it is on disk, and in the bundle that is handed out */
	void (*changed)(void *arg); /* another CA signs from now on, the first included */
	void (*server_svid)(
		void *arg, struct writ_svid *svid); /* the server's own, new; borrowed */
};

struct writ_ca_config {
	const char *trust_domain;
	int64_t ca_ttl_s;
	enum writ_key_type key_type;
	struct writ_subject subject;
	int64_t server_svid_ttl_s;
	/* Authority IDs that the store had written down at the start. */
	const char *const *known;
	size_t n_known;
};

/* port: borrowed. Strings of config are copied. */
struct writ_ca *writ_ca_new(struct writ_loop *loop, const struct writ_ca_config *config,
	struct writ_signer_port *port, const struct writ_ca_hooks *hooks, void *arg);
/* Items that wait end with WRIT_ECANCELED. Not while a change is at the store. NULL is fine. */
void writ_ca_free(struct writ_ca *ca);
void writ_ca_signer_up(struct writ_ca *ca); /* from the link's events */
void writ_ca_signer_down(struct writ_ca *ca);
void writ_ca_tick(struct writ_ca *ca); /* does what is due; a timer calls it, and tests */

bool writ_ca_ready(const struct writ_ca *ca); /* a signature could be made now */
/* More than 10 failures in a row; why is the last one. */
bool writ_ca_failing(const struct writ_ca *ca, const char **why);
const struct writ_authority *writ_ca_active(
	const struct writ_ca *ca); /* borrowed until the loop turns; NULL */
size_t writ_ca_authorities(const struct writ_ca *ca, const struct writ_authority **ret);
struct writ_svid *writ_ca_server_svid(const struct writ_ca *ca); /* borrowed; NULL: not yet */

/* A certificate as it was signed; valid in done() only. */
struct writ_ca_issued {
	struct writ_str cert;                /* DER */
	int64_t not_after;                   /* may be earlier than asked for */
	const struct writ_authority *issuer; /* its chain is handed out behind cert */
};

/* One certificate that is wanted. Embedded in the caller's object, all borrowed until done(). */
struct writ_ca_item {
	const char *spiffe_id;
	const struct writ_pubkey *key; /* checked (writ_pubkey_from_spki, writ_csr_key) */
	int64_t ttl_s;
	const char *const *dns;
	size_t n_dns;
	struct writ_str subject;         /* DER Name; empty: the profile's */
	const char *entry_id, *agent_id; /* for the issuance record; NULL is "" */
	/* Once, on the loop, never inside writ_ca_sign. out is NULL when rc is not WRIT_OK. */
	void (*done)(struct writ_ca_item *i, writ_rc rc, const struct writ_ca_issued *out,
		const struct writ_err *err);
	/* The CA's. */
	struct writ_list node;
	int64_t deadline_ms;
	unsigned tries;
	struct writ_ca_item **place; /* in the batch under way */
};

/* WRIT_EBUSY: too many wait. Items of one turn of the loop share a batch, and one sync of the
 * record. */
WRIT_MUST writ_rc writ_ca_sign(struct writ_ca *ca, struct writ_ca_item *i, struct writ_err *err);
/* done() is not called any more. The certificate may have been made. */
void writ_ca_cancel(struct writ_ca *ca, struct writ_ca_item *i);

#endif
