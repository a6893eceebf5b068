/* SPDX-License-Identifier: Apache-2.0 */
/* request: changes of the registry. Each is checked against memory, written in one transaction of
 * the store, applied to memory once that is on disk, and completed, never inside the call. A
 * request that touches what another one in flight touches waits for it. What is given is copied. */
#ifndef WRIT_REGISTRY_REQUEST_H
#define WRIT_REGISTRY_REQUEST_H

#include "registry/registry.h"
#include "registry/validate.h"

#define WRIT_REQUESTS_MAX 8192 /* in flight; more complete with WRIT_EBUSY */
#define WRIT_BATCH_MAX    2000 /* items in one request */

struct writ_item {
	writ_rc rc;
	const char *msg;          /* "" when rc is WRIT_OK */
	struct writ_entry *entry; /* as it is now; WRIT_EEXIST: the one that was there; else NULL */
};

/* Borrowed for the time of the callback; take references to what is to stay. */
struct writ_outcome {
	writ_rc rc; /* of the request as a whole; when not WRIT_OK nothing was changed */
	const char *msg;
	uint64_t revision;             /* 0: nothing had to be changed */
	const struct writ_item *items; /* entries: one each, in the order of the request */
	size_t n;
	struct writ_node *node;         /* after the change; deleted: as it was */
	const struct writ_token *token; /* the one created or taken */
	const struct writ_trust *trust;
};
typedef void writ_outcome_fn(void *arg, const struct writ_outcome *out);

/* Which parts of the given spec an update takes; the text fields have bit 1 << field. */
enum {
	WRIT_MASK_X509_TTL = 1 << 8,
	WRIT_MASK_JWT_TTL = 1 << 9,
	WRIT_MASK_EXPIRES_AT = 1 << 10,
	WRIT_MASK_ADMIN = 1 << 11,
	WRIT_MASK_DOWNSTREAM = 1 << 12,
	WRIT_MASK_STORE_SVID = 1 << 13,
	WRIT_MASK_ATTRIBUTES = 1 << 14, /* NO_PREFETCH and JWT_JTI */
	WRIT_MASK_ALL = 0x7fff
};

/* One entry of a batch. problem: what the caller found wrong while reading it (borrowed, NULL:
 * none); such an item is passed through as WRIT_EINVAL with that text. */
struct writ_entry_request {
	struct writ_entry_spec spec;
	unsigned mask; /* updates */
	const char *problem;
};

/* An empty ID is replaced by a random UUID. Texts: "similar entry already exists", "unable to find
 * federated bundle", and those of writ_entry_check. */
void writ_registry_create_entries(struct writ_registry *r, const struct writ_entry_request *list,
	size_t n, writ_outcome_fn *done, void *arg);
void writ_registry_update_entries(struct writ_registry *r, const struct writ_entry_request *list,
	size_t n, writ_outcome_fn *done, void *arg);
void writ_registry_delete_entries(struct writ_registry *r, const struct writ_str *ids, size_t n,
	writ_outcome_fn *done, void *arg);

enum writ_node_act {
	WRIT_NODE_ATTEST,  /* makes or replaces: type, serial, not_after, selectors, key,
			      can_reattest.  WRIT_EDENIED when it is banned */
	WRIT_NODE_REISSUE, /* after proof of the recorded key: serial, not_after, key at once */
	WRIT_NODE_RENEW,   /* new serial, not_after and key, beside those in use */
	WRIT_NODE_PROMOTE, /* the new ones are in use now, if serial is the new one */
	WRIT_NODE_REPORT,  /* version */
	WRIT_NODE_BAN, /* no serial is valid any more; no renewal, no attestation until deleted */
	WRIT_NODE_REMOVE, /* and the entry that was made with its join token */
};
struct writ_node_edit {
	enum writ_node_act act;
	struct writ_str id, type, serial, selectors, version;
	int64_t not_after;
	bool can_reattest;
	bool first_only;    /* WRIT_NODE_ATTEST: WRIT_EEXIST when there is one of that ID */
	const uint8_t *key; /* WRIT_KEY_HASH_LEN bytes; NULL: not recorded */
};
/* WRIT_ENOENT "agent not found", WRIT_EDENIED "agent is banned". */
void writ_registry_edit_node(struct writ_registry *r, const struct writ_node_edit *edit,
	writ_outcome_fn *done, void *arg);

/* entry: made in the same transaction, NULL for none; its parent is the token's agent ID. */
void writ_registry_create_token(struct writ_registry *r, const struct writ_token *token,
	const struct writ_entry_request *entry, writ_outcome_fn *done, void *arg);
/* Exactly one of any number of callers gets it: WRIT_OK, or WRIT_EEXPIRED when it was too old (it
 * is gone then too). WRIT_ENOENT for the others. */
void writ_registry_take_token(struct writ_registry *r, const uint8_t hash[WRIT_KEY_HASH_LEN],
	writ_outcome_fn *done, void *arg);

struct writ_trust_edit {
	struct writ_str td;
	const struct writ_str *add, *taint, *remove; /* DER of CAs */
	size_t n_add, n_taint, n_remove;
	bool set_hint;
	int64_t refresh_hint_s;
};
/* The sequence number goes up by one when anything changed; else nothing is written. */
void writ_registry_edit_trust(struct writ_registry *r, const struct writ_trust_edit *edit,
	writ_outcome_fn *done, void *arg);

/* Journal and values have one writer each, so nothing waits: an empty state or value removes. */
void writ_registry_put_ca(
	struct writ_registry *r, const struct writ_ca_slot *slot, writ_outcome_fn *done, void *arg);
void writ_registry_put_value(
	struct writ_registry *r, const struct writ_pair *pair, writ_outcome_fn *done, void *arg);

#endif
